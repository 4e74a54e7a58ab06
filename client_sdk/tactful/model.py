"""The push-frequency model: three linear heads on the features φ, small enough to be learned under noise.

1. engagement: logit P(y = 1 | x, a) = α·φ + a·T, T = β·φ + μ·m − κ·D + personal terms, m what is known of the message.
   Without any push in the log, α alone is learned: when a person is active. T is learned from the coins of decisions
   alone (`tactful.training.heads`).
2. opt-out hazard of one push: logit h = h₀ + γ·φ + γ_m·m + γ_D·D with γ_D ≥ 0, D the dosage, the push included.
3. value of an engagement, relative to what the campaign states: 1 + value·φ.

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

MESSAGE = ("own_reason", "campaign")
"""Features of a message, 0 or 1: it has a reason of the person's own (a basket left, a price drop or a restock of what
was looked at); it belongs to a campaign of the shop."""

_DOSES = len(DOSAGE_HALF_LIVES_D)
_BLOCKS: tuple[tuple[str, int], ...] = (
    ("alpha", DIMENSION),
    ("beta", DIMENSION),
    ("kappa", _DOSES),
    ("hazard", DIMENSION),
    ("hazard_dosage", _DOSES),
    ("value", DIMENSION),
    ("message_effect", len(MESSAGE)),
    ("message_hazard", len(MESSAGE)),
    ("activity_effect", 1),
)
_ALPHA_PRIOR = {
    "always": -3.8,
    "slot_rate_14d": 0.5,
    "slot_rate_120d": 1.0,
    "slot_rate_400d": 1.0,
    "slot_rate_120d_squared": 1.0,
}
ACTIVITY_CENTRE = 3.0
"""The activity logit enters the effect as α·φ + 3: zero where a slot is used one time in twenty."""

# The warm start: where a slot is used one time in twenty, a generic push is opened 4 % of the time (`OPEN_RATE_PRIOR`)
# and one with a reason of the person's own 14 % (an assumption: trigger-based pushes are reported to be opened several
# times as often). A push adds about as much where a slot is busy, so on the logit scale its effect falls with activity.
# Fatigue takes about half of the effect under a push a day, and the hazard triples there: assumptions, which data
# soon replaces.
_WARM_BETA = {"always": 0.65}
_WARM_ACTIVITY_EFFECT = -0.15
_WARM_KAPPA = (0.02, 0.06, 0.005)
_WARM_HAZARD_DOSAGE = (0.02, 0.1, 0.02)
_WARM_MESSAGE_EFFECT = (0.85, 0.1)


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
        message_effect: effect of the message's features on engagement, shape (2,).
        message_hazard: effect of the message's features on the hazard, shape (2,).
        activity_effect: how the effect changes with the shared activity logit, shape (1,); see `effect_weights`.
        version: name, number and digest of the artifact; "prior" before the first.
        digest: of the artifact, 32 bytes; zeros before the first.
    """

    alpha: Array
    beta: Array = field(default_factory=lambda: _zeros(DIMENSION))
    kappa: Array = field(default_factory=lambda: _zeros(_DOSES))
    hazard: Array = field(default_factory=lambda: _zeros(DIMENSION))
    hazard_dosage: Array = field(default_factory=lambda: np.array([0.35, 0.2, 0.1]))
    value: Array = field(default_factory=lambda: _zeros(DIMENSION))
    message_effect: Array = field(default_factory=lambda: _zeros(len(MESSAGE)))
    message_hazard: Array = field(default_factory=lambda: _zeros(len(MESSAGE)))
    activity_effect: Array = field(default_factory=lambda: _zeros(1))
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

    @classmethod
    def warm_start(cls) -> Self:
        """Return the public prior with a guess of what pushes do, so that learning need not begin with nothing.

        From published open rates and assumptions, not from anybody's data; see the constants of this module.
        """
        beta = np.zeros(DIMENSION)
        for name, value in _WARM_BETA.items():
            beta[NAMES.index(name)] = value
        return cls(
            cls.prior().alpha,
            beta=beta,
            kappa=np.array(_WARM_KAPPA),
            hazard_dosage=np.array(_WARM_HAZARD_DOSAGE),
            message_effect=np.array(_WARM_MESSAGE_EFFECT),
            activity_effect=np.array([_WARM_ACTIVITY_EFFECT]),
            version="warm-start",
        )

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
        parts = np.split(np.asarray(vector, dtype=np.float64), cuts)
        blocks = {name: part for (name, _), part in zip(_BLOCKS, parts, strict=True)}
        blocks["hazard_dosage"] = np.maximum(blocks["hazard_dosage"], 0.0)
        return cls(**blocks, version=version, digest=digest)

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

    @property
    def effect_weights(self) -> Array:
        """Weights w of the effect, T = w·φ + …: β plus what goes with the activity logit, shape (DIMENSION,)."""
        slope = float(self.activity_effect[0])
        weights: Array = self.beta + slope * self.alpha
        weights[NAMES.index("always")] += slope * ACTIVITY_CENTRE
        return weights

    @property
    def knows_effect(self) -> bool:
        """Whether the shared effect is not zero, learned or assumed: Δp is then σ(η + T) − σ(η)."""
        return bool(self.beta.any() or self.activity_effect.any())

    @property
    def effect_learned(self) -> bool:
        """Whether the shared effect comes from data: it is neither zero nor that of the warm start (as float32)."""
        own = np.append(self.beta, self.activity_effect).astype(np.float32)
        return self.knows_effect and not np.array_equal(own, _WARM_EFFECT)

    def activity_logit(self, phi: NDArray[np.float32]) -> Array:
        """Return α·φ, the logit of activity, for features of shape (..., DIMENSION)."""
        logit: Array = np.asarray(phi @ self.alpha.astype(phi.dtype), dtype=np.float64)
        return logit


def message_features(own_reason: bool, campaign: bool) -> Array:
    """Return m of a message, in the order of `MESSAGE`, shape (2,)."""
    return np.array([own_reason, campaign], dtype=np.float64)


_WARM_EFFECT = np.append(Model.warm_start().beta, _WARM_ACTIVITY_EFFECT).astype(np.float32)
