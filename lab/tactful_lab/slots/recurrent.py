"""The recurrent model on the slot task: trained on pooled days, and rehearsed as a federation (extra ``train``).

The rehearsal asks the real trainer for every household's contribution to a real plan, whose noise, price and clip norm
are those of a federation of five hosts. It leaves out what does not change the sum: masks, drop-outs, rounding to the
grid. Its noise is a normal from a seeded generator with the variance that all the hosts add; it protects nobody.
"""

import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tactful.training.gru import GruModel, SequenceTable
from tactful_lab.slots.baselines import Scores
from tactful_lab.slots.task import SlotTask, Split
from tactful_privacy.mechanisms.clip import clip
from tactful_privacy.wire import HostEntry, KeyDirectory, RoundPlan
from tactful_server.plans import RoundStart, RoundTerms, build_plan

Array = NDArray[np.float64]
Watch = Callable[[int, GruModel], None]
_PART = 256


@dataclass(frozen=True, slots=True)
class Central:
    """How the pooled model is trained; see ``recurrent.toml``."""

    epochs: int
    households_per_step: int
    learning_rate: float
    gradient_norm: float
    seed: int


@dataclass(frozen=True, slots=True)
class Federated:
    """How the federation is rehearsed; see ``recurrent.toml``."""

    rounds: int
    clip_norm: float
    rows_scale: int
    learning_rate: float
    hosts: int
    n_min: int
    seed: int


def load() -> tuple[Central, Federated]:
    """Read the committed settings."""
    text = (resources.files("tactful_lab.slots") / "recurrent.toml").read_text(encoding="utf-8")
    table: dict[str, Any] = tomllib.loads(text)
    return Central(**table["central"]), Federated(**table["federated"])


def sequences(task: SlotTask, split: Split) -> SequenceTable:
    """The days of all households up to the end of a split."""
    return SequenceTable(task.activity[:, : task.days(split).stop], task.first_day.astype(np.int64), task.start_ordinal)


def scores(task: SlotTask, model: GruModel, split: Split) -> Scores:
    """Probabilities of each slot of the split's days, shape (N, days, 7), by the SDK's own numpy forward pass."""
    table, first = sequences(task, split), task.days(split).start
    parts = [
        model.logits(table.part(start, min(start + _PART, table.n_devices)))[:, first:]
        for start in range(0, table.n_devices, _PART)
    ]
    return (1.0 / (1.0 + np.exp(-np.concatenate(parts)))).astype(np.float32)


def fit_central(task: SlotTask, chosen: Central, watch: Watch | None = None) -> GruModel:
    """Train on the pooled days of all households up to October; see `tactful.training.gru_trainer.fit_pooled`."""
    from tactful.training.gru_trainer import fit_pooled

    return fit_pooled(
        sequences(task, "train"),
        epochs=chosen.epochs,
        devices_per_step=chosen.households_per_step,
        learning_rate=chosen.learning_rate,
        gradient_norm=chosen.gradient_norm,
        seed=chosen.seed,
        watch=watch,
    )


class FedAdam:
    """Adam on the server, on the mean ascent direction (arXiv:2003.00295), its first steps corrected as Adam does."""

    def __init__(self, learning_rate: float, size: int, *, momentum: float = 0.9, memory: float = 0.99) -> None:
        self.learning_rate, self.momentum, self.memory = learning_rate, momentum, memory
        self._steps, self._first, self._second = 0, np.zeros(size), np.zeros(size)

    def step(self, parameters: Array, mean_update: Array, share: float = 1.0) -> Array:
        """Return the next parameters, shape as ``parameters``, after ``share`` of the learning rate."""
        self._steps += 1
        self._first = self.momentum * self._first + (1 - self.momentum) * mean_update
        self._second = self.memory * self._second + (1 - self.memory) * mean_update**2
        first = self._first / (1 - self.momentum**self._steps)
        second = self._second / (1 - self.memory**self._steps)
        moved: Array = parameters + share * self.learning_rate * first / (np.sqrt(second) + 1e-12)
        return moved


def plan_of(n_households: int, chosen: Federated, epsilon: float, delta: float) -> RoundPlan:
    """The plan of every round: ``hosts`` hosts share the households, (ε, δ) over all rounds."""
    from tactful.training.gru_trainer import gru_layout

    sizes = [len(part) for part in np.array_split(np.arange(n_households), chosen.hosts)]
    entries = tuple(HostEntry(f"host-{i}", bytes([i]) * 32, size) for i, size in enumerate(sizes, start=1))
    terms = RoundTerms(
        epsilon=epsilon,
        delta=delta,
        participations=chosen.rounds,
        clip_norm=chosen.clip_norm,
        n_min=chosen.n_min,
        settings=(("rows_scale", Fraction(chosen.rows_scale)),),
    )
    start = RoundStart(1, bytes(32), bytes(32), 0)
    return build_plan(terms, KeyDirectory("rehearsal", entries), "gru_gradient", gru_layout("gru_gradient"), start)


def rehearse(
    task: SlotTask, chosen: Federated, *, epsilon: float, delta: float = 1e-6, watch: Watch | None = None
) -> GruModel:
    """Learn from every household's clipped gradient under the noise of (ε, δ) over all rounds.

    Args:
        task: the households; days after October are not used.
        chosen: settings.
        epsilon: central ε at ``delta`` over all rounds, each household in each; infinite for no noise.
        delta: the δ beside it.
        watch: told (rounds so far, model) after every round.
    """
    from tactful.training.gru_trainer import GruTrainer

    table, rng = sequences(task, "train"), np.random.default_rng(chosen.seed)
    plan, trainer = plan_of(table.n_devices, chosen, epsilon, delta), GruTrainer(fast=True)
    deviation = math.sqrt(plan.n_hosts * float(plan.noise_variance_units)) * plan.grid
    model = GruModel.prior()
    server = FedAdam(chosen.learning_rate, len(model.to_parameters()))
    for number in range(1, chosen.rounds + 1):
        clipped = clip(trainer.contributions(plan, model, table), plan.clip_units * plan.grid)
        noised = clipped.sum(axis=0) + deviation * rng.standard_normal(clipped.shape[1])
        share = 1.0 - (number - 1) / chosen.rounds  # shrinking steps average the noise of all rounds
        model = GruModel.from_parameters(server.step(model.to_parameters(), noised / table.n_devices, share))
        if watch is not None:
            watch(number, model)
    return model
