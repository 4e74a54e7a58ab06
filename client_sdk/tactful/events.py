"""What may be recorded about a person: kinds of events and, for each, an allow-list of properties.

Nothing outside the list is stored. Free text is never stored: of a search only a bucket of 256 remains, salted with the
device's own secret, which tells a repeated search from a new one and nothing else.
"""

import hashlib
import hmac
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from tactful.clock import from_ms, local_day, local_hour, offset_minutes, to_ms
from tactful.errors import ClockProblem, MalformedEvent

Property = str | float | int
Check = Callable[[object], Property | None]

ACTIVITY_KINDS: Final = frozenset({"add_to_cart", "browse", "interaction", "purchase", "search", "search_click"})
"""The learning signal: kinds which count as the person being active in a local slot."""
PUSH_KINDS: Final = frozenset({"push_converted", "push_delivered", "push_dismissed", "push_opened", "push_sent"})
QUERY_BUCKETS: Final = 256
FUTURE_TOLERANCE: Final = timedelta(minutes=5)
CLOCK_TOLERANCE_MS: Final = 120_000
_NAME = re.compile(r"\w[\w.:/&+\-]{0,63}(?: [\w.:/&+\-]{1,64}){0,4}", re.UNICODE)
_ELEMENTS = ("banner", "button", "image", "list", "menu", "share", "video", "wishlist")


def _name(value: object) -> str | None:
    fits = isinstance(value, str) and len(value) <= 64 and _NAME.fullmatch(value)
    return value if fits else None  # type: ignore[return-value]  # mypy does not follow ``fits``


def _amount(limit: float) -> Check:
    def check(value: object) -> Property | None:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return value if fits and 0 <= value <= limit else None  # type: ignore[operator,return-value]

    check.__doc__ = f"a number from 0 to {limit:g}"
    return check


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= 10_000 else None


def _element(value: object) -> str | None:
    return value if isinstance(value, str) and value in _ELEMENTS else None


_name.__doc__ = "a name of at most 64 characters and 5 words"
_count.__doc__ = "a whole number from 0 to 10000"
_element.__doc__ = "one of " + ", ".join(_ELEMENTS)
_DWELL, _MONEY = _amount(86_400), _amount(1e12)
_ITEM: dict[str, Check] = {"category": _name, "item_id": _name, "value_minor": _MONEY}
_PUSH: dict[str, Check] = {"decision_id": _name, "candidate_id": _name, "category": _name, "campaign": _name}

ALLOWED: Final[Mapping[str, Mapping[str, Check]]] = {
    "browse": {**_ITEM, "dwell_s": _DWELL},
    "search": {"category": _name, "bucket": _count, "results": _count},
    "search_click": {**_ITEM, "position": _count},
    "add_to_cart": {**_ITEM, "quantity": _count},
    "purchase": {**_ITEM, "quantity": _count},
    "interaction": {"category": _name, "element": _element, "dwell_s": _DWELL},
    "push_sent": _PUSH,
    "push_delivered": _PUSH,
    "push_opened": _PUSH,
    "push_dismissed": _PUSH,
    "push_converted": {**_PUSH, "value_minor": _MONEY},
    "opt_out": {"kind": _name},
}
"""For each kind, the properties that may be given and the check of each value."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        kind: one of `ALLOWED`.
        at: when; aware.
        properties: from the allow-list of the kind. A search may bring ``query``; only its salted bucket is stored.
        key: a name the app gives to make recording idempotent: a second event of the same key is not stored again.
    """

    kind: str
    at: datetime
    properties: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as the vault keeps it: checked, with the UTC offset that held where it happened.

    ``clock_back`` marks an event recorded while the clock stood behind an earlier record: kept, but not learned from.
    """

    kind: str
    at_ms: int
    offset_min: int
    properties: Mapping[str, Property]
    clock_back: bool = False

    @property
    def day(self) -> int:
        """Local day as a proleptic ordinal."""
        return local_day(self.at_ms, self.offset_min)

    @property
    def hour(self) -> int:
        """Local wall-clock hour."""
        return local_hour(self.at_ms, self.offset_min)

    @property
    def is_activity(self) -> bool:
        """Whether the model learns from it."""
        return self.kind in ACTIVITY_KINDS and not self.clock_back

    def to_bytes(self) -> bytes:
        """Return compact JSON."""
        parts: list[object] = [self.kind, self.at_ms, self.offset_min, self.properties]
        if self.clock_back:
            parts.append(1)
        return json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "StoredEvent":
        """Undo `to_bytes`."""
        kind, at_ms, offset, properties, *back = json.loads(data)
        return cls(kind, at_ms, offset, properties, bool(back))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for an export; times are ISO 8601 in UTC."""
        at = from_ms(self.at_ms).isoformat()
        plain = {"kind": self.kind, "at": at, "utc_offset_min": self.offset_min, "properties": dict(self.properties)}
        return {**plain, "clock_back": True} if self.clock_back else plain


