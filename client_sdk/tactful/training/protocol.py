"""The tasks of a round, and what a trainer must be able to do.

A contribution is one vector for each device. Three tasks, all on the activity head α with labels y and p = σ(α·φ):

``gradient``
    Σ (y − p) φ / rows_scale: the device's ascent direction, shape (D,).
``curvature``
    curvature_scale · Σ p(1 − p) φφᵀ / rows_scale, its upper triangle row by row, off-diagonal entries times √2 so that
    the vector's norm is the matrix's Frobenius norm; shape (D(D + 1)/2,). Needs no labels.
``fedavg``
    the change of α after local gradient steps, shape (D,).

``rows_scale`` is public and the same for all: dividing by a device's own number of rows would say how many it has.
The statistic ``log_loss`` is the device's mean loss, moved by `LOSS_CENTRE` and divided by `LOSS_WIDTH` into [-1, 1].
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tactful.features import DIMENSION
from tactful.model import Model
from tactful.training.tables import TrainingTable
from tactful_privacy.errors import TactfulError
from tactful_privacy.wire import Block, RoundPlan

TASKS = ("curvature", "fedavg", "gradient")
LOSS_CENTRE = 0.1
LOSS_WIDTH = 0.1


class UnknownTask(TactfulError):
    """A plan asks for a computation that this SDK does not have; it never runs code that a server sent."""


def task_layout(task: str) -> tuple[Block, ...]:
    """Return the blocks of a contribution to ``task``.

    Raises:
        UnknownTask: no trainer knows the task.
    """
    sizes = {"gradient": DIMENSION, "fedavg": DIMENSION, "curvature": DIMENSION * (DIMENSION + 1) // 2}
    if task not in sizes:
        raise UnknownTask(f"{task!r} is not known", field="task", remedy=f"use one of {', '.join(TASKS)}")
    return (Block(task, sizes[task]),)


class Trainer(Protocol):
    """Computes contributions of a block of devices. Deterministic: no privacy noise is added here."""

    @property
    def name(self) -> str:
        """Which trainer this is, for reports."""
        ...

    def contributions(self, plan: RoundPlan, model: Model, table: TrainingTable) -> NDArray[np.float64]:
        """Return one row for each device, shape (n, plan.dimension): the task's blocks, then the plan's statistics.

        A device without rows contributes the zero vector. Nothing is clipped here.

        Raises:
            UnknownTask: the plan's task or one of its statistics is not known.
        """
        ...
