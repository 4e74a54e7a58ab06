"""A planted fault, one trial of it, and what many trials say."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeGuard

from tactful_privacy.audit.target import RoundTarget


class Check(StrEnum):
    """What can catch a fault."""

    REFUSAL = "refusal"
    """A typed refusal on the real path, by a host or by the server; a row that counts as zero is one, too."""
    SELF_TEST = "self_test"
    """The host's self-test, after which it takes no part."""
    AUDIT = "audit"
    """The f-DP bound of an audit round lies above the theory, at 95 %."""
    ESTIMATE = "audit_estimate"
    """The Gaussian estimate's 99 % interval lies above the theory. Evidence, no proof."""


SOUND = "none"
"""Name of the federation without a fault, which a target lists beside its faults."""
NO_VIOLATION = "no_violation"
NONE = "none"


@dataclass(frozen=True, slots=True)
class Trial:
    """What the checks said about one trial of a fault; None where a check has nothing to look at.

    Attributes:
        self_test: names of the self-test's checks which failed.
        refusals: codes of the refusals.
        bound: whether the f-DP bound contradicts the theory.
        estimate: whether the Gaussian estimate does.
    """

    self_test: tuple[str, ...] | None = None
    refusals: tuple[str, ...] | None = None
    bound: bool | None = None
    estimate: bool | None = None

    def says(self, check: Check, signs: tuple[str, ...] = ()) -> bool | None:
        """Whether the check caught the fault, by one of the signs if there are any; None where it does not apply."""
        seen = {
            Check.SELF_TEST: self.self_test,
            Check.REFUSAL: self.refusals,
            Check.AUDIT: self.bound,
            Check.ESTIMATE: self.estimate,
        }[check]
        if isinstance(seen, tuple) and signs:
            return bool(set(seen) & set(signs))
        return None if seen is None else bool(seen)


class PlantedFault(Protocol):
    """A fault that can be put into the product's own code path and taken out again."""

    @property
    def name(self) -> str:
        """Stable, in snake case."""
        ...

    @property
    def title(self) -> str:
        """For people."""
        ...

    @property
    def where(self) -> str:
        """The product's function into which it is put, or the message which it bends."""
        ...

    @property
    def expected(self) -> tuple[Check, ...]:
        """The checks each of which must catch it; none for a fault that violates nothing."""
        ...

    @property
    def signs(self) -> tuple[str, ...]:
        """Codes of refusals and names of self-test checks by which it is known; anything else is no catch."""
        ...

    @property
    def tolerated(self) -> tuple[Check, ...]:
        """Checks which may speak though nothing has to be caught."""
        ...

    @property
    def remark(self) -> str:
        """What a reader should know about the result."""
        ...

    def trial(self) -> Trial:
        """Plant it, run the real path, take it out, and say what the checks said."""
        ...


class FaultyTarget(RoundTarget, Protocol):
    """A target that knows how to plant faults in itself."""

    def faults(self) -> Sequence[PlantedFault]:
        """Every fault it can plant, the fault-free federation first."""
        ...


def can_plant(target: RoundTarget) -> TypeGuard[FaultyTarget]:
    """Whether a target knows how to plant faults in itself."""
    return callable(getattr(target, "faults", None))


@dataclass(frozen=True, slots=True)
class FaultResult:
    """What all trials of one fault say.

    Attributes:
        name, title, where, remark: the fault's.
        runs: trials.
        expected: checks each of which must catch it.
        catches: per check in how many trials it caught the fault; a check that had nothing to look at is absent.
        self_test_checks: every self-test check that failed in any trial.
        refusal_codes: every refusal met in any trial.
        caught_by: the surest check, ``no_violation`` where nothing had to be caught, ``none`` where nothing caught it.
        caught: in how many trials that check caught it; for ``no_violation``, in how many the audit's bound held.
        as_expected: whether each expected check caught it in at least ``LEAST`` of the trials; where nothing had to be
            caught, whether the audit stayed within its false-alarm rate and no check spoke that had no reason to.
        seconds: all trials together.
    """

    name: str
    title: str
    where: str
    remark: str
    runs: int
    expected: tuple[str, ...]
    catches: dict[str, int]
    self_test_checks: tuple[str, ...]
    refusal_codes: tuple[str, ...]
    caught_by: str
    caught: int
    as_expected: bool
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON knows it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class FaultTable:
    """The results of all faults, in order."""

    runs: int
    faults: tuple[FaultResult, ...]
    seconds: float

    @property
    def as_expected(self) -> bool:
        """Whether no fault escapes and no sound system is accused."""
        return all(result.as_expected for result in self.faults)

    def to_dict(self) -> dict[str, Any]:
        """``runs``, ``as_expected``, ``seconds`` and ``faults``; among them `SOUND`, which is none."""
        rows = [result.to_dict() for result in self.faults]
        return {"runs": self.runs, "as_expected": self.as_expected, "seconds": self.seconds, "faults": rows}


Progress = Callable[[PlantedFault, int], None]
"""Told the fault and how many of its trials are done."""