def is_text(value: object, most: int) -> bool:
    """Whether a value is text of 1 to ``most`` characters that UTF-8 can spell (half a surrogate pair cannot)."""
    return isinstance(value, str) and 0 < len(value) <= most and not any("\ud800" <= c <= "\udfff" for c in value)


def store(event: Event, *, now: datetime, timezone: str, salt: bytes) -> StoredEvent:
    """Check an event against the allow-list and return what is kept of it.

    Args:
        event: as the app gave it.
        now: the host's clock.
        timezone: IANA name of where the device is.
        salt: the device's secret, for the bucket of a search.

    Raises:
        MalformedEvent: naming the field.
        ClockProblem: the event lies more than five minutes ahead of the clock.
    """
    properties = checked(event.kind, event.properties, salt)
    at_ms = to_ms(now) if event.at is now else _past(event.at, now)
    return StoredEvent(event.kind, at_ms, offset_minutes(at_ms, timezone), properties)


def _past(at: datetime, now: datetime) -> int:
    if not isinstance(at, datetime) or at.utcoffset() is None:
        raise MalformedEvent("must be a datetime with a time zone", field="at", remedy="use datetime.now(UTC)")
    if at - now > FUTURE_TOLERANCE:
        remedy = "correct the clock of the device or of the host"
        raise ClockProblem(f"{at.isoformat()} lies ahead of the clock ({now.isoformat()})", field="at", remedy=remedy)
    return to_ms(at)


def checked(kind: str, properties: Mapping[str, Any], salt: bytes) -> dict[str, Property]:
    """Return the properties which may be stored; raises `MalformedEvent` naming the kind or property."""
    allowed = ALLOWED.get(kind) if isinstance(kind, str) else None
    if allowed is None:
        raise MalformedEvent(f"unknown kind {kind!r}", field="kind", remedy=f"use one of {', '.join(sorted(ALLOWED))}")
    if kind == "search" and "query" in properties:
        properties = _without_query(properties, salt)
    kept: dict[str, Property] = {}
    for name, value in properties.items():
        if value is not None:
            kept[name] = _checked_value(kind, name, value, allowed)
    return kept


def _checked_value(kind: str, name: str, value: object, allowed: Mapping[str, Check]) -> Property:
    check = allowed.get(name)
    if check is None:
        remedy = f"a {kind} may carry {', '.join(sorted(allowed))}; free text is never stored"
        raise MalformedEvent("is not on the allow-list", field=f"{kind}.{name}", remedy=remedy)
    fine = check(value)
    if fine is None:
        # The value itself stays out of the message: it may be what must not be written down, logs included.
        raise MalformedEvent(
            f"unfit value of type {type(value).__name__}", field=f"{kind}.{name}", remedy=f"give {check.__doc__}"
        )
    return fine


def _without_query(properties: Mapping[str, Any], salt: bytes) -> dict[str, Any]:
    rest = dict(properties)
    query = rest.pop("query")
    if not isinstance(query, str) or not 0 < len(query) <= 10_000:
        raise MalformedEvent("must be text", field="search.query", remedy="give the words that were searched")
    words = " ".join(sorted(query.casefold().split()))
    rest["bucket"] = hmac.digest(salt, b"query\0" + words.encode(), hashlib.sha256)[0] % QUERY_BUCKETS
    return rest
