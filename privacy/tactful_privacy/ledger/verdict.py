"""Did the history change? An auditor's verdict over entries and signed heads, with the place and the kind of the fault.

The chain tells what was done to single lines. The heads tell what no chain can: that its end was cut off, or that all
of it was written anew. And two heads of one key which cannot both be true convict the server, whoever shows them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tactful_privacy.errors import InvalidInput, LedgerBroken, TactfulError
from tactful_privacy.ledger.chain import Chain, require_end
from tactful_privacy.ledger.entries import CONTINUES, MAX_LINE_BYTES, Entry, parse_entry
from tactful_privacy.ledger.exported import Evidence, gather
from tactful_privacy.ledger.heads import head_fields
from tactful_privacy.ledger.locate import located
from tactful_privacy.ledger.merkle import Tree, extends
from tactful_privacy.wire import LedgerHead, Signed, open_signed

_TOLD_TWICE: Final = "keep this file: it shows two histories under one signature; ask the operator"


class LedgerForked(LedgerBroken):
    """The server's key signed two histories. ``evidence`` is plain JSON that convicts it on its own."""

    def __init__(self, message: str, *, line: int, evidence: dict[str, Any]) -> None:
        self.evidence = evidence
        super().__init__(f"forked: {message}", line=line, remedy=_TOLD_TWICE, fault="forked")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A ledger that holds.

    Attributes:
        entries: number of them.
        releases: those which are releases.
        head: hash of the last entry, 32 bytes.
        root: Merkle root over all entries, 32 bytes.
        heads: signed heads that all hold together.
        signed_entries: how many entries the largest of them covers; those after it have the chain alone.
        server_key: whose signatures; empty where there was nothing to verify.
        key_pinned: whether that key came from the auditor and not from the file.
    """

    entries: int
    releases: int
    head: bytes
    root: bytes
    heads: int
    signed_entries: int
    server_key: bytes
    key_pinned: bool
    tree: Tree = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON says them."""
        return {
            "entries": self.entries,
            "releases": self.releases,
            "head": self.head.hex(),
            "root": self.root.hex(),
            "signed_heads": self.heads,
            "signed_entries": self.signed_entries,
            "server_key": self.server_key.hex(),
            "key_pinned": self.key_pinned,
        }


def judge(
    evidence: Evidence, key: bytes | None = None, remembered: Sequence[Signed] = (), last: bytes | None = None
) -> Verdict:
    """Verify entries and heads against each other.

    Args:
        evidence: as gathered from the file.
        key: the server's public key as the auditor has it from elsewhere, 32 bytes; None believes the file.
        remembered: signed heads that the auditor has seen, which the history must contain.
        last: hash of the entry that must be the last one, 32 bytes.

    Raises:
        LedgerForked: two signed heads contradict each other, or a head contradicts a history signed after it.
        LedgerBroken: anything else that is wrong, with its line in the file and its fault.
        InvalidInput: there are heads to verify and no key to do it with, or a remembered head is another key's.
    """
    chain, broken = _follow(evidence)
    trusted = _trusted_key(evidence, chain, key)
    heads = _opened(evidence, trusted, remembered)
    _require_one_history(heads, evidence)
    if broken is not None:
        raise _moved(_cut_or(broken, heads), evidence)
    _hold_against(heads, chain, evidence)
    _require_promised(chain, evidence)
    try:
        require_end(chain, last)
    except LedgerBroken as error:
        raise _moved(error, evidence) from error
    return Verdict(
        entries=chain.entries,
        releases=chain.releases,
        head=chain.head,
        root=chain.tree.root(),
        heads=len(evidence.heads),
        signed_entries=max((head.size for head, _, _ in heads), default=0),
        server_key=trusted,
        key_pinned=key is not None,
        tree=chain.tree,
    )


def history(path: str | Path, key: bytes | None = None, last: bytes | None = None) -> tuple[Verdict, tuple[Entry, ...]]:
    """Read an export or a ledger, and return the verdict on it with its entries; raises as `gather` and `judge` do."""
    evidence = gather(path)
    verdict = judge(evidence, key, last=last)
    return verdict, tuple(parse_entry(line, number) for number, line in enumerate(evidence.lines))


_Heads = Sequence[tuple[LedgerHead, Signed, int]]
"""Verified heads: what each says, as signed, and its line in the file (0 for one that the auditor brought)."""


def _follow(evidence: Evidence) -> tuple[Chain, LedgerBroken | None]:
    chain = Chain()
    try:
        for number, line in enumerate(evidence.lines, start=1):
            whole = number < len(evidence.lines) or not evidence.unfinished
            chain.accept(line[:MAX_LINE_BYTES] + (b"\n" if whole else b""))
    except LedgerBroken as error:
        return chain, located(evidence.lines, error)
    return chain, None


def _trusted_key(evidence: Evidence, chain: Chain, key: bytes | None) -> bytes:
    named = [said for said in (evidence.server_key, chain.named_key) if said]
    trusted = key or (named[0] if named else b"")
    for said in named:
        if said != trusted:
            message = f"forged: the file is of key {said.hex()}, not of {trusted.hex()}"
            remedy = "get the export of the server whose key you have"
            raise LedgerBroken(message, line=1, remedy=remedy, fault="forged")
    if not trusted and evidence.heads:
        raise InvalidInput("the ledger names no server key", field="key", remedy="give the key that hosts pin")
    return trusted


