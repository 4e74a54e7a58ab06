"""What a round writes down before it acts, and from which it resumes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tactful_privacy.wire import RoundPlan


class Phase(StrEnum):
    """Where a round is. Each phase but the first and the last ones waits for one stage's answers."""

    ANNOUNCED = "announced"
    KEYS = "keys"
    SHARES = "shares"
    CONTRIBUTIONS = "contributions"
    SIGNING = "signing"
    ENDORSING = "endorsing"
    UNMASKING = "unmasking"
    RELEASED = "released"
    VOID = "void"


STAGE_OF: Mapping[Phase, str] = {
    Phase.KEYS: "keys",
    Phase.SHARES: "shares",
    Phase.CONTRIBUTIONS: "contribution",
    Phase.SIGNING: "sign",
    Phase.ENDORSING: "endorse",
    Phase.UNMASKING: "unmask",
    Phase.RELEASED: "released",
}
"""The wire's name of the stage that a phase waits for."""

NEXT: Mapping[Phase, Phase] = {
    Phase.ANNOUNCED: Phase.KEYS,
    Phase.KEYS: Phase.SHARES,
    Phase.SHARES: Phase.CONTRIBUTIONS,
    Phase.CONTRIBUTIONS: Phase.SIGNING,
    Phase.SIGNING: Phase.UNMASKING,
    Phase.ENDORSING: Phase.UNMASKING,
    Phase.UNMASKING: Phase.RELEASED,
}
"""The phase that follows when enough hosts answered; with a committee, `following` says."""


def following(phase: Phase, plan: RoundPlan) -> Phase:
    """Return the phase that follows when enough hosts answered, in a round of this plan."""
    return Phase.ENDORSING if phase is Phase.SIGNING and plan.committee else NEXT[phase]


@dataclass(frozen=True, slots=True)
class RoundId:
    """Names one attempt of one round of one federation."""

    federation: str
    round_number: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Transition:
    """A step of a round, journalled before anything is done because of it.

    Attributes:
        round_id: the round.
        sequence: counts up from 0 within the round, without gaps.
        phase: the phase entered.
        replies: (host, payload) accepted in the phase that was left, in the order of their arrival.
        facts: what the step fixed: the plan, the opened sum, the artifact, or the reason of a void round.
    """

    round_id: RoundId
    sequence: int
    phase: Phase
    replies: tuple[tuple[str, bytes], ...] = ()
    facts: Mapping[str, bytes] = field(default_factory=dict)


Journal = Callable[[Transition], None]
"""Makes a transition durable before it returns, or raises; the round acts only after it returned."""
