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

import hashlib
import json
import os
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Final, Self

from tactful_privacy.errors import InvalidInput, LedgerBroken, TactfulError
from tactful_privacy.ledger.merkle import Tree

KINDS: Final = ("genesis", "release", "void", "enrolment", "audit", "mode")
NO_HEAD: Final = bytes(32)
MAX_LINE_BYTES: Final = 1 << 20
LOCK_TIMEOUT_S: Final = 10.0
_DOMAIN: Final = b"tactful/v1/ledger\0"
_KEYS: Final = {"body", "hash", "index", "kind", "previous"}
_CONTINUES: Final = "restore the ledger from a copy whose head you trust"

Value = str | int | bool | None | bytes | Fraction | Sequence["Value"] | Mapping[str, "Value"]


class LedgerNotWritten(TactfulError):
    """An entry could not be made durable; the ledger is as it was before."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One verified line. ``body`` is plain JSON: rationals and byte strings are text in it."""

    index: int
    previous: bytes
    kind: str
    body: Mapping[str, Any]
    hash: bytes


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """What `verify` found: the number of entries, the releases among them, and the head."""

    entries: int
    releases: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Release:
    """The body of a release entry: what a host needs to replay what it spent.

    Attributes:
        plan_digest: digest of the `RoundPlan`.
        round_number: its round.
        roster: (host id, planned devices) of every host, sorted.
        survivors: host ids whose contributions are in the sum, sorted.
        rho: zCDP price of one participation.
        model_digest: digest of the artifact that the round released.
        keys_digest: digest of the `KeyRing`.
    """

    plan_digest: bytes
    round_number: int
    roster: tuple[tuple[str, int], ...]
    survivors: tuple[str, ...]
    rho: Fraction
    model_digest: bytes
    keys_digest: bytes

    def to_body(self) -> dict[str, Value]:
        """The fields as a body for `Ledger.append`."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_entry(cls, entry: Entry) -> Self:
        """Read a release entry back; raises `LedgerBroken` when a field is missing or malformed."""
        body = entry.body
        try:
            return cls(
                plan_digest=bytes.fromhex(body["plan_digest"]),
                round_number=int(body["round_number"]),
                roster=tuple((str(host), int(devices)) for host, devices in body["roster"]),
                survivors=tuple(map(str, body["survivors"])),
                rho=Fraction(body["rho"]),
                model_digest=bytes.fromhex(body["model_digest"]),
                keys_digest=bytes.fromhex(body["keys_digest"]),
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise LedgerBroken(f"not a release: {error!r}", line=entry.index + 1, remedy=_CONTINUES) from error


def _plain(value: Value, field: str) -> Any:
    """Turn a body value into JSON without floats."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{field}.{key}") for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_plain(item, field) for item in value]
    raise InvalidInput(
        f"{type(value).__name__} has no exact spelling", field=field, remedy="pass an int, a Fraction, text or bytes"
    )


