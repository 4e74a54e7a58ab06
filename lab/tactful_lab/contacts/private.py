"""The federation in fast rehearsal: each household's contribution clipped, summed, noised, and the server's optimiser.

The plan of each round is a real one: `calibrate` gives its integers for the households that take part, all rounds
together cost (ε, δ), and the server's optimisers read the plan as they do in a federation. What the rehearsal leaves
out: rounding to the grid (steps of 2^-20 or so), masks and drop-outs, which do not change the sum; and the noise is
drawn as a normal from a seeded generator instead of the exact discrete Gaussian from OS entropy, with the variance that
all the hosts together add, more than the honest ones that the price counts. It protects nobody and is no federation.

Unit of privacy: a household, zero-out adjacency, over all its contacts and all rounds.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from tactful_lab.contacts.features import KINDS, NAMES
from tactful_lab.contacts.records import Floats, Ints
from tactful_lab.contacts.settings import FedAvgSetting, FederationSetting, NewtonSetting
from tactful_privacy.accounting.calibration import Calibration, calibrate
from tactful_privacy.accounting.zcdp import epsilon as epsilon_of
from tactful_privacy.mechanisms.clip import clip
from tactful_privacy.wire import Block, RoundPlan
from tactful_server.aggregation import FedAvg, ServerOptimiser
from tactful_server.newton import PrivateNewton

BLOCK = "alpha"
_NO_DIGEST = bytes(32)


@dataclass(frozen=True, slots=True, eq=False)
class HouseholdTable:
    """Contacts in order of household: features (n, D), labels (n,), household of each 0..N−1 without gaps (n,)."""

    x: Floats
    y: Floats
    household: Ints

    @classmethod
    def of(cls, x: Floats, y: NDArray[np.number[Any]], household: Ints) -> "HouseholdTable":
        """Sort contacts by household and number the households anew."""
        order = np.argsort(household, kind="stable")
        _, index = np.unique(household[order], return_inverse=True)
        return cls(x[order], y[order].astype(np.float64), index.astype(np.int64))

    @property
    def n_households(self) -> int:
        """N, the devices of the federation."""
        return int(self.household[-1]) + 1

    def select(self, households: NDArray[np.intp]) -> "HouseholdTable":
        """The contacts of some households only, numbered anew in the order of their numbers."""
        chosen = np.isin(self.household, households)
        return HouseholdTable.of(self.x[chosen], self.y[chosen], self.household[chosen])

    def summed(self, rows: Floats) -> Floats:
        """Sum rows (n, k) within each household, shape (N, k)."""
        first = np.searchsorted(self.household, np.arange(self.n_households))
        return np.asarray(np.add.reduceat(rows, first, axis=0))


def start(prior_rate: float) -> Floats:
    """The public prior, shape (D,): each campaign type at the given rate, every other coefficient 0."""
    theta = np.zeros(len(NAMES))
    theta[: len(KINDS)] = logit(prior_rate)
    return theta


def gradients(table: HouseholdTable, theta: Floats) -> Floats:
    """Σ (y − p) φ of each household, shape (N, D)."""
    return table.summed((table.y - expit(table.x @ theta))[:, None] * table.x)


def curvatures(table: HouseholdTable, theta: Floats) -> Floats:
    """Packed Σ p(1 − p) φφᵀ of each household, shape (N, D(D + 1)/2), √2 off the diagonal."""
    p = expit(table.x @ theta)
    rows, columns = np.triu_indices(table.x.shape[1])
    factor = np.where(rows == columns, 1.0, math.sqrt(2.0))
    return table.summed((p * (1 - p))[:, None] * table.x[:, rows] * table.x[:, columns] * factor)


def local_updates(table: HouseholdTable, theta: Floats, setting: FedAvgSetting) -> Floats:
    """Change of θ by full-batch gradient steps on each household's mean log-loss, shape (N, D)."""
    count = np.bincount(table.household).astype(np.float64)[:, None]
    change = np.zeros((table.n_households, len(theta)))
    for _ in range(setting.local_steps):
        p = expit(np.einsum("nd,nd->n", table.x, theta + change[table.household]))
        change += setting.local_rate * table.summed((table.y - p)[:, None] * table.x) / count
    return change


@dataclass(frozen=True, slots=True)
class Charge:
    """What a run costs: the zCDP ρ of each round, none free, and δ; infinite without noise."""

    delta: float
    rounds: int
    rho_per_round: float

    @property
    def central_epsilon(self) -> float:
        """ε at δ of all rounds together, for one household (zero-out adjacency)."""
        return epsilon_of(self.rounds * self.rho_per_round, self.delta)


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """The released parameters, shape (D,), and what they cost."""

    theta: Floats
    charge: Charge


