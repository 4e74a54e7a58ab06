"""The settled week is what many weeks of even pushes come to, and F(k) what one push takes from later ones.

Oracles: dosages added up push by push over years, and a numeric derivative of the whole later stream.
"""

import numpy as np
import pytest

from tactful import steady
from tactful.model import DOSAGE_HALF_LIVES_D

HALF_LIVES = np.array(DOSAGE_HALF_LIVES_D)
COSTS = steady.Costs(np.array([0.2, 0.1, 0.02]), np.array([0.1, 0.15, 0.03]), 300.0)
PEOPLE = steady.Rested(
    np.array([-3.0, -1.5, -4.5]),
    np.array([1.2, 0.6, 2.0]),
    np.array([-6.9, -6.0, -8.0]),
    np.array([500.0, 250.0, 900.0]),
)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def stream(start, count, spacing_d):
    """Dosages before each of ``count`` pushes, the first at ``start``: each push adds one, then all decay."""
    doses, dose = np.zeros((count, 3)), start.copy()
    for i in range(count):
        doses[i] = dose
        dose = (dose + 1.0) * 2.0 ** (-spacing_d / HALF_LIVES)
    return doses


def worth_of(doses, person):
    eta, effect, hazard, worth = (getattr(PEOPLE, name)[person] for name in ("eta", "effect", "hazard", "worth_minor"))
    gain = worth * (sigmoid(eta + effect - doses @ COSTS.kappa) - sigmoid(eta))
    return gain - COSTS.opt_out_minor * sigmoid(hazard + (doses + 1.0) @ COSTS.hazard_dosage)


@pytest.mark.parametrize("k", [1, 3, 7, 14])
def test_the_settled_week_is_the_mean_of_many_weeks(k):
    """After four years of pushes a week earns U(k) and the dosage is the geometric series, within 1e-9."""
    doses = stream(np.zeros(3), 208 * k, 7.0 / k)
    assert np.allclose(doses[-1], steady.steady_dosage(k), rtol=1e-9)
    utility = steady.steady_utility(PEOPLE, COSTS, 14)
    for person in range(3):
        assert utility[person, k] == pytest.approx(worth_of(doses[-k:], person).sum(), rel=1e-9)


@pytest.mark.parametrize("k", [1, 2, 5, 10])
def test_the_future_cost_is_the_derivative_of_the_later_stream(k):
    """F(k) is minus the derivative of what all later pushes earn in the size of one push, within 1e-6."""
    spacing, settled, step = 7.0 / k, steady.steady_dosage(k), 1e-4
    cost = steady.future_cost(PEOPLE, COSTS, np.full(3, k))
    for person in range(3):
        later = [
            worth_of(stream((settled + 1.0 + e) * 2.0 ** (-spacing / HALF_LIVES), 104 * k, spacing), person).sum()
            for e in (step, -step)
        ]
        assert cost[person] == pytest.approx(-(later[0] - later[1]) / (2 * step), rel=1e-6)


def test_two_pushes_at_once_cost_the_price_of_a_dose():
    """The dose price is the derivative of one push's worth in all three dosages together, within 1e-6."""
    k, step = 3, 1e-5
    price, settled = steady.dose_price(PEOPLE, COSTS, np.full(3, k)), steady.steady_dosage(3)
    for person in range(3):
        up, down = (worth_of((settled + e)[None], person)[0] for e in (step, -step))
        assert price[person] == pytest.approx(-(up - down) / (2 * step), rel=1e-6)


def test_the_best_frequency_is_the_smallest_of_the_best():
    """The chosen k beats every other one at the price, falls as the price rises, and is 0 where nothing is worth it."""
    utility, before = steady.steady_utility(PEOPLE, COSTS, 14), np.full(3, 14)
    for price in (0.0, 1.0, 5.0, 20.0, 1e6):
        k = steady.best_frequency(utility, price)
        for person in range(3):
            net = utility[person] - price * np.arange(15)
            assert net[k[person]] == net.max()
            assert (net[: k[person]] < net.max()).all()
        assert (k <= before).all()
        before = k
    assert (before == 0).all()
    assert (steady.future_cost(PEOPLE, COSTS, before) == 0).all()
