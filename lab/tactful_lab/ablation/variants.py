"""The optimisers compared, what each may choose, and one run of one: clip, sum, noise, step, all rounds charged.

A run is the fast rehearsal of `tactful_lab.contacts.private`: the plan's integers and price are real ones, the noise is
a seeded normal of the variance that all hosts together add, and nobody is protected by it.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tactful_lab.ablation.learners import Floats, Learner
from tactful_lab.ablation.statistics import TASK, JointNewton
from tactful_lab.contacts.private import Charge, Learned, rehearsed_plan
from tactful_lab.contacts.settings import FederationSetting
from tactful_privacy.accounting.calibration import Calibration, calibrate
from tactful_privacy.mechanisms.clip import clip
from tactful_privacy.wire import Block
from tactful_server.aggregation import FedAvg, ServerOptimiser
from tactful_server.fed_adam import FedAdam
from tactful_server.newton import PrivateNewton

Choice = Mapping[str, float]
"""What was chosen, by name: rounds, clip_norm and the variant's own."""


@dataclass(frozen=True, slots=True)
class Variant:
    """An optimiser by kind, and the values that its tuning may choose from, by name."""

    name: str
    kind: str
    grid: Mapping[str, Sequence[float]]

    def choices(self) -> Iterator[Choice]:
        """Every combination of the grid."""
        for values in itertools.product(*self.grid.values()):
            yield dict(zip(self.grid, values, strict=True))


def optimiser_of(kind: str, choice: Choice, start: Floats) -> ServerOptimiser:
    """The server's side of a variant."""
    if kind == "adam":
        return FedAdam(choice["server_rate"])
    if kind == "newton":
        rounds = int(choice["rounds"])
        return PrivateNewton(
            (Block("alpha", len(start)),),
            curvature_rounds=max(1, min(rounds - 1, round(rounds * choice["curvature_share"]))),
            curvature_scale=choice["curvature_scale"],
            decay=choice["decay"],
            ridge_factor=choice["ridge_factor"],
        )
    if kind == "statistics":
        return JointNewton(start, choice["curvature_scale"], choice["prior_precision"], choice["ridge_factor"])
    return FedAvg(choice["server_rate"], choice.get("momentum", 0.0))


def contributions(learner: Learner, task: str, choice: Choice, theta: Floats, curvature: Floats | None) -> Floats:
    """What the households send for a task at θ, unclipped, (N, k); ``curvature`` is that at the public start."""
    if task == "gradient":
        return learner.gradients(theta)
    if task == "curvature" and curvature is not None:
        return curvature * choice["curvature_scale"]
    if task == TASK:
        first = curvature if curvature is not None and np.array_equal(theta, learner.start()) else None
        packed = learner.curvatures(theta) if first is None else first
        return np.concatenate([learner.gradients(theta), packed * choice["curvature_scale"]], axis=1)
    return learner.local_updates(theta, int(choice["local_steps"]), choice["local_rate"])


@lru_cache(maxsize=4096)
def _calibration(
    who: FederationSetting, epsilon: float, rounds: int, clip_norm: float, devices: int, dimension: int
) -> Calibration:
    return calibrate(
        epsilon=epsilon,
        delta=who.delta,
        participations=rounds,
        n_min=who.n_min,
        colluders=who.colluders,
        clip_norm=clip_norm,
        total_devices=devices,
        dimension=dimension,
        n_hosts=who.hosts,
    )


@dataclass(slots=True)
class Trial:
    """Everything of a run but the choice and the seed; ``curvature`` is kept, since it is asked for at the start."""

    learner: Learner
    who: FederationSetting
    epsilon: float
    curvature: Floats | None = None

    def run(self, variant: Variant, choice: Choice, seed: int) -> Learned:
        """Run all rounds; the noise is seeded, every round is charged the dearest one's price."""
        theta, rng, rho = self.learner.start(), np.random.default_rng(seed), 0.0
        if variant.kind in ("newton", "statistics") and self.curvature is None:
            self.curvature = self.learner.curvatures(theta)
        optimiser, rounds = optimiser_of(variant.kind, choice, theta), int(choice["rounds"])
        for _ in range(rounds):
            sent = contributions(self.learner, optimiser.task, choice, theta, self.curvature)
            grid = self._grid(choice, sent.shape[1])
            theta = self._round(optimiser, theta, sent, grid, rng)
            rho = max(rho, float(grid.rho_per_round))
        return Learned(theta, Charge(self.who.delta, rounds, rho if math.isfinite(self.epsilon) else math.inf))

    def _grid(self, choice: Choice, dimension: int) -> Calibration:
        n, rounds = self.learner.n_households, int(choice["rounds"])
        return _calibration(self.who, self.epsilon, rounds, choice["clip_norm"], n, dimension)

    def _round(
        self, optimiser: ServerOptimiser, theta: Floats, sent: Floats, grid: Calibration, rng: np.random.Generator
    ) -> Floats:
        clipped = clip(sent, math.ldexp(grid.clip_units, -grid.grid_exponent))
        deviation, n = math.sqrt(self.who.hosts) * grid.sigma_host, self.learner.n_households
        total = clipped.sum(axis=0) + deviation * rng.standard_normal(clipped.shape[1])
        plan = rehearsed_plan(self.who, grid, optimiser.task, clipped.shape[1])
        return optimiser.step(theta, total / n, plan, deviation / n)
