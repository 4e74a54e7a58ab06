"""FedAdam against the published recursion written out with plain floats, and its state through bytes."""

import numpy as np
import pytest

from tactful_privacy.errors import InvalidInput
from tactful_privacy.secagg.testing import make_plan, make_roster
from tactful_privacy.wire import Block
from tactful_server.fed_adam import FedAdam

DIRECTORY, _ = make_roster(4, planned_devices=25)
PLAN = make_plan(DIRECTORY, n_min=3, dimension=3)


def test_fed_adam_is_the_published_recursion():
    """Coordinate by coordinate in plain Python, with a dump and load between all steps."""
    optimiser, theta = FedAdam(0.3, 0.8, 0.95, 0.01), np.zeros(2)
    slow, first, second = [0.0, 0.0], [0.0, 0.0], [0.01**2, 0.01**2]
    for update in np.random.default_rng(1).normal(size=(6, 2)):
        theta = optimiser.step(theta, update, PLAN)
        for k in range(2):
            first[k] = 0.8 * first[k] + 0.2 * update[k]
            second[k] = 0.95 * second[k] + 0.05 * update[k] ** 2
            slow[k] += 0.3 * first[k] / (second[k] ** 0.5 + 0.01)
        state = optimiser.dump()
        optimiser = FedAdam(0.3, 0.8, 0.95, 0.01)
        optimiser.load(state)
    np.testing.assert_allclose(theta, slow, rtol=1e-12)


def test_without_memory_a_step_is_nearly_the_sign():
    """β₁ = β₂ = 0 and a small τ: every coordinate moves by lr towards the update's sign."""
    moved = FedAdam(0.5, 0.0, 0.0, 1e-9).step(np.zeros(3), np.array([2.0, -0.1, 5.0]), PLAN)
    np.testing.assert_allclose(moved, [0.5, -0.5, 0.5], rtol=1e-6)


def test_what_is_wrong_names_its_field():
    """Settings, shapes and foreign states are typed errors; the layout is the model's own."""
    for field, value in (("learning_rate", 0), ("tau", 0), ("beta_1", 1.0), ("beta_2", -0.1)):
        with pytest.raises(InvalidInput, match=field):
            FedAdam(**{field: value})
    with pytest.raises(InvalidInput, match="mean_update"):
        FedAdam().step(np.zeros(2), np.zeros(3), PLAN)
    with pytest.raises(InvalidInput, match="dump"):
        FedAdam().load(b"junk")
    assert FedAdam().contribution_layout((Block("alpha", 2),)) == (Block("alpha", 2),)
