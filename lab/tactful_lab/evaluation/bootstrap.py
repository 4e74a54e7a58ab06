"""Intervals by resampling whole persons, with the same draws for every policy, so that differences are paired.

A person's decisions are not independent, persons are. Every estimate is a ratio of sums, so one matrix product gives
all estimates of a resample. Models and thresholds are not fitted anew in a resample. Seeded: this randomness protects
nobody.
"""

import numpy as np
from numpy.typing import NDArray

from tactful_lab.slots.bootstrap import Interval
from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least, fraction

Floats = NDArray[np.float64]
RESAMPLES = 2_000
_CHUNK = 64


def person_sums(values: Floats, person: NDArray[np.int64], n_people: int) -> Floats:
    """Sum of ``values`` (n,) for each person index (n,), shape (n_people,)."""
    return np.bincount(person, weights=values, minlength=n_people).astype(np.float64)


def resampled_ratios(numerators: Floats, denominators: Floats, *, seed: int, resamples: int = RESAMPLES) -> Floats:
    """Ratios of column sums when people are drawn with replacement, one draw for all columns.

    Args:
        numerators: Sums per person, (people, k).
        denominators: As ``numerators``.
        seed: Of the draws.
        resamples: Number of resamples.

    Returns:
        (resamples, k); NaN where a resample's denominator is 0.

    Raises:
        InvalidInput: Shapes differ, there are no people or no resamples.
    """
    at_least(1, resamples=resamples)
    if numerators.shape != denominators.shape or numerators.ndim != 2 or not len(numerators):
        raise InvalidInput("need two equal tables, a row a person", field="numerators, denominators")
    random, people = np.random.default_rng(seed), len(numerators)
    both = np.hstack([numerators, denominators])
    sums = np.empty((resamples, both.shape[1]))
    for start in range(0, resamples, _CHUNK):
        stop = min(start + _CHUNK, resamples)
        drawn = [np.bincount(random.integers(0, people, people), minlength=people) for _ in range(stop - start)]
        sums[start:stop] = np.stack(drawn).astype(np.float64) @ both
    top, bottom = np.hsplit(sums, 2)
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom != 0)


def percentile_interval(value: float, draws: Floats, *, level: float = 0.95) -> Interval:
    """An estimate with the percentile interval of its resamples (resamples,); draws without a value do not count.

    Raises:
        InvalidInput: The level is not between 0 and 1, or no draw has a value.
    """
    fraction(level=level)
    finite = draws[np.isfinite(draws)]
    if not len(finite):
        raise InvalidInput("no resample has a value", field="draws", remedy="check the support first")
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high), level)