def _opened(evidence: Evidence, key: bytes, remembered: Sequence[Signed]) -> _Heads:
    heads = list[tuple[LedgerHead, Signed, int]]()
    for number, signed in enumerate(evidence.heads, start=evidence.first_head):
        try:
            heads.append((open_signed(signed, LedgerHead, key), signed, number))
        except TactfulError as error:
            message = f"forged: a signed head does not verify ({error})"
            raise LedgerBroken(message, line=number, remedy=CONTINUES, fault="forged") from error
        if heads[-1][0].federation != heads[0][0].federation:
            message = f"forged: a head of {heads[-1][0].federation!r} among those of {heads[0][0].federation!r}"
            raise LedgerBroken(message, line=number, remedy=CONTINUES, fault="forged")
    return [*heads, *_brought(remembered, key, heads[0][0].federation if heads else None)]


def _brought(remembered: Sequence[Signed], key: bytes, federation: str | None) -> _Heads:
    heads = list[tuple[LedgerHead, Signed, int]]()
    for signed in remembered:
        try:
            heads.append((open_signed(signed, LedgerHead, key), signed, 0))
        except TactfulError as error:
            remedy = "give the key that signed it with --key, or a head of this federation"
            message = f"is not signed by this ledger's key ({error})"
            raise InvalidInput(message, field="--head", remedy=remedy) from error
        if federation is not None and heads[-1][0].federation != federation:
            message = f"is of {heads[-1][0].federation!r}, the ledger of {federation!r}"
            raise InvalidInput(message, field="--head", remedy="give a head of this federation")
    return heads


def _require_one_history(heads: _Heads, evidence: Evidence) -> None:
    """Two heads of one size need no entries to contradict each other."""
    first_of: dict[int, tuple[LedgerHead, Signed, int]] = {}
    for head, signed, line in heads:
        other, other_signed, _ = first_of.setdefault(head.size, (head, signed, line))
        if (head.root, head.chain_head) != (other.root, other.chain_head):
            message = f"two heads of {head.size} entries were signed with different roots"
            found = {"heads": [head_fields(other_signed), head_fields(signed)]}
            raise LedgerForked(message, line=line or evidence.first_line, evidence=found)


def _hold_against(heads: _Heads, chain: Chain, evidence: Evidence) -> None:
    """Every head must be a state which this history went through."""
    rising = sorted(heads, key=lambda item: item[0].size)
    holds = [item for item in rising if _is_state(item[0], chain)]
    fails = [item for item in rising if item[0].size <= chain.entries and not _is_state(item[0], chain)]
    proven = holds[-1] if holds else None
    for head, signed, line in fails:
        if proven is not None and head.size < proven[0].size:
            raise _convicted((head, signed, line), proven, chain.tree, evidence)
    after = proven[0].size if proven else 0
    if fails:
        until = fails[0][0].size
        message = (
            f"edited: entries {after} to {until - 1} are not all those that the server signed, although their chain "
            "holds: the lines were written anew, or the server showed others another history"
        )
        raise LedgerBroken(message, line=evidence.first_line + after, remedy=CONTINUES)
    if rising and rising[-1][0].size > chain.entries:
        message = f"truncated: {chain.entries} entries, and {rising[-1][0].size} were signed"
        line = evidence.first_line + chain.entries
        raise LedgerBroken(message, line=line, remedy=CONTINUES, fault="truncated")


def _is_state(head: LedgerHead, chain: Chain) -> bool:
    return (
        head.size <= chain.entries
        and chain.tree.root(head.size) == head.root
        and chain.of_hash.get(head.chain_head) == head.size - 1
    )


def _convicted(
    wrong: tuple[LedgerHead, Signed, int], proven: tuple[LedgerHead, Signed, int], tree: Tree, evidence: Evidence
) -> LedgerForked:
    """A head that contradicts what a later head signed: the path that joins the others does not join these two."""
    head, later = wrong[0], proven[0]
    path = tree.consistency(head.size, later.size)
    found = {
        "heads": [head_fields(wrong[1]), head_fields(proven[1])],
        "consistency_path": [item.hex() for item in path],
        "path_joins_signed_roots": extends(head.size, head.root, later.size, later.root, path),
        "path_joins_entries": extends(head.size, tree.root(head.size), later.size, later.root, path),
    }
    message = f"the head of {later.size} entries does not continue the head of {head.size} entries"
    return LedgerForked(message, line=wrong[2] or evidence.first_line + head.size - 1, evidence=found)


def _cut_or(broken: LedgerBroken, heads: _Heads) -> LedgerBroken:
    """An unfinished line that was signed once is no crash: nothing unfinished is ever signed."""
    signed = max((head.size for head, _, _ in heads), default=0)
    if broken.fault == "unfinished" and signed >= broken.line:
        message = f"truncated: in the middle of entry {broken.line - 1}, and {signed} entries were signed"
        return LedgerBroken(message, line=broken.line, remedy=CONTINUES, fault="truncated")
    return broken


def _require_promised(chain: Chain, evidence: Evidence) -> None:
    promised = evidence.promised
    if promised is None or promised == chain.entries:
        return
    fault = "truncated" if chain.entries < promised else "extended"
    message = f"{fault}: {chain.entries} entries, the header says {promised}"
    line = evidence.first_line + min(chain.entries, promised)
    raise LedgerBroken(message, line=line, remedy="get the export once more", fault=fault)


def _moved(error: LedgerBroken, evidence: Evidence) -> LedgerBroken:
    """The same error with the line of the file instead of the line of the ledger."""
    if evidence.first_line == 1:
        return error
    _, _, message = str(error).partition(": ")
    return LedgerBroken(message, line=error.line + evidence.first_line - 1, fault=error.fault)


__all__ = ["LedgerForked", "Verdict", "history", "judge"]
