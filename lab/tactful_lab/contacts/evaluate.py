"""How good are the probabilities of a response: AUC, log-loss in nats, Brier score."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from tactful_lab.contacts.records import Floats
from tactful_lab.contacts.task import ContactTask, Split
from tactful_lab.slots import metrics


@dataclass(frozen=True, slots=True)
class Figures:
    """AUC (ties count half) and Brier score, both without unit, and the mean log-loss in nats."""

    auc: float
    log_loss: float
    brier: float

    def as_dict(self) -> dict[str, float]:
        """Values by name, for JSON."""
        return asdict(self)


def measure(task: ContactTask, split: Split, scores: Floats) -> Figures:
    """Figures of scores of shape (n,), in the task's order, on the contacts of one split."""
    rows = task.rows(split)
    label, score = task.label[rows], scores[rows]
    return Figures(metrics.auc(label, score), metrics.log_loss(label, score), metrics.brier(label, score))


def mean_and_deviation(figures: Sequence[Figures]) -> tuple[Figures, Figures]:
    """Mean and standard deviation (n − 1; 0 for one) over repetitions that differ in the noise alone."""
    table = np.array([[f.auc, f.log_loss, f.brier] for f in figures])
    spread = table.std(axis=0, ddof=1) if len(table) > 1 else np.zeros(3)
    return Figures(*map(float, table.mean(axis=0))), Figures(*map(float, spread))
