"""From scores to metrics and per-label losses; a look is written down when the split is the test month."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tactful_lab.slots import metrics
from tactful_lab.slots.baselines import Scores
from tactful_lab.slots.bootstrap import Interval, household_sums, paired_interval, ratio_interval
from tactful_lab.slots.looks import Looks
from tactful_lab.slots.settings import SlotSettings
from tactful_lab.slots.task import SlotTask, Split
from tactful_privacy.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One row of the table.

    Attributes:
        name: What was evaluated.
        metrics: All metrics.
        losses: float32 (rows, 7), log-loss of each label, for paired comparisons.
        household: int32 (rows,), household of each row.
        log_loss: Mean log-loss with its household-bootstrap interval.
    """

    name: str
    metrics: metrics.Metrics
    losses: NDArray[np.float32]
    household: NDArray[np.int32]
    log_loss: Interval


def evaluate(
    task: SlotTask, split: Split, scores: Scores, *, name: str, settings: SlotSettings, looks: Looks | None = None
) -> Evaluation:
    """Evaluate scores of shape (N, days of the split, 7) on the split's rows.

    Raises:
        InvalidInput: The split is the test month and there is nowhere to write the look down.
    """
    if split == "test":
        if looks is None:
            raise InvalidInput("each evaluation on December is counted", field="looks", remedy="give looks=Looks(path)")
        looks.record(name)
    rows = task.rows(split)
    labels, chosen = task.labels(split)[rows], scores[rows]
    household = np.nonzero(rows)[0].astype(np.int32)
    losses = metrics.log_losses(labels, chosen).astype(np.float32)
    return Evaluation(name, metrics.measure(labels, chosen), losses, household, _interval(losses, household, settings))


def compare(first: Evaluation, second: Evaluation, settings: SlotSettings) -> Interval:
    """Log-loss of the first minus the second's, paired by household: below 0 means that the first is better."""
    return paired_interval(
        first.losses,
        second.losses,
        first.household,
        seed=settings.bootstrap_seed,
        resamples=settings.bootstrap_resamples,
    )


def average(name: str, repetitions: Sequence[Evaluation], settings: SlotSettings) -> Evaluation:
    """One row from independent repetitions on the same rows: mean metrics, and each label's mean loss."""
    keys = repetitions[0].metrics.as_dict()
    means = {key: float(np.mean([r.metrics.as_dict()[key] for r in repetitions])) for key in keys}
    losses = np.stack([r.losses for r in repetitions]).mean(axis=0, dtype=np.float64).astype(np.float32)
    household = repetitions[0].household
    return Evaluation(name, metrics.Metrics(**means), losses, household, _interval(losses, household, settings))


def _interval(losses: NDArray[np.float32], household: NDArray[np.int32], settings: SlotSettings) -> Interval:
    n = int(household.max()) + 1
    sums, sizes = household_sums(losses, household, n), household_sums(np.ones_like(losses), household, n)
    present = sizes > 0
    return ratio_interval(
        sums[present], sizes[present], seed=settings.bootstrap_seed, resamples=settings.bootstrap_resamples
    )
