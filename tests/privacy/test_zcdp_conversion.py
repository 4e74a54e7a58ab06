"""From rho to epsilon and back: the right formula, its minimum, rounded to the safe side."""

import math
import subprocess
import sys
from fractions import Fraction

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from tactful_privacy.accounting.events import (
    ComposedEvent,
    DiscreteGaussianSumEvent,
    Event,
    GaussianEvent,
    NonPrivateEvent,
    UnknownEvent,
)
from tactful_privacy.accounting.zcdp import epsilon, price, rho_budget, rho_of, tau, tau_term
from tactful_privacy.errors import InvalidInput

GRID = [(rho, delta) for rho in (1e-6, 1e-3, 0.05, 0.311065, 2.0, 40.0) for delta in (1e-12, 1e-6, 1e-3, 0.2)]


def bound_at(order, rho, delta):
    """Return epsilon(a) of arXiv:2004.00010, Proposition 12, in 60 digits."""
    order = mpmath.mpf(order)
    return order * rho + mpmath.log1p(-1 / order) - mpmath.log(delta * order) / (order - 1)


@pytest.mark.parametrize(("rho", "delta"), GRID)
def test_epsilon_is_the_minimum_over_all_orders(rho, delta):
    """A direct minimisation over a, evaluated in 60 digits, gives the same epsilon, and never a smaller one."""
    with mpmath.workdps(60):
        best = optimize.minimize_scalar(
            lambda x: float(bound_at(1 + math.exp(x), rho, delta)),
            bounds=(-12, 20),
            method="bounded",
            options={"xatol": 1e-10},
        )
        oracle = float(max(0, bound_at(1 + mpmath.exp(best.x), rho, delta)))
    assert epsilon(rho, delta) == pytest.approx(oracle, rel=1e-8, abs=1e-12)
    assert epsilon(rho, delta) <= oracle * (1 + 1e-12) + 1e-15


@pytest.mark.parametrize(("rho", "delta"), GRID)
def test_epsilon_covers_the_gaussian_mechanism(rho, delta):
    """A Gaussian mechanism of this rho has, by its exact formula and by integration, delta(epsilon) <= delta."""
    mu, eps = math.sqrt(2 * rho), epsilon(rho, delta)
    # arXiv:1805.06530, Theorem 8; logcdf keeps exp(eps) * Phi from overflowing.
    exact = stats.norm.cdf(mu / 2 - eps / mu) - math.exp(eps + stats.norm.logcdf(-mu / 2 - eps / mu))
    assert exact <= delta
    with mpmath.workdps(40):
        start = mpmath.mpf(eps) / mu + mpmath.mpf(mu) / 2  # where the privacy loss exceeds epsilon
        integral = mpmath.quad(
            lambda x: mpmath.npdf(x, mu, 1) - mpmath.exp(eps) * mpmath.npdf(x, 0, 1),
            [start, start + 2, start + 6, start + 20, start + 60],
        )
    assert float(integral) == pytest.approx(exact, rel=1e-4, abs=1e-14)


def test_the_checked_budget():
    """epsilon = 4 at delta = 1e-6 allows rho = 0.311065."""
    assert round(rho_budget(4, 1e-6), 6) == 0.311065


@settings(deadline=None)
@given(st.floats(1e-6, 50), st.floats(1e-12, 0.5))
def test_the_budget_is_the_inverse_rounded_down(central_epsilon, delta):
    """rho_budget spends no more than epsilon, and a millionth more would."""
    rho = rho_budget(central_epsilon, delta)
    assert epsilon(rho, delta) <= central_epsilon < epsilon(rho * (1 + 1e-6), delta)


@settings(deadline=None)
@given(st.floats(1e-9, 100), st.floats(1.001, 10), st.floats(1e-12, 0.4))
def test_epsilon_grows_with_rho_and_falls_with_delta(rho, factor, delta):
    """More spent or a smaller delta never means a smaller epsilon."""
    assert epsilon(rho * factor, delta) >= epsilon(rho, delta) >= epsilon(rho, delta * 1.01)


def test_ends_of_the_scale():
    """Nothing spent is epsilon 0, an infinity is an infinity, and exact rationals are accepted."""
    assert epsilon(0, 1e-6) == epsilon(Fraction(0), 1e-6) == 0
    assert epsilon(math.inf, 1e-6) == rho_budget(math.inf, 1e-6) == math.inf
    assert epsilon(Fraction(1, 10), 1e-6) == epsilon(0.1, 1e-6)


