"""What the server shows of its ledger: a signed head after every round, and with every release the proof that it is in.

A host checks the newest head against the one it holds; the path between the two is a *link*. Hosts that took part in
the last rounds hold one of the last heads, from which links are always sent. A host that was away longer answers a
release with the head it holds, and is sent the release again with a link from there.
"""

from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tactful_privacy.errors import LedgerBroken, TactfulError
from tactful_privacy.ledger import HeadBook, Ledger, head_of
from tactful_privacy.wire import HeadLink, LedgerHead, LedgerProof, ModelRelease, RoundPlan, Signed, digest, open_signed

RECENT_HEADS: Final = 8
MAX_ASKED: Final = 1_000  # with the recent ones below what a message may hold
_RESTORE: Final = "restore the ledger from a copy that has it; the hosts have verified more than this one shows"


class Held(StrEnum):
    """What a host's answer to a release says about the head it holds."""

    CURRENT = "current"
    BEHIND = "behind"
    AHEAD = "ahead"
    UNKNOWN = "unknown"


class Transparency:
    """Heads and proofs of one federation.

    Args:
        federation: its name.
        ledger: its ledger.
        key: signs the heads; hosts pin its public half.
    """

    def __init__(self, federation: str, ledger: Ledger, key: Ed25519PrivateKey) -> None:
        self.federation = federation
        self.ledger = ledger
        self.book = HeadBook(ledger)
        self._key = key
        self._asked: set[int] = set()

    def sign(self) -> Signed:
        """Sign the ledger as it is now, durable before return; raises `LedgerBroken` rather than contradict itself."""
        return self.book.sign(self.federation, self._key)

    def check(self, plan: RoundPlan) -> None:
        """Return if the ledger still has all that was signed, and the entry that the plan was chained to.

        To be asked before an entry about the plan is appended: a ledger put back from an old copy must not grow.

        Raises:
            LedgerBroken: it has not.
        """
        self.book.check(self.federation, self._key.public_key().public_bytes_raw())
        self._index(self.ledger.index_of(plan.previous_head), f"the entry that the plan {plan.round_number} names")

    def release(self, plan: RoundPlan, artifact: bytes) -> bytes:
        """The payload of the stage ``released``: the artifact and the proof that its round is in the ledger.

        Args:
            plan: of the round.
            artifact: an encoded `Signed` artifact.

        Raises:
            LedgerBroken: the round, or the entry which its plan was chained to, is not in the ledger.
        """
        signed = self.sign()
        size = head_of(signed).size
        index = self._index(self.ledger.find("release", digest(plan)), f"the release of round {plan.round_number}")
        before = self._index(
            self.ledger.index_of(plan.previous_head), f"the entry that the plan {plan.round_number} names"
        )
        proof = LedgerProof(
            signed_head=signed.encode(),
            index=index,
            entry=self.ledger.line(index),
            path=self.ledger.inclusion(index, size),
            plan_head_index=before,
            plan_head_path=self.ledger.inclusion(before, size),
            links=tuple(HeadLink(earlier, self.ledger.consistency(earlier, size)) for earlier in self._sizes(size)),
        )
        return ModelRelease(artifact, proof).encode()

    def hear(self, payload: bytes) -> Held:
        """Take a host's answer to a release; one that is behind gets its link with the next call of `release`."""
        try:
            head = open_signed(payload, LedgerHead, self._key.public_key().public_bytes_raw())
        except TactfulError:
            return Held.UNKNOWN
        if head.federation != self.federation:
            return Held.UNKNOWN
        size = head_of(self.book.heads()[-1]).size
        if head.size > size or self.ledger.root(head.size) != head.root:
            return Held.AHEAD
        if head.size == size:
            return Held.CURRENT
        if len(self._asked) >= MAX_ASKED:
            self._asked.pop()  # whoever was waiting for that one asks again
        self._asked.add(head.size)
        return Held.BEHIND

    def _sizes(self, size: int) -> list[int]:
        recent = [head_of(signed).size for signed in self.book.heads()[-RECENT_HEADS - 1 :]]
        return sorted({earlier for earlier in (*recent, *self._asked) if earlier < size})

    def _index(self, found: int | None, what: str) -> int:
        if found is None:
            raise LedgerBroken(
                f"truncated: {what} is missing", line=self.ledger.size + 1, remedy=_RESTORE, fault="truncated"
            )
        return found
