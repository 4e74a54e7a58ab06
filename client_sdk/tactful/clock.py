"""Where the time comes from, and local time at the slot boundary. Inside, all times are aware UTC."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from tactful.errors import InvalidInput, UnknownTimeZone

Clock = Callable[[], datetime]
"""Returns the present as an aware datetime."""

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
DAY_MS = 86_400_000


def system_clock() -> datetime:
    """Return the computer's time in UTC."""
    return datetime.now(UTC)


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """Return the time zone of that IANA name; raises `UnknownTimeZone`."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError) as error:
        remedy = 'give an IANA name such as "Europe/Berlin"'
        raise UnknownTimeZone(f"unknown time zone {name!r}", field="timezone", remedy=remedy) from error


def to_ms(at: datetime, field: str = "at") -> int:
    """Return milliseconds since 1970 of an aware datetime; raises `InvalidInput` for a naive one."""
    if not isinstance(at, datetime) or at.utcoffset() is None:
        raise InvalidInput("must be a datetime with a time zone", field=field, remedy="use datetime.now(UTC)")
    return round(at.timestamp() * 1000)


def from_ms(ms: int) -> datetime:
    """Return the aware UTC datetime of milliseconds since 1970."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def offset_minutes(at_ms: int, timezone: str) -> int:
    """Return how far local time is ahead of UTC at that moment, in minutes (daylight saving included)."""
    offset = datetime.fromtimestamp(at_ms / 1000, zone(timezone)).utcoffset()
    return round(offset.total_seconds() / 60) if offset is not None else 0


def local_day(at_ms: int, offset_min: int) -> int:
    """Return the proleptic ordinal of the local day (`datetime.date.toordinal`)."""
    return (at_ms + offset_min * 60_000) // DAY_MS + EPOCH_ORDINAL


def local_hour(at_ms: int, offset_min: int) -> int:
    """Return the local wall-clock hour, 0 to 23."""
    return (at_ms + offset_min * 60_000) % DAY_MS // 3_600_000
