"""Intervals resample households, pair by household and cover as they claim."""

import numpy as np
import pytest

from tactful_lab.slots import bootstrap
from tactful_privacy.errors import InvalidInput


def test_a_resample_is_the_mean_of_the_drawn_households():
    """The vectorised interval equals quantiles of a plain loop which concatenates the drawn households' rows."""
    random = np.random.default_rng(3)
    household = np.sort(random.integers(0, 40, size=300))
    losses, other = random.normal(size=300), random.normal(size=300)
    fast = bootstrap.paired_interval(losses, other, household, seed=5, resamples=4_000)
    rows = {h: np.flatnonzero(household == h) for h in np.unique(household)}
    ids = np.array(list(rows))
    means = []
    for _ in range(4_000):
        drawn = np.concatenate([rows[h] for h in random.choice(ids, size=len(ids))])
        means.append((losses - other)[drawn].mean())
    assert fast.value == pytest.approx((losses - other).mean())
    # A 2.5 % quantile of 4,000 has a standard error of about 0.042 deviations; two of them, five times: 0.3.
    assert np.quantile(means, [0.025, 0.975]) == pytest.approx([fast.low, fast.high], abs=0.3 * np.std(means))


def test_the_interval_is_seeded():
    """The same seed gives the same interval, another seed another."""
    args = np.random.default_rng(1).normal(size=50), np.ones(50)
    first = bootstrap.ratio_interval(*args, seed=1)
    assert first == bootstrap.ratio_interval(*args, seed=1)
    assert first != bootstrap.ratio_interval(*args, seed=2)


def test_the_interval_covers_the_truth():
    """95 % intervals of 200 data sets cover at least 87 % (5 standard errors below 95 %: false alarm < 1e-6)."""
    random = np.random.default_rng(9)
    covered = 0
    for seed in range(200):
        size = random.integers(1, 9, size=200).astype(float)
        effect = random.normal(size=200)
        interval = bootstrap.ratio_interval((0.3 + effect) * size, size, seed=seed, resamples=400)
        covered += interval.low <= 0.3 <= interval.high
    assert covered / 200 >= 0.87


def test_households_are_the_unit_not_rows():
    """Copying every row of a household widens nothing and narrows nothing."""
    random = np.random.default_rng(4)
    household, losses = np.arange(60), random.normal(size=60)
    single = bootstrap.paired_interval(losses, np.zeros(60), household, seed=2)
    tenfold = bootstrap.paired_interval(np.repeat(losses, 10), np.zeros(600), np.repeat(household, 10), seed=2)
    assert (single.low, single.high) == pytest.approx((tenfold.low, tenfold.high))


def test_wrong_use_is_refused():
    """Unequal vectors, an empty denominator, no resamples: each is a typed error."""
    for numerator, denominator in ((np.ones(2), np.ones(3)), (np.ones(2), np.zeros(2))):
        with pytest.raises(InvalidInput, match="denominator"):
            bootstrap.ratio_interval(numerator, denominator, seed=0)
    with pytest.raises(InvalidInput, match="resamples"):
        bootstrap.ratio_interval(np.ones(2), np.ones(2), seed=0, resamples=0)
