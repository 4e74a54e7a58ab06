"""What a host holds in memory of one device, so that a decision reads no row: profile, consents, features, pushes.

The state is a fold over the device's rows. Once a day it is written down as a snapshot; a later process reads the
snapshot and the events after it. An event that arrives late, for a day that is closed already, makes the state be
folded anew from the first event.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tactful import consent as consents
from tactful.clock import DAY_MS, EPOCH_ORDINAL, from_ms, local_day, offset_minutes, to_ms
from tactful.consent import Consent
from tactful.events import StoredEvent
from tactful.features import SLOT_HOURS, SLOT_STARTS, SLOTS, FeatureBlock
from tactful.model import Model
from tactful.personal import PersonalBlock, PersonalLayer
from tactful.settings import PolicySettings
from tactful.training.tables import WARM_UP_DAYS
from tactful.types import DeviceView, FeedbackRecord, PacingState, PushRecord
from tactful_privacy.errors import InvalidInput

DAYS_AHEAD = 8
PUSH_HORIZON = timedelta(days=30)
INTEREST_HALF_LIFE_D = 30.0
INTEREST_WEIGHTS: Mapping[str, float] = {
    "browse": 0.25,
    "search": 0.25,
    "interaction": 0.25,
    "search_click": 0.5,
    "push_opened": 0.5,
    "add_to_cart": 1.0,
    "purchase": 1.0,
}


def slot_of_hour(hour: int) -> int | None:
    """Return the slot of a local hour, None outside all slots."""
    index = (hour - SLOT_STARTS[0]) // SLOT_HOURS
    return index if 0 <= index < SLOTS else None


@dataclass(frozen=True, slots=True)
class Profile:
    """Who a device is of: the app's name for the person, their time zone, a secret salt, and when they enrolled."""

    user_id: str
    timezone: str
    salt: bytes
    enrolled_ms: int

    def to_bytes(self) -> bytes:
        """Return JSON."""
        return json.dumps([self.user_id, self.timezone, self.salt.hex(), self.enrolled_ms]).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Profile":
        """Undo `to_bytes`."""
        user_id, timezone, salt, enrolled_ms = json.loads(data)
        return cls(user_id, timezone, bytes.fromhex(salt), enrolled_ms)


@dataclass(slots=True)
class History:
    """The fold over a device's events.

    Attributes:
        features: closed days. personal: the same days against the model of the time.
        open_days: activity of days not closed yet, by ordinal, uint8 (7,).
        interests: category → (score, at_ms), decayed with `INTEREST_HALF_LIFE_D`.
        last_row: the id of the last event folded in.
        latest_ms: the latest moment that an event is dated.
    """

    features: FeatureBlock = field(default_factory=lambda: FeatureBlock.empty(1))
    personal: PersonalBlock = field(default_factory=lambda: PersonalBlock(1))
    open_days: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    interests: dict[str, tuple[float, int]] = field(default_factory=dict)
    last_row: int = 0
    latest_ms: int = 0
    events: int = 0
    clock_back: int = 0

    def is_late(self, event: StoredEvent) -> bool:
        """Return whether the event belongs to a day that is closed."""
        return event.is_activity and self.features.next_day is not None and event.day < self.features.next_day

    def add(self, row: int, event: StoredEvent) -> None:
        """Fold one event in; it must not be late."""
        self.last_row, self.events = row, self.events + 1
        if event.clock_back:
            self.clock_back += 1
            return
        self.latest_ms = max(self.latest_ms, event.at_ms)
        self._add_interest(event)
        slot = slot_of_hour(event.hour)
        if event.is_activity and slot is not None:
            self.open_days.setdefault(event.day, np.zeros(SLOTS, np.uint8))[slot] = 1

    def _add_interest(self, event: StoredEvent) -> None:
        weight, category = INTEREST_WEIGHTS.get(event.kind, 0.0), event.properties.get("category")
        if weight and isinstance(category, str):
            score, at_ms = self.interests.get(category, (0.0, event.at_ms))
            newest = max(at_ms, event.at_ms)
            total = _decayed(score, newest - at_ms) + _decayed(weight, newest - event.at_ms)
            self.interests[category] = (total, newest)

    def close_before(self, today: int, model: Model) -> bool:
        """Close every day before ``today`` and return whether there was one."""
        first = self.features.next_day
        if first is None:
            if not self.open_days or min(self.open_days) >= today:
                return False
            first = min(self.open_days)
        for day in range(first, today):
            used = self.open_days.pop(day, np.zeros(SLOTS, np.uint8))[None]
            if self.features.next_day is not None and day >= self.features.first_day + WARM_UP_DAYS:
                self.personal.update_activity(model.activity_logit(self.features.design(day)), used)
            self.features.close_day(day, used)
        return first < today

    def interest(self, at_ms: int) -> dict[str, float]:
        """Return each category's interest in [0, 1]: 1/2 is that of one never met, more the more it was shown."""
        levels = {}
        for category, (score, then_ms) in self.interests.items():
            decayed = _decayed(score, max(0, at_ms - then_ms))
            levels[category] = 0.5 + 0.5 * decayed / (1.0 + decayed)
        return levels

    def to_bytes(self) -> bytes:
        """Return a snapshot."""
        head = {
            "open_days": {day: used.tolist() for day, used in self.open_days.items()},
            "interests": self.interests,
            "numbers": [self.last_row, self.latest_ms, self.events, self.clock_back],
        }
        parts = (json.dumps(head).encode(), self.features.to_bytes(), self.personal.to_bytes())
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> "History":
        """Undo `to_bytes`; raises `InvalidInput` where an older version wrote it."""
        parts, start = [], 0
        while start < len(data):
            size = int.from_bytes(data[start : start + 4], "big")
            parts.append(data[start + 4 : start + 4 + size])
            start += 4 + size
        if len(parts) != 3:
            raise InvalidInput("is of another version", field="snapshot", remedy="rebuild it from the events")
        head = json.loads(parts[0])
        open_days = {int(day): np.array(used, np.uint8) for day, used in head["open_days"].items()}
        interests = {name: (float(score), int(at_ms)) for name, (score, at_ms) in head["interests"].items()}
        blocks = (FeatureBlock.from_bytes(parts[1]), PersonalBlock.from_bytes(parts[2]))
        return cls(*blocks, open_days, interests, *head["numbers"])


