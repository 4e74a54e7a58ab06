"""One round of the federation in fast rehearsal: clip each contribution, sum, add noise, let the server step.

The plan is a real one: `calibrate` gives its integers, all rounds together cost (ε, δ), and the server's optimisers
read it as they do in a federation. Left out are the grid's rounding, masks and drop-outs, which do not change the sum;
the noise is a normal from a seeded generator, so that a rehearsal can be repeated, with the variance that all hosts
together add. It protects nobody and is no federation.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.accounting.calibration import Calibration, calibrate
from tactful_privacy.accounting.zcdp import epsilon as epsilon_of
from tactful_privacy.errors import InvalidInput
from tactful_privacy.mechanisms.clip import clip
from tactful_privacy.wire import Block, RoundPlan
from tactful_server.aggregation import ServerOptimiser

Array = NDArray[np.float64]
_NO_DIGEST = bytes(32)


@dataclass(frozen=True, slots=True)
class Promise:
    """What every device is promised over a whole rehearsal, and among how many hosts the devices are spread.

    Attributes:
        epsilon: Central ε of one enrolment over all rounds, zero-out adjacency; infinite for no noise.
        delta: Its δ.
        rounds: Rounds that are paid for.
        hosts: Hosts, each with an equal share of the devices.
        n_min: Hosts whose noise is counted on, `colluders` among them not.
        colluders: t.
    """

    epsilon: float
    delta: float
    rounds: int
    hosts: int = 5
    n_min: int = 4
    colluders: int = 1


class PrivateSums:
    """Rounds under one promise for ``devices`` devices, clip norm 1; ``random`` draws the noise."""

    def __init__(self, promise: Promise, devices: int, random: np.random.Generator) -> None:
        self.promise, self.devices = promise, devices
        self._random = random
        self._grids: dict[int, Calibration] = {}
        self.rho_spent = 0.0
        self._rounds_used = 0

    @property
    def epsilon_spent(self) -> float:
        """ε at δ of the rounds so far, infinite without noise."""
        return epsilon_of(self.rho_spent, self.promise.delta) if math.isfinite(self.rho_spent) else math.inf

    def _grid(self, dimension: int) -> Calibration:
        if dimension not in self._grids:
            p = self.promise
            self._grids[dimension] = calibrate(
                epsilon=p.epsilon,
                delta=p.delta,
                participations=p.rounds,
                n_min=p.n_min,
                colluders=p.colluders,
                clip_norm=1.0,
                total_devices=self.devices,
                dimension=dimension,
                n_hosts=p.hosts,
            )
        return self._grids[dimension]

    def round(self, optimiser: ServerOptimiser, parameters: Array, blocks: Iterable[Array], dimension: int) -> Array:
        """Sum the contributions of all devices, given in blocks (m, dimension), and take the server's step.

        Raises:
            InvalidInput: All rounds of the promise have been used.
        """
        if self._rounds_used >= self.promise.rounds:
            raise InvalidInput("has no round left", field="promise", remedy=f"promise more than {self.promise.rounds}")
        self._rounds_used += 1
        grid = self._grid(dimension)
        private = math.isfinite(self.promise.epsilon)
        total = np.zeros(dimension)
        for block in blocks:
            limit = math.ldexp(grid.clip_units, -grid.grid_exponent)
            total += (clip(block, limit) if private else block).sum(axis=0)
        deviation = math.sqrt(self.promise.hosts) * grid.sigma_host if private else 0.0
        total += deviation * self._random.standard_normal(dimension)
        self.rho_spent += float(grid.rho_per_round) if private else math.inf
        plan = self._plan(grid, optimiser.task, dimension)
        return optimiser.step(parameters, total / self.devices, plan, deviation / self.devices)

    def _plan(self, grid: Calibration, task: str, length: int) -> RoundPlan:
        """A plan with the calibration's integers; digests and deadline are empty, as nothing is sent."""
        return RoundPlan(
            federation="rehearsal",
            round_number=1,
            attempt=0,
            mode="distributed",
            task=task,
            settings=(),
            model_digest=_NO_DIGEST,
            layout=(Block(task, length),),
            statistics=(),
            clip_units=grid.clip_units,
            grid_exponent=grid.grid_exponent,
            norm_bound_squared=grid.norm_bound_squared,
            noise_variance_units=grid.noise_variance_units,
            modulus_bits=32,
            roster_digest=_NO_DIGEST,
            n_hosts=self.promise.hosts,
            n_min=self.promise.n_min,
            colluders=self.promise.colluders,
            share_threshold=self.promise.n_min,
            deadline_unix_s=0,
            rho=grid.rho_per_round,
            previous_head=_NO_DIGEST,
        )
