"""The optimisers' ablation: its joint Newton against dense algebra, its charge, its learners against loops."""

import numpy as np
import pytest
from tests.lab.test_contact_rehearsal import SETTINGS, made_up

from tactful.training import TrainingTable
from tactful_lab.ablation import learners
from tactful_lab.ablation.statistics import JointNewton
from tactful_lab.ablation.variants import Trial, Variant
from tactful_lab.contacts.private import rehearsed_plan
from tactful_privacy.errors import InvalidInput
from tactful_privacy.secagg.testing import make_plan, make_roster

ROSTER, _ = make_roster(4, planned_devices=25)
PLAN = make_plan(ROSTER, n_min=3, dimension=9)
FEDAVG = Variant(
    "a",
    "fedavg",
    {"rounds": (3,), "clip_norm": (1.0,), "local_steps": (1, 2), "local_rate": (0.3,), "server_rate": (1.0,)},
)
NEWTON = Variant(
    "b",
    "newton",
    {
        "rounds": (4,),
        "curvature_share": (0.25,),
        "clip_norm": (3.0,),
        "curvature_scale": (1.0,),
        "decay": (0.3,),
        "ridge_factor": (1.0,),
    },
)
STATISTICS = Variant(
    "c",
    "statistics",
    {
        "rounds": (1,),
        "clip_norm": (3.0,),
        "curvature_scale": (1.0,),
        "prior_precision": (1e-3,),
        "ridge_factor": (0.4,),
    },
)
ADAM = Variant(
    "d",
    "adam",
    {"rounds": (3,), "clip_norm": (1.0,), "local_steps": (1,), "local_rate": (0.3,), "server_rate": (0.1,)},
)


def test_one_joint_round_without_noise_is_a_ridge_newton_step():
    """Against numpy.linalg.solve on the dense matrix, curvature scaled as devices do; a restart changes nothing."""
    rng = np.random.default_rng(2)
    root, gradient, start = rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=3)
    hessian = root @ root.T + np.eye(3)
    packed = [hessian[i, j] * (1 if i == j else 2**0.5) for i in range(3) for j in range(i, 3)]
    sent = np.concatenate([gradient, 0.5 * np.array(packed)])
    optimiser = JointNewton(start, curvature_scale=0.5, prior_precision=0.01)
    first = optimiser.step(start, sent, PLAN)
    np.testing.assert_allclose(first, start + np.linalg.solve(hessian + 0.01 * np.eye(3), gradient))
    other = JointNewton(start, curvature_scale=0.5, prior_precision=0.01)
    other.load(optimiser.dump())
    np.testing.assert_array_equal(other.step(first, sent, PLAN), optimiser.step(first, sent, PLAN))
    with pytest.raises(InvalidInput, match="mean_update"):
        other.step(first, sent[:-1], PLAN)


@pytest.mark.parametrize("variant", [FEDAVG, NEWTON, STATISTICS, ADAM], ids=lambda v: v.kind)
def test_every_variant_pays_the_same_for_the_same_promise(variant):
    """Whatever the rounds and the dimension, all rounds together cost ε = 4 at δ = 1e-6 and no more."""
    learner = learners.ContactLearner(made_up(), SETTINGS.federation.prior_rate)
    run = Trial(learner, SETTINGS.federation, 4.0).run(variant, next(variant.choices()), seed=1)
    assert 3.99 < run.charge.central_epsilon <= 4.0 + 1e-9
    assert np.isfinite(run.theta).all()


def test_without_noise_every_variant_lowers_the_loss():
    """At ε = ∞ each learns something from the made-up contacts, from the same public start."""
    table = made_up()
    learner = learners.ContactLearner(table, 0.5)
    before = learners.log_loss(table.x, table.y, learner.start())
    for variant in (FEDAVG, NEWTON, STATISTICS, ADAM):
        run = Trial(learner, SETTINGS.federation, float("inf")).run(variant, next(variant.choices()), seed=1)
        assert learners.log_loss(table.x, table.y, run.theta) < before


def test_the_grid_is_every_combination():
    """Two values of one name are two choices."""
    assert [choice["local_steps"] for choice in FEDAVG.choices()] == [1, 2]


def test_slot_updates_equal_plain_loops():
    """One and three local steps of each household against loops over its own rows; a household without rows sends 0."""
    rng = np.random.default_rng(4)
    x = rng.random((12, 31), dtype=np.float32)
    y = rng.integers(0, 2, 12).astype(np.float32)
    learner = learners.SlotLearner(TrainingTable(x, y, np.array([0, 5, 5, 12])), 6.0)
    theta = 0.1 * rng.normal(size=31)
    for steps in (1, 3):
        got = learner.local_updates(theta, steps, 0.5)
        for device, rows in enumerate((slice(0, 5), slice(5, 5), slice(5, 12))):
            own = theta.copy()
            for _ in range(steps if len(y[rows]) else 0):
                own += 0.5 * x[rows].T.astype(float) @ (y[rows] - 1 / (1 + np.exp(-x[rows] @ own))) / len(y[rows])
            np.testing.assert_allclose(got[device], own - theta, atol=1e-5)


def test_a_rehearsed_plan_names_its_task():
    """The plan that the server's optimiser reads carries the task and the length of what is sent."""
    learner = learners.ContactLearner(made_up(), 0.1)
    grid = Trial(learner, SETTINGS.federation, 4.0)._grid({"rounds": 3, "clip_norm": 1.0}, 20)
    plan = rehearsed_plan(SETTINGS.federation, grid, "gradient", 20)
    assert (plan.task, plan.dimension) == ("gradient", 20)
