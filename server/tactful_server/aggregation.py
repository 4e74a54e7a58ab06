"""From the opened sum to the next model: decode, divide by public numbers, step.

The divisor is the sum of the *planned* devices of the hosts in the sum: public, fixed before the round, and never a
number that a host reports.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.accounting.modes import CENTRAL, LOCAL
from tactful_privacy.errors import InvalidInput
from tactful_privacy.mechanisms.grid import decode
from tactful_privacy.validate import at_least, positive
from tactful_privacy.wire import Block, KeyDirectory, RoundPlan
from tactful_server.central import strategy_of

Layout = tuple[Block, ...]
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Opened:
    """What a round's sum says: the mean over planned devices, in model units.

    Attributes:
        update: mean contribution, shape (sum of the plan's block lengths,).
        statistics: mean of each reported number by name.
        planned_devices: the divisor.
        noise_std: standard deviation of the noise in each number of the mean, in model units.
    """

    update: Vector
    statistics: Mapping[str, float]
    planned_devices: int
    noise_std: float


def mean_of(
    total: NDArray[np.int64],
    plan: RoundPlan,
    directory: KeyDirectory,
    survivors: tuple[str, ...],
    audit_hosts: tuple[str, ...] = (),
) -> Opened:
    """Decode the opened sum and divide it by the planned devices of the answering hosts.

    Args:
        total: opened sum in grid units, shape (plan.dimension,): parameters, statistics, an audit's canaries. The
            canaries go no further than here.
        plan: for the grid 2^-j and the names of the statistics.
        directory: for the planned devices of each host.
        survivors: hosts whose contributions are in the sum.
        audit_hosts: hosts whose enrolments contribute zero to the model and do not count in the divisor.

    Raises:
        InvalidInput: the sum's shape is not the plan's, or no device was planned.
    """
    if total.shape != (plan.dimension,):
        raise InvalidInput(f"has shape {total.shape}", field="total", remedy=f"give shape ({plan.dimension},)")
    counted = set(survivors) - set(audit_hosts)
    devices = sum(entry.planned_devices for entry in directory.entries if entry.host_id in counted)
    at_least(1, planned_devices=devices)
    mean = decode(total[: plan.dimension - plan.canaries], plan.grid_exponent) / devices
    split = len(mean) - len(plan.statistics)
    names = (statistic.name for statistic in plan.statistics)
    noise_std = math.sqrt(_noise_variance(plan, len(survivors), devices)) * plan.grid / devices
    return Opened(mean[:split], dict(zip(names, map(float, mean[split:]), strict=True)), devices, noise_std)


def _noise_variance(plan: RoundPlan, hosts: int, devices: int) -> float:
    """Variance of the noise in each number of the sum, squared grid units; of planned devices in mode ``local``."""
    sources = {LOCAL: devices, CENTRAL: 1}.get(plan.mode, hosts)
    if plan.run is not None:
        return plan.noise_variance_units * strategy_of(plan.run).spread(plan.round_number - plan.run.first_round)
    return sources * float(plan.noise_variance_units)


class ServerOptimiser(Protocol):
    """How the server turns a mean contribution into the next parameters. Deterministic, so that a round can resume."""

    @property
    def task(self) -> str:
        """Name of the local task whose contributions this optimiser understands."""
        ...

    def contribution_layout(self, model: Layout) -> Layout:
        """The blocks of a contribution for a model of this layout."""
        ...

    def step(self, parameters: Vector, mean_update: Vector, plan: RoundPlan, noise_std: float = 0.0) -> Vector:
        """Return the next parameters, shape as ``parameters``; the optimiser's own state moves along.

        ``noise_std`` is the noise in each number of ``mean_update``: public, as it follows from the plan.
        """
        ...

    def dump(self) -> bytes:
        """The state as bytes."""
        ...

    def load(self, state: bytes) -> None:
        """Take over a state that `dump` returned; empty bytes are the state before the first step."""
        ...


@dataclass(slots=True)
class FedAvg:
    """Adds the mean update, with momentum: v ← m·v + u; θ ← θ + lr·v (arXiv:1909.06335, FedAvgM).

    Args:
        learning_rate: lr, above 0.
        momentum: m, in [0, 1).
    """

    learning_rate: float = 1.0
    momentum: float = 0.0
    velocity: Vector | None = None
    task: str = "fedavg"

    def __post_init__(self) -> None:
        positive(learning_rate=self.learning_rate)
        if not 0 <= self.momentum < 1:
            raise InvalidInput(f"is {self.momentum}", field="momentum", remedy="give 0 <= momentum < 1")

    def contribution_layout(self, model: Layout) -> Layout:
        """The model's own blocks."""
        return model

    def step(
        self,
        parameters: Vector,
        mean_update: Vector,
        plan: RoundPlan,  # noqa: ARG002 - the protocol's
        noise_std: float = 0.0,  # noqa: ARG002 - the protocol's
    ) -> Vector:
        """Return θ + lr·v; raises `InvalidInput` when the update has another shape than the parameters."""
        same_shape(parameters, mean_update)
        before = np.zeros_like(parameters) if self.velocity is None else self.velocity
        self.velocity = self.momentum * before + mean_update
        return parameters + self.learning_rate * self.velocity

    def dump(self) -> bytes:
        """The velocity, exact."""
        return dump_state({} if self.velocity is None else {"velocity": self.velocity})

    def load(self, state: bytes) -> None:
        """Take the velocity over."""
        self.velocity = load_state(state).get("velocity")


def same_shape(wanted: Vector, given: Vector) -> None:
    """Raise `InvalidInput` unless both vectors have one shape."""
    if wanted.shape != given.shape:
        raise InvalidInput(f"has shape {given.shape}", field="mean_update", remedy=f"give shape {wanted.shape}")


def dump_state(parts: Mapping[str, Vector]) -> bytes:
    """Return an optimiser's numbers as hexadecimal text: exact and readable."""
    return json.dumps({name: [float(x).hex() for x in value] for name, value in parts.items()}).encode()


def load_state(state: bytes) -> dict[str, Vector]:
    """Undo `dump_state`; empty bytes are no numbers. Raises `InvalidInput` for anything else."""
    if not state:
        return {}
    try:
        return {name: np.array([float.fromhex(x) for x in value]) for name, value in json.loads(state).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidInput(f"unreadable: {error}", field="state", remedy="give what dump() returned") from error
