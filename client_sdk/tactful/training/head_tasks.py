"""The tasks that train one head each: from a table of devices to gradient and curvature in one vector."""

import numpy as np
from numpy.typing import NDArray

from tactful.model import Model
from tactful.training import heads
from tactful.training.blocks import cuts, settings_of
from tactful.training.heads import PUSH_ROWS, HeadRows, PushTable
from tactful.training.protocol import Table, UnknownTask, task_layout
from tactful.training.tables import TrainingTable
from tactful_privacy.wire import RoundPlan


def head_contributions(plan: RoundPlan, model: Model, table: Table) -> NDArray[np.float64]:
    """Return one row for each device, shape (n, plan.dimension); see `tactful.training.protocol`.

    Raises:
        UnknownTask: the plan has statistics or another layout, or the table is of another task.
    """
    if plan.statistics or tuple(plan.layout) != task_layout(plan.task):
        remedy = "plan the layout of the task, and no statistics"
        raise UnknownTask(f"{plan.task!r} has another shape here", field="layout", remedy=remedy)
    if isinstance(table, PushTable) != (plan.task in PUSH_ROWS):
        remedy = "give decisions for effect, hazard and value, and use of the app for activity"
        raise UnknownTask(f"{plan.task!r} learns from another table", field="table", remedy=remedy)
    settings = settings_of(plan)
    scales = settings["curvature_scale"], settings["rows_scale"]
    parts = [heads.contribution(_rows(plan.task, table, cut, model), *scales) for cut in cuts(table)]
    return np.concatenate(parts) if parts else np.zeros((0, plan.dimension))


def _rows(task: str, table: Table, cut: tuple[int, int], model: Model) -> HeadRows:
    if isinstance(table, PushTable):
        return PUSH_ROWS[task](table.devices(*cut), model)
    rows = slice(int(table.bounds[cut[0]]), int(table.bounds[cut[1]]))
    bounds = table.bounds[cut[0] : cut[1] + 1] - table.bounds[cut[0]]
    return heads.activity_rows(TrainingTable(table.x[rows], table.y[rows], bounds), model)
