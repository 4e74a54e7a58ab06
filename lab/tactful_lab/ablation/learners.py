"""The two tasks of the ablation behind one protocol: contributions of each household at a model, and its log-loss.

`SlotLearner` is the slot task cut down, so that hundreds of runs fit minutes: a seeded draw of households, and training
rows of the last days before November alone. Its figures are for comparing optimisers, not for the slot table.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from tactful.features import DIMENSION
from tactful.model import Model
from tactful.training import TrainingTable, build_table
from tactful.training.numpy_trainer import curvatures as slot_curvatures
from tactful.training.numpy_trainer import gradients as slot_gradients
from tactful_lab.contacts import private
from tactful_lab.contacts.settings import FedAvgSetting
from tactful_lab.slots.task import SlotTask, Split

Floats = NDArray[np.float64]


class Learner(Protocol):
    """Households that learn one logistic regression together; arrays are (N, ·), a row for each household."""

    @property
    def n_households(self) -> int:
        """N."""
        ...

    def start(self) -> Floats:
        """The public start, shape (D,)."""
        ...

    def gradients(self, theta: Floats) -> Floats:
        """Σ (y − p) φ over a public scale, (N, D)."""
        ...

    def curvatures(self, theta: Floats) -> Floats:
        """Packed Σ p(1 − p) φφᵀ over the same scale, (N, D(D + 1)/2)."""
        ...

    def local_updates(self, theta: Floats, steps: int, rate: float) -> Floats:
        """Change of θ by full-batch steps on each household's mean log-loss, (N, D)."""
        ...


@dataclass(frozen=True, slots=True)
class ContactLearner:
    """The contact task: one row a contact, public scale 1."""

    table: private.HouseholdTable
    prior_rate: float

    @property
    def n_households(self) -> int:
        """N."""
        return self.table.n_households

    def start(self) -> Floats:
        """The public start, shape (D,)."""
        return private.start(self.prior_rate)

    def gradients(self, theta: Floats) -> Floats:
        """See `Learner`."""
        return private.gradients(self.table, theta)

    def curvatures(self, theta: Floats) -> Floats:
        """See `Learner`."""
        return private.curvatures(self.table, theta)

    def local_updates(self, theta: Floats, steps: int, rate: float) -> Floats:
        """See `Learner`."""
        return private.local_updates(self.table, theta, FedAvgSetting(1, 1.0, steps, rate, 1.0, 0.0))


@dataclass(frozen=True, slots=True)
class SlotLearner:
    """The slot task: one row a household, day and slot; sums are divided by ``rows_scale``, the same for all."""

    table: TrainingTable
    rows_scale: float

    @property
    def n_households(self) -> int:
        """N."""
        return self.table.n_devices

    def start(self) -> Floats:
        """The activity head of the public prior, shape (D,)."""
        return np.array(Model.prior().alpha, dtype=np.float64)

    def gradients(self, theta: Floats) -> Floats:
        """See `Learner`."""
        return slot_gradients(self.table, theta) / self.rows_scale

    def curvatures(self, theta: Floats) -> Floats:
        """See `Learner`."""
        return slot_curvatures(self.table, theta) / self.rows_scale

    def local_updates(self, theta: Floats, steps: int, rate: float) -> Floats:
        """See `Learner`."""
        if steps == 1:
            count = np.maximum(np.diff(self.table.bounds), 1)[:, None]
            return np.asarray(rate * slot_gradients(self.table, theta) / count)
        change = np.zeros((self.n_households, DIMENSION))
        for device, (start, stop) in enumerate(zip(self.table.bounds[:-1], self.table.bounds[1:], strict=True)):
            x, y, own = self.table.x[start:stop], self.table.y[start:stop], theta.copy()
            for _ in range(steps if len(y) else 0):
                own += rate * ((y - expit(x @ own.astype(np.float32))) @ x) / len(y)
            change[device] = own - theta
        return change


@dataclass(frozen=True, slots=True)
class SlotRows:
    """Rows of the drawn households by split; training rows are of the last ``train_days`` days before November."""

    train: TrainingTable
    tune: TrainingTable
    test: TrainingTable

    @classmethod
    def draw(cls, task: SlotTask, *, households: int, train_days: int, seed: int) -> "SlotRows":
        """Draw households without replacement; rows start on a household's 28th day in every split."""
        chosen = np.sort(np.random.default_rng(seed).choice(task.n_households, households, replace=False))
        last = task.start_ordinal + task.activity.shape[1] - 1
        every = build_table(task.activity[chosen], task.start_ordinal, last)
        end = task.activity.shape[1]
        first: dict[Split, int] = {
            "train": task.days("train").stop - train_days,
            "tune": task.days("tune").start,
            "test": task.days("test").start,
        }
        stop = {"train": task.days("train").stop, "tune": task.days("tune").stop, "test": end}
        return cls(*(_days(every, end - first[split], end - stop[split]) for split in ("train", "tune", "test")))


def _days(table: TrainingTable, first_back: int, last_back: int) -> TrainingTable:
    """Rows of the days from ``first_back`` to ``last_back`` (excluded) days before each household's last row."""
    ends, sizes = table.bounds[1:], np.diff(table.bounds)
    low = ends - np.minimum(first_back * 7, sizes)
    high = ends - np.minimum(last_back * 7, sizes)
    rows = np.concatenate([np.arange(a, b) for a, b in zip(low, high, strict=True)])
    bounds = np.concatenate([[0], np.cumsum(high - low)]).astype(np.int64)
    return TrainingTable(table.x[rows], table.y[rows], bounds)


def log_loss(x: NDArray[np.floating[Any]], y: NDArray[np.floating[Any]], theta: Floats) -> float:
    """Mean log-loss in nats of the rows (n, D), (n,)."""
    logit = np.asarray(x @ theta.astype(x.dtype), dtype=np.float64)
    loss = float(np.mean(np.logaddexp(0.0, logit) - y * logit))
    return loss if math.isfinite(loss) else math.inf
