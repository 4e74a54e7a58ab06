"""One round as a pure state machine: announced → keys → shares → contributions → signing → unmasking → released | void.

With a committee (`RoundPlan.committee`) its members endorse the survivor list between signing and unmasking.

No framework, no clock, no network. Whoever drives it sends `requests`, hands in what comes back with `receive`, and
says `close` when a phase's time is up. Each transition goes through the journal before anything rests on it, so a
round resumes wherever its process died: the same requests, the same key ring, the same one survivor list.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.errors import ProtocolError, TactfulError
from tactful_privacy.wire import (
    KeyDirectory,
    Kind,
    Refusal,
    RoundAnnouncement,
    RoundPlan,
    RoundReply,
    RoundRequest,
    Signed,
    WireError,
    digest,
)
from tactful_server.errors import JournalDamaged, OutOfPhase
from tactful_server.journal import STAGE_OF, Journal, Phase, RoundId, Transition, following
from tactful_server.secure_sum import SecureSum, SecureSumFactory

Settle = Callable[[RoundPlan, NDArray[np.int64], SecureSum], Mapping[str, bytes]]
"""From the opened sum to the facts of a release: ``artifact`` (signed, encoded) and others. Without side effects."""

_KIND_AT = 4  # the envelope is TFW, version, kind


class Receipt(StrEnum):
    """What became of a reply."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    LATE = "late"
    REFUSED = "refused"
    REJECTED = "rejected"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Drop:
    """Why a host is not in the sum: the stage at which it was lost, and a code (``silent`` when it did not answer)."""

    stage: str
    code: str
    detail: str = ""


