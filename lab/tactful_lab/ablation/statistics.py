"""Newton from one joint contribution: every round sends gradient and curvature together, at one price.

`tactful_server.newton.PrivateNewton` spends its first rounds on the curvature alone. Here a round holds both, so that a
single round, with the whole budget in it, is already a step (one-shot private sufficient statistics), and more rounds
average the curvature while the gradient is taken anew:

    A ← A + Ĥ_k / c,   θ ← θ + k^-decay · (A/k + (Λ + λ_k) I)⁻¹ (ĝ_k − Λ (θ − θ₀))

λ_k is ``ridge_factor`` times the spectral norm of the noise in A/k, 2σ√d (Wigner's semicircle), known from the plan.
"""

import math
from dataclasses import dataclass

import numpy as np

from tactful_privacy.validate import at_least, positive
from tactful_privacy.wire import Block, RoundPlan
from tactful_server.aggregation import Layout, Vector, dump_state, load_state, same_shape
from tactful_server.newton import unpacked

TASK = "statistics"


@dataclass(slots=True)
class JointNewton:
    """A server optimiser for one block of size d; a contribution has d + d(d + 1)/2 numbers.

    Args:
        start: θ₀, shape (d,).
        curvature_scale: c, by which devices multiply their curvature.
        prior_precision: Λ, the pull to θ₀, in the gradient's units (a mean over devices).
        ridge_factor: λ over the noise's spectral norm.
        decay: exponent of the shrinking steps.
    """

    start: Vector
    curvature_scale: float = 1.0
    prior_precision: float = 1e-4
    ridge_factor: float = 1.0
    decay: float = 0.5
    seen: int = 0
    noise_variance: float = 0.0
    curvature: Vector | None = None
    task: str = TASK

    def __post_init__(self) -> None:
        positive(curvature_scale=self.curvature_scale, prior_precision=self.prior_precision)
        at_least(0, ridge_factor=self.ridge_factor, decay=self.decay)

    @property
    def size(self) -> int:
        """Number of trained parameters d."""
        return len(self.start)

    def contribution_layout(self, model: Layout) -> Layout:  # noqa: ARG002 - the protocol's
        """One block: the gradient, then the packed curvature."""
        return (Block(TASK, self.size + self.size * (self.size + 1) // 2),)

    def step(
        self,
        parameters: Vector,
        mean_update: Vector,
        plan: RoundPlan,  # noqa: ARG002 - the protocol's
        noise_std: float = 0.0,
    ) -> Vector:
        """Return the next θ, shape (d,); raises `InvalidInput` for a wrong shape."""
        same_shape(np.empty(self.contribution_layout(())[0].length), mean_update)
        self.seen += 1
        self.noise_variance += noise_std**2
        before = 0.0 if self.curvature is None else self.curvature
        self.curvature = before + mean_update[self.size :] / self.curvature_scale
        sigma = math.sqrt(self.noise_variance / 2.0) / self.curvature_scale / self.seen
        ridge = self.prior_precision + self.ridge_factor * 2.0 * sigma * math.sqrt(self.size)
        values, vectors = np.linalg.eigh(unpacked(self.curvature / self.seen, self.size))
        pulled = mean_update[: self.size] - self.prior_precision * (parameters - self.start)
        direction = vectors @ ((vectors.T @ pulled) / (np.maximum(values, 0.0) + ridge))
        return np.asarray(parameters + self.seen**-self.decay * direction)

    def dump(self) -> bytes:
        """The state, exact."""
        numbers = {"counts": np.array([float(self.seen), self.noise_variance])}
        return dump_state(numbers if self.curvature is None else numbers | {"curvature": self.curvature})

    def load(self, state: bytes) -> None:
        """Take a state over; empty bytes are the state before the first round."""
        parts = load_state(state)
        seen, self.noise_variance = parts.get("counts", np.zeros(2))
        self.seen, self.curvature = int(seen), parts.get("curvature")