def _decayed(score: float, age_ms: int) -> float:
    return score * float(2.0 ** (-age_ms / (DAY_MS * INTEREST_HALF_LIFE_D)))


@dataclass(slots=True)
class DeviceState:
    """One device in memory. `view` gathers what a decision may look at; ``fresh_day`` caches what holds for a day."""

    device: int
    profile: Profile
    history: History
    consents: list[Consent] = field(default_factory=list)
    opt_outs: dict[str, bool] = field(default_factory=dict)
    pushes: dict[str, PushRecord] = field(default_factory=dict)
    feedback: list[FeedbackRecord] = field(default_factory=list)
    week: PacingState = field(default_factory=lambda: PacingState(date(1970, 1, 5)))
    granted: frozenset[str] = frozenset()
    _day: int = -1
    _phi: NDArray[np.float32] | None = None
    _interests: Mapping[str, float] | None = None
    _layer: PersonalLayer = field(default_factory=PersonalLayer)

    def agree(self, statement: Consent) -> None:
        """Take a statement of consent in; agreeing to marketing pushes again ends an earlier opt-out."""
        self.consents.append(statement)
        self.granted = consents.granted(self.consents)
        if statement.purpose == "marketing_push" and statement.granted:
            self.opt_outs["promotional"] = False

    def today(self, now_ms: int) -> int:
        """Return the ordinal of the local day."""
        return local_day(now_ms, offset_minutes(now_ms, self.profile.timezone))

    def forget_day(self) -> None:
        """Compute features and interests anew at the next decision."""
        self._day = -1

    def forget_interests(self) -> None:
        """Compute interests anew at the next decision."""
        self._interests = None

    def roll(self, now_ms: int, model: Model) -> bool:
        """Bring the state to the local day of ``now_ms``; return whether days were closed (worth a snapshot)."""
        today = self.today(now_ms)
        if today == self._day and self._interests is not None:
            return False
        # Interests count from the start of the local day: the decision stays a function of the day's state.
        self._interests = self.history.interest((today - EPOCH_ORDINAL) * DAY_MS)
        if today == self._day:
            return False
        closed = self.history.close_before(today, model)
        first = max(today, self.history.features.next_day or today)
        days = [self.history.features.design(first + ahead) for ahead in range(DAYS_AHEAD)]
        self._phi = np.concatenate(days)
        self._phi.setflags(write=False)
        self._layer = self.history.personal.layer(0)
        self._day = today
        return closed

    def view(self, now: datetime, model: Model, settings: PolicySettings, fleet_price_minor: float) -> DeviceView:
        """Return what a decision may look at; `roll` was called before."""
        personal = "on_device_personalisation" in self.granted
        since = now - PUSH_HORIZON
        return DeviceView(
            now=now,
            timezone=self.profile.timezone,
            salt=self.profile.salt,
            consents=self.granted,
            settings=settings,
            model=model,
            personal=self._layer if personal else PersonalLayer.prior(),
            phi=self._phi if personal else None,
            week=self.week,
            pushes=tuple(push for push in self.pushes.values() if push.at > since),
            interests=(self._interests or {}) if personal else {},
            feedback=tuple(self.feedback),
            fleet_price_minor=fleet_price_minor,
            opted_out=self.opt_outs.get("promotional", False),
            transactional_opted_out=self.opt_outs.get("transactional", False),
        )


# Rows of the vault, as plain JSON


def push_to_dict(push: PushRecord) -> dict[str, Any]:
    """Return plain values."""
    plain = {name: getattr(push, name) for name in PushRecord.__slots__}
    return {**plain, "at": to_ms(push.at), "tags": list(push.tags)}


def push_from_dict(plain: Mapping[str, Any]) -> PushRecord:
    """Undo `push_to_dict`."""
    embedding = plain["embedding"]
    values = {
        **plain,
        "at": from_ms(plain["at"]),
        "tags": tuple(plain["tags"]),
        "embedding": None if embedding is None else tuple(embedding),
    }
    return PushRecord(**values)


def feedback_to_dict(record: FeedbackRecord) -> dict[str, Any]:
    """Return plain values."""
    return {**{name: getattr(record, name) for name in FeedbackRecord.__slots__}, "at": to_ms(record.at)}


def feedback_from_dict(plain: Mapping[str, Any]) -> FeedbackRecord:
    """Undo `feedback_to_dict`."""
    return FeedbackRecord(**{**plain, "at": from_ms(plain["at"])})


def fold(history: History, rows: Iterable[tuple[int, StoredEvent]]) -> bool:
    """Fold rows in; return False as soon as one is late, whereupon the history is of no use."""
    for row, event in rows:
        if history.is_late(event):
            return False
        history.add(row, event)
    return True
