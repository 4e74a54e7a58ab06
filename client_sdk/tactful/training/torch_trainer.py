"""The second trainer: the same model in torch, differentiated by autograd instead of by hand (extra ``train``).

It computes in float64, so it is also the oracle of `NumpyTrainer`, which computes in float32. Nothing here repeats that
trainer's formulas: only the loss is written down, and every task is a derivative of it.

``gradient``
    the derivative by copies of α: each device has one of its own and rows of its own, so the derivative of Σ over
    devices falls apart into the devices' gradients.
``curvature``
    that gradient differentiated again.
``fedavg``
    gradient steps on those copies, for all devices at once.

Per-sample gradients, by Opacus' `GradSampleModule`, are what `tactful.training.opacus_trainer` sums and what
event-level DP-SGD clips.

Importing this module without torch and Opacus raises `TrainExtraMissing`.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from tactful.features import DIMENSION
from tactful.model import Model
from tactful.training.blocks import contributions_by_block
from tactful.training.extra import TrainExtraMissing
from tactful.training.protocol import Table
from tactful.training.tables import TrainingTable
from tactful_privacy.wire import RoundPlan

try:  # types are checked with and without the extra: what must be ignored in one case is unused in the other
    import torch  # type: ignore[import-not-found, unused-ignore]
    from opacus.grad_sample import GradSampleModule
except ModuleNotFoundError as missing:
    raise TrainExtraMissing(missing) from missing

Array = NDArray[np.float64]


def tensor(values: NDArray[np.float32] | Array) -> torch.Tensor:
    """Return a float64 copy: torch may not share memory with an array that is read-only."""
    return torch.from_numpy(np.array(values, dtype=np.float64))


def activity_head(alpha: Array) -> torch.nn.Linear:
    """Return the linear head α·φ as a module: weight float64 (1, DIMENSION), no bias (a feature is always one).

    The usual random start is left out, so that the caller's seeds are not touched.
    """
    head = torch.nn.Linear(DIMENSION, 1, bias=False, dtype=torch.float64, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        head.weight.copy_(tensor(alpha)[None, :])
    return head


def log_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return each row's loss in nats, shape (rows,): −log p if the label is 1, −log(1 − p) if it is 0."""
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")


def backpropagate(module: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    """Leave each row's gradient of its loss in the ``grad_sample`` of the parameters of a `GradSampleModule`.

    The input asks for a gradient too: without one, torch warns that Opacus' hooks see none.
    """
    torch.autograd.backward(log_loss(module(x.requires_grad_())[:, 0], y).sum())


def per_sample_gradients(table: TrainingTable, alpha: Array) -> Array:
    """Return (y − p) φ of each row, shape (rows, DIMENSION): the gradient of its log-likelihood."""
    head = activity_head(alpha)
    backpropagate(GradSampleModule(head, loss_reduction="sum"), tensor(table.x), tensor(table.y))
    gradient: Array = -head.weight.grad_sample[:, 0].numpy()  # type: ignore[attr-defined, unused-ignore]
    return gradient


def sums(values: torch.Tensor, table: TrainingTable) -> torch.Tensor:
    """Sum rows device by device: (rows, ...) to (n, ...); devices without rows get zero."""
    return torch.segment_reduce(values, "sum", lengths=torch.from_numpy(np.diff(table.bounds)), axis=0, initial=0.0)


class _Devices:
    """Rows of n devices as tensors, and the losses of n copies of α, one for each device."""

    def __init__(self, table: TrainingTable) -> None:
        self.count = torch.from_numpy(np.diff(table.bounds))
        self.of_row = torch.repeat_interleave(torch.arange(table.n_devices), self.count)
        self.x, self.y = tensor(table.x), tensor(table.y)

    def copies(self, alpha: Array) -> torch.Tensor:
        """Return α for each device, shape (n, DIMENSION)."""
        return tensor(alpha).repeat(len(self.count), 1).requires_grad_()

    def row_losses(self, local: torch.Tensor) -> torch.Tensor:
        """Return each row's loss under its own device's α, shape (rows,)."""
        return log_loss((self.x * local.index_select(0, self.of_row)).sum(dim=1), self.y)


def gradients(table: TrainingTable, alpha: Array) -> Array:
    """Return Σ of the gradients of each device's log-likelihood, shape (n, DIMENSION)."""
    devices = _Devices(table)
    local = devices.copies(alpha)
    (total,) = torch.autograd.grad(devices.row_losses(local).sum(), local)
    gradient: Array = -total.numpy()
    return gradient


def curvatures(table: TrainingTable, alpha: Array) -> Array:
    """Return the packed upper triangle of the Hessian of each device's loss, shape (n, DIMENSION(DIMENSION + 1)/2)."""
    devices = _Devices(table)
    local = devices.copies(alpha)
    (first,) = torch.autograd.grad(devices.row_losses(local).sum(), local, create_graph=True)
    second = [torch.autograd.grad(first[:, k].sum(), local, retain_graph=True)[0] for k in range(DIMENSION)]
    rows, columns = np.triu_indices(DIMENSION)
    packed: Array = torch.stack(second, dim=1).numpy()[:, rows, columns]
    return packed * np.where(rows == columns, 1.0, np.sqrt(2.0))


def local_steps(table: TrainingTable, alpha: Array, learning_rate: float, epochs: int) -> Array:
    """Return each device's change of α after full-batch gradient steps on its mean loss, shape (n, DIMENSION)."""
    devices = _Devices(table)
    start = devices.copies(alpha)
    local, weight = start, 1.0 / devices.count.index_select(0, devices.of_row)
    for _ in range(epochs):
        (step,) = torch.autograd.grad((devices.row_losses(local) * weight).sum(), local)
        local = (local.detach() - learning_rate * step).requires_grad_()
    change: Array = (local - start).detach().numpy()
    return change


def losses(table: TrainingTable, alpha: Array) -> Array:
    """Return the mean log-loss of each device in nats, shape (n,); NaN for a device without rows."""
    count = torch.from_numpy(np.diff(table.bounds))
    with torch.no_grad():
        each = log_loss(tensor(table.x) @ tensor(alpha), tensor(table.y))
        mean: Array = (sums(each, table) / count).numpy()
    return mean


class TorchTrainer:
    """The tasks of `NumpyTrainer` by torch in float64; slower, and the reference where the two differ."""

    name = "torch"

    def contributions(self, plan: RoundPlan, model: Model, table: Table) -> Array:
        """Return one row for each device, shape (n, plan.dimension); see `Trainer.contributions`."""
        return activity_contributions(plan, model, table, gradients, curvatures, local_steps)


def activity_contributions(
    plan: RoundPlan,
    model: Model,
    table: Table,
    gradient: Callable[[TrainingTable, Array], Array],
    curvature: Callable[[TrainingTable, Array], Array],
    steps: Callable[[TrainingTable, Array, float, int], Array],
) -> Array:
    """Return one row for each device from what the three tasks compute; see `Trainer.contributions`."""
    alpha = model.alpha

    def update(settings: Mapping[str, float], part: TrainingTable) -> Array:
        if plan.task == "gradient":
            return gradient(part, alpha) / settings["rows_scale"]
        if plan.task == "curvature":
            return curvature(part, alpha) * (settings["curvature_scale"] / settings["rows_scale"])
        return steps(part, alpha, settings["learning_rate"], int(settings["epochs"]))

    return contributions_by_block(plan, table, update, lambda part: losses(part, alpha))
