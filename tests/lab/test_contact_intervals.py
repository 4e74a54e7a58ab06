"""Paired household intervals of the contact task: the weighted AUC against pairs counted out, and where zero lies."""

import numpy as np
import pytest

from tactful_lab.contacts import intervals
from tactful_lab.contacts.task import TEST_START, ContactTask


def made_up(n: int = 400, seed: int = 3) -> tuple[ContactTask, np.ndarray]:
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=n)
    label = (rng.random(n) < 1 / (1 + np.exp(1 - 2 * signal))).astype(np.int8)
    household = rng.integers(0, 90, n)
    day = np.full(n, TEST_START.toordinal())
    return ContactTask(household, np.zeros(n, np.int64), day, label, np.arange(90)), signal


def test_weighted_auc_is_the_share_of_pairs_in_order():
    """Against a count over all pairs of repeated rows, ties half."""
    rng = np.random.default_rng(1)
    label, score = rng.integers(0, 2, 30), rng.integers(0, 6, 30) / 6.0
    weights = rng.integers(0, 3, (2, 30)).astype(float)
    got = intervals.weighted_auc(label, score, weights)
    for row, weight in enumerate(weights):
        y, s = np.repeat(label, weight.astype(int)), np.repeat(score, weight.astype(int))
        above = (s[y == 1][:, None] > s[y == 0][None, :]) + 0.5 * (s[y == 1][:, None] == s[y == 0][None, :])
        assert got[row] == pytest.approx(above.mean())


def test_a_method_against_itself_differs_by_nothing():
    """The interval of a method against itself is the point 0."""
    task, signal = made_up()
    score = 1 / (1 + np.exp(1 - 2 * signal))
    for difference in (intervals.auc_difference, intervals.log_loss_difference):
        found = difference(task, [score, score], score)
        assert (found.value, found.low, found.high) == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)


def test_a_better_method_lies_wholly_on_its_side_of_zero():
    """The true probability against a constant: log-loss below 0 and AUC above it, wholly (fixed seeds)."""
    task, signal = made_up()
    score, flat = 1 / (1 + np.exp(1 - 2 * signal)), np.full(len(task), task.label.mean())
    assert intervals.log_loss_difference(task, [score], flat).high < 0
    assert intervals.auc_difference(task, [score], flat).low > 0
