"""The torch model with per-sample gradients by Opacus: every task is a sum of what single rows say (extra ``train``).

It is what event-level DP-SGD clips, without the clipping: the guarantee of a round stays user-level, and
`tactful.training.event_level` adds the other one.

``gradient``
    per-sample gradients by `GradSampleModule`, summed by device.
``curvature``
    Σ ℓ″ J Jᵀ with J a row's per-sample gradient of the logit and ℓ″ the second derivative of its loss by the logit,
    both by autograd. For a linear head that is the Hessian itself, since the logit has no second derivative.
``fedavg``
    steps along the mean of a device's per-sample gradients, device by device.

Importing this module without torch and Opacus raises `TrainExtraMissing`.
"""

import numpy as np
from numpy.typing import NDArray

from tactful.features import DIMENSION
from tactful.model import Model
from tactful.training.extra import TrainExtraMissing
from tactful.training.protocol import Table
from tactful.training.tables import TrainingTable
from tactful_privacy.wire import RoundPlan

try:  # types are checked with and without the extra: what must be ignored in one case is unused in the other
    import torch  # type: ignore[import-not-found, unused-ignore]
    from opacus.grad_sample import GradSampleModule

    from tactful.training import torch_trainer as by_torch
except ModuleNotFoundError as missing:
    raise TrainExtraMissing(missing) from missing

Array = NDArray[np.float64]


def gradients(table: TrainingTable, alpha: Array) -> Array:
    """Return the sum of the per-sample gradients of each device, shape (n, DIMENSION)."""
    each = torch.from_numpy(by_torch.per_sample_gradients(table, alpha))
    total: Array = by_torch.sums(each, table).numpy()
    return total


def curvatures(table: TrainingTable, alpha: Array) -> Array:
    """Return the packed upper triangle of Σ ℓ″ J Jᵀ of each device, shape (n, DIMENSION(DIMENSION + 1)/2)."""
    head = by_torch.activity_head(alpha)
    logits = GradSampleModule(head, loss_reduction="sum")(by_torch.tensor(table.x).requires_grad_())[:, 0]
    torch.autograd.backward(logits.sum())
    jacobian = head.weight.grad_sample[:, 0]  # type: ignore[attr-defined, unused-ignore]
    scaled = jacobian * _second_derivative(logits, table)[:, None].sqrt()
    rows, columns = np.triu_indices(DIMENSION)
    packed = np.zeros((table.n_devices, rows.size))
    for device, (start, stop) in enumerate(zip(table.bounds[:-1], table.bounds[1:], strict=True)):
        packed[device] = (scaled[start:stop].T @ scaled[start:stop]).numpy()[rows, columns]
    return packed * np.where(rows == columns, 1.0, np.sqrt(2.0))


def _second_derivative(logits: torch.Tensor, table: TrainingTable) -> torch.Tensor:
    at = logits.detach().requires_grad_()
    (first,) = torch.autograd.grad(by_torch.log_loss(at, by_torch.tensor(table.y)).sum(), at, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), at)
    return second


def local_steps(table: TrainingTable, alpha: Array, learning_rate: float, epochs: int) -> Array:
    """Return each device's change of α after full-batch steps on its mean loss, shape (n, DIMENSION)."""
    change = np.zeros((table.n_devices, DIMENSION))
    for device in np.flatnonzero(np.diff(table.bounds)):
        rows = slice(int(table.bounds[device]), int(table.bounds[device + 1]))
        x, y, head = by_torch.tensor(table.x[rows]), by_torch.tensor(table.y[rows]), by_torch.activity_head(alpha)
        module, optimiser = (
            GradSampleModule(head, loss_reduction="sum"),
            torch.optim.SGD(head.parameters(), learning_rate),
        )
        for _ in range(epochs):
            optimiser.zero_grad()
            by_torch.backpropagate(module, x, y)
            head.weight.grad = head.weight.grad_sample.mean(dim=0)  # type: ignore[attr-defined, unused-ignore]
            optimiser.step()
            head.weight.grad_sample = None  # type: ignore[attr-defined, unused-ignore]
        change[device] = head.weight.detach().numpy()[0] - alpha
    return change


class OpacusTrainer:
    """The tasks of `NumpyTrainer` from per-sample gradients by Opacus, in float64."""

    name = "torch + Opacus"

    def contributions(self, plan: RoundPlan, model: Model, table: Table) -> Array:
        """Return one row for each device, shape (n, plan.dimension); see `Trainer.contributions`."""
        return by_torch.activity_contributions(plan, model, table, gradients, curvatures, local_steps)
