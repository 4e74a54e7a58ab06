"""Proofs as JSON that stand on their own: about one entry, or about two sizes of the ledger.

``{"format": "tactful-ledger-proof", "version": 1, "kind": "inclusion" | "consistency", ...}``; sizes and indices are
numbers, hashes and paths hex, the entry its exact line, a head as in an export (null where no head has that size).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tactful_privacy.errors import InvalidInput, LedgerBroken, TactfulError
from tactful_privacy.ledger.entries import parse_entry
from tactful_privacy.ledger.exported import Evidence
from tactful_privacy.ledger.heads import head_fields, head_from_fields, head_of
from tactful_privacy.ledger.merkle import extends, includes
from tactful_privacy.ledger.verdict import Verdict
from tactful_privacy.wire import LedgerHead, Signed, open_signed

FORMAT: Final = "tactful-ledger-proof"
_REMEDY: Final = "ask for the proof once more; this one shows nothing"


@dataclass(frozen=True, slots=True)
class Proven:
    """What a proof that holds has shown.

    Attributes:
        kind: ``inclusion`` or ``consistency``.
        index: of the entry; None for consistency.
        sizes: the size of the tree, or the two of them.
        signed: whether every root in it carries a signature, which was verified.
        server_key: that signed; empty where nothing is signed.
    """

    kind: str
    index: int | None
    sizes: tuple[int, ...]
    signed: bool
    server_key: bytes

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON says it."""
        named: dict[str, Any] = {"kind": self.kind, "sizes": list(self.sizes), "signed": self.signed}
        return {**named, "index": self.index, "server_key": self.server_key.hex()}


@dataclass(frozen=True, slots=True)
class _Tree:
    """A size and its root, and the head that signs them if there is one."""

    size: int
    root: bytes
    signed: Signed | None

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> "_Tree":
        signed = None if fields["head"] is None else head_from_fields(fields["head"])
        size, root = fields["size"], bytes.fromhex(fields["root"])
        if type(size) is not int or fields.keys() != {"head", "root", "size"}:
            raise KeyError("size")
        return cls(size, root, signed)

    def require_signed(self, key: bytes | None) -> bytes:
        """The key that signed this tree; empty where nobody did."""
        if self.signed is None:
            return b""
        try:
            head = open_signed(self.signed, LedgerHead, key or self.signed.signer)
        except TactfulError as error:
            message = f"forged: the head of {self.size} entries does not verify ({error})"
            raise LedgerBroken(message, line=1, remedy=_REMEDY, fault="forged") from error
        if (head.size, head.root) != (self.size, self.root):
            message = f"forged: the head is of {head.size} entries with another root"
            raise LedgerBroken(message, line=1, remedy=_REMEDY, fault="forged")
        return self.signed.signer

    def require_remembered(self, remembered: Sequence[Signed]) -> None:
        """Raise `LedgerBroken` where a remembered head of this size has another root."""
        for signed in remembered:
            head = head_of(signed)
            if head.size == self.size and head.root != self.root:
                message = f"forked: the head you remember has another root for {self.size} entries"
                raise LedgerBroken(message, line=1, remedy="keep both: they contradict each other", fault="forked")


@dataclass(frozen=True, slots=True)
class _Proof:
    """A proof as it was read: consistency has two trees and no entry."""

    trees: tuple[_Tree, ...]
    path: tuple[bytes, ...]
    index: int | None = None
    line: bytes = b""

    @classmethod
    def read(cls, text: str) -> "_Proof":
        try:
            document = json.loads(text)
            named = document["format"], document["version"], document["kind"]
            path = tuple(bytes.fromhex(item) for item in document["path"])
            names = ("first", "second") if named[2] == "consistency" else ("tree",)
            trees = tuple(_Tree.read(document[name]) for name in names)
            index, line = document.get("index"), str(document.get("entry", "")).encode()
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise InvalidInput(f"is not a ledger proof ({error!r})", field="proof", remedy=_REMEDY) from error
        if named == (FORMAT, 1, "consistency"):
            return cls(trees, path)
        if named != (FORMAT, 1, "inclusion") or type(index) is not int:
            raise InvalidInput(f"is {named}, not a proof of version 1", field="proof", remedy=_REMEDY)
        return cls(trees, path, index, line)

    def holds(self) -> bool:
        """Whether the path leads where it must; raises `LedgerBroken` for an entry whose own hash fails."""
        last = self.trees[-1]
        if self.index is None:
            first = self.trees[0]
            return extends(first.size, first.root, last.size, last.root, self.path)
        entry = parse_entry(self.line, self.index)
        return entry.index == self.index and includes(entry.hash, self.index, last.size, self.path, last.root)


def prove_entry(evidence: Evidence, verdict: Verdict, index: int) -> dict[str, Any]:
    """Prove that the ledger has the entry at ``index``, against the newest signed head that covers it.

    Raises:
        InvalidInput: there is no such entry.
    """
    covering = [size for signed in evidence.heads if (size := head_of(signed).size) > index]
    size = max(covering, default=verdict.entries)
    path = verdict.tree.inclusion(index, size)
    tree = _state(evidence, verdict, size)
    begun = {"format": FORMAT, "version": 1, "kind": "inclusion", "tree": tree}
    return {**begun, "index": index, "entry": evidence.lines[index].decode(), "path": [item.hex() for item in path]}


def prove_between(evidence: Evidence, verdict: Verdict, first: int, second: int) -> dict[str, Any]:
    """Prove that the ledger of ``second`` entries begins with that of ``first``.

    Raises:
        InvalidInput: not 0 ≤ first ≤ second ≤ entries.
    """
    path = verdict.tree.consistency(first, second)
    return {
        "format": FORMAT,
        "version": 1,
        "kind": "consistency",
        "first": _state(evidence, verdict, first),
        "second": _state(evidence, verdict, second),
        "path": [item.hex() for item in path],
    }


def check_proof(text: str, key: bytes | None = None, remembered: Sequence[Signed] = ()) -> Proven:
    """Verify a proof that stands on its own.

    Args:
        text: the JSON.
        key: the server's public key; None believes the one that signed, which is returned.
        remembered: signed heads that the reader has seen: a tree of the same size must have the same root.

    Raises:
        LedgerBroken: the proof does not hold; ``fault`` is ``forked`` where it contradicts a remembered head.
        InvalidInput: not a proof.
    """
    proof = _Proof.read(text)
    signers = {tree.require_signed(key) for tree in proof.trees} - {b""}
    if len(signers) > 1:
        raise LedgerBroken("forged: its heads are of two keys", line=1, remedy=_REMEDY, fault="forged")
    for tree in proof.trees:
        tree.require_remembered(remembered)
    if not proof.holds():
        message = "edited: the path does not lead to the root"
        raise LedgerBroken(message, line=(proof.index or 0) + 1, remedy=_REMEDY)
    signed = all(tree.signed is not None for tree in proof.trees if tree.size)
    kind = "consistency" if proof.index is None else "inclusion"
    return Proven(kind, proof.index, tuple(tree.size for tree in proof.trees), signed, next(iter(signers), b""))


def _state(evidence: Evidence, verdict: Verdict, size: int) -> dict[str, Any]:
    signed = next((item for item in evidence.heads if head_of(item).size == size), None)
    head = None if signed is None else head_fields(signed)
    return {"size": size, "root": verdict.tree.root(size).hex(), "head": head}


__all__ = ["FORMAT", "Proven", "check_proof", "prove_between", "prove_entry"]
