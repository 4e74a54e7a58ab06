"""The third trainer: `tactful.training.gru.GruModel` by torch, differentiated by autograd (extra ``train``).

Every device has a copy of the parameters and days of its own, so that one backward pass through all days of a block of
devices gives each device's gradient; `torch.func.vmap` has no rule for torch's own recurrent units, and Opacus'
replacement for them computes the same numbers.

``gru_gradient``
    Σ over a device's labels of the gradient of its log-likelihood, / rows_scale.
``gru_fedavg``
    the change of the parameters after local gradient steps on its mean loss.

A contribution has the 490 numbers of the model, in one block named after the task, and is clipped, encoded, masked and
noised as any other is. Importing this module without torch raises `TrainExtraMissing`.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tactful.features import SLOTS
from tactful.training.blocks import settings_of
from tactful.training.extra import TrainExtraMissing
from tactful.training.gru import HIDDEN, GruModel, SequenceTable
from tactful.training.protocol import LOSS_CENTRE, LOSS_WIDTH, UnknownTask
from tactful_privacy.wire import Block, RoundPlan

try:  # types are checked with and without the extra: what must be ignored in one case is unused in the other
    import torch  # type: ignore[import-not-found, unused-ignore]
except ModuleNotFoundError as missing:
    raise TrainExtraMissing(missing) from missing

Array = NDArray[np.float64]

TASKS = ("gru_fedavg", "gru_gradient")
PARAMETERS = sum(block.length for block in GruModel.layout())
_BLOCK_DEVICES = 64


def gru_layout(task: str) -> tuple[Block, ...]:
    """Return the blocks of a contribution; raises `UnknownTask` for another task than `TASKS`."""
    if task not in TASKS:
        raise UnknownTask(f"{task!r} is not known", field="task", remedy=f"use one of {', '.join(TASKS)}")
    return (Block(task, PARAMETERS),)


class Sequences:
    """Inputs, labels and weights of some devices as tensors.

    Attributes:
        inputs: (n, days, 7, 5).
        labels: (n, days, 7).
        rows: which labels count, (n, days, 1), 0 or 1.
        started: (days, n, 1, 1), 0 or 1.
        weekday: (days,).
        count: labels that count, (n,).
    """

    def __init__(self, table: SequenceTable, dtype: torch.dtype = torch.float64) -> None:
        days = np.arange(table.activity.shape[1])
        self.inputs = torch.from_numpy(table.inputs()).to(dtype)
        self.labels = torch.from_numpy((table.activity > 0).astype(np.float64)).to(dtype)
        self.rows = torch.from_numpy(table.labelled().astype(np.float64)).to(dtype)[:, :, None]
        started = (days[:, None] >= table.first_day[None, :]).astype(np.float64)
        self.started = torch.from_numpy(started).to(dtype)[:, :, None, None]
        self.weekday = torch.from_numpy(table.weekdays()[:-1])
        self.count = self.rows.sum(dim=(1, 2)) * SLOTS

    def losses(self, parameters: torch.Tensor) -> torch.Tensor:
        """Return each device's summed loss, shape (n,), under parameters of shape (n, 490), or (1, 490) for all."""
        each = torch.nn.functional.binary_cross_entropy_with_logits(
            logits(parameters, self), self.labels, reduction="none"
        )
        total: torch.Tensor = (each * self.rows).sum(dim=(1, 2))
        return total


def logits(parameters: torch.Tensor, days: Sequences) -> torch.Tensor:
    """Return the logit of every slot of every day from the days before it, shape (n, days, 7).

    Args:
        parameters: (n, 490), a row for each device, or (1, 490), the same for all.
        days: of n devices.
    """
    copies, lengths = parameters.shape[0], [block.length for block in GruModel.layout()]
    into, across, into_bias, across_bias, output, offsets = torch.split(parameters, lengths, dim=1)
    across, across_bias = across.view(copies, HIDDEN, -1), across_bias.view(copies, 1, -1)
    n, length = days.labels.shape[:2]
    flat = days.inputs.reshape(n, length * SLOTS, -1)
    read = (torch.matmul(flat, into.view(copies, -1, 3 * HIDDEN)) + into_bias[:, None, :]).view(n, length, SLOTS, -1)
    state, states = torch.zeros((n, SLOTS, HIDDEN), dtype=parameters.dtype), []
    for now, started in zip(read.unbind(1), days.started.unbind(0), strict=True):
        states.append(state)
        kept = torch.matmul(state, across) + across_bias
        gates = torch.sigmoid(now[..., : 2 * HIDDEN] + kept[..., : 2 * HIDDEN])
        candidate = torch.tanh(now[..., 2 * HIDDEN :] + gates[..., :HIDDEN] * kept[..., 2 * HIDDEN :])
        state = torch.lerp(candidate, state, 1.0 - started * (1.0 - gates[..., HIDDEN:]))
    stacked = torch.stack(states, dim=1).view(n, length * SLOTS, HIDDEN)
    said = torch.matmul(stacked, output.view(copies, HIDDEN, 1)).view(n, length, SLOTS)
    return said + offsets.view(copies, SLOTS, 7)[:, :, days.weekday].transpose(1, 2)


