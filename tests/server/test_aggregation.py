"""From an opened sum to the next model."""

from fractions import Fraction

import numpy as np
import pytest

from tactful_privacy.errors import InvalidInput
from tactful_privacy.secagg.testing import make_plan, make_roster
from tactful_privacy.wire import Statistic
from tactful_server.aggregation import FedAvg, mean_of

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
    assert opened.noise_std == pytest.approx((3 * PLAN.noise_variance_units) ** 0.5 * PLAN.grid / 75)


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


def test_wrong_settings_and_states_name_their_field():
    """Each has its remedy."""
    for bad in (lambda: FedAvg(0), lambda: FedAvg(momentum=1)):
        with pytest.raises(InvalidInput):
            bad()
    with pytest.raises(InvalidInput, match="dump"):
        FedAvg().load(b"junk")
    with pytest.raises(InvalidInput, match="mean_update"):
        FedAvg().step(np.zeros(2), np.zeros(3), PLAN)
