"""The federation's hyper-parameters, read from the committed ``learning.toml``, and what follows from them."""

import tomllib
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources

from tactful.model import Model
from tactful_privacy.validate import at_least, fraction, positive
from tactful_server.newton import PrivateNewton
from tactful_server.plans import RoundTerms


@dataclass(frozen=True, slots=True)
class Learning:
    """Hyper-parameters; see ``learning.toml`` for what each means and how it was chosen."""

    rounds: int
    curvature_share: float
    clip_norm: float
    rows_scale: int
    curvature_scale: float
    loss_half_range: float
    decay: float
    ridge_factor: float
    ridge_floor: float

    def __post_init__(self) -> None:
        at_least(2, rounds=self.rounds)
        at_least(1, rows_scale=self.rows_scale)
        fraction(curvature_share=self.curvature_share)
        positive(clip_norm=self.clip_norm, curvature_scale=self.curvature_scale, loss_half_range=self.loss_half_range)

    def curvature_rounds(self, rounds: int) -> int:
        """How many of ``rounds`` estimate curvature: the share, at least 1 and fewer than all."""
        return min(max(1, round(rounds * self.curvature_share)), rounds - 1)

    def optimiser(self, rounds: int) -> PrivateNewton:
        """The server's optimiser for a run of ``rounds`` rounds."""
        return PrivateNewton(
            Model.layout(),
            curvature_rounds=self.curvature_rounds(rounds),
            curvature_scale=self.curvature_scale,
            decay=self.decay,
            ridge_factor=self.ridge_factor,
            ridge_floor=self.ridge_floor,
        )

    def terms(self, *, epsilon: float, delta: float, rounds: int, n_min: int, colluders: int) -> RoundTerms:
        """The federation's terms: (ε, δ) over ``rounds`` participations; see `RoundTerms`."""
        scales = {"rows_scale": float(self.rows_scale), "curvature_scale": self.curvature_scale}
        return RoundTerms(
            epsilon=epsilon,
            delta=delta,
            participations=rounds,
            clip_norm=self.clip_norm,
            n_min=n_min,
            colluders=colluders,
            settings=tuple((name, Fraction(str(value))) for name, value in sorted(scales.items())),
            statistics=(("log_loss", self.loss_half_range),),
        )


def load() -> Learning:
    """Read the committed file."""
    table = tomllib.loads((resources.files("tactful_lab.slots") / "learning.toml").read_text(encoding="utf-8"))
    contribution, server, rounds = table["contribution"], table["server"], table["rounds"]
    return Learning(rounds=rounds["total"], curvature_share=rounds["curvature_share"], **contribution, **server)
