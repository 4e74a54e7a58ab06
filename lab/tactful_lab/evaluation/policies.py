"""Target policies: the probability of a send that each gives to every decision of a log."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tactful_lab.evaluation.log import PushLog
from tactful_privacy.errors import InvalidInput

Floats = NDArray[np.float64]


class Policy(Protocol):
    """What can be evaluated on a log."""

    @property
    def name(self) -> str:
        """Unique within an evaluation."""

    def send_probability(self, log: PushLog) -> Floats:
        """Probability of a send at each decision, (n,), from what was known before it; 0 to 1."""


def _probability(value: float, name: str) -> None:
    if not 0 <= value <= 1:
        raise InvalidInput(f"must lie within 0 and 1, not {value!r}", field=name, remedy="give a probability of a send")


@dataclass(frozen=True, slots=True)
class Logged:
    """The policy that wrote the log: every weight is 1, the value is the plain mean."""

    name: str = "logged"

    def send_probability(self, log: PushLog) -> Floats:
        """The logged probability of a send, (n,)."""
        return log.send_propensity


@dataclass(frozen=True, slots=True)
class Fixed:
    """Send with one probability, whatever the decision."""

    probability: float
    name: str = ""

    def __post_init__(self) -> None:
        _probability(self.probability, "policy fixed")
        object.__setattr__(self, "name", self.name or f"fixed:{self.probability:g}")

    def send_probability(self, log: PushLog) -> Floats:
        """``probability``, (n,)."""
        return np.full(log.n, float(self.probability))


def always() -> Fixed:
    """Send at every decision at which a push was possible and chance decided."""
    return Fixed(1.0, "always")


def never() -> Fixed:
    """Never send."""
    return Fixed(0.0, "never")


@dataclass(frozen=True, slots=True)
class BySlot:
    """Send with a probability that depends on the slot; slots that are not named get ``otherwise``."""

    by_slot: Mapping[str, float]
    otherwise: float = 0.0
    name: str = ""

    def __post_init__(self) -> None:
        for slot, value in (*self.by_slot.items(), ("otherwise", self.otherwise)):
            _probability(value, f"policy slot {slot}")
        told = ",".join(f"{slot}={value:g}" for slot, value in self.by_slot.items())
        object.__setattr__(self, "name", self.name or f"slot:{told}")

    def send_probability(self, log: PushLog) -> Floats:
        """Probability of each decision's slot, (n,).

        Raises:
            InvalidInput: The log has no slots, or no decision in a slot that the policy names.
        """
        if log.slot is None:
            raise InvalidInput("the log has no slots", field=self.name, remedy="name the slot column in the mapping")
        labels, where = np.unique(log.slot.astype(str), return_inverse=True)
        absent = sorted(set(self.by_slot) - set(labels))
        if absent:
            raise InvalidInput(
                f"no decision in slot {absent[0]!r}", field=self.name, remedy=f"slots: {', '.join(labels)}"
            )
        table = np.array([self.by_slot.get(label, self.otherwise) for label in labels], dtype=np.float64)
        return table[where]


@dataclass(frozen=True, slots=True)
class FromColumn:
    """A policy whose probability of a send stands in a column of the log, computed beforehand."""

    column: str
    name: str = field(default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"column:{self.column}")

    def send_probability(self, log: PushLog) -> Floats:
        """The column, (n,).

        Raises:
            InvalidInput: The log was read without it.
        """
        if self.column not in log.columns:
            raise InvalidInput(f"no column {self.column!r}", field=self.name, remedy="pass it to read_log(columns=...)")
        return log.columns[self.column]


def parse_policy(text: str) -> Policy:
    """A policy from words: ``logged``, ``always``, ``never``, ``fixed:P``, ``slot:S=P,…[,*=P]`` or ``column:NAME``.

    Raises:
        InvalidInput: The words are none of these.
    """
    kind, _, rest = text.partition(":")
    plain: dict[str, Callable[[], Policy]] = {"logged": Logged, "always": always, "never": never}
    if kind in plain and not rest:
        return plain[kind]()
    if kind == "column" and rest:
        return FromColumn(rest)
    try:
        if kind == "fixed":
            return Fixed(float(rest))
        if kind == "slot" and rest:
            pairs = {slot.strip(): float(p) for slot, p in (part.rsplit("=", 1) for part in rest.split(","))}
            otherwise = pairs.pop("*", 0.0)
            return BySlot(pairs, otherwise, text)
    except ValueError as error:
        if isinstance(error, InvalidInput):
            raise
    remedy = "write logged, always, never, fixed:0.3, slot:18=0.5,*=0 or column:NAME"
    raise InvalidInput(f"is no policy: {text!r}", field="policy", remedy=remedy)
