"""The ledger: an append-only chain of all releases, one canonical JSON line each.

A line holds ``index`` (from 0), ``previous`` (hash of the line before, zeros for the first), ``kind``, ``body`` and
``hash`` = SHA-256(``tactful/v1/ledger`` · NUL · the line without its hash). Keys are sorted, numbers are integers,
rationals are ``"numerator/denominator"`` and byte strings hex: a line has one spelling, and `verify` accepts no other.

Whoever keeps the last hash, the *head*, can later tell that nothing before it was edited, removed or reordered. The
chain alone cannot show that its end was cut off: give `verify` the head that you remember.

A crash in the middle of `Ledger.append` leaves at most one unfinished last line, which was never acknowledged. It is
reported, and `mend` sets it aside in a file of its own; nothing is deleted. Needs POSIX file locks.

Over the entries' hashes, in order, stands the Merkle tree of `tactful_privacy.ledger.merkle`: leaf i is the hash of
entry i. Its root is what the server signs (`tactful_privacy.ledger.heads`), and what devices get short proofs against.
"""

import os
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tactful_privacy.errors import InvalidInput, LedgerBroken
from tactful_privacy.ledger.entries import (
    CONTINUES,
    KINDS,
    MAX_LINE_BYTES,
    NO_HEAD,
    Entry,
    Value,
    canonical,
    hash_of,
    parse_entry,
    parse_line,
    plain,
)
from tactful_privacy.ledger.files import keep_aside, opened, sync_directory, write_durably
from tactful_privacy.ledger.locate import located
from tactful_privacy.ledger.merkle import Tree


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """What `verify` found: the number of entries, the releases among them, and the head."""

    entries: int
    releases: int
    head: bytes


class Chain:
    """The state of a verification that reads line after line."""

    def __init__(self) -> None:
        self.entries = 0
        self.releases = 0
        self.head = NO_HEAD
        self.end = 0
        self.tree = Tree()
        self.starts = array("Q")
        self.of_plan: dict[tuple[str, str], int] = {}
        self.of_hash: dict[bytes, int] = {}
        self.named_key = b""

    def follow(self, file: IO[bytes]) -> Iterator[Entry]:
        """Verify and yield every line from ``end`` on, keeping the state up to date."""
        file.seek(self.end)
        while line := file.readline(MAX_LINE_BYTES):
            yield self.accept(line)

    def accept(self, line: bytes) -> Entry:
        """Verify the next line, with its line break; raises `LedgerBroken`."""
        number = self.entries + 1
        if not line.endswith(b"\n"):
            raise self._unfinished(line, number)
        fields = parse_line(line[:-1], number)
        self._check_place(fields, number)
        claimed = fields.pop("hash")
        found = hash_of(fields)
        if claimed != found.hex():
            raise LedgerBroken("edited: the hash does not match the line", line=number, remedy=CONTINUES)
        entry = Entry(fields["index"], self.head, fields["kind"], fields["body"], found)
        self._note(entry)
        self.entries, self.head, self.end = number, found, self.end + len(line)
        return entry

    def _note(self, entry: Entry) -> None:
        self.tree.append(entry.hash)
        self.starts.append(self.end)
        self.of_hash[entry.hash] = entry.index
        self.releases += entry.kind == "release"
        if entry.kind == "genesis":
            self.named_key = _key(entry.body.get("server_key"))
        plan = entry.body.get("plan_digest")
        if isinstance(plan, str):
            self.of_plan.setdefault((entry.kind, plan), entry.index)

    def _unfinished(self, line: bytes, number: int) -> LedgerBroken:
        if len(line) == MAX_LINE_BYTES:
            return LedgerBroken(f"edited: longer than {MAX_LINE_BYTES} bytes", line=number, remedy=CONTINUES)
        return LedgerBroken(
            f"unfinished: a crash cut an append after {len(line)} bytes; the {self.entries} entries before it verify",
            line=number,
            remedy="set it aside with `tactful audit ledger FILE --mend`",
            fault="unfinished",
        )

    def _check_place(self, fields: Mapping[str, Any], number: int) -> None:
        if fields["index"] != self.entries or isinstance(fields["index"], bool):
            raise LedgerBroken(
                f"removed or reordered: entry {self.entries} belongs here, found {fields['index']!r}",
                line=number,
                remedy=CONTINUES,
                fault="reordered",
            )
        if fields["previous"] != self.head.hex():
            raise LedgerBroken("does not continue the line before it", line=number, remedy=CONTINUES)
        if fields["kind"] not in KINDS or not isinstance(fields["body"], dict):
            raise LedgerBroken(f"unknown kind {fields['kind']!r}", line=number, remedy="update this library")
        if (fields["kind"] == "genesis") != (number == 1):
            raise LedgerBroken("a ledger has one genesis, on line 1", line=number, remedy=CONTINUES)


