"""What every trainer does alike: check the plan's task, go through the devices in blocks, append the reported loss."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from tactful.training.protocol import (
    HEAD_TASKS,
    LOSS_CENTRE,
    LOSS_WIDTH,
    TASKS,
    Table,
    UnknownTask,
    task_layout,
)
from tactful.training.tables import TrainingTable
from tactful_privacy.wire import RoundPlan

Array = NDArray[np.float64]
_CHUNK_ROWS = 65_536
_MOST_EPOCHS = 100
_DEFAULTS = {"rows_scale": 1.0, "curvature_scale": 1.0, "learning_rate": 1.0, "epochs": 1.0, "window_d": 0.0}
MOST_WINDOW_D = 2 * 366


def settings_of(plan: RoundPlan) -> dict[str, float]:
    """Return the task's numbers.

    Raises:
        UnknownTask: they would hang or divide by zero.
    """
    given = {name: float(value) for name, value in plan.settings}
    own = {name: given[f"{plan.task}.{name}"] for name in _DEFAULTS if f"{plan.task}.{name}" in given}
    chosen = _DEFAULTS | given | own
    if not 0 <= chosen["window_d"] <= MOST_WINDOW_D:
        raise UnknownTask(f"is {chosen['window_d']:g}", field="window_d", remedy=f"give 0 to {MOST_WINDOW_D} days")
    if chosen["rows_scale"] <= 0.0 or not 1.0 <= chosen["epochs"] <= _MOST_EPOCHS:
        remedy = f"give rows_scale above 0 and 1 to {_MOST_EPOCHS} epochs"
        raise UnknownTask("asks for what is not done here", field="settings", remedy=remedy)
    return chosen


def contributions_by_block(
    plan: RoundPlan,
    table: Table,
    update: Callable[[Mapping[str, float], TrainingTable], Array],
    losses: Callable[[TrainingTable], Array],
) -> Array:
    """Return one row for each device, shape (n, plan.dimension); see `Trainer.contributions`.

    Args:
        plan: of the round.
        table: rows of n devices.
        update: from the task's settings and a block of devices to their updates, shape (devices, block length).
        losses: from a block of devices to their mean losses, shape (devices,); NaN where a device has no rows.

    Raises:
        UnknownTask: the plan's task, its settings or one of its statistics is not known.
    """
    if plan.task not in TASKS or not isinstance(table, TrainingTable):
        remedy = f"use the numpy trainer for {', '.join(HEAD_TASKS)}"
        raise UnknownTask(f"{plan.task!r} is not done here", field="task", remedy=remedy)
    unknown = [s.name for s in plan.statistics if s.name != "log_loss"]
    if unknown or tuple(plan.layout) != task_layout(plan.task):
        what = unknown[0] if unknown else plan.task
        raise UnknownTask(f"{what!r} has another shape here", field="layout", remedy="install the SDK it is for")
    settings = settings_of(plan)

    def rows(part: TrainingTable) -> Array:
        if not plan.statistics:
            return update(settings, part)
        half_range = plan.statistics[0].half_range_units * plan.grid
        scaled = np.clip((losses(part) - LOSS_CENTRE) / LOSS_WIDTH, -1.0, 1.0) * half_range
        return np.column_stack([update(settings, part), np.nan_to_num(scaled, nan=0.0)])

    parts = [rows(_part(table, *cut)) for cut in cuts(table)]
    return np.concatenate(parts) if parts else np.zeros((0, plan.dimension))


def cuts(table: Table) -> list[tuple[int, int]]:
    """Ranges of whole devices with about `_CHUNK_ROWS` rows, so that memory stays flat as devices grow."""
    found, start = [], 0
    for device in range(1, table.n_devices + 1):
        if table.bounds[device] - table.bounds[start] >= _CHUNK_ROWS or device == table.n_devices:
            found.append((start, device))
            start = device
    return found


def _part(table: TrainingTable, first: int, last: int) -> TrainingTable:
    rows = slice(int(table.bounds[first]), int(table.bounds[last]))
    return TrainingTable(table.x[rows], table.y[rows], table.bounds[first : last + 1] - table.bounds[first])
