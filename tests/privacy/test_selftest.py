"""A host's self-test passes on sound functions, within its false-alarm rate, and names what is wrong with others."""

import math
import os
import time
from dataclasses import replace

import mpmath
import numpy as np
import pytest
from scipy import stats

from tactful.federation.participant import host_path
from tactful_privacy.errors import SelfTestFailed, TactfulError
from tactful_privacy.mechanisms.discrete_gaussian import sample
from tactful_privacy.selftest import FALSE_ALARMS_PER_START, bounds, inspect, self_test
from tactful_privacy.selftest.encoding import KNOWN as KNOWN_SUM
from tactful_privacy.selftest.encoding import known_sum
from tactful_privacy.selftest.noise import KNOWN, SMALL, known_answer, pmf

PATH = host_path()


def noise_by(function):
    """The product's path with another noise."""
    return replace(PATH, noise=function)


def true_noise(plan, entropy, *, variance=None):
    return sample(variance or plan.noise_variance_units, plan.dimension, entropy=entropy)


def frozen(count):
    """A source of bytes that says the same in every process start."""
    return np.random.default_rng(5).bytes(count)


def test_the_product_passes():
    """Forty starts pass: a sound host fails with probability below 4e-5 over all of them."""
    started = time.process_time()
    reports = [self_test(PATH) for _ in range(40)]
    assert {len(report.findings) for report in reports} == {len(reports[0].findings)}
    assert (time.process_time() - started) / 40 < 0.25  # processor time; measured 0.035 s, a slow machine gets slack


