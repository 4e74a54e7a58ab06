"""From an opened sum to the next model."""

from fractions import Fraction

import numpy as np
import pytest

from tactful_privacy.errors import InvalidInput
from tactful_privacy.secagg.testing import make_plan, make_roster
from tactful_privacy.wire import Block, Statistic
from tactful_server.aggregation import FedAvg, Newton, mean_of, symmetric

DIRECTORY, _ = make_roster(4, planned_devices=25)
PLAN = make_plan(DIRECTORY, n_min=3, dimension=3, statistics=(Statistic("loss", 1 << 20),))


def test_the_divisor_is_the_planned_devices_of_the_survivors():
    """Sum / (devices of those who answered), in model units, against exact rationals."""
    total = np.array([3, -(1 << 20), 1 << 30, 75 << 19], dtype=np.int64)
    opened = mean_of(total, PLAN, DIRECTORY, DIRECTORY.host_ids[:3])
    exact = [float(Fraction(int(x), 75 << 20)) for x in total]
    np.testing.assert_allclose(opened.update, exact[:3], rtol=1e-15)
    assert opened.statistics == {"loss": 0.5}
    assert opened.planned_devices == 75


def test_a_sum_of_another_shape_or_of_nobody_is_refused():
    """Shapes and divisors are checked."""
    with pytest.raises(InvalidInput, match="total"):
        mean_of(np.zeros(3, dtype=np.int64), PLAN, DIRECTORY, DIRECTORY.host_ids)
    with pytest.raises(InvalidInput, match="planned_devices"):
        mean_of(np.zeros(4, dtype=np.int64), PLAN, DIRECTORY, ())


def test_fedavg_with_momentum_is_the_plain_loop():
    """Against the recurrence written out, with a dump and load between all steps."""
    optimiser, theta, velocity, slow = FedAvg(0.3, 0.9), np.zeros(2), np.zeros(2), np.zeros(2)
    for update in np.random.default_rng(1).normal(size=(5, 2)):
        theta = optimiser.step(theta, update, PLAN)
        velocity = 0.9 * velocity + update
        slow = slow + 0.3 * velocity
        state = optimiser.dump()
        optimiser = FedAvg(0.3, 0.9)
        optimiser.load(state)
    np.testing.assert_allclose(theta, slow, rtol=1e-12)


def test_newton_solves_a_quadratic_in_one_step():
    """With exact gradient and curvature the minimum of a quadratic is one step away, up to the ridge."""
    rng = np.random.default_rng(2)
    root = rng.normal(size=(4, 4))
    hessian, target, theta = root @ root.T + np.eye(4), rng.normal(size=4), rng.normal(size=4)
    update = np.concatenate([5 * hessian @ (theta - target), 0.1 * hessian[np.triu_indices(4)]])
    optimiser = Newton(ridge=1e-12, gradient_scale=5, curvature_scale=0.1)
    np.testing.assert_allclose(optimiser.step(theta, update, PLAN), target, atol=1e-9)
    assert optimiser.contribution_layout((Block("a", 3), Block("b", 1))) == (
        Block("gradient", 4),
        Block("curvature", 10),
    )


def test_newton_remembers_curvature_as_a_weighted_mean_over_a_restart():
    """Weights are memory^age; a dump in between changes nothing."""
    optimiser = Newton(ridge=1e-9, memory=0.5)
    for curvature in (2.0, 5.0):
        state = optimiser.dump()
        optimiser = Newton(ridge=1e-9, memory=0.5)
        optimiser.load(state)
        moved = optimiser.step(np.zeros(1), np.array([1.0, curvature]), PLAN)
    np.testing.assert_allclose(moved, [-1 / ((0.5 * 2 + 5) / 1.5)], rtol=1e-6)


def test_noise_that_makes_curvature_negative_cannot_turn_the_step_round():
    """A negative eigenvalue counts as zero plus the ridge: the step still goes downhill."""
    moved = Newton(ridge=0.1).step(np.zeros(1), np.array([1.0, -3.0]), PLAN)
    np.testing.assert_allclose(moved, [-10.0])


def test_wrong_settings_and_states_name_their_field():
    """Each has its remedy."""
    for bad in (lambda: FedAvg(0), lambda: FedAvg(momentum=1), lambda: Newton(ridge=0), lambda: Newton(memory=1)):
        with pytest.raises(InvalidInput):
            bad()
    with pytest.raises(InvalidInput, match="dump"):
        Newton().load(b"junk")
    for optimiser in (FedAvg(), Newton()):
        with pytest.raises(InvalidInput, match="mean_update"):
            optimiser.step(np.zeros(2), np.zeros(3), PLAN)


def test_symmetric_matches_the_plain_loop():
    """Row by row upper triangle."""
    values = iter(range(1, 7))
    slow = np.zeros((3, 3))
    for row in range(3):
        for column in range(row, 3):
            slow[row, column] = slow[column, row] = next(values)
    np.testing.assert_array_equal(symmetric(np.arange(1.0, 7.0), 3), slow)
