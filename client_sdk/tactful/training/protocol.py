"""The tasks of a round, and what a trainer must be able to do.

A contribution is one vector for each device. Three tasks, all on the activity head α with labels y and p = σ(α·φ):

``gradient``
    Σ (y − p) φ / rows_scale: the device's ascent direction, shape (D,).
``curvature``
    curvature_scale · Σ p(1 − p) φφᵀ / rows_scale, its upper triangle row by row, off-diagonal entries times √2 so that
    the vector's norm is the matrix's Frobenius norm; shape (D(D + 1)/2,). Needs no labels.
``fedavg``
    the change of α after local gradient steps, shape (D,).

Four more tasks train one head of the model each: ``activity`` on the same rows, ``effect``, ``hazard`` and ``value``
on decisions (`tactful.training.heads`). A contribution is gradient and curvature in one vector, [g | curvature_scale ·
H] / rows_scale. ``window_d`` asks hosts for rows of the newest finished days alone, so that each is used once, and of
``activity`` they leave out slots into which a push was sent: what people do unasked is not to be learned there.
Settings may be given for one task alone as ``effect.rows_scale``.

``rows_scale`` is public and the same for all: dividing by a device's own number of rows would say how many it has.
The statistic ``log_loss`` is the device's mean loss, moved by `LOSS_CENTRE` and divided by `LOSS_WIDTH` into [-1, 1].
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tactful.features import DIMENSION
from tactful.model import Model
from tactful.training.heads import HEADS, PushTable, head_size
from tactful.training.tables import TrainingTable
from tactful_privacy.errors import TactfulError
from tactful_privacy.wire import Block, RoundPlan

TASKS = ("curvature", "fedavg", "gradient")
"""Tasks of every trainer."""
HEAD_TASKS = tuple(sorted(HEADS))
"""Tasks of trainers that know all heads of the model."""
Table = TrainingTable | PushTable
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
    sizes |= {head: head_size(head) + head_size(head) * (head_size(head) + 1) // 2 for head in HEAD_TASKS}
    if task not in sizes:
        raise UnknownTask(f"{task!r} is not known", field="task", remedy=f"use one of {', '.join(sizes)}")
    return (Block(task, sizes[task]),)


class Trainer(Protocol):
    """Computes contributions of a block of devices. Deterministic: no privacy noise is added here."""

    @property
    def name(self) -> str:
        """Which trainer this is, for reports."""
        ...

    def contributions(self, plan: RoundPlan, model: Model, table: Table) -> NDArray[np.float64]:
        """Return one row for each device, shape (n, plan.dimension): the task's blocks, then the plan's statistics.

        ``table`` is a `PushTable` for ``effect``, ``hazard`` and ``value``, else a `TrainingTable`. A device without
        rows contributes the zero vector. Nothing is clipped here.

        Raises:
            UnknownTask: the plan's task or one of its statistics is not known, or of another table.
        """
        ...
