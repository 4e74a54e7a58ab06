"""The exact Gaussian: delta, epsilon, mu and sigma are each other's inverses and equal 60-digit arithmetic."""

import math

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tactful_privacy.accounting.gaussian import analytic_sigma, delta_of_mu, epsilon_of_mu, mu_of
from tactful_privacy.errors import InvalidInput


def delta_in_60_digits(mu, epsilon):
    """arXiv:1805.06530, Theorem 8, as it is printed."""
    with mpmath.workdps(60):
        mu, epsilon = mpmath.mpf(mu), mpmath.mpf(epsilon)
        second = mpmath.exp(epsilon) * mpmath.ncdf(-mu / 2 - epsilon / mu)
        return mpmath.ncdf(mu / 2 - epsilon / mu) - second


@pytest.mark.parametrize("mu", [1e-9, 1e-4, 0.01, 0.2499, 0.25, 0.5, 1, 3, 10, 40, 100])
@pytest.mark.parametrize("centre", [0, 1])
def test_delta_equals_the_formula_in_60_digits(mu, centre):
    """From the body to the far tail, with the two terms nearly equal, delta keeps 12 digits."""
    for k in (0, 1e-3, 0.1, 0.5, 1, 2, 4, 5.9, 6.1, 8, 12, 20, 30):
        epsilon = centre * mu * mu / 2 + k * mu
        exact = delta_in_60_digits(mu, epsilon)
        if exact > 1e-290:
            assert delta_of_mu(mu, epsilon) == pytest.approx(float(exact), rel=1e-12)


@settings(deadline=None, max_examples=200)
@given(st.floats(1e-4, 30), st.floats(1e-12, 0.4))
def test_epsilon_is_the_root_and_never_below_it(mu, delta):
    """In 60 digits, delta at the returned epsilon is at most delta, and a billionth below it is more."""
    epsilon = epsilon_of_mu(mu, delta)
    assert delta_in_60_digits(mu, epsilon) <= delta
    if epsilon > 1e-6:
        assert delta_in_60_digits(mu, epsilon * (1 - 1e-9)) > delta


@settings(deadline=None, max_examples=200)
@given(st.floats(1e-3, 60), st.floats(1e-12, 0.4), st.floats(1e-3, 1e3))
def test_sigma_is_the_least_that_keeps_the_promise(epsilon, delta, sensitivity):
    """The analytic Gaussian's sigma gives at most delta, and a billionth less noise would give more."""
    sigma = analytic_sigma(epsilon, delta, sensitivity)
    assert delta_in_60_digits(sensitivity / sigma, epsilon) <= delta
    assert delta_in_60_digits(sensitivity / sigma * (1 + 1e-9), epsilon) > delta
    assert sigma == pytest.approx(sensitivity / mu_of(epsilon, delta), rel=1e-12)


def test_the_classical_calibration_is_never_better():
    """For epsilon < 1 the textbook sqrt(2 log(1.25/delta))/epsilon asks for more noise, at any delta."""
    for epsilon in (0.05, 0.3, 0.99):
        for delta in (1e-3, 1e-6, 1e-10):
            assert analytic_sigma(epsilon, delta, 1.0) < math.sqrt(2 * math.log(1.25 / delta)) / epsilon


def test_the_ends_of_the_range():
    """No change costs nothing; no noise costs everything; a large delta costs nothing; no promise allows any mu."""
    assert (delta_of_mu(0, 1), epsilon_of_mu(0, 1e-6), epsilon_of_mu(0.1, 0.4)) == (0, 0, 0)
    assert (delta_of_mu(math.inf, 1), delta_of_mu(1, math.inf)) == (1, 0)
    assert epsilon_of_mu(math.inf, 1e-6) == mu_of(math.inf, 1e-6) == math.inf


@pytest.mark.parametrize(
    "call",
    [
        lambda: delta_of_mu(-1, 1),
        lambda: delta_of_mu(1, math.nan),
        lambda: epsilon_of_mu(math.nan, 0.1),
        lambda: epsilon_of_mu(1, 0),
        lambda: mu_of(-1, 0.1),
        lambda: mu_of(1, 1),
        lambda: analytic_sigma(0, 1e-6, 1),
        lambda: analytic_sigma(math.inf, 1e-6, 1),
        lambda: analytic_sigma(1, 1e-6, 0),
    ],
)
def test_arguments_out_of_range_are_refused(call):
    """Each is a typed error, never a figure."""
    with pytest.raises(InvalidInput):
        call()
