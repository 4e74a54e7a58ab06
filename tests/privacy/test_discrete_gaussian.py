"""The sampler draws from the discrete Gaussian itself, by both of its paths, and stops when its source of bytes
fails."""

import os
import random
from collections import Counter
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy import stats

from tactful_privacy.errors import InvalidInput
from tactful_privacy.mechanisms import discrete_gaussian
from tactful_privacy.mechanisms.discrete_gaussian import _candidates, _checked, _draw, _filter, sample
from tactful_privacy.mechanisms.entropy import EntropyFailure
from tactful_privacy.mechanisms.lazy_uniform import LazyUniform, exp_minus_bounds

mpmath.mp.prec = 400
FALSE_ALARM = 1e-7  # of each chi-square test: some twenty of them fail a sound sampler in one of 500,000 runs
SIGMAS = 6.0  # two-sided false-alarm rate 2e-9 each


def pmf(variance, reach):
    """Return P(x) for |x| <= reach with 400 bits, the mass outside being far below any test's resolution."""
    weight = {x: mpmath.exp(-mpmath.mpf(x * x) / (2 * variance)) for x in range(-reach, reach + 1)}
    total = mpmath.fsum(weight.values())
    return {x: w / total for x, w in weight.items()}


def goodness_of_fit(draws, variance):
    """Return the p-value of a chi-square test against the exact pmf, cells below 10 expected lumped into each tail."""
    exact = {x: float(p) * len(draws) for x, p in pmf(variance, 12 * int(variance**0.5 + 1)).items()}
    edge = max(x for x, expected in exact.items() if expected >= 10)
    expected = [sum(e for x, e in exact.items() if x < -edge), sum(e for x, e in exact.items() if x > edge)]
    observed = [int((draws < -edge).sum()), int((draws > edge).sum())]
    counts = Counter(draws.tolist())
    expected += [exact[x] for x in range(-edge, edge + 1)]
    observed += [counts[x] for x in range(-edge, edge + 1)]
    expected[:2], observed[:2] = [sum(expected[:2])], [sum(observed[:2])]
    return stats.chisquare(observed, np.array(expected) * sum(observed) / sum(expected)).pvalue


@pytest.mark.parametrize("variance", [1, 2, 3, 5, 10])
def test_small_variances_fit_the_exact_pmf(variance):
    """At small sigma, where a rounded Gaussian would differ, 400,000 draws fit the exact pmf."""
    assert goodness_of_fit(sample(variance, 400_000), variance) > FALSE_ALARM


def test_the_goodness_of_fit_test_sees_a_rounded_gaussian():
    """The same test rejects rounded continuous Gaussian noise of the same parameter, so it has the power it needs."""
    rounded = np.rint(np.random.default_rng(1).normal(0, 1, 400_000)).astype(np.int64)
    assert goodness_of_fit(rounded, 1) < 1e-12