@pytest.mark.parametrize(("rho", "delta"), [(-1, 0.1), (math.nan, 0.1), (1, 0), (1, 1), (1, math.nan)])
def test_impossible_arguments_are_refused(rho, delta):
    """A negative or undefined cost and a delta outside (0, 1) are errors."""
    with pytest.raises(InvalidInput):
        epsilon(rho, delta)
    with pytest.raises(InvalidInput):
        rho_budget(rho, delta if rho == 1 else 0)


def test_prices_are_exact():
    """B^2 / (2 n' sigma^2) as a rational, the same by the event, and composed by multiplication."""
    event = DiscreteGaussianSumEvent(100, 1000, 3, 64)
    assert price(100, 1000, 3) == rho_of(event) == Fraction(1, 60)
    assert rho_of(ComposedEvent(event, 120)) == 2
    assert rho_of(GaussianEvent(2)) == Fraction(1, 8)
    assert rho_of(GaussianEvent(0.5)) == 2


@pytest.mark.parametrize(
    "event",
    [NonPrivateEvent(), GaussianEvent(0), DiscreteGaussianSumEvent(1, 0, 1, 1), ComposedEvent(NonPrivateEvent(), 2)],
)
def test_what_is_not_private_costs_infinitely_much(event):
    """No noise means an infinite price."""
    assert rho_of(event) == math.inf


def test_an_unknown_event_fails_closed():
    """An event the accountant does not know raises, also inside a composition."""

    class NewEvent(Event):
        pass

    for event in (Event(), NewEvent(), ComposedEvent(NewEvent(), 3)):
        with pytest.raises(UnknownEvent, match="known event"):
            rho_of(event)


def test_tau_is_negligible_from_four_grid_steps_on():
    """At sigma = 4, with 10,000 hosts and 512 coordinates, tau adds less than 10^-59; at sigma 3e6, nothing."""
    assert 0 < tau_term(10**6, 16, 10_000, 512) < 1e-59
    assert tau(16, 10_000) <= 10 * 9_999 * math.exp(-(math.pi**2) * 16) * (1 + 1e-12)
    assert tau(3_000_000**2, 10_000) == 0
    assert tau(16, 1) == 0


def test_tau_counts_where_the_noise_is_a_few_steps_wide():
    """At sigma = 1 the sum over k is what 50 digits say, and it enters the price."""
    exact = 10 * mpmath.fsum(mpmath.exp(-2 * mpmath.pi**2 * k / (k + 1)) for k in range(1, 7))
    assert tau(1, 7) == pytest.approx(float(exact), rel=1e-12)
    assert rho_of(DiscreteGaussianSumEvent(4, 1, 7, 10)) == pytest.approx(4 / 14 + tau_term(4, 1, 7, 10))


def smoothed_divergence(variance, shift, order):
    """Return the Renyi divergence of the sum of two discrete Gaussians from itself shifted, by convolution."""
    reach = 40
    single = [mpmath.exp(-mpmath.mpf(x * x) / (2 * variance)) for x in range(-reach, reach + 1)]
    single = [weight / mpmath.fsum(single) for weight in single]
    total = [
        mpmath.fsum(single[i] * single[k - i] for i in range(max(0, k - 2 * reach), min(2 * reach, k) + 1))
        for k in range(4 * reach + 1)
    ]
    terms = (total[k] ** order * total[k - shift] ** (1 - order) for k in range(shift, 4 * reach + 1))
    return mpmath.log(mpmath.fsum(terms)) / (order - 1)


@pytest.mark.parametrize("variance", [1, 2])
@pytest.mark.parametrize("order", [1.5, 2, 8])
def test_price_and_tau_cover_the_true_divergence(variance, order):
    """For two hosts and one coordinate the divergence, computed by convolution, is at most order * rho."""
    for shift in (1, 2, 3):
        rho = rho_of(DiscreteGaussianSumEvent(shift**2, variance, 2, 1))
        assert smoothed_divergence(variance, shift, order) <= order * float(rho) * (1 + 1e-9)


def test_a_device_accounts_without_numpy_or_scipy():
    """Importing and using the accountant in a fresh process loads neither numpy nor scipy."""
    script = (
        "import sys; from tactful_privacy.accounting import adjacency, calibration, events, filter, gaussian, zcdp;"
        "zcdp.epsilon(0.3, 1e-6); sys.exit(bool({'numpy', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
