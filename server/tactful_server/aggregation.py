"""From the opened sum to the next model: decode, divide by public numbers, step.

The divisor is the sum of the *planned* devices of the hosts in the sum: public, fixed before the round, and never a
number that a host reports.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.errors import InvalidInput
from tactful_privacy.mechanisms.grid import decode
from tactful_privacy.validate import at_least, positive
from tactful_privacy.wire import Block, KeyDirectory, RoundPlan

Layout = tuple[Block, ...]
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Opened:
    """What a round's sum says: the mean over planned devices, in model units.

    Attributes:
        update: mean contribution, shape (sum of the plan's block lengths,).
        statistics: mean of each reported number by name.
        planned_devices: the divisor.
    """

    update: Vector
    statistics: Mapping[str, float]
    planned_devices: int


def mean_of(total: NDArray[np.int64], plan: RoundPlan, directory: KeyDirectory, survivors: tuple[str, ...]) -> Opened:
    """Decode the opened sum and divide it by the planned devices of the answering hosts.

    Args:
        total: opened sum in grid units, shape (plan.dimension,), parameters then statistics.
        plan: for the grid 2^-j and the names of the statistics.
        directory: for the planned devices of each host.
        survivors: hosts whose contributions are in the sum.

    Raises:
        InvalidInput: the sum's shape is not the plan's, or no device was planned.
    """
    if total.shape != (plan.dimension,):
        raise InvalidInput(f"has shape {total.shape}", field="total", remedy=f"give shape ({plan.dimension},)")
    devices = sum(entry.planned_devices for entry in directory.entries if entry.host_id in set(survivors))
    at_least(1, planned_devices=devices)
    mean = decode(total, plan.grid_exponent) / devices
    split = plan.dimension - len(plan.statistics)
    names = (statistic.name for statistic in plan.statistics)
    return Opened(mean[:split], dict(zip(names, map(float, mean[split:]), strict=True)), devices)


class ServerOptimiser(Protocol):
    """How the server turns a mean contribution into the next parameters. Deterministic, so that a round can resume."""

    @property
    def task(self) -> str:
        """Name of the local task whose contributions this optimiser understands."""
        ...

    def contribution_layout(self, model: Layout) -> Layout:
        """The blocks of a contribution for a model of this layout."""
        ...

    def step(self, parameters: Vector, mean_update: Vector, plan: RoundPlan) -> Vector:
        """Return the next parameters, shape as ``parameters``; the optimiser's own state moves along."""
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

    def step(self, parameters: Vector, mean_update: Vector, plan: RoundPlan) -> Vector:  # noqa: ARG002 - the protocol's
        """Return θ + lr·v; raises `InvalidInput` when the update has another shape than the parameters."""
        _same_shape(parameters, mean_update)
        before = np.zeros_like(parameters) if self.velocity is None else self.velocity
        self.velocity = self.momentum * before + mean_update
        return parameters + self.learning_rate * self.velocity

    def dump(self) -> bytes:
        """The velocity, exact."""
        return _dump({} if self.velocity is None else {"velocity": self.velocity})

    def load(self, state: bytes) -> None:
        """Take the velocity over."""
        self.velocity = _load(state).get("velocity")


@dataclass(slots=True)
class Newton:
    """Steps by the averaged curvature: θ ← θ - lr·(H + λI)⁻¹ g.

    A contribution is ``gradient`` (d numbers: the gradient of the device's loss at the plan's model, times
    ``gradient_scale``) and ``curvature`` (the upper triangle of its Hessian row by row, d(d+1)/2 numbers, times
    ``curvature_scale``). Noise makes H indefinite, so it is averaged over rounds and its eigenvalues are floored.

    Args:
        learning_rate: lr, above 0.
        ridge: λ, the floor of the curvature, above 0, in units of the loss per squared parameter.
        memory: weight of earlier rounds' curvature, in [0, 1).
        gradient_scale: by which devices multiplied their gradient.
        curvature_scale: by which devices multiplied their curvature.
    """

    learning_rate: float = 1.0
    ridge: float = 1e-3
    memory: float = 0.0
    gradient_scale: float = 1.0
    curvature_scale: float = 1.0
    curvature: Vector | None = None
    weight: float = 0.0
    task: str = "newton"

    def __post_init__(self) -> None:
        positive(
            learning_rate=self.learning_rate,
            ridge=self.ridge,
            gradient_scale=self.gradient_scale,
            curvature_scale=self.curvature_scale,
        )
        if not 0 <= self.memory < 1:
            raise InvalidInput(f"is {self.memory}", field="memory", remedy="give 0 <= memory < 1")

    def contribution_layout(self, model: Layout) -> Layout:
        """``gradient`` with d numbers and ``curvature`` with d(d+1)/2, d being the model's size."""
        size = sum(block.length for block in model)
        return (Block("gradient", size), Block("curvature", size * (size + 1) // 2))

    def step(self, parameters: Vector, mean_update: Vector, plan: RoundPlan) -> Vector:  # noqa: ARG002 - the protocol's
        """Return θ - lr·(H + λI)⁻¹ g; raises `InvalidInput` when the update has another shape."""
        size = len(parameters)
        _same_shape(np.empty(size + size * (size + 1) // 2), mean_update)
        gradient = mean_update[:size] / self.gradient_scale
        before = np.zeros(len(mean_update) - size) if self.curvature is None else self.curvature
        self.curvature = self.memory * before + mean_update[size:] / self.curvature_scale
        self.weight = self.memory * self.weight + 1.0
        values, vectors = np.linalg.eigh(symmetric(self.curvature / self.weight, size))
        floored = np.maximum(values, 0.0) + self.ridge
        return np.asarray(parameters - self.learning_rate * (vectors @ ((vectors.T @ gradient) / floored)))

    def dump(self) -> bytes:
        """The remembered curvature and its weight, exact."""
        if self.curvature is None:
            return _dump({})
        return _dump({"curvature": self.curvature, "weight": np.array([self.weight])})

    def load(self, state: bytes) -> None:
        """Take curvature and weight over."""
        parts = _load(state)
        self.curvature = parts.get("curvature")
        self.weight = float(parts["weight"][0]) if "weight" in parts else 0.0


def symmetric(triangle: Vector, size: int) -> Vector:
    """Return the symmetric matrix, shape (size, size), whose upper triangle row by row is ``triangle``."""
    matrix = np.zeros((size, size))
    matrix[np.triu_indices(size)] = triangle
    return matrix + np.triu(matrix, 1).T


def _same_shape(wanted: Vector, given: Vector) -> None:
    if wanted.shape != given.shape:
        raise InvalidInput(f"has shape {given.shape}", field="mean_update", remedy=f"give shape {wanted.shape}")


def _dump(parts: Mapping[str, Vector]) -> bytes:
    """Floats as hexadecimal text: exact and readable."""
    return json.dumps({name: [float(x).hex() for x in value] for name, value in parts.items()}).encode()


def _load(state: bytes) -> dict[str, Vector]:
    if not state:
        return {}
    try:
        return {name: np.array([float.fromhex(x) for x in value]) for name, value in json.loads(state).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidInput(f"unreadable: {error}", field="state", remedy="give what dump() returned") from error
