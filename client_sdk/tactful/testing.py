"""Fakes for tests of apps that embed the SDK: a clock that stands still and a vault that is never written to disk."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from tactful.errors import InvalidInput
from tactful.host import Host
from tactful.keys import KEY_BYTES


class FrozenClock:
    """A clock that shows what it is told; pass it as ``clock``.

    >>> clock = FrozenClock(datetime(2026, 11, 24, 12, tzinfo=UTC))
    >>> clock.advance(hours=1)
    >>> clock().hour
    13
    """

    def __init__(self, at: datetime) -> None:
        self.set(at)

    def __call__(self) -> datetime:
        """Return the time it shows."""
        return self._at

    def set(self, at: datetime) -> None:
        """Show another time, earlier ones too; raises `InvalidInput` for one without a time zone."""
        if at.utcoffset() is None:
            raise InvalidInput("must be a datetime with a time zone", field="at", remedy="use datetime.now(UTC)")
        self._at = at.astimezone(UTC)

    def advance(self, **units: float) -> None:
        """Move on by ``timedelta(**units)``."""
        self._at += timedelta(**units)


class MemoryKey:
    """A key provider which keeps its key in memory."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or secrets.token_bytes(KEY_BYTES)

    def load(self) -> bytes:
        """Return the key."""
        return self._key

    def create(self) -> bytes:
        """Return the key."""
        return self._key


def memory_host(**options: Any) -> Host:
    """Return a host whose vault lives in memory; ``options`` are those of `Host.open`, and strict by default."""
    options.setdefault("keys", MemoryKey())
    options.setdefault("strict", True)
    return Host.open(":memory:", **options)
