"""The one-run bound on ε equals published values and a slow, direct computation."""

import itertools

import mpmath
import pytest

from tactful_privacy.audit.one_run import epsilon_lower_bound, p_value
from tactful_privacy.errors import InvalidInput

SETTINGS = [
    (1000, 266, 219, 1e-6),
    (1000, 100, 75, 1e-4),
    (1000, 1000, 620, 0.0),
    (200, 40, 39, 1e-5),
    (50, 10, 10, 1e-3),
    (10, 10, 10, 0.0),
]


def slow_p_value(m, r, v, epsilon, delta):
    """The right-hand side term by term in 40 digits, with the maximum over all m terms, not only the first v."""
    with mpmath.workdps(40):
        q = 1 / (1 + mpmath.exp(-mpmath.mpf(epsilon)))
        mass = [mpmath.binomial(r, k) * q**k * (1 - q) ** (r - k) for k in range(r + 1)]
        beta = mpmath.fsum(mass[v:])
        best = max(mpmath.fsum(mass[max(v - i, 0) : v]) / i for i in range(1, m + 1))
        return min(mpmath.mpf(1), beta + 2 * m * mpmath.mpf(delta) * best)


@pytest.mark.parametrize(
    ("m", "r", "v", "delta", "published"),
    # The worked example of Appendix D, and the one of section 7 (printed cut off after three digits).
    [(1000, 100, 75, 1e-4, 0.673), (100_000, 1510, 1439, 1e-5, 2.675)],
)
def test_published_values(m, r, v, delta, published):
    """Figures printed in arXiv:2305.08846, as quoted in ports of its code, come out to the digits printed."""
    assert epsilon_lower_bound(m, r, v, delta) == pytest.approx(published, abs=1e-3)


@pytest.mark.parametrize(("m", "r", "v", "delta"), SETTINGS)
def test_bound_against_slow_direct_computation(m, r, v, delta):
    """The slow p-value crosses the level within 1e-4 of the bound: just refuted below, not refuted above."""
    bound = epsilon_lower_bound(m, r, v, delta)
    assert bound > 0.01
    assert slow_p_value(m, r, v, bound - 1e-4, delta) < 0.05
    assert slow_p_value(m, r, v, bound + 1e-4, delta) >= 0.05


@pytest.mark.parametrize(("m", "r", "v", "delta"), SETTINGS)
@pytest.mark.parametrize("epsilon", [0.0, 0.7, 3.0])
def test_p_value_against_slow_direct_computation(m, r, v, delta, epsilon):
    """Relative 1e-9, over eight orders of magnitude."""
    assert p_value(m, r, v, epsilon, delta) == pytest.approx(
        float(slow_p_value(m, r, v, epsilon, delta)), rel=1e-9, abs=1e-12
    )


def test_a_coin_tosser_proves_nothing():
    """Half of the guesses right, or none at all, refutes not even ε = 0."""
    assert epsilon_lower_bound(1000, 300, 150, 1e-6) == 0
    assert epsilon_lower_bound(1000, 300, 0, 1e-6) == 0
    assert epsilon_lower_bound(1000, 0, 0, 1e-6) == 0


def test_more_right_guesses_and_less_delta_prove_more():
    """The bound rises with v and falls with δ and with the confidence asked for."""
    rising = [epsilon_lower_bound(1000, 300, v, 1e-6) for v in range(160, 301, 10)]
    assert all(low < high for low, high in itertools.pairwise(rising))
    assert epsilon_lower_bound(1000, 300, 250, 1e-3) < epsilon_lower_bound(1000, 300, 250, 0.0)
    assert epsilon_lower_bound(1000, 300, 250, 1e-6, 0.99) < epsilon_lower_bound(1000, 300, 250, 1e-6, 0.9)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((10, 11, 3, 1e-6), "correct, guesses, canaries"),
        ((10, 5, 6, 1e-6), "correct, guesses, canaries"),
        ((10, 5, -1, 1e-6), "correct, guesses, canaries"),
        ((0, 0, 0, 1e-6), "canaries"),
        ((10, 5, 3, 1.0), "epsilon, delta"),
        ((10, 5, 3, float("nan")), "epsilon, delta"),
        ((10, 5, 3, 1e-6, 1.0), "confidence"),
    ],
)
def test_bad_counts_are_refused_by_field(arguments, field):
    """Each wrong argument names itself."""
    with pytest.raises(InvalidInput) as caught:
        epsilon_lower_bound(*arguments)
    assert caught.value.field == field
