"""Intervals by resampling whole households: a household's days are not independent, households are.

Every statistic here is a ratio of sums over households (a mean loss: loss over rows), so per-household sums are formed
once and a resample is a weighted sum of them. Seeded: this randomness protects nobody.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least, fraction

RESAMPLES = 2_000
_CHUNK = 250


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the percentile interval of its resamples."""

    value: float
    low: float
    high: float
    level: float = 0.95

    @property
    def below_zero(self) -> bool:
        """Whether the whole interval lies below 0."""
        return self.high < 0


def household_sums(values: ArrayLike, household: ArrayLike, n_households: int) -> NDArray[np.float64]:
    """Sum of ``values`` (rows,) or (rows, slots) for each household index (rows,), shape (n_households,)."""
    per_row = np.asarray(values, dtype=np.float64).reshape(len(np.asarray(household)), -1).sum(axis=1)
    return np.bincount(np.asarray(household), weights=per_row, minlength=n_households).astype(np.float64)


def ratio_interval(
    numerator: ArrayLike, denominator: ArrayLike, *, seed: int, resamples: int = RESAMPLES, level: float = 0.95
) -> Interval:
    """Interval of Σ numerator / Σ denominator, each (n_households,), when households are drawn with replacement.

    Raises:
        InvalidInput: Shapes differ, the denominator sums to nothing, or a setting is out of range.
    """
    top, bottom = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    at_least(1, resamples=resamples)
    fraction(level=level)
    if top.shape != bottom.shape or top.ndim != 1 or bottom.sum() <= 0:
        raise InvalidInput("need two equal vectors, the second with a positive sum", field="numerator, denominator")
    random = np.random.default_rng(seed)
    n = len(top)
    pair = np.column_stack([top, bottom])
    sums = np.concatenate(
        [
            random.multinomial(n, np.full(n, 1 / n), size=min(_CHUNK, resamples - start)) @ pair
            for start in range(0, resamples, _CHUNK)
        ]
    )
    low, high = np.quantile(sums[:, 0] / sums[:, 1], [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(top.sum() / bottom.sum()), float(low), float(high), level)


def paired_interval(
    losses: ArrayLike,
    other_losses: ArrayLike,
    household: ArrayLike,
    *,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> Interval:
    """Interval of mean(losses) − mean(other_losses), both on the same rows: below 0 means that the first is better.

    Args:
        losses: (rows,) or (rows, slots).
        other_losses: As ``losses``.
        household: Household index of each row, (rows,).
        seed: Of the resampling.
        resamples: Number of resamples.
        level: Of the interval.
    """
    difference = np.asarray(losses, dtype=np.float64) - np.asarray(other_losses, dtype=np.float64)
    n = int(np.max(household)) + 1
    sums = household_sums(difference, household, n)
    counts = household_sums(np.ones_like(difference), household, n)
    present = counts > 0
    return ratio_interval(sums[present], counts[present], seed=seed, resamples=resamples, level=level)
