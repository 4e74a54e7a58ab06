"""Recursive Newton steps: each round brings one head's gradient and curvature, and each row of data is used once.

With θ the head's parameters, ĝ and Ĥ the opened sums of a round, noise included, and Λ₀ the precision of the public
prior θ₀:

    A ← λA + Ĥ
    θ ← θ + (A₊ + Λ₀ + ridge·I)⁻¹ (ĝ − (1 − λ)·Λ₀(θ − θ₀))

which is the Laplace approximation of Bayesian logistic regression, one batch after the other (Spiegelhalter & Lauritzen
1990), and the extended Kalman filter with exponential forgetting for λ < 1 (West, Harrison & Migon 1985): old rounds
fade, and what is not seen any more goes back to the prior. A₊ is A without its negative eigenvalues, which noise makes.
``ridge`` keeps directions quiet in which A drowns in its own noise: `ridge_factor` times 2σ√d, the spectral norm of a
symmetric matrix with off-diagonal deviation σ (Wigner), known from the plans alone.

Contributions are means over planned devices, divided by ``rows_scale``; Λ₀ is for the whole federation, so the server
multiplies by the planned devices, a public number. The step of a round in which the noise outweighs the data is short
by itself: the prior and the ridge hold it.
"""

import math
from dataclasses import dataclass

import numpy as np

from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least, positive
from tactful_privacy.wire import Block, RoundPlan
from tactful_server.aggregation import Layout, Vector, dump_state, load_state, same_shape
from tactful_server.newton import unpacked


@dataclass(slots=True)
class RecursiveNewton:
    """One head of the model; see the module for the step.

    Args:
        model: the model's layout.
        head: name of the task, as the device knows it.
        blocks: the model's blocks that the head trains, in the order of its design.
        devices: planned devices of the federation, the factor from means to sums.
        prior: θ₀ in the model's units, the public start, shape (d,).
        prior_precision: diagonal of Λ₀ in the head's units, shape (d,), above 0.
        units: the model's unit of each of the head's parameters, shape (d,).
        curvature_scale: by which devices multiplied their curvature.
        rows_scale: by which devices divided everything.
        forgetting: λ in (0, 1].
        ridge_factor: ridge over the spectral norm of the noise in A.
        non_negative: how many of the last parameters are projected to 0 or above.
        most_step: the longest step of one round in the head's units, L2; longer ones are shortened.
    """

    model: Layout
    head: str
    blocks: tuple[str, ...]
    devices: int
    prior: Vector
    prior_precision: Vector
    units: Vector
    curvature_scale: float = 1.0
    rows_scale: float = 1.0
    forgetting: float = 1.0
    ridge_factor: float = 0.4
    non_negative: int = 0
    most_step: float = 10.0
    noise_variance: float = 0.0
    information: Vector | None = None

    def __post_init__(self) -> None:
        at_least(1, devices=self.devices)
        at_least(0, ridge_factor=self.ridge_factor, non_negative=self.non_negative)
        positive(curvature_scale=self.curvature_scale, rows_scale=self.rows_scale, most_step=self.most_step)
        if not 0 < self.forgetting <= 1:
            raise InvalidInput(f"is {self.forgetting}", field="forgetting", remedy="give 0 < forgetting <= 1")
        for name in ("prior", "prior_precision", "units"):
            if getattr(self, name).shape != (self.size,):
                raise InvalidInput(f"is not of shape ({self.size},)", field=name, remedy="give one number a parameter")
        if not (self.prior_precision > 0).all():
            raise InvalidInput("must be above 0", field="prior_precision", remedy="hold each parameter by a prior")

    @property
    def size(self) -> int:
        """Number of trained parameters d."""
        return self._places().size

    @property
    def task(self) -> str:
        """What the next round asks for: the head."""
        return self.head

    def contribution_layout(self, model: Layout) -> Layout:
        """One block of d + d(d + 1)/2 numbers. Raises `InvalidInput` for another model."""
        if model != self.model:
            raise InvalidInput("is not the optimiser's", field="model", remedy="build the optimiser for this layout")
        return (Block(self.head, self.size + self.size * (self.size + 1) // 2),)

    def step(self, parameters: Vector, mean_update: Vector, plan: RoundPlan, noise_std: float = 0.0) -> Vector:
        """Take a round in and move the head's parameters. Raises `InvalidInput` for a wrong shape or task."""
        (wanted,) = self.contribution_layout(self.model)
        same_shape(np.empty(wanted.length), mean_update)
        if plan.task != self.head:
            raise InvalidInput(f"is {plan.task!r}", field="task", remedy=f"this optimiser is for {self.head!r}")
        places, factor = self._places(), self.devices * self.rows_scale
        theta = parameters[places] / self.units
        gradient = mean_update[: self.size] * factor
        self._remember(mean_update[self.size :] * (factor / self.curvature_scale), noise_std * factor)
        pull = (1.0 - self.forgetting) * self.prior_precision * (theta - self.prior / self.units)
        change = self._solve(gradient - pull)
        length = float(np.linalg.norm(change))
        theta = theta + change * min(1.0, self.most_step / max(length, 1e-300))
        if self.non_negative:
            theta[-self.non_negative :] = np.maximum(theta[-self.non_negative :], 0.0)
        moved = parameters.copy()
        moved[places] = theta * self.units
        return moved

    def ridge(self) -> float:
        """What of A is not to be told from noise, in its units."""
        return self.ridge_factor * 2.0 * math.sqrt(self.noise_variance / 2.0) * math.sqrt(self.size)

    def _remember(self, packed: Vector, noise_std: float) -> None:
        before = np.zeros_like(packed) if self.information is None else self.information
        self.information = self.forgetting * before + packed
        own = (noise_std / self.curvature_scale) ** 2
        self.noise_variance = self.forgetting**2 * self.noise_variance + own

    def _solve(self, gradient: Vector) -> Vector:
        if self.information is None:
            raise InvalidInput("has no curvature yet", field="state", remedy="load the state that dump() returned")
        values, vectors = np.linalg.eigh(unpacked(self.information, self.size))
        held = (vectors * np.maximum(values, 0.0)) @ vectors.T
        held[np.diag_indices(self.size)] += self.prior_precision + self.ridge()
        return np.asarray(np.linalg.solve(held, gradient))

    def _places(self) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        start, found = 0, dict[str, np.ndarray[tuple[int], np.dtype[np.intp]]]()
        for block in self.model:
            found[block.name] = np.arange(start, start + block.length)
            start += block.length
        if missing := [name for name in self.blocks if name not in found]:
            raise InvalidInput(f"{missing[0]!r} is not in the model", field="blocks", remedy="name the model's blocks")
        return np.concatenate([found[name] for name in self.blocks])

    def dump(self) -> bytes:
        """The state, exact: noise so far and A."""
        numbers = {"noise": np.array([self.noise_variance])}
        return dump_state(numbers if self.information is None else numbers | {"information": self.information})

    def load(self, state: bytes) -> None:
        """Take a state over; empty bytes are the state before the first round."""
        parts = load_state(state)
        self.noise_variance = float(parts.get("noise", np.zeros(1))[0])
        self.information = parts.get("information")
