"""A small recurrent model of when a person is active: an alternative to the activity head, learned from raw days.

One gated recurrent unit (arXiv:1406.1078, in the form that torch computes) reads a person's days one after the other,
once for each slot of the day and with the same weights for all slots. Its input is what the slot, and the whole day,
were used for; nothing of the hand-made features φ. The logit of a slot tomorrow is linear in that slot's state, plus an
offset for each slot and weekday. 490 parameters in all, so that they can be learned under noise.

The device's own past makes its hidden state, which never leaves it. This module is plain numpy: it holds the parameters
and computes forward. Training needs torch and is in `tactful.training.gru_trainer`. Decisions do not use this model.
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tactful.features import SLOTS
from tactful.training.tables import WARM_UP_DAYS
from tactful_privacy.errors import InvalidInput
from tactful_privacy.wire import Artifact, Block

Array = NDArray[np.float64]

HIDDEN = 9
INPUTS: tuple[tuple[str, str], ...] = (
    ("slot_used", "0/1"),
    ("slots_used_that_day", "share of 7"),
    ("next_day_is_weekend", "0/1"),
    ("weekday_sine", "-1 to 1"),
    ("weekday_cosine", "-1 to 1"),
)
"""(name, unit) of each input of a step."""
_GATES = 3 * HIDDEN  # reset, update, candidate: torch's order
_SHAPES: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("input_weights", (len(INPUTS), _GATES)),
    ("hidden_weights", (HIDDEN, _GATES)),
    ("input_bias", (_GATES,)),
    ("hidden_bias", (_GATES,)),
    ("output", (HIDDEN,)),
    ("offsets", (SLOTS, 7)),
)
_BASE_LOGIT = -3.8
_SLOW_GATE = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class SequenceTable:
    """The days of n devices, and which of them have labels that are learned from.

    Attributes:
        activity: uint8 (n, days, 7), above zero where a slot was used.
        first_day: int64 (n,), index of each device's first active day; ``days`` where there is none.
        start_ordinal: ``date.toordinal()`` of day 0.
        warm_up_d: days after the first without labels.
    """

    activity: NDArray[np.uint8]
    first_day: NDArray[np.int64]
    start_ordinal: int
    warm_up_d: int = WARM_UP_DAYS

    def __post_init__(self) -> None:
        n, days, slots = self.activity.shape if self.activity.ndim == 3 else (0, 0, 0)
        if slots != SLOTS or days < 1 or self.first_day.shape != (n,):
            remedy = "give activity (n, days, 7) and first_day (n,)"
            raise InvalidInput(f"has shape {self.activity.shape}", field="activity", remedy=remedy)

    @property
    def n_devices(self) -> int:
        """Number of devices n."""
        return len(self.activity)

    def labelled(self) -> NDArray[np.bool_]:
        """Which days have labels, shape (n, days)."""
        rows: NDArray[np.bool_] = np.arange(self.activity.shape[1]) >= (self.first_day + self.warm_up_d)[:, None]
        return rows

    def select(self, indices: NDArray[np.intp]) -> "SequenceTable":
        """Return some devices only, in the order given."""
        return SequenceTable(self.activity[indices], self.first_day[indices], self.start_ordinal, self.warm_up_d)

    def part(self, first: int, last: int) -> "SequenceTable":
        """Return the devices from ``first`` to before ``last``."""
        return SequenceTable(self.activity[first:last], self.first_day[first:last], self.start_ordinal, self.warm_up_d)

    def weekdays(self) -> NDArray[np.int64]:
        """Weekday of each day and of the one after the last, Monday = 0, shape (days + 1,)."""
        return (self.start_ordinal + np.arange(self.activity.shape[1] + 1) - 1) % 7

    def inputs(self) -> Array:
        """Return what each step reads, shape (n, days, 7, 5): see `INPUTS`."""
        used = (self.activity > 0).astype(np.float64)
        weekday, angle = self.weekdays(), 2.0 * np.pi * self.weekdays()[:-1] / 7.0
        whole = np.stack([(weekday[1:] >= 5).astype(np.float64), np.sin(angle), np.cos(angle)], axis=1)
        shared = np.broadcast_to(whole[None, :, None, :], (*used.shape, whole.shape[1]))
        total = np.broadcast_to(used.mean(axis=2)[:, :, None], used.shape)
        return np.concatenate([used[..., None], total[..., None], shared], axis=3)


@dataclass(frozen=True, slots=True, eq=False)
class GruModel:
    """The parameters, float64, and which version they are of.

    Attributes:
        parts: array by block name, each of its own shape.
        version: name, number and digest of the artifact; "prior" before the first.
        digest: of the artifact, 32 bytes; zeros before the first.
    """

    parts: dict[str, Array] = field(repr=False)
    version: str = "prior"
    digest: bytes = bytes(32)

    @classmethod
    def prior(cls, seed: int = 0) -> Self:
        """Return the public start: small weights from a public seed, slow update gates, the public activity rate.

        Nothing in it is computed from anybody's data.
        """
        rng = np.random.default_rng([seed, 490])
        parts = {name: rng.uniform(-1, 1, shape) / np.sqrt(HIDDEN) for name, shape in _SHAPES}
        parts["input_bias"], parts["hidden_bias"] = np.zeros(_GATES), np.zeros(_GATES)
        # A state that forgets over about e^3 days: a sum of a month rather than of yesterday.
        parts["input_bias"][HIDDEN : 2 * HIDDEN] = np.linspace(1.0, _SLOW_GATE + 2.0, HIDDEN)
        parts["offsets"] = np.full((SLOTS, 7), _BASE_LOGIT)
        return cls(parts)

    @staticmethod
    def layout() -> tuple[Block, ...]:
        """Return the blocks of the parameter vector, in order."""
        return tuple(Block(name, int(np.prod(shape))) for name, shape in _SHAPES)

    def to_parameters(self) -> Array:
        """Return all blocks as one vector, shape (490,)."""
        vector: Array = np.concatenate([self.parts[name].ravel() for name, _ in _SHAPES])
        return vector

    @classmethod
    def from_parameters(cls, vector: Array, *, version: str = "prior", digest: bytes = bytes(32)) -> Self:
        """Read the vector back; raises `InvalidInput` when its length is not the layout's or a number is not finite."""
        sizes = [block.length for block in cls.layout()]
        if vector.shape != (sum(sizes),) or not np.isfinite(vector).all():
            raise InvalidInput(f"has shape {vector.shape}", field="vector", remedy=f"give {sum(sizes)} finite numbers")
        cuts = np.split(np.asarray(vector, dtype=np.float64), np.cumsum(sizes)[:-1])
        parts = {name: part.reshape(shape) for (name, shape), part in zip(_SHAPES, cuts, strict=True)}
        return cls(parts, version, digest)

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> Self:
        """Read a released model; raises `InvalidInput` when its layout or its inputs are others."""
        card = artifact.card
        if card.layout != cls.layout() or tuple(card.features) != INPUTS:
            raise InvalidInput("is for other inputs", field="artifact", remedy="install the SDK version it names")
        version = f"{card.name}-{card.version}-{artifact.digest.hex()[:8]}"
        return cls.from_parameters(np.array(artifact.values()), version=version, digest=artifact.digest)

    def logits(self, table: SequenceTable) -> Array:
        """Return the logit of every slot of every day from the days before it, shape (n, days, 7).

        A device's state stays zero until its first active day.
        """
        p, (n, days, _) = self.parts, table.activity.shape
        read = table.inputs() @ p["input_weights"] + p["input_bias"]
        started = np.arange(days) >= table.first_day[:, None]
        state, weekday = np.zeros((n, SLOTS, HIDDEN)), table.weekdays()
        out = np.empty((n, days, SLOTS))
        for day in range(days):
            out[:, day] = state @ p["output"] + p["offsets"][:, weekday[day]]
            state = _step(state, read[:, day], p, started[:, day])
        return out


def _step(state: Array, read: Array, p: dict[str, Array], started: NDArray[np.bool_]) -> Array:
    """One step of the unit for devices that have started, shapes (n, 7, HIDDEN) and (n, 7, 3·HIDDEN)."""
    kept = state @ p["hidden_weights"] + p["hidden_bias"]
    reset, update = np.split(1.0 / (1.0 + np.exp(-(read + kept)[..., : 2 * HIDDEN])), 2, axis=-1)
    candidate = np.tanh(read[..., 2 * HIDDEN :] + reset * kept[..., 2 * HIDDEN :])
    moved: Array = state + started[:, None, None] * (1.0 - update) * (candidate - state)
    return moved
