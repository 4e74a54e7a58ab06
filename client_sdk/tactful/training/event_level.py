"""Event-level DP-SGD inside the device, by Opacus with the operating system's entropy (extra ``train``).

A second guarantee beside that of the round, never a part of it: the two ε protect different things, are reported apart
and are never added. The round's promise is for the whole person and holds without this module.

What is protected: one training row, that is one (day, slot) of one device with its features and its label, against
whoever sees that device's contribution before it is summed. Neighbouring: one row added or removed. A row's features
are taken as they are. One tap of a person changes the label of one row and the features of later rows, so this is no
promise about one tap: the round's is. Composed over the steps of all rounds in which the device's contribution left.

Importing this module without torch and Opacus raises `TrainExtraMissing`.
"""

import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tactful.model import Model
from tactful.training.blocks import settings_of
from tactful.training.extra import TrainExtraMissing
from tactful.training.heads import PushTable
from tactful.training.os_noise import gaussian, poisson_sample
from tactful.training.protocol import UnknownTask, task_layout
from tactful.training.tables import TrainingTable
from tactful_privacy.errors import InvalidInput
from tactful_privacy.mechanisms.entropy import Entropy
from tactful_privacy.validate import at_least, fraction, positive
from tactful_privacy.wire import RoundPlan

try:  # types are checked with and without the extra: what must be ignored in one case is unused in the other
    import torch  # type: ignore[import-not-found, unused-ignore]
    from opacus.accountants import PRVAccountant, RDPAccountant
    from opacus.grad_sample import GradSampleModule
    from opacus.optimizers.optimizer import DPOptimizer, _check_processed_flag, _mark_as_processed

    from tactful.training.torch_trainer import activity_head, backpropagate, tensor
except ModuleNotFoundError as missing:
    raise TrainExtraMissing(missing) from missing

Array = NDArray[np.float64]
_ORDERS = [1 + k / 100 for k in range(1, 10)] + RDPAccountant.DEFAULT_ALPHAS + [2.0**k for k in range(6, 15)]
_TASKS = ("fedavg", "gradient", "curvature")
_FAR = 700.0  # beyond, e^x is infinite in float64
_EDGE_OF_ORDERS = "Optimal order is the"  # at the edge of the orders the bound is loose, not wrong


@dataclass(frozen=True, slots=True)
class EventLevelReport:
    """ε of one row of one device, apart from the ε of the person and never added to it.

    Attributes:
        epsilon: an upper bound at ``delta``, neighbours differing by one row.
        delta: strictly between 0 and 1.
        noise_multiplier: standard deviation of the noise over the clip norm.
        sampling_rate: probability that a row is in a batch.
        steps: noised steps in all, over all rounds.
    """

    epsilon: float
    delta: float
    noise_multiplier: float
    sampling_rate: float
    steps: int


