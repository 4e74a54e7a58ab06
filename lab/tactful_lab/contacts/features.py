"""What a household's own past says about a contact: numbers in [−1, 1], from earlier days only.

"Past" means days before the campaign's first day; of the day itself only the contacts are known. The one thing that is
not of the past is the campaign: its type and the products its coupons are for.

Contacts were targeted, not randomised (`tactful_lab.contacts.CAVEAT`): ``active`` and ``contacts`` predict response,
and their coefficients are no fatigue.

Amounts v ≥ 0 are squashed to (v − m)/(v + m) = tanh(½ ln(v/m)): −1 at nothing, 0 at the typical amount m, which is a
public round number, so that features spread about 0 and a device's update is short. Half-lives are in days.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tactful_lab.contacts.records import Floats, Ints, Records
from tactful_lab.contacts.task import ContactTask

KINDS = ("A", "B", "C")
NAMES = (
    *(f"campaign type {kind}" for kind in KINDS),
    "days since the last basket",
    "baskets, half-life 90 d",
    "spend, half-life 14 d",
    "spend, half-life 90 d",
    "lines with a coupon, half-life 90 d",
    "days with a redemption, half-life 180 d",
    "response rate to earlier contacts",
    "earlier contacts",
    "other campaigns active",
    "share of spend on the coupons' products, half-life 90 d",
    "share of spend on the coupons' product types, half-life 90 d",
    "lines with a coupon on the coupons' products",
    "products of the coupons",
    "demographics given",
    "age",
    "income",
    "household size",
    "owns the home",
    "campaign type A × spend, half-life 90 d",
)
_AGES = ("19-24", "25-34", "35-44", "45-54", "55-64", "65+")
_INCOMES = (
    *("Under 15K", "15-24K", "25-34K", "35-49K", "50-74K", "75-99K", "100-124K"),
    *("125-149K", "150-174K", "175-199K", "200-249K", "250K+"),
)
_SIZES = ("1", "2", "3", "4", "5+")
_HOMES = ("Renter", "Probable Renter", "", "Probable Homeowner", "Homeowner")
_PRIOR_RATE, _PRIOR_CONTACTS = 0.1, 2.0
_NO_PAST_D = 365.0
_TYPE_A, _SPEND = NAMES.index("campaign type A"), NAMES.index("spend, half-life 90 d")


def squash(amount: float, typical: float) -> float:
    """(v − m)/(v + m), in [−1, 1) for amounts v ≥ 0 and a typical amount m > 0."""
    return (amount - typical) / (amount + typical)


@dataclass(frozen=True, slots=True, eq=False)
class _Household:
    """One household's events in order of day: lines, redemption days with their campaign, contacts."""

    basket: Ints
    product: Ints
    day: Ints
    spend: Floats
    coupon: Floats
    redeemed_day: Ints
    redeemed_campaign: Ints
    contact_campaign: Ints
    contact_start: Ints
    contact_end: Ints
    demographics: dict[str, str | None] | None


@dataclass(frozen=True, slots=True, eq=False)
class _Offers:
    """Which products, and which products by type, each campaign's coupons are for: bool, (campaigns, products + 1).

    The last column stands for products that the package does not describe; no coupon is for them.
    """

    products: NDArray[np.bool_]
    types: NDArray[np.bool_]


def build(records: Records, task: ContactTask) -> Floats:
    """Features of every contact, shape (n, D) in the task's order, D = ``len(NAMES)``, each in [−1, 1]."""
    offers = _offers(records)
    households = _by_household(records, task)
    x = np.empty((len(task), len(NAMES)))
    for row in range(len(task)):
        campaign = int(task.campaign[row])
        own = households[int(task.household[row])]
        kind = str(records.campaigns.kind[campaign])
        first = [
            *(float(kind == k) for k in KINDS),
            *_shopping(own, int(task.day[row])),
            *_responses(own, campaign, int(task.day[row])),
            *_overlap(own, offers, campaign, int(task.day[row])),
            *_demographics(own.demographics),
        ]
        x[row] = [*first, first[_TYPE_A] * first[_SPEND]]
    return x


def _decayed(amount: Floats, age_d: Floats, half_life_d: float) -> float:
    return float(amount @ np.exp2(-age_d / half_life_d))


def _shopping(own: _Household, day: int) -> list[float]:
    """Recency, frequency, spend and use of coupons on earlier days."""
    n = int(np.searchsorted(own.day, day))
    if not n:
        return [squash(_NO_PAST_D, 5.0), *[-1.0] * 4]
    age = (day - own.day[:n]).astype(np.float64)
    _, first = np.unique(own.basket[:n], return_index=True)
    one, spend = np.ones(len(first)), own.spend[:n]
    return [
        squash(float(age[-1]), 5.0),
        squash(_decayed(one, age[first], 90.0), 12.0),
        squash(_decayed(spend, age, 14.0), 100.0),
        squash(_decayed(spend, age, 90.0), 500.0),
        squash(_decayed((own.coupon[:n] > 0).astype(np.float64), age, 90.0), 2.0),
    ]


