"""Signed heads: the server's word for a state of its ledger, in a book beside the ledger's file.

A head says (federation, number of entries, Merkle root, hash of the last entry) and is signed with the key that hosts
pin. It carries no time: of two heads the larger is the later. Whoever holds two heads of one key which no consistency
proof can join holds the proof that the server told two histories.

The book is text, one canonical JSON line a head. Nothing is signed that contradicts what the book has: a ledger put
back from an old copy is refused here, before a second history exists.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tactful_privacy.errors import InvalidInput, LedgerBroken, TactfulError
from tactful_privacy.ledger.chain import Ledger
from tactful_privacy.ledger.files import opened, write_durably
from tactful_privacy.wire import LedgerHead, Signed, open_signed, sign

MAX_HEAD_BYTES: Final = 4_096
_KEYS: Final = {"chain_head", "federation", "root", "signature", "signer", "size"}
_CONTINUES: Final = "restore the ledger and its heads from a copy which hosts have seen; never sign a second history"


def head_of(signed: Signed) -> LedgerHead:
    """What a signed head says; nothing is verified. Raises `WireError` where it is none."""
    return LedgerHead.decode(signed.payload)


def head_fields(signed: Signed) -> dict[str, Any]:
    """A signed head as plain JSON: sizes are numbers, byte strings hex."""
    head = head_of(signed)
    return {
        "chain_head": head.chain_head.hex(),
        "federation": head.federation,
        "root": head.root.hex(),
        "signature": signed.signature.hex(),
        "signer": signed.signer.hex(),
        "size": head.size,
    }


def head_from_fields(fields: Mapping[str, Any]) -> Signed:
    """Undo `head_fields`; verifies nothing.

    Raises:
        InvalidInput: a field is missing, left over or of the wrong form.
    """
    try:
        head = LedgerHead(
            federation=fields["federation"],
            size=fields["size"],
            root=bytes.fromhex(fields["root"]),
            chain_head=bytes.fromhex(fields["chain_head"]),
        )
        signed = Signed(head.encode(), bytes.fromhex(fields["signer"]), bytes.fromhex(fields["signature"]))
    except (AttributeError, KeyError, TypeError, ValueError, TactfulError) as error:
        raise InvalidInput(f"is not a signed head ({error!r})", field="head", remedy=f"give {sorted(_KEYS)}") from error
    if fields.keys() != _KEYS:
        raise InvalidInput(f"has the fields {sorted(fields)}", field="head", remedy=f"give {sorted(_KEYS)} alone")
    return signed


def head_line(signed: Signed) -> bytes:
    """The canonical line of a signed head, without a line break."""
    return json.dumps(head_fields(signed), sort_keys=True, separators=(",", ":")).encode()


def parse_head(line: bytes) -> Signed:
    """Undo `head_line`; raises `InvalidInput` for any other spelling."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise InvalidInput("is not a line of JSON", field="head", remedy="give a signed head as the server exports it")
    signed = head_from_fields(fields)
    if head_line(signed) != line:
        raise InvalidInput("is not in canonical form", field="head", remedy="give the line as the server exported it")
    return signed


class HeadBook:
    """The signed heads of one ledger, in ``<ledger>.heads.jsonl`` beside it, by rising size.

    Args:
        ledger: whose heads.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.path = heads_path(ledger.path)
        self._read: tuple[int, tuple[Signed, ...]] = (0, ())

    def heads(self) -> tuple[Signed, ...]:
        """All heads in order of signing; raises `InvalidInput` for a line that is none.

        An unfinished last line of a crash is left out: nobody was shown that head.
        """
        size = self.path.stat().st_size if self.path.exists() else 0
        end, heads = self._read
        if size < end:
            end, heads = 0, ()
        if size > end:
            with self.path.open("rb") as file:
                file.seek(end)
                new = file.read()
            end, heads = end + new.rfind(b"\n") + 1, (*heads, *_parsed(new, len(heads), self.path))
        self._read = end, heads
        return heads

    def sign(self, federation: str, key: Ed25519PrivateKey) -> Signed:
        """Sign the ledger as it is now and return the head; the same state again returns the head that there is.

        Raises:
            LedgerBroken: the ledger does not continue what was signed before; nothing is signed.
            InvalidInput: the ledger is empty, or the book has another key's or federation's heads.
        """
        last = self._last(federation, key.public_key().public_bytes_raw())
        size = self.ledger.size
        if last is not None and head_of(last).size == size:
            return last
        head = LedgerHead(federation, size, self.ledger.root(size), self.ledger.head) if size else None
        if head is None:
            raise InvalidInput("is empty", field=str(self.ledger.path), remedy="append the genesis entry first")
        signed = sign(head, key)
        self._write(head_line(signed) + b"\n")
        return signed

    def check(self, federation: str, public_key: bytes) -> None:
        """Return if the ledger continues all that was signed; raises as `sign` does."""
        self._last(federation, public_key)

    def _last(self, federation: str, public_key: bytes) -> Signed | None:
        """The newest head, once the ledger is known to continue it."""
        heads = self.heads()
        if not heads:
            return None
        try:
            head = open_signed(heads[-1], LedgerHead, public_key)
        except TactfulError as error:
            message = f"its last head is not ours ({error})"
            raise InvalidInput(message, field=str(self.path), remedy=_CONTINUES) from error
        if head.federation != federation:
            raise InvalidInput(f"is of {head.federation!r}", field=str(self.path), remedy=_CONTINUES)
        size = self.ledger.size
        if head.size > size:
            message = f"truncated: {size} entries, and {head.size} were signed"
            raise LedgerBroken(message, line=size + 1, remedy=_CONTINUES, fault="truncated")
        if self.ledger.root(head.size) != head.root:
            message = f"its first {head.size} entries are not those that were signed"
            raise LedgerBroken(f"edited: {message}", line=1, remedy=_CONTINUES)
        return heads[-1]

    def _write(self, line: bytes) -> None:
        with opened(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT) as file:
            size = os.fstat(file.fileno()).st_size
            start = max(size - MAX_HEAD_BYTES, 0)
            file.seek(start)
            end = start + file.read().rfind(b"\n") + 1
            if end < size:  # what a crash left; nobody was shown that head
                os.ftruncate(file.fileno(), end)
            write_durably(file.fileno(), line, end, self.path)


def heads_path(ledger: Path) -> Path:
    """Where the signed heads of a ledger are: ``ledger.jsonl`` has ``ledger.heads.jsonl``."""
    return ledger.with_name(f"{ledger.stem}.heads.jsonl")


def read_heads(path: Path) -> tuple[Signed, ...]:
    """Read a book of heads; none where there is no file. Raises `InvalidInput` naming the line that is no head."""
    return tuple(_parsed(path.read_bytes(), 0, path)) if path.exists() else ()


def _parsed(data: bytes, before: int, path: Path) -> Iterator[Signed]:
    *lines, _unfinished = data.split(b"\n")
    for number, line in enumerate(lines, start=before + 1):
        try:
            yield parse_head(line)
        except InvalidInput as error:
            raise InvalidInput(str(error), field=f"{path} line {number}", remedy=_CONTINUES) from error


__all__ = [
    "HeadBook",
    "head_fields",
    "head_from_fields",
    "head_line",
    "head_of",
    "heads_path",
    "parse_head",
    "read_heads",
]