@dataclass(frozen=True, slots=True)
class EventLevel:
    """What a device decides about event-level noise; all of it is public, and none of it comes from a plan.

    Attributes:
        noise_multiplier: standard deviation of the noise over ``max_grad_norm``, above 0.
        max_grad_norm: bound on the L2 norm of one row's gradient.
        sampling_rate: probability that a row is in a batch, above 0, at most 1.
        steps: noised steps for each round, at least 1.
        expected_rows: what a device is taken to have, the same for all: a step is the noised sum over
            ``sampling_rate · expected_rows``. A device's own number would tell how many rows it has. Of the task
            ``fedavg`` alone: the other tasks divide by the plan's ``rows_scale``.
        max_curvature_norm: bound on what one row adds to the curvature, as Frobenius norm.
    """

    noise_multiplier: float
    max_grad_norm: float
    sampling_rate: float
    steps: int
    expected_rows: float
    max_curvature_norm: float = 0.5

    def __post_init__(self) -> None:
        positive(
            noise_multiplier=self.noise_multiplier,
            max_grad_norm=self.max_grad_norm,
            expected_rows=self.expected_rows,
            max_curvature_norm=self.max_curvature_norm,
        )
        at_least(1, steps=self.steps)
        if not 0.0 < self.sampling_rate <= 1.0:
            raise InvalidInput(f"is {self.sampling_rate!r}", field="sampling_rate", remedy="give a rate in (0, 1]")

    def report(self, *, rounds: int, delta: float, accountant: Literal["prv", "rdp"] = "rdp") -> EventLevelReport:
        """Return what ``rounds`` rounds cost a row of a device, by Opacus' accountant.

        Args:
            rounds: in which the device's contribution left (`PrivacyBudget.rounds_joined`); at least 0.
            delta: strictly between 0 and 1.
            accountant: "rdp" (Mironov, Talwar, Zhang, arXiv:1908.10530) or "prv" (Gopi, Lee, Wutschitz,
                arXiv:2106.02848), which is tighter and slower. Theorem numbers were not checked here.

        Raises:
            InvalidInput: an argument is out of range, or beyond what the accountant can compute ("prv" at a rate of 1).
        """
        at_least(0, rounds=rounds)
        fraction(delta=delta)
        if accountant not in ("prv", "rdp"):
            raise InvalidInput(f"is {accountant!r}", field="accountant", remedy="use 'prv' or 'rdp'")
        steps = rounds * self.steps
        epsilon = 0.0 if steps == 0 else self._epsilon(steps, delta, accountant)
        return EventLevelReport(epsilon, delta, self.noise_multiplier, self.sampling_rate, steps)

    def _epsilon(self, steps: int, delta: float, accountant: str) -> float:
        book = RDPAccountant() if accountant == "rdp" else PRVAccountant()
        book.history = [(self.noise_multiplier, self.sampling_rate, steps)]
        orders = {"alphas": _ORDERS} if accountant == "rdp" else {}
        try:
            with warnings.catch_warnings(), np.errstate(divide="raise", over="raise", invalid="raise"):
                warnings.filterwarnings("ignore", message=_EDGE_OF_ORDERS, category=UserWarning)
                return max(0.0, float(book.get_epsilon(delta, **orders)))
        except (FloatingPointError, RuntimeError, ValueError) as reason:
            raise InvalidInput(f"has no answer ({reason})", field="accountant", remedy="use 'rdp'") from reason


