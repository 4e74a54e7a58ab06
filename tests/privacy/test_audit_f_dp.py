"""The f-DP bound on μ equals a slow computation of the recursion and the optimum of the problem that it solves."""

import itertools
import time

import mpmath
import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.special import ndtri
from scipy.stats import norm

from tactful_privacy.audit.f_dp import mu_lower_bound, p_value, refutes
from tactful_privacy.errors import InvalidInput

SETTINGS = [(1000, 266, 219), (1000, 266, 250), (1000, 100, 75), (500, 500, 400), (100, 30, 30), (40, 12, 11)]


def slow_total(mu, m, r, v, tau):
    """The recursion with every R and H kept, in 30 digits and without any early end."""
    right, wrong = {v: tau * v / m}, {v: tau * (r - v) / m}
    for i in range(v - 1, -1, -1):
        quantile = mpmath.erfinv(2 * right[i + 1] - 1) * mpmath.sqrt(2)
        wrong[i] = max(wrong[i + 1], mpmath.ncdf(quantile - mu))
        right[i] = right[i + 1] + mpmath.mpf(i) / (r - i) * (wrong[i] - wrong[i + 1])
        if right[i] >= 1:
            return mpmath.mpf(2)
    return right[0] + wrong[0]


@pytest.mark.parametrize(("m", "r", "v"), SETTINGS)
def test_bound_against_slow_recursion(m, r, v):
    """The slow total crosses r/m within 1e-4 of the bound."""
    bound = mu_lower_bound(m, r, v)
    with mpmath.workdps(30):
        tau = mpmath.mpf(1) / 20
        share = mpmath.mpf(r) / m
        assert slow_total(mpmath.mpf(bound) - mpmath.mpf("1e-4"), m, r, v, tau) > share
        assert slow_total(mpmath.mpf(bound) + mpmath.mpf("1e-4"), m, r, v, tau) <= share


def largest_chance(mu, m, r, v):
    """The largest P[W ≥ v] over all distributions of W with R_c ≤ b(H_{c-1}) for each c, as a linear programme.

    b is concave, so b(h) is the least of its tangents b(x) + b'(x)(h − x); a thousand of them are within 1e-6 of it.
    """
    x = norm.cdf(np.linspace(-9, 9, 1001))
    z = ndtri(np.clip(x, 1e-300, 1 - 1e-16))
    value, slope = norm.cdf(z + mu), np.exp(-mu * z - mu**2 / 2)
    i = np.arange(r + 1)
    rows, limits = [], []
    for c in range(1, r + 1):
        ahead, behind = np.where(i >= c, i / m, 0.0), np.where(i >= c - 1, (r - i) / m, 0.0)
        rows.append(ahead[None] - slope[:, None] * behind[None])
        limits.append(value - slope * x)
    keep = np.concatenate(limits) < 1.0
    found = linprog(
        -(i >= v).astype(float),
        A_ub=np.concatenate(rows)[keep],
        b_ub=np.concatenate(limits)[keep],
        A_eq=np.ones((1, r + 1)),
        b_eq=[1.0],
        method="highs",
    )
    return -found.fun


@pytest.mark.parametrize(
    ("m", "r", "v", "mu"), [(20, 8, 7, 0.5), (20, 8, 8, 1.0), (12, 12, 10, 0.8), (100, 10, 9, 0.3)]
)
def test_recursion_solves_the_whole_problem(m, r, v, mu):
    """No distribution of right guesses that the hypothesis allows beats the recursion's chance (linear programme)."""
    assert p_value(mu, m, r, v) == pytest.approx(largest_chance(mu, m, r, v), abs=1e-4)


@pytest.mark.parametrize(("m", "r", "v"), SETTINGS)
def test_p_value_agrees_with_the_bound(m, r, v):
    """At the bound's own μ the p-value is 5 %; above it larger, below it smaller, and never zero."""
    bound = mu_lower_bound(m, r, v)
    assert p_value(bound, m, r, v) == pytest.approx(0.05, rel=1e-4)
    assert 0 < p_value(bound * 0.5, m, r, v) < 0.05 < p_value(bound * 1.5, m, r, v) <= 1
    assert p_value(bound, m, r, 0) == 1


def test_a_coin_tosser_proves_nothing():
    """Half right, or none, refutes not even μ = 0."""
    assert mu_lower_bound(1000, 300, 150) == 0
    assert mu_lower_bound(1000, 300, 0) == 0
    assert mu_lower_bound(1000, 0, 0) == 0


def test_bound_rises_with_right_guesses_and_stays_below_the_truth():
    """It grows with v; at the expected number of right guesses under μ it stays below μ."""
    rising = [mu_lower_bound(1000, 266, v) for v in range(170, 267, 8)]
    assert all(low < high for low, high in itertools.pairwise(rising))
    mu = 1.0
    assert 0 < mu_lower_bound(1000, 1000, round(1000 * norm.cdf(mu / 2))) < mu


def test_a_thousand_canaries_take_less_than_a_second():
    """One bound at m = 1,000 takes milliseconds; a second leaves room for a busy computer."""
    started = time.perf_counter()
    mu_lower_bound(1000, 1000, 900)
    assert time.perf_counter() - started < 1


def test_bad_arguments_are_refused():
    """Counts out of order, a negative μ and a confidence of 1."""
    for call in (
        lambda: mu_lower_bound(10, 11, 3),
        lambda: refutes(-1.0, 10, 5, 3),
        lambda: mu_lower_bound(10, 5, 3, 1.0),
    ):
        with pytest.raises(InvalidInput):
            call()
