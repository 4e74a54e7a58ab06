"""The push-frequency model: three linear heads on the features φ, small enough to be learned under noise.

1. engagement, action-centred: logit P(y = 1 | x, a) = α·φ + (a − π)(β·φ − κ·D + personal terms). Without any push in
   the log, α alone is learned: when a person is active.
2. opt-out hazard of one push: logit h = h₀ + γ·φ + γ_D·D with γ_D ≥ 0, D the dosage.
3. value of an engagement, relative to what the campaign states.

Until β has data its public prior stands: Δp₀ = r₀·p(1 − p), with r₀ the open rate of a generic commercial push.
"""

import math
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tactful.features import DIMENSION, FEATURES, NAMES
from tactful_privacy.errors import InvalidInput
from tactful_privacy.wire import Artifact, Block

Array = NDArray[np.float64]

DOSAGE_HALF_LIVES_D = (0.5, 3.0, 14.0)
OPEN_RATE_PRIOR = 0.04
"""r₀: generic commercial pushes are opened 3–5 % of the time (Airship benchmarks 2023: 3.4 % Android, 4.9 % iOS)."""
HAZARD_BASE_LOGIT = math.log(0.001 / 0.999)
"""h₀: about one opt-out in a thousand pushes, before features and dosage."""

_DOSES = len(DOSAGE_HALF_LIVES_D)
_BLOCKS: tuple[tuple[str, int], ...] = (
    ("alpha", DIMENSION),
    ("beta", DIMENSION),
    ("kappa", _DOSES),
    ("hazard", DIMENSION),
    ("hazard_dosage", _DOSES),
    ("value", DIMENSION),
)
_ALPHA_PRIOR = {
    "always": -3.8,
    "slot_rate_14d": 0.5,
    "slot_rate_120d": 1.0,
    "slot_rate_400d": 1.0,
    "slot_rate_120d_squared": 1.0,
}


def dosage(ages_d: Array) -> Array:
    """Return the dosage of pushes of these ages in days: decayed counts at the three half-lives, shape (3,)."""
    decayed = np.exp2(-np.asarray(ages_d, dtype=np.float64)[:, None] / np.array(DOSAGE_HALF_LIVES_D))
    total: Array = decayed.sum(axis=0)
    return total


def _zeros(size: int) -> Array:
    return np.zeros(size)


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """The parameters, float64; which version they are of stands in ``version``.

    Attributes:
        alpha: activity, shape (DIMENSION,).
        beta: effect of a push on engagement, shape (DIMENSION,); zero means the public prior.
        kappa: fatigue per dosage, shape (3,).
        hazard: opt-out, shape (DIMENSION,).
        hazard_dosage: γ_D, shape (3,), not negative.
        value: value per engagement, shape (DIMENSION,).
        version: name, number and digest of the artifact; "prior" before the first.
        digest: of the artifact, 32 bytes; zeros before the first.
    """

    alpha: Array
    beta: Array = field(default_factory=lambda: _zeros(DIMENSION))
    kappa: Array = field(default_factory=lambda: _zeros(_DOSES))
    hazard: Array = field(default_factory=lambda: _zeros(DIMENSION))
    hazard_dosage: Array = field(default_factory=lambda: np.array([0.35, 0.2, 0.1]))
    value: Array = field(default_factory=lambda: _zeros(DIMENSION))
    version: str = "prior"
    digest: bytes = bytes(32)

    def __post_init__(self) -> None:
        for name, size in _BLOCKS:
            given = np.asarray(getattr(self, name))
            if given.shape != (size,) or not np.isfinite(given).all():
                raise InvalidInput(f"has shape {given.shape}", field=name, remedy=f"give {size} finite numbers")
        if (self.hazard_dosage < 0).any():
            raise InvalidInput("is negative", field="hazard_dosage", remedy="project it to 0 or above")

    @classmethod
    def prior(cls) -> Self:
        """Return the public prior: guesses about shoppers in general, not computed from anybody's data."""
        alpha = np.zeros(DIMENSION)
        for name, value in _ALPHA_PRIOR.items():
            alpha[NAMES.index(name)] = value
        return cls(alpha)

    @staticmethod
    def layout() -> tuple[Block, ...]:
        """Return the blocks of the parameter vector, in order."""
        return tuple(Block(name, size) for name, size in _BLOCKS)

    @staticmethod
    def feature_units() -> tuple[tuple[str, str], ...]:
        """Return (name, unit) of each feature, as a model card lists them."""
        return tuple((spec.name, spec.unit) for spec in FEATURES)

    def to_parameters(self) -> Array:
        """Return all blocks as one vector."""
        vector: Array = np.concatenate([np.asarray(getattr(self, name), dtype=np.float64) for name, _ in _BLOCKS])
        return vector

    @classmethod
    def from_parameters(cls, vector: Array, *, version: str = "prior", digest: bytes = bytes(32)) -> Self:
        """Read the vector back; raises `InvalidInput` when its length is not the layout's."""
        total = sum(size for _, size in _BLOCKS)
        if vector.shape != (total,):
            raise InvalidInput(f"has shape {vector.shape}", field="vector", remedy=f"give {total} numbers")
        cuts = np.cumsum([size for _, size in _BLOCKS])[:-1]
        alpha, beta, kappa, hazard, hazard_dosage, value = np.split(np.asarray(vector, dtype=np.float64), cuts)
        return cls(alpha, beta, kappa, hazard, np.maximum(hazard_dosage, 0.0), value, version, digest)

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> Self:
        """Read a released model.

        Raises:
            InvalidInput: its layout or its features are not those of this version of the SDK.
        """
        card = artifact.card
        if card.layout != cls.layout() or tuple(name for name, _ in card.features) != NAMES:
            raise InvalidInput("is for other features", field="artifact", remedy="install the SDK version it names")
        version = f"{card.name}-{card.version}-{artifact.digest.hex()[:8]}"
        return cls.from_parameters(np.array(artifact.values()), version=version, digest=artifact.digest)

    def activity_logit(self, phi: NDArray[np.float32]) -> Array:
        """Return α·φ, the logit of activity, for features of shape (..., DIMENSION)."""
        logit: Array = np.asarray(phi @ self.alpha.astype(phi.dtype), dtype=np.float64)
        return logit
