"""Features φ of a device: bounded numbers about each slot of a day, from the device's own finished days only.

A local day has seven slots of two hours, 8:00 to 22:00. Every evening the day's activity is folded into a handful of
decayed counts (`FeatureBlock.close_day`); the features of any later day come from those counts alone
(`FeatureBlock.design`), so history need not be kept to decide or to train. One block holds n devices side by side: the
arithmetic of a phone (n = 1) and of a host with thousands is the same code.

Rates are shrunk towards a public guess (one shopping slot in `BASE_SLOT_RATE`) worth `PRIOR_DAYS` days and enter on the
log scale, where a logistic model needs them: log(rate / guess) / `LOG_SCALE`, cut to [-1, 1].
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.errors import InvalidInput

SLOT_STARTS = (8, 10, 12, 14, 16, 18, 20)
SLOT_HOURS = 2
SLOTS = len(SLOT_STARTS)

BASE_SLOT_RATE = 0.022
BASE_DAY_RATE = 0.14
PRIOR_DAYS = 4.0
LOG_SCALE = 4.0
HALF_LIVES_D = (5.0, 14.0, 120.0, 400.0)
_WEEKS_HALF_LIFE = 20.0
_CLASS_HALF_LIFE_D = 180.0
_RECENT_KEEP = 0.6
_GAP_KEEP = 0.85
_MEAN_GAP_D = 7.0
_LONGEST_D = 90
_RING = 28
_DAYS_APART = (7 / 5, 7 / 2)  # working days, weekend days
_FORMAT = 1

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """One number of φ: its name, the unit of what it is made of, its memory in days (None: no memory)."""

    name: str
    unit: str
    half_life_d: float | None
    description: str


def _specs() -> tuple[FeatureSpec, ...]:
    slots = [FeatureSpec(f"slot_{h:02d}", "0/1", None, f"the slot from {h}:00 to {h + 2}:00") for h in SLOT_STARTS]
    rates = [
        FeatureSpec(f"slot_rate_{h:.0f}d", "log ratio", h, f"how often this slot is used, half-life {h:.0f} days")
        for h in HALF_LIVES_D
    ]
    return (
        FeatureSpec("always", "1", None, "the constant"),
        *slots,
        FeatureSpec("weekend", "0/1", None, "Saturday or Sunday"),
        FeatureSpec("weekend_late", "0/1", None, "Saturday or Sunday from 16:00"),
        *rates,
        FeatureSpec("slot_rate_120d_squared", "log ratio²", 120.0, "lets very rare and very usual slots bend"),
        FeatureSpec("day_rate_14d", "log ratio", 14.0, "how many days are active, half-life 14 days"),
        FeatureSpec("day_rate_400d", "log ratio", 400.0, "how many days are active, half-life 400 days"),
        FeatureSpec("usual_gap", "log days", None, "the usual number of days between active days"),
        FeatureSpec("overdue", "log ratio", None, "days since the last active day over the usual gap, if longer"),
        FeatureSpec("active_yesterday", "0/1", 1.0, "the last active day was yesterday"),
        FeatureSpec("active_2_3_days_ago", "0/1", 3.0, "the last active day was two or three days ago"),
        FeatureSpec("lapsed", "0/1", 36.0, "no active day for 36 days"),
        FeatureSpec("weekday_ratio", "log ratio", 140.0, "this weekday against the person's average day"),
        FeatureSpec("weekday_slot_ratio", "log ratio", 140.0, "this slot on this weekday against the slot's average"),
        FeatureSpec("weekday_slot_ratio_by_rate", "log ratio²", 140.0, "the same, weighted by how usual the slot is"),
        FeatureSpec("weekday_neighbour_ratio", "log ratio", 140.0, "the slots before and after, on this weekday"),
        FeatureSpec(
            "weekend_slot_ratio", "log ratio", 180.0, "this slot on such days (weekend or not) against all days"
        ),
        FeatureSpec("slot_last_days", "count", 1.4, "use of this slot in the very last days"),
        FeatureSpec("neighbour_rate", "log ratio", 120.0, "how often the slots before and after are used"),
        FeatureSpec("same_slot_last_weeks", "share", 28.0, "use of this slot on this weekday in the last four weeks"),
        FeatureSpec("slot_silence", "log days", None, "days since this slot was last used"),
    )


FEATURES = _specs()
NAMES = tuple(spec.name for spec in FEATURES)
DIMENSION = len(FEATURES)


def slot_of(local: datetime) -> int | None:
    """Return the index of the slot that a local time falls in, or None outside 8:00 to 22:00."""
    index = (local.hour - SLOT_STARTS[0]) // SLOT_HOURS
    return index if 0 <= index < SLOTS else None


def _log_ratio(value: Array, reference: Array | float, scale: float) -> Array:
    ratio: Array = np.clip(np.log(value / reference) / scale, -1.0, 1.0)
    return ratio


def _neighbours(values: Array) -> Array:
    """Sum of the slots before and after each slot, shape as given."""
    around = np.zeros_like(values)
    around[:, 1:] += values[:, :-1]
    around[:, :-1] += values[:, 1:]
    return around


_SHAPES: dict[str, tuple[int, ...]] = {
    "counts": (len(HALF_LIVES_D), SLOTS),  # decayed uses of each slot
    "days": (len(HALF_LIVES_D),),  # decayed active days
    "exposure": (len(HALF_LIVES_D),),  # decayed days seen
    "weekday_counts": (7, SLOTS),
    "weekday_days": (7,),
    "weekday_exposure": (7,),
    "gap_sum": (),
    "gap_weight": (),
    "recent": (SLOTS,),
    "class_counts": (2, SLOTS),  # working days, weekend days
    "class_exposure": (2,),
    "ring": (_RING, SLOTS),  # the last 28 days
    "last_day": (),
    "last_use": (SLOTS,),
    "first_day": (),
}
_NEVER = -1.0


class FeatureBlock:
    """Rolling state of n devices.

    Attributes:
        n: number of devices.
        next_day: the first day (``date.toordinal``) that has not been closed, None before the first.
    """

    __slots__ = ("_state", "n", "next_day")

    def __init__(self, n: int, next_day: int | None, state: dict[str, Array]) -> None:
        self.n = n
        self.next_day = next_day
        self._state = state

    @classmethod
    def empty(cls, n: int) -> Self:
        """Return n devices without any history."""
        state = {name: np.zeros((n, *shape)) for name, shape in _SHAPES.items()}
        for name in ("last_day", "last_use", "first_day"):
            state[name][...] = _NEVER
        return cls(n, None, state)

    @property
    def first_day(self) -> int:
        """First active day of the first device, -1 before it."""
        return int(self._state["first_day"][0])

    def close_day(self, day_ordinal: int, activity: NDArray[np.uint8]) -> None:
        """Fold one finished local day in; days between the last closed one and this one were quiet.

        Args:
            day_ordinal: ``date.toordinal()`` of the day.
            activity: (n, 7); above zero where the device was active in the slot.

        Raises:
            InvalidInput: the day was closed already, or the shape is wrong.
        """
        if activity.shape != (self.n, SLOTS):
            raise InvalidInput(f"has shape {activity.shape}", field="activity", remedy=f"give ({self.n}, {SLOTS})")
        if self.next_day is not None and day_ordinal < self.next_day:
            said = date.fromordinal(day_ordinal).isoformat()
            raise InvalidInput(f"{said} is closed already", field="day_ordinal", remedy="close days in rising order")
        self.advance(day_ordinal)
        self._fold(day_ordinal, (activity > 0).astype(np.float64))
        self.next_day = day_ordinal + 1

    def advance(self, day_ordinal: int) -> None:
        """Close every day before ``day_ordinal`` that is still open as quiet; does nothing before the first day."""
        if self.next_day is None:
            return
        quiet = np.zeros((self.n, SLOTS))
        for day in range(self.next_day, day_ordinal):
            self._fold(day, quiet)
        self.next_day = max(self.next_day, day_ordinal)

    def _fold(self, day: int, used: Array) -> None:
        s, active = self._state, used.max(axis=1)
        s["first_day"] = np.where((s["first_day"] < 0) & (active > 0), day, s["first_day"])
        known = (s["first_day"] >= 0).astype(np.float64)
        keep = np.exp2(-1.0 / np.array(HALF_LIVES_D))
        s["counts"] = s["counts"] * keep[:, None] + used[:, None]
        s["days"] = s["days"] * keep + active[:, None]
        s["exposure"] = s["exposure"] * keep + known[:, None]
        weekday, weekly = (day + 6) % 7, 2.0 ** (-1.0 / _WEEKS_HALF_LIFE)
        for name, new in (("weekday_counts", used), ("weekday_days", active), ("weekday_exposure", known)):
            s[name][:, weekday] = s[name][:, weekday] * weekly + new
        kind = int(weekday >= 5)
        slow = 2.0 ** (-_DAYS_APART[kind] / _CLASS_HALF_LIFE_D)
        s["class_counts"][:, kind] = s["class_counts"][:, kind] * slow + used
        s["class_exposure"][:, kind] = s["class_exposure"][:, kind] * slow + known
        self._fold_gaps(day, used, active)

    def _fold_gaps(self, day: int, used: Array, active: Array) -> None:
        s = self._state
        again = (active > 0) & (s["last_day"] >= 0)
        s["gap_sum"] = np.where(again, s["gap_sum"] * _GAP_KEEP + (day - s["last_day"]), s["gap_sum"])
        s["gap_weight"] = np.where(again, s["gap_weight"] * _GAP_KEEP + 1.0, s["gap_weight"])
        s["last_day"] = np.where(active > 0, day, s["last_day"])
        s["last_use"] = np.where(used > 0, day, s["last_use"])
        s["recent"] = s["recent"] * _RECENT_KEEP + used
        s["ring"][:, day % _RING] = used

    def design(self, day_ordinal: int) -> NDArray[np.float32]:
        """Return φ of every slot of a day that is not closed yet: float32 (n, 7, DIMENSION), each within [-1, 1].

        Days that are neither closed nor ``day_ordinal`` count as unknown, not as quiet: what is asked for next Friday
        on a Tuesday is what Tuesday's knowledge says about a Friday.

        Raises:
            InvalidInput: the day is closed: its own activity would be among its features.
        """
        if self.next_day is not None and day_ordinal < self.next_day:
            said = date.fromordinal(day_ordinal).isoformat()
            raise InvalidInput(f"{said} is closed already", field="day_ordinal", remedy="ask for a later day")
        weekday = (day_ordinal + 6) % 7
        phi = np.zeros((self.n, SLOTS, DIMENSION), dtype=np.float32)
        phi[..., 0] = 1.0
        phi[:, np.arange(SLOTS), 1 + np.arange(SLOTS)] = 1.0
        weekend = weekday >= 5
        phi[..., 8] = weekend
        phi[:, 4:, 9] = weekend
        columns = (*self._rates(), *self._rhythm(day_ordinal), *self._week(weekday), *self._recall(day_ordinal))
        for index, column in enumerate(columns, start=10):
            phi[..., index] = column if column.ndim == 2 else column[:, None]
        return phi

    def _shrunk(self, which: int) -> tuple[Array, Array]:
        """Slot rates (n, 7) and day rates (n,) at one half-life."""
        s, days = self._state, self._state["exposure"][:, which] + PRIOR_DAYS
        slots = (s["counts"][:, which] + PRIOR_DAYS * BASE_SLOT_RATE) / days[:, None]
        return slots, (s["days"][:, which] + PRIOR_DAYS * BASE_DAY_RATE) / days

    def _rates(self) -> tuple[Array, ...]:
        logs = [_log_ratio(self._shrunk(h)[0], BASE_SLOT_RATE, LOG_SCALE) for h in range(len(HALF_LIVES_D))]
        days = [_log_ratio(self._shrunk(h)[1], BASE_DAY_RATE, LOG_SCALE) for h in (1, 3)]
        return (*logs, logs[2] ** 2, *days)

    def _rhythm(self, day: int) -> tuple[Array, ...]:
        s = self._state
        since = np.where(s["last_day"] < 0, _LONGEST_D, np.clip(day - s["last_day"], 1, _LONGEST_D))
        gap = (s["gap_sum"] + _MEAN_GAP_D) / (s["gap_weight"] + 1.0)
        overdue = np.clip(np.log(since / gap) / 2.0, 0.0, 1.0)
        recent = (since == 1, (since == 2) | (since == 3), since >= 36)
        return (_log_ratio(gap, _MEAN_GAP_D, 3.0), overdue, *(flag.astype(np.float64) for flag in recent))

    def _week(self, weekday: int) -> tuple[Array, ...]:
        s = self._state
        slots, days = self._shrunk(2)
        seen = s["weekday_exposure"][:, weekday]
        counts = s["weekday_counts"][:, weekday]
        day_ratio = (s["weekday_days"][:, weekday] + 2.0 * days) / (seen + 2.0) / days
        slot_ratio = _log_ratio((counts + 3.0 * slots) / (seen[:, None] + 3.0), slots, 2.0)
        around = _neighbours(slots)
        beside = _log_ratio((_neighbours(counts) + 3.0 * around) / (seen[:, None] + 3.0), around, 2.0)
        usual = self._shrunk(3)[0]
        by_rate = slot_ratio * _log_ratio(usual, BASE_SLOT_RATE, LOG_SCALE)
        kind = int(weekday >= 5)
        such_days = s["class_exposure"][:, kind, None] + 5.0
        such = _log_ratio((s["class_counts"][:, kind] + 5.0 * usual) / such_days, usual, 2.0)
        return _log_ratio(day_ratio, 1.0, 2.0), slot_ratio, by_rate, beside, such

    def _recall(self, day: int) -> tuple[Array, ...]:
        s = self._state
        days = s["exposure"][:, 2:3] + PRIOR_DAYS
        around = _neighbours(s["counts"][:, 2])
        neighbours = _log_ratio((around + 2 * PRIOR_DAYS * BASE_SLOT_RATE) / days, 2 * BASE_SLOT_RATE, 3.0)
        since = np.where(s["last_use"] < 0, _LONGEST_D, np.clip(day - s["last_use"], 1, _LONGEST_D))
        silence = np.log(since) / np.log(_LONGEST_D)
        return (np.minimum(s["recent"], 2.0) / 2.0, neighbours, self._same_weekday(day), silence)

    def _same_weekday(self, day: int) -> Array:
        """Share of the last four such weekdays on which the slot was used; days not closed yet count as no use."""
        closed = self.next_day or 0
        columns = [(day - back) % _RING for back in (7, 14, 21, 28) if closed - _RING <= day - back < closed]
        share: Array = self._state["ring"][:, columns].sum(axis=1) / 4.0
        return share

    def take(self, index: int) -> Self:
        """Return a copy of one device as a block of its own."""
        one = {name: array[index : index + 1].copy() for name, array in self._state.items()}
        return type(self)(1, self.next_day, one)

    def to_bytes(self) -> bytes:
        """Return the state of one device as a snapshot; `from_bytes` reads it back exactly."""
        if self.n != 1:
            raise InvalidInput(f"holds {self.n} devices", field="block", remedy="take(index) one first")
        head = np.array([_FORMAT, -1 if self.next_day is None else self.next_day], dtype="<f8")
        return b"".join([head.tobytes(), *(self._state[name].astype("<f8").tobytes() for name in _SHAPES)])

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a snapshot.

        Raises:
            InvalidInput: it is of another version or length; rebuild it from the events.
        """
        sizes = {name: int(np.prod(shape, dtype=int)) for name, shape in _SHAPES.items()}
        numbers = np.frombuffer(data, dtype="<f8") if len(data) % 8 == 0 else np.empty(0)
        if numbers.size != 2 + sum(sizes.values()) or numbers[0] != _FORMAT:
            raise InvalidInput("is of another version", field="snapshot", remedy="rebuild it from the events")
        state, start = {}, 2
        for name, shape in _SHAPES.items():
            state[name] = numbers[start : start + sizes[name]].reshape(1, *shape).astype(np.float64)
            start += sizes[name]
        return cls(1, None if numbers[1] < 0 else int(numbers[1]), state)
