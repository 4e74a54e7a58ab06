"""Paired intervals by resampling whole households of the test campaigns: a household's contacts are not independent."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tactful_lab.contacts.records import Floats
from tactful_lab.contacts.task import ContactTask
from tactful_lab.slots.bootstrap import Interval, paired_interval

RESAMPLES = 2_000
SEED = 20171030


def row_losses(label: ArrayLike, score: ArrayLike) -> Floats:
    """Log-loss of each row in nats, shape (n,)."""
    p = np.clip(np.asarray(score, dtype=np.float64), 1e-12, 1 - 1e-12)
    y = np.asarray(label, dtype=np.float64)
    return np.asarray(-(y * np.log(p) + (1 - y) * np.log1p(-p)))


def log_loss_difference(task: ContactTask, scores: list[Floats], other: Floats, *, seed: int = SEED) -> Interval:
    """Interval of the mean log-loss of ``scores`` minus that of ``other`` on the test campaigns, in nats.

    Args:
        task: the contacts.
        scores: one array of shape (n,) for each repetition; a row's loss is the mean over them, so that the interval
            speaks of the method and not of one draw of noise.
        other: shape (n,).
        seed: of the resampling.
    """
    rows = task.rows("test")
    label = task.label[rows]
    mean = np.mean([row_losses(label, each[rows]) for each in scores], axis=0)
    other_losses = row_losses(label, other[rows])
    return paired_interval(mean, other_losses, task.household[rows], seed=seed, resamples=RESAMPLES)


def weighted_auc(label: NDArray[np.integer], score: Floats, weights: Floats) -> Floats:
    """AUC, ties counting half, when row i counts ``weights[r, i]`` times; one figure for each r, shape (R,)."""
    order = np.argsort(score, kind="stable")
    first = np.r_[True, np.diff(score[order]) > 0]
    starts = np.nonzero(first)[0]
    positive = np.add.reduceat(weights[:, order] * (label[order] == 1), starts, axis=1)
    negative = np.add.reduceat(weights[:, order] * (label[order] == 0), starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    return np.asarray((positive * (below + negative / 2)).sum(axis=1) / pairs)


def auc_difference(task: ContactTask, scores: list[Floats], other: Floats, *, seed: int = SEED) -> Interval:
    """Interval of the mean AUC of ``scores`` minus that of ``other``; arguments as in `log_loss_difference`."""
    rows = task.rows("test")
    label, household = task.label[rows], np.unique(task.household[rows], return_inverse=True)[1]
    n = int(household.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    weights = np.concatenate([np.ones((1, n)), drawn])[:, household]
    mine = np.mean([weighted_auc(label, each[rows], weights) for each in scores], axis=0)
    difference = mine - weighted_auc(label, other[rows], weights)
    low, high = np.quantile(difference[1:], [0.025, 0.975])
    return Interval(float(difference[0]), float(low), float(high))