def _key(text: object) -> bytes:
    """The public key that a genesis names; empty where it names none."""
    try:
        key = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        return b""
    return key if len(key) == 32 else b""


class Ledger:
    """An append-only ledger file, safe for several processes at once.

    The first use verifies the whole file; later appends verify what other processes added since.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._chain = Chain()

    @property
    def head(self) -> bytes:
        """Hash of the last entry, 32 bytes; zeros while the ledger is empty or absent."""
        return self._now().head

    @property
    def size(self) -> int:
        """Number of entries."""
        return self._now().entries

    def root(self, size: int | None = None) -> bytes:
        """Merkle root over the hashes of the first ``size`` entries (all by default), 32 bytes."""
        return self._now().tree.root(size)

    def inclusion(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """Inclusion path of the entry at ``index`` in the tree of the first ``size`` entries (all by default)."""
        return self._now().tree.inclusion(index, size)

    def consistency(self, first: int, second: int | None = None) -> tuple[bytes, ...]:
        """Consistency path between the trees of the first ``first`` and ``second`` entries (all by default)."""
        return self._now().tree.consistency(first, second)

    def index_of(self, entry_hash: bytes) -> int | None:
        """Index of the entry with this hash, None where there is none."""
        return self._now().of_hash.get(entry_hash)

    def find(self, kind: str, plan_digest: bytes) -> int | None:
        """Index of the entry of this kind about a plan, None where there is none; reads no line twice."""
        return self._now().of_plan.get((kind, plan_digest.hex()))

    def line(self, index: int) -> bytes:
        """Return the line of an entry, without its line break.

        Raises:
            InvalidInput: there is no such entry.
            LedgerBroken: the line was changed since it was verified.
        """
        chain = self._now()
        if not 0 <= index < chain.entries:
            message = f"{index}: the ledger has {chain.entries} entries"
            raise InvalidInput(message, field="index", remedy=f"ask for one from 0 to {chain.entries - 1}")
        with opened(self.path, os.O_RDONLY) as file:
            file.seek(chain.starts[index])
            line = file.readline(MAX_LINE_BYTES)[:-1]
        if chain.of_hash.get(parse_entry(line, index).hash) != index:
            raise LedgerBroken("edited since it was last read", line=index + 1, remedy=CONTINUES)
        return line

    def _now(self) -> Chain:
        """The chain, up to what other processes have added."""
        if self._chain.end or self.path.exists():
            with opened(self.path, os.O_RDONLY) as file:
                self._catch_up(file)
        return self._chain

    def append(self, kind: str, body: Mapping[str, Value]) -> Entry:
        """Add an entry; when this returns, it survives loss of power.

        Args:
            kind: ``genesis`` (first, once), ``release``, ``void`` or ``enrolment``.
            body: text, integers, booleans, None, bytes, `Fraction`, and sequences and mappings of them.

        Raises:
            InvalidInput: unknown or misplaced kind, or a body without exact spelling (a float).
            LedgerBroken: the file does not verify; nothing was written.
            LedgerNotWritten: disk full or locked; nothing was written.
        """
        content = plain(body, "body")
        with opened(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT) as file:
            self._catch_up(file)
            entry, line = self._next(kind, content)
            write_durably(file.fileno(), line, self._chain.end, self.path)
            if entry.index == 0:
                sync_directory(self.path)
            self._catch_up(file)
        return entry

    def _next(self, kind: str, body: dict[str, Any]) -> tuple[Entry, bytes]:
        index, previous = self._chain.entries, self._chain.head
        if kind not in KINDS or (kind == "genesis") != (index == 0):
            raise InvalidInput(
                f"{kind!r} cannot be entry {index}",
                field="kind",
                remedy=f"start with genesis, then use one of {', '.join(KINDS[1:])}",
            )
        fields = {"body": body, "index": index, "kind": kind, "previous": previous.hex()}
        found = hash_of(fields)
        line = canonical({**fields, "hash": found.hex()}) + b"\n"
        if len(line) > MAX_LINE_BYTES:
            raise InvalidInput(f"makes a line of {len(line)} bytes", field="body", remedy="put large data elsewhere")
        return Entry(index, previous, kind, body, found), line

    def _catch_up(self, file: IO[bytes]) -> None:
        if os.fstat(file.fileno()).st_size < self._chain.end:
            message = "truncated since it was last read"
            raise LedgerBroken(message, line=self._chain.entries, remedy=CONTINUES, fault="truncated")
        for _ in self._chain.follow(file):
            pass

    def lines(self) -> list[bytes]:
        """All lines without their line breaks, verified in one pass; raises `LedgerBroken` where the chain breaks."""
        if not self.path.exists():
            return []
        with opened(self.path, os.O_RDONLY) as file:
            for _ in Chain().follow(file):
                pass
            file.seek(0)
            return file.read().splitlines()

    def entries(self) -> Iterator[Entry]:
        """Yield every entry from the first, verifying on the way; raises `LedgerBroken` where the chain breaks."""
        if not self.path.exists():
            return
        with opened(self.path, os.O_RDONLY) as file:
            verified = list(Chain().follow(file))
        yield from verified


def verify(path: str | Path, expected_head: bytes | None = None) -> LedgerReport:
    """Verify every line, and that the chain ends at the head that you remember.

    Args:
        path: the ledger file.
        expected_head: 32-byte hash of the entry that must be the last one; None proves nothing about a cut-off end.

    Raises:
        LedgerBroken: with the first line that fails, the reason, and in ``fault`` one word for it.
        InvalidInput: the file cannot be read.
    """
    chain = Chain()
    with opened(Path(path), os.O_RDONLY) as file:
        try:
            for _ in chain.follow(file):
                pass
        except LedgerBroken as error:
            file.seek(0)
            raise located(file.read().split(b"\n"), error) from error
    require_end(chain, expected_head)
    return LedgerReport(chain.entries, chain.releases, chain.head)


def require_end(chain: Chain, expected_head: bytes | None) -> None:
    """Raise `LedgerBroken` unless the chain ends at the entry with this hash; None expects nothing."""
    if expected_head is None or chain.head == expected_head:
        return
    before = -1 if expected_head == NO_HEAD else chain.of_hash.get(expected_head)
    if before is None:
        reason = f"truncated or replaced: the chain ends at {chain.head.hex()} and never reaches the expected head"
        raise LedgerBroken(reason, line=chain.entries + 1, remedy=CONTINUES, fault="truncated")
    reason = f"left-over: {chain.entries - before - 1} entries follow the expected head"
    raise LedgerBroken(reason, line=before + 2, remedy="verify against the newest head", fault="extended")


def mend(path: str | Path) -> Path | None:
    """Set an unfinished last line aside in ``<path>.unfinished-<offset>`` and return that file; None if there is none.

    Only what follows the last line break is moved, and only if everything before it verifies.

    Raises:
        LedgerBroken: a finished line fails; nothing was changed.
    """
    path, chain = Path(path), Chain()
    with opened(path, os.O_RDWR) as file:
        try:
            for _ in chain.follow(file):
                pass
        except LedgerBroken:
            file.seek(chain.end)
            rest = file.read()
            if b"\n" in rest or len(rest) >= MAX_LINE_BYTES:
                raise
        else:
            return None
        aside = path.with_name(f"{path.name}.unfinished-{chain.end}")
        keep_aside(rest, aside)
        os.ftruncate(file.fileno(), chain.end)
        os.fsync(file.fileno())
    return aside


__all__ = ["Chain", "Ledger", "LedgerReport", "mend", "require_end", "verify"]