class OsNoiseOptimizer(DPOptimizer):  # type: ignore[misc]  # Opacus carries no types
    """Opacus' optimiser with noise from the operating system. A step on an empty batch is noise alone, and is noised.

    `DPOptimizer` draws from torch's seeded generator, and Opacus' ``secure_mode`` needs torchcsprng, which is not built
    for this torch; here neither is used. What it clips and how it steps stays Opacus'.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        *,
        noise_multiplier: float,
        max_grad_norm: float,
        expected_batch_size: float,
        entropy: Entropy = os.urandom,
    ) -> None:
        super().__init__(
            optimizer,
            noise_multiplier=noise_multiplier,
            max_grad_norm=max_grad_norm,
            expected_batch_size=expected_batch_size,
            loss_reduction="mean",
        )
        self._entropy = entropy

    def add_noise(self) -> None:
        """Leave the noised sum in ``p.grad``: standard deviation noise_multiplier · max_grad_norm a coordinate."""
        for parameter in self.params:
            _check_processed_flag(parameter.summed_grad)
            drawn = torch.from_numpy(gaussian(parameter.numel(), entropy=self._entropy)).to(parameter.dtype)
            noise = drawn.view_as(parameter) * (self.noise_multiplier * self.max_grad_norm)
            parameter.grad = parameter.summed_grad.view_as(parameter) + noise
            _mark_as_processed(parameter.summed_grad)


class EventLevelTrainer:
    """The tasks of a round by DP-SGD, device by device; a trainer like the others otherwise.

    ``fedavg`` takes noised steps. ``gradient`` and ``curvature`` are one noised sum of clipped rows over the sampling
    rate, so a level of several steps is refused for them.

    Two things differ from `Trainer`, for the sake of the guarantee. A device without rows contributes noise, since a
    zero vector would say that it has none. A plan with statistics is refused, since they carry no event-level noise.
    The plan's ``epochs`` is not used: the device's own `EventLevel.steps` is, so that no server spends more. A row that
    is not finite counts as one whose gradient is zero.
    """

    name = "torch event-level"

    def __init__(self, level: EventLevel, *, entropy: Entropy = os.urandom) -> None:
        self.level = level
        self._entropy = entropy

    def contributions(self, plan: RoundPlan, model: Model, table: TrainingTable | PushTable) -> Array:
        """Return one row for each device, shape (n, plan.dimension), noised.

        Raises:
            UnknownTask: the task is not known or takes one step where the level has several, or there are statistics.
            EntropyFailure: the operating system gave no randomness; nothing may leave.
        """
        several = plan.task != "fedavg" and self.level.steps != 1
        if plan.task not in _TASKS or tuple(plan.layout) != task_layout(plan.task) or plan.statistics or several:
            remedy = f"ask for {', '.join(_TASKS)} without statistics, the last two in one step"
            raise UnknownTask(f"{plan.task!r} cannot be noised by event", field="task", remedy=remedy)
        if isinstance(table, PushTable):
            raise UnknownTask("is a table of decisions", field="table", remedy="give rows of activity")
        settings, rows = settings_of(plan), np.zeros((table.n_devices, plan.dimension))
        for device, (start, stop) in enumerate(zip(table.bounds[:-1], table.bounds[1:], strict=True)):
            x, y = table.x[start:stop], table.y[start:stop]
            finite = np.isfinite(x).all(axis=1) & np.isfinite(y)
            phi, labels = tensor(np.where(finite[:, None], x, 0.0)), tensor(np.where(finite, y, 0.0))
            rows[device] = self._contribution(plan.task, settings, model.alpha, phi, labels)
        return rows

    def _contribution(
        self, task: str, settings: Mapping[str, float], alpha: Array, phi: torch.Tensor, labels: torch.Tensor
    ) -> Array:
        if task == "gradient":
            return self._gradient(alpha, phi, labels) / settings["rows_scale"]
        if task == "curvature":
            return self._curvature(alpha, phi) * (settings["curvature_scale"] / settings["rows_scale"])
        return self._change(alpha, phi, labels, settings["learning_rate"])

    def _batch(self, rows: int) -> torch.Tensor:
        return torch.from_numpy(poisson_sample(rows, self.level.sampling_rate, entropy=self._entropy))

    def _gradient(self, alpha: Array, phi: torch.Tensor, labels: torch.Tensor) -> Array:
        """Return the noised sum of a batch's clipped gradients over the sampling rate, shape (DIMENSION,)."""
        head = activity_head(alpha)
        module, optimizer = GradSampleModule(head, loss_reduction="sum"), self._optimizer(head, 1.0)
        batch = self._batch(len(labels))
        backpropagate(module, phi[batch], labels[batch])
        optimizer.clip_and_accumulate()
        optimizer.add_noise()
        noised: Array = -head.weight.grad[0].numpy()  # type: ignore[index, unused-ignore]
        return noised / self.level.sampling_rate

    def _curvature(self, alpha: Array, phi: torch.Tensor) -> Array:
        """Return the same of p(1 − p) φφᵀ, packed. A row's Frobenius norm, and length in this packing: p(1 − p)‖φ‖²."""
        x = phi[self._batch(len(phi))].numpy()
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ alpha, -_FAR, _FAR)))
        square = np.einsum("ij,ij->i", x, x)
        weight = np.minimum(p * (1.0 - p), self.level.max_curvature_norm / np.maximum(square, 1e-12))
        rows, columns = np.triu_indices(len(alpha))
        total = (x.T @ (x * weight[:, None]))[rows, columns] * np.where(rows == columns, 1.0, math.sqrt(2.0))
        noise = gaussian(len(rows), entropy=self._entropy)
        noised: Array = total + noise * (self.level.noise_multiplier * self.level.max_curvature_norm)
        return noised / self.level.sampling_rate

    def _change(self, alpha: Array, phi: torch.Tensor, labels: torch.Tensor, rate: float) -> Array:
        level, head = self.level, activity_head(alpha)
        module, optimizer = GradSampleModule(head, loss_reduction="sum"), self._optimizer(head, rate)
        for _ in range(level.steps):
            batch = self._batch(len(labels))
            backpropagate(module, phi[batch], labels[batch])
            optimizer.step()
            optimizer.zero_grad()
        change: Array = head.weight.detach().numpy()[0] - alpha
        return change

    def _optimizer(self, head: torch.nn.Linear, rate: float) -> OsNoiseOptimizer:
        return OsNoiseOptimizer(
            torch.optim.SGD(head.parameters(), lr=rate),
            noise_multiplier=self.level.noise_multiplier,
            max_grad_norm=self.level.max_grad_norm,
            expected_batch_size=self.level.sampling_rate * self.level.expected_rows,
            entropy=self._entropy,
        )
