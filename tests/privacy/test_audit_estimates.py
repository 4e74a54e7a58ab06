"""The labelled estimates equal independent computations, their intervals cover, and corrections keep the level."""

import math

import mpmath
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import nct

from tactful_privacy.audit.estimates import clopper_pearson_epsilon, gaussian_mu
from tactful_privacy.audit.multiple import bonferroni_confidence, holm
from tactful_privacy.errors import InvalidInput


def groups(mu, present, absent, rng):
    """Scores with two groups exactly μ sample deviations apart."""
    a, b = rng.normal(size=present), rng.normal(size=absent)
    a, b = a - a.mean(), b - b.mean()
    sd = math.sqrt(((a**2).sum() + (b**2).sum()) / (present + absent - 2))
    inserted = np.arange(present + absent) < present
    return np.concatenate([a + mu * sd, b]) * 3.7 + 11, inserted


@pytest.mark.parametrize("mu", [0.0, 0.79, 1.58, 4.0])
def test_gaussian_estimate_and_interval_against_the_noncentral_t(mu):
    """The estimate is the separation; its ends agree with exact noncentral-t inversion to 0.003 at m = 1,000."""
    scores, inserted = groups(mu, 480, 520, np.random.default_rng(3))
    found = gaussian_mu(scores, inserted, 0.95)
    assert found.mu == pytest.approx(mu, abs=1e-12)
    scale = math.sqrt(480 * 520 / 1000)

    def end(level):
        return brentq(lambda ncp: nct.cdf(mu * scale, 998, ncp) - level, mu * scale - 9, mu * scale + 9) / scale

    assert found.low == pytest.approx(end(0.95), abs=3e-3)
    assert found.high == pytest.approx(end(0.05), abs=3e-3)


def test_gaussian_interval_covers():
    """4,000 simulated audits at μ = 0.79: the lower end is above μ in 5 %, within 5 deviations (false alarm 6e-7)."""
    rng = np.random.default_rng(11)
    mu, runs, misses = 0.79, 4000, 0
    for _ in range(runs):
        inserted = rng.random(200) < 0.5
        misses += gaussian_mu(rng.normal(size=200) + mu * inserted, inserted, 0.95).low > mu
    assert abs(misses / runs - 0.05) < 5 * math.sqrt(0.05 * 0.95 / runs)


def test_scores_without_noise_are_infinitely_far_apart():
    """No deviation at all: an infinite estimate, as there is no noise; equal scores: none."""
    inserted = np.arange(10) < 5
    assert gaussian_mu(inserted.astype(float), inserted).low == math.inf
    assert gaussian_mu(np.zeros(10), inserted).mu == 0


def slow_upper(errors, trials, level):
    """The Clopper-Pearson upper end by bisection on the binomial sum, in 30 digits."""
    with mpmath.workdps(30):
        low, high = mpmath.mpf(0), mpmath.mpf(1)
        for _ in range(80):
            p = (low + high) / 2
            tail = mpmath.fsum(mpmath.binomial(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(errors + 1))
            low, high = (p, high) if tail > 1 - level else (low, p)
        return low


def test_clopper_pearson_epsilon_against_slow_sums():
    """Thirty of each, some on the wrong side: the same ε as from summed binomials, to 1e-9."""
    scores = np.concatenate([np.repeat([1.0, -1.0], [27, 3]), np.repeat([1.0, -1.0], [5, 25])])
    inserted = np.arange(60) < 30
    missed, false = slow_upper(3, 30, 0.975), slow_upper(5, 30, 0.975)
    expected = max(mpmath.log((1 - 1e-6 - missed) / false), mpmath.log((1 - 1e-6 - false) / missed))
    assert clopper_pearson_epsilon(scores, inserted, 1e-6) == pytest.approx(float(expected), abs=1e-9)


def test_clopper_pearson_of_pure_noise_is_zero():
    """Scores that say nothing give ε = 0."""
    scores = np.tile([1.0, -1.0], 100)
    assert clopper_pearson_epsilon(scores, np.repeat([True, False], 100), 1e-6) == 0


def test_bad_groups_are_refused():
    """Other shapes, and a group of one, are named."""
    with pytest.raises(InvalidInput, match="shape"):
        gaussian_mu(np.zeros(4), np.zeros(3, dtype=bool))
    with pytest.raises(InvalidInput, match="more canaries"):
        gaussian_mu(np.zeros(4), np.array([True, False, False, False]))
    with pytest.raises(InvalidInput, match="more canaries"):
        clopper_pearson_epsilon(np.zeros(4), np.ones(4, dtype=bool), 1e-6)


def test_holm_against_its_definition_by_hand():
    """Holm's own kind of example: the third smallest fails, and so does all that is larger."""
    assert holm([0.01, 0.04, 0.03, 0.005], 0.05) == (True, False, False, True)
    assert holm([0.04], 0.05) == (True,)
    assert holm([]) == ()
    # 0.02 ≤ 0.05/2 but is never looked at, since 0.018 > 0.05/3 stops the procedure first.
    assert holm([0.018, 0.02, 0.9], 0.05) == (False, False, False)


def test_corrections_keep_the_familys_level():
    """10,000 families of five true claims, dependent in pairs: any false alarm in ≤ 5 %, 4 deviations allowed."""
    rng = np.random.default_rng(5)
    shared = rng.random((10_000, 1))
    p = np.where(np.arange(5) < 2, shared, rng.random((10_000, 5)))
    alarms = np.mean([any(holm(row)) for row in p.tolist()])
    assert alarms <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 10_000)
    assert bonferroni_confidence(0.95, 5) == pytest.approx(0.99)


@pytest.mark.parametrize("call", [lambda: holm([1.2]), lambda: holm([0.1], 0), lambda: bonferroni_confidence(0.95, 0)])
def test_corrections_refuse_bad_arguments(call):
    """A p-value above 1, a level of 0, no look at all."""
    with pytest.raises(InvalidInput):
        call()
