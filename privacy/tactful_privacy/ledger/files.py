"""Reading and writing the ledger's files: locked, and durable before anybody relies on it."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from tactful_privacy.errors import InvalidInput, TactfulError

LOCK_TIMEOUT_S: Final = 10.0


class LedgerNotWritten(TactfulError):
    """An entry could not be made durable; the ledger is as it was before."""


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


def sync_directory(path: Path) -> None:
    """Make the name of a new file survive loss of power."""
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


def keep_aside(data: bytes, path: Path) -> None:
    """Add bytes to a file, durable before return."""
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path)
