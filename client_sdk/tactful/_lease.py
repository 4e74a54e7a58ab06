"""A lock between processes that dies with its holder: what must be worked out once is worked out by one at a time."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tactful.errors import UnreadableVault, VaultBusy

_POLL_S: Final = 0.01
_held: set[int] = set()  # descriptors of this process; a forked child closes its copies, which are not its own leases


def _close_copies() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_copies)


class Lease:
    """Held by one thread of one process at a time; not re-entrant.

    Args:
        path: of the lock file, made with mode 0600; None leases within this process alone (a vault in memory).
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._thread = threading.Lock()

    @contextmanager
    def held(self, timeout_s: float) -> Iterator[None]:
        """Hold the lease for the block.

        Raises:
            VaultBusy: somebody kept it for ``timeout_s`` seconds.
            UnreadableVault: the lock file cannot be made.
        """
        give_up = time.monotonic() + timeout_s
        if not self._thread.acquire(timeout=timeout_s):
            raise _busy(timeout_s)
        try:
            if self._path is None:
                yield
                return
            descriptor = self._opened(self._path)
            try:
                _lock(descriptor, give_up, timeout_s)
                yield
            finally:
                _release(descriptor)
        finally:
            self._thread.release()

    @staticmethod
    def _opened(path: Path) -> int:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        except OSError as error:
            remedy = "make the vault's folder writable for this process"
            raise UnreadableVault(f"cannot open {path} ({error})", field="path", remedy=remedy) from error
        _held.add(descriptor)
        return descriptor


def _lock(descriptor: int, give_up: float, timeout_s: float) -> None:
    while not _try_lock(descriptor):
        if time.monotonic() > give_up:
            raise _busy(timeout_s)
        time.sleep(_POLL_S)


def _release(descriptor: int) -> None:
    if descriptor in _held:  # not in a forked child, whose copy is closed
        _held.discard(descriptor)
        os.close(descriptor)  # gives the lock back: no copy of the descriptor outlives a fork or an exec


def _busy(timeout_s: float) -> VaultBusy:
    remedy = "run one participant per vault, or let the other one finish and ask again"
    return VaultBusy(f"another process answers a round on this vault (waited {timeout_s:g} s)", remedy=remedy)


try:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        # flock and not lockf: it keeps apart two descriptors of one process as well.
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

except ImportError:  # Windows
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True