def rehearsed_plan(who: FederationSetting, grid: Calibration, task: str, length: int) -> RoundPlan:
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
        n_hosts=who.hosts,
        n_min=who.n_min,
        colluders=who.colluders,
        share_threshold=who.n_min,
        deadline_unix_s=0,
        rho=grid.rho_per_round,
        previous_head=_NO_DIGEST,
    )


@dataclass(slots=True)
class Rehearsal:
    """Rounds for one table of households; ``rng`` draws the noise."""

    who: FederationSetting
    epsilon: float
    rounds: int
    clip_norm: float
    table: HouseholdTable
    rng: np.random.Generator

    def calibration(self, dimension: int) -> Calibration:
        """The integers of a round of this dimension, for (ε, δ) over all rounds."""
        return calibrate(
            epsilon=self.epsilon,
            delta=self.who.delta,
            participations=self.rounds,
            n_min=self.who.n_min,
            colluders=self.who.colluders,
            clip_norm=self.clip_norm,
            total_devices=self.table.n_households,
            dimension=dimension,
            n_hosts=self.who.hosts,
        )

    def round(self, optimiser: ServerOptimiser, theta: Floats, contributions: Floats) -> Floats:
        """Clip, sum, add noise, divide by the public number of households, and let the server step."""
        grid = self.calibration(contributions.shape[1])
        plan = rehearsed_plan(self.who, grid, optimiser.task, contributions.shape[1])
        clipped = clip(contributions, math.ldexp(grid.clip_units, -grid.grid_exponent))
        deviation = math.sqrt(self.who.hosts) * grid.sigma_host
        total = clipped.sum(axis=0) + deviation * self.rng.standard_normal(clipped.shape[1])
        n = self.table.n_households
        return optimiser.step(theta, total / n, plan, deviation / n)

    def charge(self, dimensions: set[int]) -> Charge:
        """The dearest round's price, which every round is charged."""
        rho = max(float(self.calibration(dimension).rho_per_round) for dimension in dimensions)
        return Charge(self.who.delta, self.rounds, rho if math.isfinite(self.epsilon) else math.inf)


def newton_optimiser(size: int, setting: NewtonSetting) -> PrivateNewton:
    """The server's optimiser for a model of one block of this size."""
    return PrivateNewton(
        (Block(BLOCK, size),),
        curvature_rounds=setting.curvature_rounds,
        curvature_scale=setting.curvature_scale,
        decay=setting.decay,
        ridge_factor=setting.ridge_factor,
        ridge_floor=setting.ridge_floor,
    )


def newton(
    table: HouseholdTable, who: FederationSetting, setting: NewtonSetting, *, epsilon: float, seed: int
) -> Learned:
    """Curvature rounds, then gradient rounds, by the server's `PrivateNewton`; every round is charged.

    Args:
        table: the households' contacts.
        who: hosts, δ and the public start.
        setting: the optimiser's.
        epsilon: central ε at δ over all rounds; an infinity adds no noise.
        seed: of the noise.
    """
    theta, size = start(who.prior_rate), table.x.shape[1]
    optimiser = newton_optimiser(size, setting)
    rehearsal = Rehearsal(who, epsilon, setting.rounds, setting.clip_norm, table, np.random.default_rng(seed))
    curvature = curvatures(table, theta) * setting.curvature_scale  # at the public start in every curvature round
    for _ in range(setting.rounds):
        contributions = curvature if optimiser.task == "curvature" else gradients(table, theta)
        theta = rehearsal.round(optimiser, theta, contributions)
    return Learned(theta, rehearsal.charge({size, curvature.shape[1]}))


def fedavg(
    table: HouseholdTable, who: FederationSetting, setting: FedAvgSetting, *, epsilon: float, seed: int
) -> Learned:
    """DP-FedAvg (arXiv:1710.06963, without sampling): local steps, clip, noise, mean; all charged. See `newton`."""
    theta = start(who.prior_rate)
    optimiser = FedAvg(learning_rate=setting.server_rate, momentum=setting.momentum)
    rehearsal = Rehearsal(who, epsilon, setting.rounds, setting.clip_norm, table, np.random.default_rng(seed))
    for _ in range(setting.rounds):
        theta = rehearsal.round(optimiser, theta, local_updates(table, theta, setting))
    return Learned(theta, rehearsal.charge({len(theta)}))
