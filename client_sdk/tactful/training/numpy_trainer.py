"""The default trainer: plain numpy, all devices of a block at once."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from tactful.features import DIMENSION
from tactful.model import Model
from tactful.training.blocks import contributions_by_block
from tactful.training.head_tasks import head_contributions
from tactful.training.local_steps import local_steps
from tactful.training.protocol import HEAD_TASKS, Table
from tactful.training.tables import TrainingTable
from tactful_privacy.wire import RoundPlan

Array = NDArray[np.float64]


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # e^-x of a far-off logit is infinite, and 1/(1 + ∞) the right zero
        return np.asarray(1.0 / (1.0 + np.exp(-logits)), dtype=np.float32)


def _probabilities(table: TrainingTable, alpha: Array) -> NDArray[np.float32]:
    return _sigmoid(table.x @ alpha.astype(np.float32))


def _sum_by_device(values: NDArray[np.float32], bounds: NDArray[np.int64]) -> Array:
    """Sum rows device by device: (rows, k) to (n, k); devices without rows get zero."""
    total = np.zeros((len(bounds) - 1, values.shape[1]))
    some = np.nonzero(bounds[1:] > bounds[:-1])[0]
    if some.size:
        total[some] = np.add.reduceat(values, bounds[some], axis=0, dtype=np.float64)
    return total


def gradients(table: TrainingTable, alpha: Array) -> Array:
    """Return Σ (y − p) φ of each device, shape (n, DIMENSION): the gradient of its log-likelihood."""
    residual = table.y - _probabilities(table, alpha)
    total = np.zeros((table.n_devices, DIMENSION))
    for device, (start, stop) in enumerate(zip(table.bounds[:-1], table.bounds[1:], strict=True)):
        total[device] = residual[start:stop] @ table.x[start:stop]
    return total


def curvatures(table: TrainingTable, alpha: Array) -> Array:
    """Return the packed upper triangle of Σ p(1 − p) φφᵀ of each device, shape (n, DIMENSION(DIMENSION + 1)/2)."""
    p = _probabilities(table, alpha)
    weight = np.sqrt(p * (1.0 - p))[:, None]
    rows, columns = np.triu_indices(DIMENSION)
    factor = np.where(rows == columns, 1.0, np.sqrt(2.0))
    packed = np.zeros((table.n_devices, rows.size))
    for device, (start, stop) in enumerate(zip(table.bounds[:-1], table.bounds[1:], strict=True)):
        weighted = table.x[start:stop] * weight[start:stop]
        packed[device] = (weighted.T @ weighted)[rows, columns] * factor
    return packed


def losses(table: TrainingTable, alpha: Array) -> Array:
    """Return the mean log-loss of each device in nats, shape (n,); NaN for a device without rows."""
    logits = table.x @ alpha.astype(np.float32)
    count = np.diff(table.bounds).astype(np.float64)
    with np.errstate(invalid="ignore"):
        each = np.logaddexp(np.float32(0.0), logits) - table.y * logits
        mean: Array = _sum_by_device(each[:, None], table.bounds)[:, 0] / count
    return mean


class NumpyTrainer:
    """Vectorised over the rows of a block of devices; memory does not grow with their number beyond the table."""

    name = "numpy"

    def contributions(self, plan: RoundPlan, model: Model, table: Table) -> Array:
        """Return one row for each device, shape (n, plan.dimension); see `Trainer.contributions`."""
        if plan.task in HEAD_TASKS:
            return head_contributions(plan, model, table)
        alpha = model.alpha
        tasks: dict[str, Callable[[Mapping[str, float], TrainingTable], Array]] = {
            "gradient": lambda s, part: gradients(part, alpha) / s["rows_scale"],
            "curvature": lambda s, part: curvatures(part, alpha) * (s["curvature_scale"] / s["rows_scale"]),
            "fedavg": lambda s, part: local_steps(
                part.x, part.y, part.bounds, alpha, s["learning_rate"], int(s["epochs"])
            ),
        }
        return contributions_by_block(
            plan, table, lambda s, part: tasks[plan.task](s, part), lambda part: losses(part, alpha)
        )