@pytest.mark.parametrize("variance", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("reach", [2, 3, 4])
def test_tails_have_the_exact_mass(variance, reach):
    """Draws beyond 2, 3 and 4 sigma occur as often as the exact pmf says (6 binomial standard errors, plus 3
    counts).
    """
    size, edge = 300_000, int(reach * variance**0.5)
    mass = float(mpmath.fsum(p for x, p in pmf(variance, 40).items() if abs(x) > edge))
    observed = int((np.abs(sample(variance, size)) > edge).sum())
    assert abs(observed - size * mass) <= SIGMAS * (size * mass * (1 - mass)) ** 0.5 + 3


@pytest.mark.parametrize("variance", [3_363_000**2, 2**100])
def test_large_variances_have_gaussian_moments(variance):
    """At sigma 3.4e6 and 2^50, mean, variance and fourth moment are Gaussian within 6 standard errors."""
    size = 200_000
    scaled = sample(variance, size).astype(float) / float(variance) ** 0.5
    assert abs(scaled.mean()) < SIGMAS / size**0.5
    assert abs((scaled**2).mean() - 1) < SIGMAS * (2 / size) ** 0.5
    assert abs((scaled**4).mean() - 3) < SIGMAS * (96 / size) ** 0.5
    assert stats.kstest(scaled, "norm").pvalue > FALSE_ALARM


@pytest.mark.parametrize("variance", [1, 2, 5, 10])
def test_the_integer_path_alone_gives_the_same_distribution(variance):
    """With every candidate forced through the exact integers, the draws fit the exact pmf too."""
    assert goodness_of_fit(_draw(_checked(variance, 1), 15_000, os.urandom, exact=True), variance) > FALSE_ALARM


def test_both_paths_decide_alike_on_the_same_bytes():
    """Given the same bytes, float filter and integers accept the same candidates with the same values."""
    for variance in (1, 7, 1000, 3_363_000**2, 2**100):
        outcomes = []
        for exact in (False, True):
            stream = random.Random(variance)
            outcomes.append(_candidates(_checked(variance, 1), 3000, stream.randbytes, exact=exact))
        np.testing.assert_array_equal(*outcomes)


def bernoulli_exp(gamma, rng):
    """Flip a coin of bias exp(-gamma): Algorithm 1 of arXiv:2004.00010 as printed, in Fractions."""
    if gamma > 1:
        whole = int(gamma)
        return all(bernoulli_exp(Fraction(1), rng) for _ in range(whole)) and bernoulli_exp(gamma - whole, rng)
    k = 1
    while rng.randrange(k * gamma.denominator) < gamma.numerator:
        k += 1
    return k % 2 == 1


def textbook_laplace(scale, rng):
    """Draw one value by Algorithm 2."""
    while True:
        offset = rng.randrange(scale)
        if not bernoulli_exp(Fraction(offset, scale), rng):
            continue
        quotient = 0
        while bernoulli_exp(Fraction(1), rng):
            quotient += 1
        value, sign = offset + scale * quotient, rng.randrange(2)
        if not (sign and value == 0):
            return -value if sign else value


def textbook(variance, rng):
    """Draw one value by Algorithm 3."""
    scale = int(variance**0.5) + 1
    while True:
        value = textbook_laplace(scale, rng)
        if bernoulli_exp((abs(value) - Fraction(variance, scale)) ** 2 / (2 * variance), rng):
            return value


@pytest.mark.parametrize("variance", [1, 3, 10])
def test_the_textbook_sampler_agrees(variance):
    """The printed algorithm in Fractions (the slow oracle) fits the pmf, and a two-sample test cannot tell it from
    ours.
    """
    rng = random.Random(20_041)
    oracle = np.array([textbook(variance, rng) for _ in range(15_000)])
    assert goodness_of_fit(oracle, variance) > FALSE_ALARM
    ours = sample(variance, 15_000)
    edge = int(3 * variance**0.5)
    table = [np.bincount(np.clip(draws, -edge, edge) + edge, minlength=2 * edge + 1) for draws in (oracle, ours)]
    assert stats.chi2_contingency(table).pvalue > FALSE_ALARM


def candidates_of(variance):
    """Return offsets and magnitudes from the centre to the far tail, those nearest the acceptance peak included."""
    scale = _checked(variance, 1).scale
    offsets = sorted({0, 1 % scale, scale // 3, scale // 2, scale - 1, min(scale - 1, variance // scale)})
    return [(offset, offset + scale * quotient) for offset in offsets for quotient in (0, 1, 2, 7, 20, 44)]


@pytest.mark.parametrize("variance", [1, 2, 3, 10, 12_345, 3_363_000**2, 2**80 + 1, 2**100 - 1, 2**100])
def test_the_float_exponent_keeps_its_bound(variance):
    """The float exponent is within 2^-36 of the rational one, as the module's docstring argues."""
    target = _checked(variance, 1)
    offsets, magnitudes = map(np.array, zip(*candidates_of(variance), strict=True))
    floats = target.exponents(offsets, magnitudes)
    for value, offset, magnitude in zip(floats, offsets, magnitudes, strict=True):
        assert abs(Fraction(float(value)) - target.exponent(int(offset), int(magnitude))) < Fraction(1, 2**36)


@pytest.mark.parametrize("variance", [1, 2, 10, 12_345, 3_363_000**2, 2**100])
def test_the_filter_never_disagrees_with_exact_comparison(variance):
    """On coins put right beside exp(-E) and beside the filter's own margins, it is right or leaves the question
    open.
    """
    target = _checked(variance, 1)
    opened = 0
    for offset, magnitude in candidates_of(variance):
        chance = (
            mpmath.exp(
                -mpmath.mpf(target.exponent(offset, magnitude).numerator)
                / target.exponent(offset, magnitude).denominator
            )
            * 2**32
        )
        centres = [
            int(chance * (1 + sign * mpmath.mpf(2) ** -k)) for k in (30, 31, 32, 33, 36, 400) for sign in (-1, 1)
        ]
        coins = [c + step for c in centres for step in (-4096, -2, -1, 0, 1, 2, 4096)]
        coins = np.array([c for c in coins if 0 <= c < 2**32], dtype=np.uint64)
        exponents = target.exponents(np.full(len(coins), offset), np.full(len(coins), magnitude))
        below, unsure = _filter(exponents, coins)
        for coin, accepted, open_question in zip(coins.tolist(), below, unsure, strict=True):
            assert open_question or (coin + 1 <= chance if accepted else coin >= chance)
        opened += int(unsure.sum())
    assert opened > 0  # the coins did reach into the margin


def test_integer_bounds_contain_the_exponential():
    """The fixed-point bounds enclose 2^bits exp(-q) and are at most 4 apart, from q = 0 to 1000 and up to 600 bits."""
    for q in [
        Fraction(0),
        Fraction(1, 10**30),
        Fraction(1, 3),
        Fraction(1),
        Fraction(355, 113),
        Fraction(45),
        Fraction(1000),
    ]:
        for bits in (8, 64, 128, 300):
            low, high = exp_minus_bounds(q, bits)
            exact = mpmath.exp(-mpmath.mpf(q.numerator) / q.denominator) * mpmath.mpf(2) ** bits
            assert low <= exact <= high
            assert high - low <= 4


def test_a_lazy_uniform_draws_more_bits_only_where_needed():
    """A prefix that straddles exp(-1) asks for more bytes; one that does not, asks for none."""
    asked = []

    def entropy(count):
        asked.append(count)
        return b"\xff" * count

    straddling = int(mpmath.floor(mpmath.exp(-1) * 256))
    assert LazyUniform(straddling - 2, 8, entropy).below_exp_minus(Fraction(1))
    assert not asked
    assert not LazyUniform(straddling, 8, entropy).below_exp_minus(Fraction(1))
    assert asked == [8]


def test_geometric_thresholds_are_the_floors():
    """The table of floor(2^32 exp(-k)) equals a 400-bit computation, and begins with 0."""
    expected = [int(mpmath.floor(mpmath.exp(-k) * 2**32)) for k in range(23, 0, -1)]
    assert expected[0] == 0 < expected[1]
    assert discrete_gaussian._geometric_thresholds().tolist() == expected


@pytest.mark.parametrize(
    "entropy", [lambda n: b"", lambda n: os.urandom(n - 1), lambda n: os.urandom(n + 1), lambda n: None]
)
def test_short_reads_are_refused(entropy):
    """A source that returns too little, too much or nothing stops the draw."""
    with pytest.raises(EntropyFailure, match="asked for"):
        sample(10, 5, entropy=entropy)


def test_failed_reads_are_refused():
    """A source that raises stops the draw with a typed error."""

    def broken(count):
        raise OSError("no device")

    with pytest.raises(EntropyFailure, match="no device"):
        sample(10, 5, entropy=broken)


@pytest.mark.parametrize("byte", [b"\x00", b"\xff"])
def test_a_stuck_source_is_an_error_and_not_a_loop(byte):
    """A source that repeats one byte for ever is reported."""
    with pytest.raises(EntropyFailure, match="not random"):
        sample(11, 5, entropy=lambda count: byte * count)


@pytest.mark.parametrize("variance", [0, -1, 2**100 + 1, 2**200, 4.0, True, np.int64(4)])
def test_a_variance_out_of_range_is_refused(variance):
    """No noise by accident, no float, and nothing that could leave int64."""
    with pytest.raises(InvalidInput, match="variance"):
        sample(variance, 3)


def test_sizes():
    """Size 0 gives no draws, a negative one is refused, and any other is met exactly."""
    assert sample(5, 0).shape == (0,)
    assert sample(5, 70_001).shape == (70_001,)
    with pytest.raises(InvalidInput, match="size"):
        sample(5, -1)