def _responses(own: _Household, campaign: int, day: int) -> list[float]:
    """Redemptions before the day, contacts before it, and other campaigns active on it."""
    past = own.redeemed_day < day
    days = np.unique(own.redeemed_day[past])
    age, one = (day - days).astype(np.float64), np.ones(len(days))
    earlier = own.contact_start < day
    n, k = int(earlier.sum()), len(np.intersect1d(own.redeemed_campaign[past], own.contact_campaign[earlier]))
    rate = (k + _PRIOR_RATE * _PRIOR_CONTACTS) / (n + _PRIOR_CONTACTS)
    active = (own.contact_start <= day) & (own.contact_end >= day) & (own.contact_campaign != campaign)
    return [
        squash(_decayed(one, age, 180.0), 0.6),
        squash(rate, _PRIOR_RATE),
        squash(float(n), 3.0),
        squash(float(active.sum()), 1.0),
    ]


def _overlap(own: _Household, offers: _Offers, campaign: int, day: int) -> list[float]:
    """How much of the past was spent on what the campaign's coupons are for."""
    n = int(np.searchsorted(own.day, day))
    weight = own.spend[:n] * np.exp2(-(day - own.day[:n]) / 90.0)
    total = max(float(weight.sum()), 1e-9)
    product = own.product[:n]
    bought = offers.products[campaign, product]
    return [
        squash(float(weight[bought].sum()) / total, 0.02),
        squash(float(weight[offers.types[campaign, product]].sum()) / total, 0.2),
        squash(float((bought & (own.coupon[:n] > 0)).sum()), 0.5),
        squash(float(offers.products[campaign].sum()), 700.0),
    ]


def _place(words: tuple[str, ...], word: str | None) -> float:
    """Place of a word in an ordered list, −1 for the first and 1 for the last; 0 if it is not there."""
    return 2.0 * words.index(word) / (len(words) - 1) - 1.0 if word in words else 0.0


def _demographics(given: dict[str, str | None] | None) -> list[float]:
    if given is None:
        return [-1.0, *[0.0] * 4]
    return [
        1.0,
        _place(_AGES, given["age"]),
        _place(_INCOMES, given["income"]),
        _place(_SIZES, given["household_size"]),
        _place(_HOMES, given["home_ownership"]),
    ]


def _offers(records: Records) -> _Offers:
    shape = (len(records.campaigns.ids), len(records.product_ids) + 1)
    products, types = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    known = np.isin(records.coupon_product, records.product_ids)
    known &= np.isin(records.coupon_campaign, records.campaigns.ids)
    campaign = np.searchsorted(records.campaigns.ids, records.coupon_campaign[known])
    products[campaign, np.searchsorted(records.product_ids, records.coupon_product[known])] = True
    for row in range(shape[0]):
        wanted = np.unique(records.product_type[products[row, :-1]])
        types[row, :-1] = np.isin(records.product_type, wanted[wanted >= 0])
    return _Offers(products, types)


def _groups(owner: Ints, ids: Ints, *keys: NDArray[np.generic]) -> list[NDArray[np.intp]]:
    """Positions of each id's entries, in order of ``keys`` (the last key first, as in `numpy.lexsort`)."""
    order = np.lexsort((*keys, owner))
    ends = np.searchsorted(owner[order], ids, side="right")
    return [order[a:b] for a, b in zip(np.searchsorted(owner[order], ids), ends, strict=True)]


def _by_household(records: Records, task: ContactTask) -> list[_Household]:
    lines, ids = records.lines, task.household_ids
    at_line = _groups(lines.household, ids, lines.product, lines.basket, lines.day)
    at_redemption = _groups(records.redeemed_household, ids, records.redeemed_day)
    at_contact = _groups(task.household, np.arange(len(ids)), task.campaign)
    product = np.searchsorted(records.product_ids, lines.product)
    product[~np.isin(lines.product, records.product_ids)] = len(records.product_ids)
    return [
        _Household(
            basket=lines.basket[line],
            product=product[line],
            day=lines.day[line],
            spend=lines.spend[line],
            coupon=lines.coupon[line],
            redeemed_day=records.redeemed_day[redemption],
            redeemed_campaign=np.searchsorted(records.campaigns.ids, records.redeemed_campaign[redemption]),
            contact_campaign=task.campaign[contact],
            contact_start=records.campaigns.start[task.campaign[contact]],
            contact_end=records.campaigns.end[task.campaign[contact]],
            demographics=records.demographics.get(int(household)),
        )
        for household, line, redemption, contact in zip(ids, at_line, at_redemption, at_contact, strict=True)
    ]
