"""What a host knows of its federation's ledger, and how it checks a release against that.

A released model is installed only with the proof that its round is in the ledger: under the plan that this host
agreed to, at the price it paid, with the survivors it signed for; and that the ledger shown now continues the one shown
before. The newest head that held is kept in the vault. The proofs need no trust in the server but in its signature;
what they cannot show is that *other* hosts see the same ledger. For that, heads can be compared: they are public.

::

    ProtocolError
    ├── PlanNotInLedger   no proof that the ledger has this release, under this plan and with these terms
    └── LedgerForked      the server signed a history that does not continue the one it signed before
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

from tactful_privacy.errors import LedgerBroken, ProtocolError
from tactful_privacy.ledger.entries import NO_HEAD, Entry, Release, parse_entry
from tactful_privacy.ledger.merkle import extends, includes
from tactful_privacy.secagg import HostSession
from tactful_privacy.wire import Artifact, LedgerHead, LedgerProof, RoundPlan, Signed, SurvivorList, open_signed

_ASK: Final = "ask the operator for the ledger's export and audit it; no model is installed until this is explained"


class PlanNotInLedger(ProtocolError):
    """The ledger, as the server proves it, does not have this release under the plan that this host agreed to."""

    code: ClassVar[str] = "plan_not_in_ledger"


class LedgerForked(ProtocolError):
    """Two signed heads, of which the later does not continue the earlier: the server told two histories."""

    code: ClassVar[str] = "ledger_forked"


@dataclass(frozen=True, slots=True)
class LedgerView:
    """What a host keeps about a ledger, durably.

    Attributes:
        signed_head: the newest `Signed` `LedgerHead` that continued all before it; empty before the first.
        verified: releases whose proof held.
        refused: by error code, releases whose proof did not.
        unlinked: releases put off because no link from this head was sent.
    """

    signed_head: bytes = b""
    verified: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    unlinked: int = 0

    def to_bytes(self) -> bytes:
        """Return compact JSON."""
        fields = [self.signed_head.hex(), self.verified, dict(self.refused), self.unlinked]
        return json.dumps(fields, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes | None) -> "LedgerView":
        """Undo `to_bytes`; None gives a view before the first release."""
        if data is None:
            return cls()
        head, verified, refused, unlinked = json.loads(data)
        return cls(bytes.fromhex(head), verified, refused, unlinked)

    def head(self, server_key: bytes) -> LedgerHead | None:
        """The newest head that held; None before the first."""
        return open_signed(self.signed_head, LedgerHead, server_key) if self.signed_head else None

    def with_refusal(self, error: ProtocolError) -> "LedgerView":
        """This view with one more release refused."""
        code = str(getattr(error, "code", type(error).__name__))
        return replace(self, refused={**self.refused, code: self.refused.get(code, 0) + 1})

    def status(self) -> dict[str, object]:
        """Counts and the head, for monitoring and for comparing with other hosts; nothing in it is about a person."""
        head = LedgerHead.decode(Signed.decode(self.signed_head).payload) if self.signed_head else None
        return {
            "size": head.size if head else 0,
            "root": head.root.hex() if head else "",
            "verified": self.verified,
            "refused": dict(self.refused),
            "unlinked": self.unlinked,
        }


@dataclass(frozen=True, slots=True)
class ReleaseCheck:
    """One release to be checked: what came, and what this host knows of its round.

    Attributes:
        plan_digest: the plan that the release is said to be of.
        artifact: the model, its signature verified.
        proof: as it came.
        host_id: this host.
        session: its part in that plan's round; None where it did not agree to the plan.
        answered_round: number of the last round whose plan it agreed to, if any.
    """

    plan_digest: bytes
    artifact: Artifact
    proof: LedgerProof
    host_id: str
    session: HostSession | None
    answered_round: int | None = None

    def against(self, view: LedgerView, server_key: bytes) -> LedgerView:
        """Return the view after this release: the same one where a link is missing, a newer one where all holds.

        Raises:
            PlanNotInLedger, LedgerForked: see there.
            WireError: the head is not signed by the pinned key.
        """
        head = open_signed(self.proof.signed_head, LedgerHead, server_key)
        if head.federation != self.artifact.card.federation:
            raise _missing(f"the head is of {head.federation!r}", "federation")
        known = view.head(server_key)
        if known is not None and known.federation != head.federation:
            raise _missing(f"this host follows the ledger of {known.federation!r}", "federation")
        if known is not None and not self._continues(known, head):
            return replace(view, unlinked=view.unlinked + 1)
        entry = self._entry(head)
        if self.session is not None:
            self._check_agreed(self.session, entry, head, known)
        elif self.answered_round == entry.body["round_number"]:
            raise _missing("this host agreed to another plan of the same round", "plan")
        fresh = self.proof.signed_head != view.signed_head
        return replace(view, signed_head=self.proof.signed_head, verified=view.verified + fresh)

    def _continues(self, known: LedgerHead, head: LedgerHead) -> bool:
        """Whether the head continues the known one; False where nothing was sent that could show it."""
        if head.size < known.size:
            return False
        link = next((link.path for link in self.proof.links if link.size == known.size), None)
        if link is None and head.size > known.size:
            return False
        if not extends(known.size, known.root, head.size, head.root, link or ()):
            raise _forked(f"{head.size} entries do not begin with the {known.size} that were signed before", "root")
        return True

    def _entry(self, head: LedgerHead) -> Entry:
        """The release entry, once it is known to be in the tree and to be about this plan and this model."""
        proof, card = self.proof, self.artifact.card
        try:
            entry = parse_entry(proof.entry, proof.index)
            release = Release.from_entry(entry)
        except LedgerBroken as error:
            raise _missing(str(error), "entry") from error
        if not includes(entry.hash, proof.index, head.size, proof.path, head.root):
            raise _missing("the inclusion proof does not verify", "path")
        wrong = None
        if entry.kind != "release" or entry.index != proof.index:
            wrong = f"entry {proof.index} is {entry.kind} {entry.index}"
        elif release.plan_digest != self.plan_digest:
            wrong = "the entry is of another plan"
        elif release.model_digest != self.artifact.digest or release.round_number != card.round_number:
            wrong = "the entry is of another model"
        if wrong:
            raise _missing(wrong, "entry")
        return entry

    def _check_agreed(self, session: HostSession, entry: Entry, head: LedgerHead, known: LedgerHead | None) -> None:
        """Hold the entry against the plan that this host agreed to, and the plan against the ledger."""
        plan, release = session.plan, Release.from_entry(entry)
        mine = next((devices for host, devices in release.roster if host == self.host_id), None)
        planned = session.directory.entry(self.host_id)
        # A run of correlated noise is priced at its first release; the later ones state 0.
        priced = release.rho == plan.rho or (plan.run is not None and release.rho == 0)
        if not priced or release.round_number != plan.round_number:
            raise _missing(f"round {release.round_number} at ρ = {release.rho} was not what this host agreed to", "rho")
        if planned is None or mine != planned.planned_devices:
            raise _missing(f"this host is entered with {mine} devices", "roster")
        self._check_survivors(session, plan, release)
        before, path = self.proof.plan_head_index, self.proof.plan_head_path
        if not before < entry.index or not includes(plan.previous_head, before, head.size, path, head.root):
            raise _forked("the plan was chained to an entry that this ledger does not have", "previous_head")
        if known is not None and known.size <= entry.index and before < known.size - 1:
            message = f"the plan was chained to entry {before}, of a ledger of which {known.size} were verified"
            raise _forked(message, "previous_head")

    def _check_survivors(self, session: HostSession, plan: RoundPlan, release: Release) -> None:
        signed = SurvivorList(self.plan_digest, release.keys_digest, plan.previous_head, release.survivors)
        try:
            session.answered("sign", signed.encode())
        except ProtocolError as error:
            raise _missing("other survivors or keys than this host signed for", "survivors") from error


def require_chained(plan: RoundPlan, view: LedgerView, server_key: bytes) -> None:
    """Refuse a plan that is chained to an empty ledger although this host has seen a longer one.

    Any other ``previous_head`` can only be judged with the release, which has to prove where it stands.

    Raises:
        LedgerForked: see above.
    """
    if plan.previous_head == NO_HEAD and view.head(server_key) is not None:
        raise _forked("the plan begins a new ledger", "previous_head")


def _missing(message: str, field: str) -> PlanNotInLedger:
    return PlanNotInLedger(message, field=f"ledger {field}", remedy=_ASK)


def _forked(message: str, field: str) -> LedgerForked:
    return LedgerForked(message, field=f"ledger {field}", remedy=_ASK)