def gradients(days: Sequences, parameters: torch.Tensor) -> torch.Tensor:
    """Return each device's gradient of its log-likelihood at its own row of ``parameters``, shape (n, 490)."""
    at = parameters.detach().requires_grad_()
    (total,) = torch.autograd.grad(days.losses(at).sum(), at)
    return -total


def local_steps(days: Sequences, start: torch.Tensor, learning_rate: float, epochs: int) -> torch.Tensor:
    """Return each device's change after gradient steps on its mean loss, shape (n, 490)."""
    local, rate = start, learning_rate / days.count.clamp(min=1.0)[:, None]
    for _ in range(epochs):
        local = local + rate * gradients(days, local)
    return local - start


class GruTrainer:
    """Contributions to `GruModel`; a trainer like the others, of another model and another table.

    Args:
        fast: float32 instead of float64, in half the time.
    """

    name = "torch GRU"

    def __init__(self, *, fast: bool = False) -> None:
        self._dtype = torch.float32 if fast else torch.float64

    def contributions(self, plan: RoundPlan, model: GruModel, table: SequenceTable) -> Array:
        """Return one row for each device, shape (n, plan.dimension): the task's block, then the plan's statistics.

        A device without labels contributes the zero vector. Nothing is clipped here.

        Raises:
            UnknownTask: the plan's task, its settings or one of its statistics is not known.
        """
        unknown = [s.name for s in plan.statistics if s.name != "log_loss"]
        if unknown or tuple(plan.layout) != gru_layout(plan.task):
            what = unknown[0] if unknown else plan.task
            raise UnknownTask(f"{what!r} has another shape here", field="layout", remedy="install the SDK it is for")
        update = self._update(plan)
        rows = np.zeros((table.n_devices, plan.dimension))
        start = torch.from_numpy(model.to_parameters()).to(self._dtype)
        for first in range(0, table.n_devices, _BLOCK_DEVICES):
            last = min(first + _BLOCK_DEVICES, table.n_devices)
            days = Sequences(table.part(first, last), self._dtype)
            rows[first:last, :PARAMETERS] = update(days, start.repeat(last - first, 1)).double().numpy()
            if plan.statistics:
                rows[first:last, PARAMETERS] = self._loss(plan, days, start)
        return rows

    def _update(self, plan: RoundPlan) -> Callable[[Sequences, torch.Tensor], torch.Tensor]:
        settings = settings_of(plan)
        if plan.task == "gru_gradient":
            return lambda days, start: gradients(days, start) / settings["rows_scale"]
        return lambda days, start: local_steps(days, start, settings["learning_rate"], int(settings["epochs"]))

    def _loss(self, plan: RoundPlan, days: Sequences, start: torch.Tensor) -> Array:
        """Each device's mean loss, centred, scaled and cut to ± the plan's half range, shape (n,); 0 without labels."""
        half_range = plan.statistics[0].half_range_units * plan.grid
        with torch.no_grad():
            mean = (days.losses(start[None, :]) / days.count).double().numpy()
        scaled: Array = np.clip((mean - LOSS_CENTRE) / LOSS_WIDTH, -1.0, 1.0) * half_range
        return np.nan_to_num(scaled, nan=0.0)


def fit_pooled(
    table: SequenceTable,
    *,
    epochs: int,
    devices_per_step: int,
    learning_rate: float,
    gradient_norm: float,
    seed: int,
    watch: Callable[[int, GruModel], None] | None = None,
) -> GruModel:
    """Train on days that lie together, by Adam (arXiv:1412.6980) in float32: for comparison alone, nothing is private.

    Args:
        table: the days of all devices.
        epochs: passes over the devices.
        devices_per_step: of each step, in an order drawn anew for each epoch.
        learning_rate: the highest; it rises and falls once.
        gradient_norm: to which the gradient of a step is cut, for stability.
        seed: of the start and of the orders.
        watch: told (epochs so far, model) after every epoch.
    """
    rng, model = np.random.default_rng(seed), GruModel.prior(seed)
    weights = torch.from_numpy(model.to_parameters()).float().requires_grad_()
    adam = torch.optim.Adam([weights], lr=learning_rate)
    steps = epochs * math.ceil(table.n_devices / devices_per_step)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, learning_rate, total_steps=steps)
    for epoch in range(1, epochs + 1):
        order = rng.permutation(table.n_devices)
        for start in range(0, table.n_devices, devices_per_step):
            days = Sequences(table.select(np.sort(order[start : start + devices_per_step])), torch.float32)
            adam.zero_grad()
            torch.autograd.backward(days.losses(weights[None, :]).sum() / days.count.sum())
            torch.nn.utils.clip_grad_norm_([weights], gradient_norm)
            adam.step()
            schedule.step()
        model = GruModel.from_parameters(weights.detach().double().numpy())
        if watch is not None:
            watch(epoch, model)
    return model