@pytest.mark.slow
def test_two_thousand_starts_pass():
    """A sound host fails none of 2,000 starts (with probability below 0.002 it would fail one)."""
    assert not [report.failed for report in (inspect(PATH) for _ in range(2_000)) if report.failed]


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (lambda plan, devices, entropy: np.zeros(plan.dimension, dtype=np.int64), "noise_scale"),
        (lambda plan, devices, entropy: np.full(plan.dimension, 7), "noise_fresh"),
        (lambda plan, devices, entropy: true_noise(plan, entropy) + 1, "sampler_small_sigma"),
        (lambda plan, devices, entropy: true_noise(plan, entropy) // 2, "noise_scale"),
        (
            lambda plan, devices, entropy: true_noise(plan, entropy, variance=-(-plan.noise_variance_units // 4)),
            "noise_scale",
        ),
        (lambda plan, devices, entropy: np.abs(true_noise(plan, entropy)), "sampler_small_sigma"),
        (lambda plan, devices, entropy: true_noise(plan, frozen), "noise_fresh"),
        (lambda plan, devices, entropy: true_noise(plan, entropy)[:-1], "noise_scale"),
        (
            lambda plan, devices, entropy: np.rint(
                np.random.default_rng().normal(0, plan.noise_variance_units**0.5, plan.dimension)
            ).astype(np.int64),
            "sampler_known_answer",
        ),
        (
            # The sampler is right, but its bytes do not come from where it was told.
            lambda plan, devices, entropy: true_noise(plan, os.urandom),
            "sampler_known_answer",
        ),
    ],
    ids=["off", "constant", "biased", "halved", "half_sigma", "one_sided", "repeated", "short", "float", "own_bytes"],
)
def test_broken_noise_is_named(broken, check):
    """Whatever is wrong with the noise, the self-test fails, and the named check is among those that do."""
    with pytest.raises(SelfTestFailed) as failed:
        self_test(noise_by(broken))
    assert check in failed.value.checks
    assert isinstance(failed.value, TactfulError)
    assert failed.value.code == "self_test_failed"


@pytest.mark.parametrize(
    ("bend", "least"),
    [(lambda noise: noise + 1, 30), (lambda noise: noise // 2, 30), (lambda noise: noise * 0, 30)],
    ids=["biased", "halved", "constant"],
)
def test_statistics_alone_see_a_bent_sampler(bend, least):
    """Without known answers, 30 of 30 starts see a bias of one, a halved and a constant sampler at small sigma."""

    def bent(plan, devices, entropy):
        return bend(true_noise(plan, entropy))

    assert sum("sampler_small_sigma" in inspect(noise_by(bent)).failed for _ in range(30)) >= least


def test_statistics_alone_see_a_rounded_gaussian():
    """Rounded floats have 1 + 1/12 times the variance at sigma 1: 24 of 40 starts or more see it without known answers.

    By the bound a mean square of 1.069 fails, 1.2 deviations (0.0121) below 1.083: power 0.88, so that fewer than 24 of
    40 come about with probability below 1e-5.
    """

    def rounded(plan, devices, entropy):
        return np.rint(np.random.default_rng().normal(0, plan.noise_variance_units**0.5, plan.dimension)).astype(int)

    assert sum("sampler_small_sigma" in inspect(noise_by(rounded)).failed for _ in range(40)) >= 24


def encode_by(bend, before=lambda rows: rows):
    """The product's path with updates or their sum changed."""
    return replace(PATH, encode=lambda plan, rows, entropy: bend(PATH.encode(plan, before(rows), entropy)))


def test_a_source_that_fails_fails_the_test():
    """An exception in the noise is a failed self-test, not an error of another kind."""

    def failing(plan, devices, entropy):
        raise OSError("no random device")

    assert "noise" in inspect(noise_by(failing)).failed


def test_a_constant_source_of_the_operating_system_is_noticed(monkeypatch):
    """If the operating system's source says the same twice, entropy and keys fail."""
    monkeypatch.setattr(os, "urandom", lambda count: bytes(range(256)) * (count // 256) + bytes(range(count % 256)))
    failed = inspect(PATH).failed
    assert {"entropy", "key_fresh"} <= set(failed)


def test_encoders_that_count_twice_or_round_down_are_named():
    """Weights other than one and one-sided rounding are seen."""
    assert "weight_one" in inspect(encode_by(lambda total: 2 * total)).failed
    floored = encode_by(lambda total: total, lambda rows: np.floor(rows * 1024) / 1024)
    assert "rounding_fair" in inspect(floored).failed


def test_a_canary_with_a_clip_norm_of_its_own_is_named():
    """A device could then push by sqrt(2) C: parameters and audit coordinates share one clip norm."""

    def apart(plan, rows, entropy):
        canary = np.arange(plan.dimension) == plan.dimension - 1
        return PATH.encode(plan, rows * ~canary, entropy) + PATH.encode(plan, rows * canary, entropy)

    assert "clip" in inspect(replace(PATH, encode=apart)).failed


def test_known_answers_are_those_of_the_exact_path():
    """The committed answers follow from the exact integer path on the same bytes, without the float filter."""
    from tactful_privacy.mechanisms.discrete_gaussian import _checked, _draw

    exact = noise_by(
        lambda plan, devices, entropy: _draw(
            _checked(plan.noise_variance_units, 1), plan.dimension, entropy=entropy, exact=True
        )
    )
    assert {variance: known_answer(exact, variance) for variance in KNOWN} == KNOWN
    assert known_sum(PATH) == KNOWN_SUM


@pytest.mark.parametrize("variance", [variance for variance, _ in SMALL])
def test_the_pmf_is_right_to_15_digits(variance):
    """The probabilities of the check equal sums with 200 bits."""
    mpmath.mp.prec = 200
    reach = math.ceil(3 * math.sqrt(variance))
    weight = {x: mpmath.exp(-mpmath.mpf(x * x) / (2 * variance)) for x in range(-300, 301)}
    total = mpmath.fsum(weight.values())
    inner = [weight[x] / total for x in range(1 - reach, reach)]
    tail = mpmath.fsum(w for x, w in weight.items() if x >= reach) / total
    np.testing.assert_allclose(pmf(variance, reach), np.array([tail, *inner, tail], dtype=float), rtol=1e-13)


def test_tail_bounds_are_above_the_exact_tails():
    """Mean and mean square against exact tails of the (chi-square) limit, fair coins against the exact binomial."""
    for x in (0.0, 0.01, 0.05, 0.2):
        assert math.exp(bounds.log_p_mean(x, 1.0, 1000)) >= 2 * stats.norm.sf(x * math.sqrt(1000))
    for ratio in (0.1, 0.6, 0.9, 1.0, 1.1, 1.5):
        exact = min(stats.chi2.cdf(1000 * ratio, 1000), stats.chi2.sf(1000 * ratio, 1000))
        assert math.exp(bounds.log_p_second_moment(ratio, 1000)) >= exact
    for ones in (500, 450, 300):
        assert math.exp(bounds.log_p_fair(ones, 1000)) >= 2 * stats.binom.cdf(ones, 1000, 0.5) - (ones == 500)


def test_the_count_bound_is_above_exact_tails():
    """For three cells and 40 draws the bound is above the probability computed by listing every outcome."""
    size, chances = 40, [0.6, 0.3, 0.1]
    outcomes = [(a, b, size - a - b) for a in range(size + 1) for b in range(size + 1 - a)]
    masses = stats.multinomial.pmf(outcomes, size, chances)
    entropies = [sum(c * math.log(c / (size * p)) for c, p in zip(o, chances, strict=True) if c) for o in outcomes]
    for outcome, entropy in zip(outcomes, entropies, strict=True):
        exact = masses[np.array(entropies) >= entropy - 1e-9].sum()
        assert bounds.log_p_counts(outcome, chances) >= math.log(exact) - 1e-9


def test_no_more_checks_than_the_rate_is_divided_by():
    """A start makes at most 32 statistical checks, each below the rate / 32."""
    assert len(inspect(PATH).findings) <= bounds.MOST_CHECKS
    assert math.exp(bounds.LOG_ALARM) * bounds.MOST_CHECKS == pytest.approx(FALSE_ALARMS_PER_START)
