"""Newton steps from private sufficient statistics: the federated optimiser of the activity head.

Plain averaging of local steps needs many rounds where features are correlated, and every round costs privacy. Here the
first rounds estimate the curvature of the loss at the public prior, H, and the later ones the gradient; each round is
one ordinary contribution with its own price. A step goes

    θ ← θ + k^-decay · (H + λI)⁻¹ ĝ(θ),   k = 1, 2, … counting gradient rounds

where ĝ is the mean clipped ascent direction plus noise. The shrinking steps average the noise of all gradient rounds
(Robbins & Monro 1951). H stays fixed: for a logistic loss it moves slowly, and as a preconditioner it only decides how
fast θ arrives, not where. λ keeps directions quiet in which the curvature drowns in its own noise: it is
``ridge_factor`` times the spectral norm of that noise, 2σ√d for a symmetric d × d matrix with off-diagonal deviation σ
(Wigner's semicircle), known from the plan alone.
"""

import math
from dataclasses import dataclass

import numpy as np

from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least, positive
from tactful_privacy.wire import Block, RoundPlan
from tactful_server.aggregation import Layout, Vector, dump_state, load_state, same_shape


@dataclass(slots=True)
class PrivateNewton:
    """Curvature rounds, then preconditioned gradient rounds, for one block of the model.

    Args:
        model: the model's layout.
        block: name of the block that is trained; the others stay as they are.
        curvature_rounds: rounds that estimate H, at least 1.
        curvature_scale: by which devices multiplied their curvature, so that both kinds of round share one clip norm.
        decay: exponent of the shrinking steps, in [0, 1].
        ridge_factor: λ over the spectral norm of the noise in H.
        ridge_floor: least λ, which a noiseless rehearsal uses.
    """

    model: Layout
    block: str = "alpha"
    curvature_rounds: int = 6
    curvature_scale: float = 1.0
    decay: float = 0.6
    ridge_factor: float = 0.4
    ridge_floor: float = 1e-5
    seen: int = 0
    noise_variance: float = 0.0
    curvature: Vector | None = None

    def __post_init__(self) -> None:
        at_least(1, curvature_rounds=self.curvature_rounds)
        positive(curvature_scale=self.curvature_scale, ridge_factor=self.ridge_factor, ridge_floor=self.ridge_floor)
        if not 0 <= self.decay <= 1:
            raise InvalidInput(f"is {self.decay}", field="decay", remedy="give 0 <= decay <= 1")
        if self.block not in [block.name for block in self.model]:
            raise InvalidInput(f"{self.block!r} is not in the model", field="block", remedy="name one of its blocks")

    @property
    def size(self) -> int:
        """Number of trained parameters d."""
        return next(block.length for block in self.model if block.name == self.block)

    @property
    def task(self) -> str:
        """What the next round asks for."""
        return "curvature" if self.seen < self.curvature_rounds else "gradient"

    def contribution_layout(self, model: Layout) -> Layout:
        """One block named after the task: d(d + 1)/2 or d numbers. Raises `InvalidInput` for another model."""
        if model != self.model:
            raise InvalidInput("is not the optimiser's", field="model", remedy="build the optimiser for this layout")
        return (Block(self.task, self.size * (self.size + 1) // 2 if self.task == "curvature" else self.size),)

    def step(self, parameters: Vector, mean_update: Vector, plan: RoundPlan, noise_std: float = 0.0) -> Vector:
        """Take a round in; only gradient rounds move the parameters. Raises `InvalidInput` for a wrong shape."""
        (wanted,) = self.contribution_layout(self.model)
        same_shape(np.empty(wanted.length), mean_update)
        if plan.task != self.task:
            raise InvalidInput(f"is {plan.task!r}", field="task", remedy=f"the next round is {self.task!r}")
        moved = parameters.copy()
        if self.task == "curvature":
            self._remember(mean_update, noise_std)
        else:
            moved[self._range()] += self._direction(mean_update) * self._step_size()
        self.seen += 1
        return moved

    def ridge(self) -> float:
        """λ: what of H is not to be told from noise, in units of the curvature."""
        sigma = math.sqrt(self.noise_variance / 2.0) / self.curvature_scale / max(self._estimates(), 1)
        return max(self.ridge_floor, self.ridge_factor * 2.0 * sigma * math.sqrt(self.size))

    def _estimates(self) -> int:
        return min(self.seen, self.curvature_rounds)

    def _remember(self, packed: Vector, noise_std: float) -> None:
        before = np.zeros_like(packed) if self.curvature is None else self.curvature
        self.curvature = before + packed / self.curvature_scale
        self.noise_variance += noise_std**2

    def _step_size(self) -> float:
        return float((self.seen - self.curvature_rounds + 1) ** -self.decay)

    def _direction(self, gradient: Vector) -> Vector:
        if self.curvature is None:
            raise InvalidInput("has no curvature yet", field="state", remedy="load the state that dump() returned")
        values, vectors = np.linalg.eigh(unpacked(self.curvature / self._estimates(), self.size))
        floored = np.maximum(values, 0.0) + self.ridge()
        return np.asarray(vectors @ ((vectors.T @ gradient) / floored))

    def _range(self) -> slice:
        names = [block.name for block in self.model]
        start = sum(block.length for block in self.model[: names.index(self.block)])
        return slice(start, start + self.size)

    def dump(self) -> bytes:
        """The state, exact: rounds seen, noise so far, summed curvature."""
        numbers = {"counts": np.array([float(self.seen), self.noise_variance])}
        return dump_state(numbers if self.curvature is None else numbers | {"curvature": self.curvature})

    def load(self, state: bytes) -> None:
        """Take a state over; empty bytes are the state before the first round."""
        parts = load_state(state)
        seen, self.noise_variance = parts.get("counts", np.zeros(2))
        self.seen, self.curvature = int(seen), parts.get("curvature")


def unpacked(packed: Vector, size: int) -> Vector:
    """Return the symmetric matrix (size, size) whose upper triangle, row by row with √2 off the diagonal, is given."""
    rows, columns = np.triu_indices(size)
    upper = np.zeros((size, size))
    upper[rows, columns] = np.where(rows == columns, packed, packed / math.sqrt(2.0))
    return upper + np.triu(upper, 1).T
