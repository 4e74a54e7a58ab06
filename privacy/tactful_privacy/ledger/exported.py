"""One self-contained file with which anybody verifies a ledger, without the server and without a network.

Line 1 is a header, then come the signed heads by rising size, then the entries as they stand in the ledger, each a
line of canonical JSON. The header names the server's public key; a reader who has it from elsewhere (a device that
pinned it) compares. Nothing in the header is believed that the entries and signatures do not show.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tactful_privacy.errors import InvalidInput, LedgerBroken
from tactful_privacy.ledger.chain import Ledger
from tactful_privacy.ledger.entries import CONTINUES, parse_entry
from tactful_privacy.ledger.files import sync_directory
from tactful_privacy.ledger.heads import HeadBook, head_line, heads_path, parse_head, read_heads
from tactful_privacy.wire import Signed

FORMAT: Final = "tactful-ledger-export"
_HEADER_KEYS: Final = {"entries", "federation", "format", "heads", "server_key", "version"}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an auditor has before him, as it stands in the file: nothing in it is verified yet.

    Attributes:
        lines: the entries' lines without line breaks; the last one may be unfinished.
        unfinished: whether the file ends in the middle of a line.
        heads: signed heads, in the file's order.
        server_key: the key that the file names, 32 bytes; empty for a bare ledger, whose genesis names it.
        promised: how many entries the header says there are; None without a header.
        first_line: line of the file on which the first entry stands, from 1.
        first_head: line on which the first head stands; of the book beside the ledger for a bare one.
    """

    lines: tuple[bytes, ...]
    unfinished: bool
    heads: tuple[Signed, ...]
    server_key: bytes = b""
    promised: int | None = None
    first_line: int = 1
    first_head: int = 1


def export(ledger: Ledger, target: str | Path) -> int:
    """Write the ledger with its signed heads to one file, whole or not at all; return the number of entries.

    Raises:
        LedgerBroken: the ledger does not verify.
        InvalidInput: it has no genesis that names the server's key, or the file cannot be written.
    """
    lines = ledger.lines()
    body: Any = parse_entry(lines[0], 0).body if lines else {}
    try:
        key, federation = bytes.fromhex(body["server_key"]), str(body["federation"])
    except (KeyError, TypeError, ValueError) as error:
        remedy = "export the ledger of a federation: its first entry names federation and server_key"
        raise InvalidInput(f"its genesis lacks {error}", field=str(ledger.path), remedy=remedy) from error
    heads = HeadBook(ledger).heads()
    header = {
        "entries": len(lines),
        "federation": federation,
        "format": FORMAT,
        "heads": len(heads),
        "server_key": key.hex(),
        "version": 1,
    }
    first = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    _write(Path(target), b"".join(line + b"\n" for line in (first, *map(head_line, heads), *lines)))
    return len(lines)


def _write(target: Path, data: bytes) -> None:
    draft = target.with_name(f"{target.name}.draft")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
        sync_directory(target)
    except OSError as error:
        raise InvalidInput(error.strerror or "write failed", field=str(target), remedy="choose another file") from error


def gather(path: str | Path) -> Evidence:
    """Read an export, or a bare ledger with the book of heads beside it.

    Raises:
        LedgerBroken: header or heads of an export are not what an export has.
        InvalidInput: the file cannot be read.
    """
    path = Path(path)
    try:
        *lines, rest = path.read_bytes().split(b"\n")
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise InvalidInput(reason, field=str(path), remedy="check the ledger's path and its permissions") from error
    unfinished = bool(rest)
    if unfinished:
        lines.append(rest)
    header = _header(lines[0]) if lines else None
    if header is None:
        return Evidence(tuple(lines), unfinished, read_heads(heads_path(path)))
    return _from_export(header, lines, unfinished=unfinished)


def _header(line: bytes) -> dict[str, Any] | None:
    """The header of an export; None where the line is an entry or anything else."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) and fields.get("format") == FORMAT else None


def _from_export(header: dict[str, Any], lines: list[bytes], *, unfinished: bool) -> Evidence:
    counts = [header.get("entries"), header.get("heads")]
    try:
        key = bytes.fromhex(header["server_key"])
    except (KeyError, TypeError, ValueError):
        key = b""
    if header.keys() != _HEADER_KEYS or header["version"] != 1 or len(key) != 32:
        raise LedgerBroken("edited: the header is not one of version 1", line=1, remedy=CONTINUES)
    if not all(type(count) is int and count >= 0 for count in counts):
        raise LedgerBroken("edited: the header's counts are none", line=1, remedy=CONTINUES)
    entries, heads = header["entries"], header["heads"]
    signed = []
    for number, line in enumerate(lines[1 : 1 + heads], start=2):
        try:
            signed.append(parse_head(line))
        except InvalidInput as error:
            raise LedgerBroken(f"edited: {error}", line=number, remedy=CONTINUES) from error
    if len(signed) < heads:
        message = f"truncated: {len(signed)} of {heads} signed heads, and no entry"
        raise LedgerBroken(message, line=len(lines) + 1, remedy=CONTINUES, fault="truncated")
    return Evidence(tuple(lines[1 + heads :]), unfinished, tuple(signed), key, entries, heads + 2, 2)


__all__ = ["FORMAT", "Evidence", "export", "gather"]