def _canonical(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _hash(fields: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(_DOMAIN + _canonical(fields)).digest()


def _no_float(text: str) -> float:
    raise ValueError(f"{text} is not an integer")


def _parse(line: bytes, number: int) -> dict[str, Any]:
    try:
        fields = json.loads(line, parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError):
        raise LedgerBroken("edited: is not a line of JSON", line=number, remedy=_CONTINUES) from None
    if not isinstance(fields, dict) or fields.keys() != _KEYS or _canonical(fields) != line:
        raise LedgerBroken("edited: is not in canonical form", line=number, remedy=_CONTINUES)
    return fields


def parse_entry(line: bytes, index: int) -> Entry:
    """Return the entry of one line (without its line break) whose own hash holds; its neighbours are not looked at.

    Raises:
        LedgerBroken: not in canonical form, of an unknown kind, or the hash does not match.
    """
    fields = _parse(line, index + 1)
    claimed = fields.pop("hash")
    found = _hash(fields)
    if claimed != found.hex():
        raise LedgerBroken("edited: the hash does not match the line", line=index + 1, remedy=_CONTINUES)
    if fields["kind"] not in KINDS or not isinstance(fields["body"], dict):
        raise LedgerBroken(f"unknown kind {fields['kind']!r}", line=index + 1, remedy="update this library")
    if type(fields["index"]) is not int or not _is_hash(fields["previous"]):
        raise LedgerBroken("edited: index or previous hash are none", line=index + 1, remedy=_CONTINUES)
    return Entry(fields["index"], bytes.fromhex(fields["previous"]), fields["kind"], fields["body"], found)


def _is_hash(text: object) -> bool:
    return isinstance(text, str) and len(text) == 64 and set(text) <= set("0123456789abcdef")


class _Chain:
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

    def follow(self, file: IO[bytes]) -> Iterator[Entry]:
        """Verify and yield every line from ``end`` on, keeping the state up to date."""
        file.seek(self.end)
        while line := file.readline(MAX_LINE_BYTES):
            yield self._accept(line)

    def _accept(self, line: bytes) -> Entry:
        number = self.entries + 1
        if not line.endswith(b"\n"):
            raise self._unfinished(line, number)
        fields = _parse(line[:-1], number)
        self._check_place(fields, number)
        claimed = fields.pop("hash")
        found = _hash(fields)
        if claimed != found.hex():
            raise LedgerBroken("edited: the hash does not match the line", line=number, remedy=_CONTINUES)
        entry = Entry(fields["index"], self.head, fields["kind"], fields["body"], found)
        self._note(entry)
        self.entries, self.head, self.end = number, found, self.end + len(line)
        return entry

    def _note(self, entry: Entry) -> None:
        self.tree.append(entry.hash)
        self.starts.append(self.end)
        self.of_hash[entry.hash] = entry.index
        self.releases += entry.kind == "release"
        plan = entry.body.get("plan_digest")
        if isinstance(plan, str):
            self.of_plan.setdefault((entry.kind, plan), entry.index)

    def _unfinished(self, line: bytes, number: int) -> LedgerBroken:
        if len(line) == MAX_LINE_BYTES:
            return LedgerBroken(f"longer than {MAX_LINE_BYTES} bytes", line=number, remedy=_CONTINUES)
        return LedgerBroken(
            f"unfinished: a crash cut an append after {len(line)} bytes; the {self.entries} entries before it verify",
            line=number,
            remedy="set it aside with `tactful audit ledger FILE --mend`",
        )

    def _check_place(self, fields: Mapping[str, Any], number: int) -> None:
        if fields["index"] != self.entries or isinstance(fields["index"], bool):
            raise LedgerBroken(
                f"removed or reordered: entry {self.entries} belongs here, found {fields['index']!r}",
                line=number,
                remedy=_CONTINUES,
            )
        if fields["previous"] != self.head.hex():
            raise LedgerBroken("does not continue the line before it", line=number, remedy=_CONTINUES)
        if fields["kind"] not in KINDS or not isinstance(fields["body"], dict):
            raise LedgerBroken(f"unknown kind {fields['kind']!r}", line=number, remedy="update this library")
        if (fields["kind"] == "genesis") != (number == 1):
            raise LedgerBroken("a ledger has one genesis, on line 1", line=number, remedy=_CONTINUES)


@contextmanager
def _locked(descriptor: int, path: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold the file lock; raises `LedgerNotWritten` when another process keeps it for `LOCK_TIMEOUT_S`."""
    import fcntl  # POSIX alone has it; a device that only checks proofs loads this module anywhere

    mode = (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB
    give_up = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(descriptor, mode)
            break
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise LedgerNotWritten(
                    "another process holds it", field=str(path), remedy="stop that process or wait for it"
                ) from None
            time.sleep(0.01)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextmanager
def opened(path: Path, flags: int) -> Iterator[IO[bytes]]:
    """Open and lock the ledger file for reading, and for writing if the flags say so."""
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o644)
    except OSError as error:
        reason = error.strerror or "cannot be opened"
        raise InvalidInput(reason, field=str(path), remedy="check the ledger's path and its permissions") from error
    with os.fdopen(descriptor, "rb") as file, _locked(descriptor, path, exclusive=flags != os.O_RDONLY):
        yield file


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(descriptor: int, line: bytes, end: int, path: Path) -> None:
    """Append a line and flush it to the disk, or leave the file as it was."""
    try:
        written = 0
        while written < len(line):
            written += os.write(descriptor, line[written:])
        os.fsync(descriptor)
    except OSError as error:
        os.ftruncate(descriptor, end)
        raise LedgerNotWritten(
            error.strerror or "write failed", field=str(path), remedy="free space on the disk and append again"
        ) from error


class Ledger:
    """An append-only ledger file, safe for several processes at once.

    The first use verifies the whole file; later appends verify what other processes added since.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._chain = _Chain()

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
        parse_entry(line, index)
        if chain.of_hash.get(bytes.fromhex(json.loads(line)["hash"])) != index:
            raise LedgerBroken("edited since it was last read", line=index + 1, remedy=_CONTINUES)
        return line

    def _now(self) -> _Chain:
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
        plain = _plain(body, "body")
        with opened(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT) as file:
            self._catch_up(file)
            entry, line = self._next(kind, plain)
            write_durably(file.fileno(), line, self._chain.end, self.path)
            if entry.index == 0:
                _sync_directory(self.path)
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
        found = _hash(fields)
        line = _canonical({**fields, "hash": found.hex()}) + b"\n"
        if len(line) > MAX_LINE_BYTES:
            raise InvalidInput(f"makes a line of {len(line)} bytes", field="body", remedy="put large data elsewhere")
        return Entry(index, previous, kind, body, found), line

    def _catch_up(self, file: IO[bytes]) -> None:
        if os.fstat(file.fileno()).st_size < self._chain.end:
            raise LedgerBroken("truncated since it was last read", line=self._chain.entries, remedy=_CONTINUES)
        for _ in self._chain.follow(file):
            pass

    def entries(self) -> Iterator[Entry]:
        """Yield every entry from the first, verifying on the way; raises `LedgerBroken` where the chain breaks."""
        if not self.path.exists():
            return
        with opened(self.path, os.O_RDONLY) as file:
            verified = list(_Chain().follow(file))
        yield from verified


def verify(path: str | Path, expected_head: bytes | None = None) -> LedgerReport:
    """Verify every line, and that the chain ends at the head that you remember.

    Args:
        path: the ledger file.
        expected_head: 32-byte hash of the entry that must be the last one; None proves nothing about a cut-off end.

    Raises:
        LedgerBroken: with the first line that fails and the reason.
        InvalidInput: the file cannot be read.
    """
    chain = _Chain()
    followed_by: int | None = 0 if expected_head == NO_HEAD else None
    with opened(Path(path), os.O_RDONLY) as file:
        for entry in chain.follow(file):
            if entry.hash == expected_head:
                followed_by = chain.entries
    if expected_head is not None and chain.head != expected_head:
        raise _wrong_end(chain, followed_by)
    return LedgerReport(chain.entries, chain.releases, chain.head)


def _wrong_end(chain: _Chain, expected_at: int | None) -> LedgerBroken:
    if expected_at is None:
        reason = f"truncated or replaced: the chain ends at {chain.head.hex()} and never reaches the expected head"
        return LedgerBroken(reason, line=chain.entries + 1, remedy=_CONTINUES)
    reason = f"left-over: {chain.entries - expected_at} entries follow the expected head"
    return LedgerBroken(reason, line=expected_at + 1, remedy="verify against the newest head")


def mend(path: str | Path) -> Path | None:
    """Set an unfinished last line aside in ``<path>.unfinished-<offset>`` and return that file; None if there is none.

    Only what follows the last line break is moved, and only if everything before it verifies.

    Raises:
        LedgerBroken: a finished line fails; nothing was changed.
    """
    path, chain = Path(path), _Chain()
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
        _keep(rest, aside)
        os.ftruncate(file.fileno(), chain.end)
        os.fsync(file.fileno())
    return aside


def _keep(data: bytes, path: Path) -> None:
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    _sync_directory(path)


__all__ = ["KINDS", "NO_HEAD", "Entry", "Ledger", "LedgerNotWritten", "LedgerReport", "Release", "mend", "verify"]
