"""How much the next basket will be worth: ridge regression on the household's past, against plainer guesses."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tactful_lab.cases.purchases import Ints, Purchases
from tactful_lab.cases.recommend import Floats

FEATURES = ("constant", "own mean", "last", "log baskets", "log days since", "weekend")
_SHRINK = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Baskets:
    """Baskets in order of household and day, each array (baskets,); ``value`` is log(1 + dollars)."""

    household: Ints
    day: Ints
    value: Floats
    size: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Features of each basket from what came before its day, (baskets, 6), and the plainer guesses, (baskets,)."""

    features: Floats
    own_mean: Floats
    overall: Floats


def of_purchases(purchases: Purchases) -> Baskets:
    """One row for each basket; its day is that of its first line."""
    ids, first, which = np.unique(purchases.basket, return_index=True, return_inverse=True)
    household, day = purchases.household[first], purchases.day[first]
    spent = np.bincount(which, weights=purchases.spend, minlength=len(ids))
    value = np.log1p(spent.clip(0)).astype(np.float64)
    size = np.bincount(which, minlength=len(ids))
    order = np.lexsort((ids, day, household))
    return Baskets(household[order], day[order], value[order], size[order])


def design(baskets: Baskets, *, overall: float) -> Design:
    """Features from the past only: a basket sees the household's baskets of earlier days.

    Args:
        baskets: In order of household and day.
        overall: Mean value of the baskets before the test weeks, for households without a past.
    """
    n = len(baskets.value)
    own, last, past, since = np.full(n, overall), np.full(n, overall), np.zeros(n), np.full(n, 60.0)
    starts = np.flatnonzero(np.r_[True, np.diff(baskets.household) > 0]) if n else np.zeros(0, np.intp)
    for start, end in zip(starts, np.r_[starts[1:], n], strict=True):
        days, values = baskets.day[start:end], baskets.value[start:end]
        earlier = np.searchsorted(days, days, side="left")  # baskets of earlier days
        sums = np.r_[0.0, np.cumsum(values)]
        own[start:end] = (sums[earlier] + _SHRINK * overall) / (earlier + _SHRINK)
        some = earlier > 0
        last[start:end][some] = values[earlier[some] - 1]
        since[start:end][some] = (days - days[np.maximum(earlier - 1, 0)])[some]
        past[start:end] = earlier
    return Design(_columns(baskets, own, last, past, since), own, np.full(n, overall))


def _columns(baskets: Baskets, own: Floats, last: Floats, past: Floats, since: Floats) -> Floats:
    weekend = ((baskets.day + 6) % 7 >= 5).astype(np.float64)
    return np.column_stack([np.ones(len(own)), own, last, np.log1p(past), np.log1p(since), weekend])


def ridge(features: Floats, target: Floats, penalty: float) -> Floats:
    """Coefficients (6,) that minimise |y − Xw|² + penalty |w|², the constant not penalised."""
    weights = np.full(features.shape[1], penalty)
    weights[0] = 0.0
    found = np.linalg.solve(features.T @ features + np.diag(weights), features.T @ target)
    return np.asarray(found, np.float64)


def squared_errors(guess: Floats, target: Floats, rows: NDArray[np.bool_]) -> Floats:
    """Squared error of each basket in ``rows``."""
    errors: Floats = (guess[rows] - target[rows]) ** 2
    return errors
