"""How much households differ in how often and at which hours they shop: the two laws from which people are drawn.

Rates: each household's baskets of the year are Poisson at its own day rate, and the rates are gamma distributed, so the
counts are negative binomial. Hours: its baskets fall on the seven two-hour slots by its own shares, and the shares are
Dirichlet distributed, so the counts are Dirichlet-multinomial. Both are fitted by maximum likelihood; a plain variance
of observed shares would take the chance of few baskets for a difference between people. Households with fewer than five
baskets before November are not in the data, so the spread of rates is understated at its lower end.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import gammaln

from tactful_lab.datasets.completejourney import FIRST_DAY, LAST_DAY, N_SLOTS, Baskets
from tactful_privacy.errors import InvalidInput

Counts = NDArray[np.int64]
DAYS = LAST_DAY.toordinal() - FIRST_DAY.toordinal() + 1


@dataclass(frozen=True, slots=True)
class Habits:
    """The fitted laws; rates are baskets per day, ``slot_share`` (7,) and ``weekday_factor`` (7,), Monday first."""

    baskets_per_day: float
    rate_shape: float
    slot_concentration: float
    slot_share: tuple[float, ...]
    weekday_factor: tuple[float, ...]


def fit(baskets: Baskets) -> Habits:
    """Fit the laws to the baskets that start inside the slots (a few seconds)."""
    n, inside = len(baskets.household_ids), baskets.slot >= 0
    household, slot = baskets.household[inside].astype(np.int64), baskets.slot[inside].astype(np.int64)
    counts = np.bincount(household * N_SLOTS + slot, minlength=n * N_SLOTS).reshape(n, N_SLOTS)
    alpha = dirichlet_of_counts(counts)
    mean, shape = gamma_of_counts(counts.sum(axis=1), DAYS)
    weekday = (baskets.day[inside] + 6) % 7
    of_weekday = np.bincount((np.arange(FIRST_DAY.toordinal(), LAST_DAY.toordinal() + 1) + 6) % 7, minlength=7)
    per_day = np.bincount(weekday, minlength=7) / of_weekday
    return Habits(
        baskets_per_day=mean,
        rate_shape=shape,
        slot_concentration=float(alpha.sum()),
        slot_share=tuple(float(a) for a in alpha / alpha.sum()),
        weekday_factor=tuple(float(f) for f in per_day / per_day.mean()),
    )


def gamma_of_counts(counts: Counts, days: float) -> tuple[float, float]:
    """Mean per day and shape of the gamma law behind Poisson counts (n,) over the same number of days.

    Raises:
        InvalidInput: The counts vary no more than Poisson counts do: there is no spread to fit.
    """
    mean = float(counts.mean())
    if counts.var() <= mean:
        raise InvalidInput("do not vary more than chance", field="counts", remedy="fit one common rate instead")

    def negative_log_likelihood(log_shape: float) -> float:
        k = np.exp(log_shape)
        terms = gammaln(counts + k) - gammaln(k) + k * np.log(k / (k + mean)) + counts * np.log(mean / (k + mean))
        return -float(terms.sum())

    best = minimize_scalar(negative_log_likelihood, bounds=(-5.0, 5.0), method="bounded", options={"xatol": 1e-8})
    return mean / days, float(np.exp(best.x))


def dirichlet_of_counts(counts: Counts) -> NDArray[np.float64]:
    """Maximum-likelihood α (slots,) of the Dirichlet law behind multinomial counts (n, slots)."""
    totals, start = counts.sum(axis=1), np.log(5.0 * counts.sum(axis=0) / counts.sum())

    def negative_log_likelihood(log_alpha: NDArray[np.float64]) -> float:
        alpha = np.exp(log_alpha)
        whole = gammaln(alpha.sum()) - gammaln(totals + alpha.sum())
        parts = (gammaln(counts + alpha) - gammaln(alpha)).sum(axis=1)
        return -float((whole + parts).mean())

    best = minimize(negative_log_likelihood, start, method="L-BFGS-B", options={"ftol": 1e-13, "gtol": 1e-8})
    alpha: NDArray[np.float64] = np.exp(best.x)
    return alpha