class RoundMachine:
    """One round. Make it with `announce` or `resume`.

    Attributes:
        plan: what the hosts agree to.
        directory: the roster.
        phase: where the round is.
        drops: hosts lost so far, and why.
        reason: why a void round is void.
        facts: the facts of the last transition (of a release: ``total``, ``artifact`` and what settling added).
    """

    def __init__(
        self,
        signed_plan: Signed,
        directory: KeyDirectory,
        secure_sum: SecureSumFactory,
        journal: Journal,
        settle: Settle,
    ) -> None:
        self.plan = RoundPlan.decode(signed_plan.payload)
        self.directory = directory
        self.round_id = RoundId(self.plan.federation, self.plan.round_number, self.plan.attempt)
        self.phase = Phase.ANNOUNCED
        self.drops: dict[str, Drop] = {}
        self.facts: Mapping[str, bytes] = {}
        self.plan_digest = digest(self.plan)
        self.sum = secure_sum(self.plan, directory)
        self._announcement = RoundAnnouncement(signed_plan.encode(), directory).encode()
        self._journal = journal
        self._settle = settle
        self._sequence = 0
        self._payloads: Mapping[str, bytes] = {}
        self._replies: dict[str, bytes] = {}
        self._no: dict[str, Drop] = {}

    @classmethod
    def announce(
        cls,
        signed_plan: Signed,
        directory: KeyDirectory,
        secure_sum: SecureSumFactory,
        journal: Journal,
        settle: Settle,
    ) -> "RoundMachine":
        """Write the plan down and return the round; nothing has been sent yet."""
        machine = cls(signed_plan, directory, secure_sum, journal, settle)
        machine._enter(Phase.ANNOUNCED, {"plan": signed_plan.encode(), "directory": directory.encode()})
        return machine

    @classmethod
    def resume(
        cls, transitions: Sequence[Transition], secure_sum: SecureSumFactory, journal: Journal, settle: Settle
    ) -> "RoundMachine":
        """Return the round as its journal left it.

        Raises:
            JournalDamaged: a transition is missing, out of order or does not replay.
        """
        try:
            facts = transitions[0].facts
            signed, directory = Signed.decode(facts["plan"]), KeyDirectory.decode(facts["directory"])
            machine = cls(signed, directory, secure_sum, journal, settle)
            for expected, transition in enumerate(transitions):
                machine._replay(expected, transition)
        except (IndexError, KeyError, TactfulError) as error:
            remedy = "restore the store from a copy, or declare the round void by starting the next one"
            raise JournalDamaged(f"does not replay: {error}", field="transitions", remedy=remedy) from error
        return machine

    @property
    def over(self) -> bool:
        """Whether the round is released or void."""
        return self.phase in (Phase.RELEASED, Phase.VOID)

    @property
    def reason(self) -> str:
        """Why the round is void; empty otherwise."""
        return self.facts.get("reason", b"").decode() if self.phase is Phase.VOID else ""

    @property
    def total(self) -> NDArray[np.int64]:
        """The opened sum in grid units, shape (plan.dimension,).

        Raises:
            OutOfPhase: the round is not released.
        """
        if self.phase is not Phase.RELEASED:
            raise OutOfPhase(f"the round is {self.phase}", field="total", remedy="wait for its release")
        return np.frombuffer(self.facts["total"], dtype="<i8").astype(np.int64)

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """Hosts which were asked in this phase and have not answered, sorted."""
        return tuple(sorted(set(self._payloads) - set(self._replies) - set(self._no)))

    def requests(self) -> dict[str, bytes]:
        """The encoded request for every host in `waiting_for`: the same bytes however often it is called."""
        stage = STAGE_OF.get(self.phase)
        if stage is None:
            return {}
        return {
            host: RoundRequest(self.plan_digest, stage, self.plan.attempt, self._payloads[host]).encode()
            for host in self.waiting_for
        }

    def serve(self, payload: bytes, again: str = "") -> None:
        """In a released round, send this payload from now on to whoever waits, and to the host ``again`` once more."""
        self._replies.pop(again, None)
        self._payloads = dict.fromkeys(self._payloads, payload)

    def announcement(self) -> bytes:
        """The encoded request of the first stage: a host which has answered it repeats its signed offer."""
        return RoundRequest(self.plan_digest, "keys", self.plan.attempt, self._announcement).encode()

    def receive(self, data: bytes) -> Receipt:
        """Take one host's encoded reply, in any order and any number of times. Never raises for what hosts say."""
        try:
            reply = RoundReply.decode(data)
        except WireError:
            return Receipt.REJECTED
        if (reply.plan_digest, reply.attempt) != (self.plan_digest, self.plan.attempt):
            return Receipt.FOREIGN
        if reply.stage != STAGE_OF.get(self.phase) or reply.host_id not in self._payloads:
            return Receipt.LATE
        if reply.host_id in self._replies:
            return Receipt.DUPLICATE if self._replies[reply.host_id] == reply.payload else Receipt.REJECTED
        return self._take(reply)

    def _take(self, reply: RoundReply) -> Receipt:
        refusal = _refusal(reply.payload)
        if refusal is not None:
            self._no[reply.host_id] = Drop(reply.stage, refusal.code, refusal.detail)
            return Receipt.REFUSED
        try:
            if self.phase is not Phase.RELEASED:
                self.sum.accept(reply.stage, reply.host_id, reply.payload)
        except TactfulError as error:
            self._no[reply.host_id] = Drop(reply.stage, getattr(error, "code", type(error).__name__), str(error))
            return Receipt.REJECTED
        self._no.pop(reply.host_id, None)
        self._replies[reply.host_id] = reply.payload
        return Receipt.ACCEPTED

    def close(self) -> Phase:
        """End the phase: who has not answered is dropped; journal the next phase, enter it and return it.

        Too few or wrong answers make the round void. An error of the server's own (a tampered model, a full disk) is
        raised instead and leaves the round open, to be resumed once it is mended.

        Raises:
            OutOfPhase: the round is over.
        """
        if self.over:
            raise OutOfPhase(f"the round is {self.phase}", field="close", remedy="start the next round")
        replies = tuple(self._replies.items())
        try:
            payloads, facts = self._outcome()
            phase = following(self.phase, self.plan)
        except ProtocolError as error:
            payloads, facts, phase = {}, {"reason": str(error).encode()}, Phase.VOID
        self._note_drops()
        self._enter(phase, facts, replies, payloads)
        return self.phase

    def _outcome(self) -> tuple[Mapping[str, bytes], Mapping[str, bytes]]:
        """What the next phase asks of whom, and what this one fixed; raises when the round is lost."""
        if self.phase is Phase.ANNOUNCED:
            return dict.fromkeys(self.directory.host_ids, self._announcement), {}
        stage = STAGE_OF[self.phase]
        name = "committee_threshold" if self.phase is Phase.ENDORSING else "n_min"
        if len(self._replies) < (needed := getattr(self.plan, name)):
            raise ProtocolError(
                f"{len(self._replies)} hosts answered, {name} is {needed}",
                field=stage,
                remedy="the next round may have more",
            )
        if self.phase is not Phase.UNMASKING:
            return self.sum.close(stage), {}
        total = self.sum.open()
        facts = {"total": total.astype("<i8").tobytes(), **self._settle(self.plan, total, self.sum)}
        return self._releases(facts), facts

    def _releases(self, facts: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Every host of the roster gets the model, also one that dropped out or has no budget left."""
        return dict.fromkeys(self.directory.host_ids, facts["artifact"])

    def _note_drops(self) -> None:
        stage = STAGE_OF.get(self.phase, "")
        for host in set(self._payloads) - set(self._replies):
            self.drops.setdefault(host, self._no.get(host, Drop(stage, "silent")))

    def _enter(
        self,
        phase: Phase,
        facts: Mapping[str, bytes],
        replies: tuple[tuple[str, bytes], ...] = (),
        payloads: Mapping[str, bytes] | None = None,
    ) -> None:
        drops = {f"drop:{host}": "\n".join((d.stage, d.code, d.detail)).encode() for host, d in self.drops.items()}
        transition = Transition(self.round_id, self._sequence, phase, replies, {**facts, **drops})
        self._journal(transition)
        self._adopt(transition, payloads or {})

    def _adopt(self, transition: Transition, payloads: Mapping[str, bytes]) -> None:
        self.phase, self.facts = transition.phase, transition.facts
        self._sequence = transition.sequence + 1
        self._payloads, self._replies, self._no = payloads, {}, {}

    def _replay(self, expected: int, transition: Transition) -> None:
        if transition.sequence != expected or transition.round_id != self.round_id or (self.over and expected):
            raise JournalDamaged(f"transition {transition.sequence} is out of place", field=str(expected))
        if expected and transition.phase not in (following(self.phase, self.plan), Phase.VOID):
            raise JournalDamaged(f"{transition.phase} cannot follow {self.phase}", field=str(expected))
        for host, payload in transition.replies:
            self.sum.accept(STAGE_OF[self.phase], host, payload)
        self._adopt(transition, self._replayed_payloads(transition))
        self.drops = dict(_drops(transition.facts))

    def _replayed_payloads(self, transition: Transition) -> Mapping[str, bytes]:
        """The payloads of the phase entered; the sum is never opened again, its opening was written down."""
        if transition.phase in (Phase.ANNOUNCED, Phase.VOID):
            return {}
        if transition.phase is Phase.RELEASED:
            return self._releases(transition.facts)
        if transition.phase is Phase.KEYS:
            return dict.fromkeys(self.directory.host_ids, self._announcement)
        return self.sum.close(STAGE_OF[self.phase])


def _drops(facts: Mapping[str, bytes]) -> Iterable[tuple[str, Drop]]:
    for name, value in facts.items():
        if name.startswith("drop:"):
            stage, code, detail = value.decode().split("\n", 2)
            yield name.removeprefix("drop:"), Drop(stage, code, detail)


def _refusal(payload: bytes) -> Refusal | None:
    """The refusal inside a reply, or None when it is an answer."""
    if payload[_KIND_AT : _KIND_AT + 1] != bytes((Kind.REFUSAL,)):
        return None
    try:
        return Refusal.decode(payload)
    except WireError:
        return None
