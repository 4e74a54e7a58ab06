"""FedAdam: the server steps by Adam on the mean contribution (Reddi et al., arXiv:2003.00295, algorithm 2)."""

from dataclasses import dataclass

import numpy as np

from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import positive
from tactful_privacy.wire import RoundPlan
from tactful_server.aggregation import Layout, Vector, dump_state, load_state, same_shape


@dataclass(slots=True)
class FedAdam:
    """m ← β₁m + (1 − β₁)Δ; v ← β₂v + (1 − β₂)Δ²; θ ← θ + lr·m/(√v + τ), from m = 0 and v = τ² as published.

    No bias correction, as in the paper. The noise in Δ is in v as well: coordinates that are mostly noise step less.

    Args:
        learning_rate: lr, above 0.
        beta_1: β₁, in [0, 1).
        beta_2: β₂, in [0, 1).
        tau: τ, above 0: how far Adam adapts.
    """

    learning_rate: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.99
    tau: float = 1e-3
    first: Vector | None = None
    second: Vector | None = None
    task: str = "fedavg"

    def __post_init__(self) -> None:
        positive(learning_rate=self.learning_rate, tau=self.tau)
        for name in ("beta_1", "beta_2"):
            if not 0 <= getattr(self, name) < 1:
                raise InvalidInput(f"is {getattr(self, name)}", field=name, remedy=f"give 0 <= {name} < 1")

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
        """Return the next θ; raises `InvalidInput` when the update has another shape than the parameters."""
        same_shape(parameters, mean_update)
        first = np.zeros_like(parameters) if self.first is None else self.first
        second = np.full_like(parameters, self.tau**2) if self.second is None else self.second
        self.first = self.beta_1 * first + (1.0 - self.beta_1) * mean_update
        self.second = self.beta_2 * second + (1.0 - self.beta_2) * mean_update**2
        moved: Vector = parameters + self.learning_rate * self.first / (np.sqrt(self.second) + self.tau)
        return moved

    def dump(self) -> bytes:
        """Both moments, exact."""
        return dump_state({k: v for k, v in (("first", self.first), ("second", self.second)) if v is not None})

    def load(self, state: bytes) -> None:
        """Take the moments over; empty bytes are the state before the first round."""
        parts = load_state(state)
        self.first, self.second = parts.get("first"), parts.get("second")
