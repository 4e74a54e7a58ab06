"""The recurrent model on the slot task: what a rehearsed round costs, what the server steps by, and that it learns."""

import importlib
import math
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from tactful_lab.datasets import completejourney
from tactful_lab.slots.task import build
from tactful_privacy.accounting.zcdp import epsilon as epsilon_of

if find_spec("torch") is None or find_spec("opacus") is None:
    pytest.skip("torch and Opacus are not installed: pip install 'tactful[train]'", allow_module_level=True)


def room():
    return importlib.import_module("tactful_lab.slots.recurrent")


@pytest.fixture(scope="module")
def task():
    full, _ = completejourney.load()
    return build(full.take(np.arange(12)))


def test_all_rounds_together_cost_what_was_promised():
    """The plan's ρ times the rounds is at most ε = 4 at δ = 1e-6, and within 1 % of it."""
    chosen = room().load()[1]
    plan = room().plan_of(2_297, chosen, 4.0, 1e-6)
    spent = epsilon_of(plan.rho * chosen.rounds, 1e-6)
    assert 3.96 <= spent <= 4.0
    assert plan.dimension == 490


def test_the_server_steps_by_adam():
    """Two steps against the formulas by hand, within 1e-12; a share shortens a step alone."""
    adam, theta = room().FedAdam(0.1, 2), np.array([1.0, -1.0])
    first, second = np.array([0.5, -2.0]), np.array([0.1, 0.3])
    theta = adam.step(theta, first)
    np.testing.assert_allclose(theta, [1.1, -1.1], atol=1e-9)
    m, v = 0.1 * (0.9 * first + second), 0.01 * (0.99 * first**2 + second**2)
    expected = theta + 0.5 * 0.1 * (m / 0.19) / np.sqrt(v / (1 - 0.99**2))
    np.testing.assert_allclose(adam.step(theta, second, 0.5), expected, atol=1e-9)


def test_rounds_without_noise_lower_the_loss_and_scores_are_of_the_past(task):
    """Six rehearsed rounds on twelve households lower their training loss; November's scores ignore December."""
    chosen = replace(room().load()[1], rounds=6, clip_norm=1.0)
    losses = []

    def watch(_number, model):
        rows, labels = task.rows("train"), task.labels("train")
        p = room().scores(task, model, "train")[rows].astype(float)
        y = labels[rows]
        losses.append(-np.mean(y * np.log(p) + (1 - y) * np.log1p(-p)))

    model = room().rehearse(task, chosen, epsilon=math.inf, watch=watch)
    assert len(losses) == 6
    assert losses[-1] < losses[0]
    before = room().scores(task, model, "tune")
    task.activity[:, task.days("test").start :] = 1
    np.testing.assert_array_equal(room().scores(task, model, "tune"), before)


def test_pooled_training_lowers_the_loss(task):
    """Three epochs on twelve households: November is told after each, and the parameters move."""
    seen = []
    chosen = replace(room().load()[0], epochs=3, households_per_step=4)
    model = room().fit_central(task, chosen, lambda epoch, _: seen.append(epoch))
    assert seen == [1, 2, 3]
    assert np.isfinite(model.to_parameters()).all()
