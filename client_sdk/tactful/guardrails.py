"""Hard limits on promotional pushes, in a fixed order, each with a stable reason code.

The order is `ORDER`; where several rules hold a candidate back, the first of them is the one reported. Rules about
time reduce to one instant before which nothing is sent (`Clearance.not_before`), so that "not now" can become "wait".
All windows are rolling and half-open: a cap of n per window W lets the next push go once the n-th last is W old.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tactful.features import SLOT_HOURS, SLOT_STARTS
from tactful.settings import DAY_S, GuardrailSettings
from tactful.types import Candidate, DeviceView, PushRecord
from tactful_privacy.errors import InvalidInput

ORDER = (
    "opted_out",
    "no_marketing_consent",
    "expired",
    "quiet_hours",
    "minimum_gap",
    "cap_hour",
    "cap_day",
    "cap_week",
    "cap_category",
    "cap_campaign",
    "duplicate",
    "complaint",
)
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, eq=False)
class Openings:
    """The stretches of the coming days in which a push may be sent at all: slots less quiet hours, in order of time.

    ``start_s``, ``end_s``: seconds since the epoch, half-open, float64 (P,); ``day`` (0 = local today) and ``slot``
    index the feature block, int (P,). ``midnight_s`` is the start of local today, ``weekday`` 0 for Monday.
    """

    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    day: NDArray[np.intp]
    slot: NDArray[np.intp]
    midnight_s: float
    weekday: int

    def index_of(self, now_s: float) -> int | None:
        """Return the stretch that ``now_s`` lies in, None where there is none."""
        index = int(np.searchsorted(self.start_s, now_s, side="right")) - 1
        return index if index >= 0 and now_s < self.end_s[index] else None


@lru_cache(maxsize=256)
def zone(timezone: str) -> ZoneInfo:
    """Return the IANA time zone; raises `InvalidInput` for an unknown one."""
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:
        remedy = 'give an IANA name such as "Europe/Berlin"'
        raise InvalidInput(f"unknown time zone {timezone!r}", field="timezone", remedy=remedy) from error


def in_quiet_hours(at: datetime, timezone: str, settings: GuardrailSettings) -> bool:
    """Whether the wall clock at ``at`` stands in the quiet hours; ``quiet_from`` belongs to them, the end does not."""
    wall = at.astimezone(zone(timezone)).time()
    start, end = settings.quiet_from, settings.quiet_until
    if start <= end:
        return start <= wall < end
    return wall >= start or wall < end


def openings(view: DeviceView) -> Openings:
    """Return the open stretches of the days that the view's features cover (cached by zone, day and quiet hours)."""
    rails = view.settings.guardrails
    today = view.now.astimezone(zone(view.timezone)).date()
    days = 8 if view.phi is None else min(8, view.phi.shape[0])
    return _openings(view.timezone, today, days, rails.quiet_from, rails.quiet_until)


@lru_cache(maxsize=1024)
def _openings(timezone: str, today: date, days: int, quiet_from: time, quiet_until: time) -> Openings:
    rows = [
        (*stretch, day, slot)
        for day in range(days)
        for slot, hour in enumerate(SLOT_STARTS)
        for stretch in _open_stretches(today + timedelta(days=day), hour, zone(timezone), quiet_from, quiet_until)
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    columns = (table[:, 0], table[:, 1], table[:, 2].astype(np.intp), table[:, 3].astype(np.intp))
    for column in columns:
        column.setflags(write=False)
    midnight = datetime.combine(today, time(), zone(timezone))
    return Openings(*columns, midnight_s=midnight.timestamp(), weekday=today.weekday())


def _open_stretches(
    day: date, hour: int, local: ZoneInfo, quiet_from: time, quiet_until: time
) -> Iterable[tuple[float, float]]:
    start, end = datetime.combine(day, time(hour)), datetime.combine(day, time()) + timedelta(hours=hour + SLOT_HOURS)
    cuts = [datetime.combine(day, t) for t in (quiet_from, quiet_until)] if quiet_from != quiet_until else []
    walls = sorted({start, end, *(cut for cut in cuts if start < cut < end)})
    rails = GuardrailSettings(quiet_from=quiet_from, quiet_until=quiet_until)
    for begin, stop in pairwise(walls):
        first, last = begin.replace(tzinfo=local), stop.replace(tzinfo=local)
        # A wall time that the clocks skip does not come back from UTC: such a stretch does not exist that day.
        exists = first.astimezone(UTC).astimezone(local).replace(tzinfo=None) == begin
        if exists and not in_quiet_hours(first, local.key, rails):
            yield first.timestamp(), last.timestamp()


@dataclass(frozen=True, slots=True)
class Clearance:
    """What the rules say of a candidate: the first rule that holds it back now, and from when on it is free.

    ``code`` is None where it may be sent now. ``not_before_s`` is infinite where waiting does not help.
    """

    code: str | None
    not_before_s: float


def _never(code: str) -> Clearance:
    return Clearance(code, math.inf)


class History:
    """Times of past promotional pushes, newest first, over all and by category, campaign and candidate."""

    def __init__(self, pushes: Sequence[PushRecord]) -> None:
        timed = sorted(((p.at.timestamp(), p) for p in pushes if p.kind == "promotional"), key=_time, reverse=True)
        self.times = [at for at, _ in timed]
        self._by_key: dict[tuple[str, str], list[float]] = {}
        for at, push in timed:
            for key in (("category", push.category), ("campaign", push.campaign or ""), ("id", push.candidate_id)):
                self._by_key.setdefault(key, []).append(at)

    def of(self, what: str, name: str | None) -> list[float]:
        """Return the times of pushes with that "category", "campaign" or "id"; none for an empty name."""
        return self._by_key.get((what, name), []) if name else []


def _time(timed: tuple[float, PushRecord]) -> float:
    return timed[0]


def _release(times: list[float], limit: int, window_s: float) -> float:
    if limit == 0:
        return math.inf
    return times[limit - 1] + window_s if len(times) >= limit else -math.inf


def _first_block(now_s: float, releases: Iterable[tuple[str, float]]) -> Clearance:
    code, not_before = None, -math.inf
    for name, release in releases:
        if release > now_s and code is None:
            code = name
        not_before = max(not_before, release)
    return Clearance(code, not_before)


def standing(view: DeviceView) -> str | None:
    """Return the rule that forbids every promotional push, whatever the candidate and the hour."""
    if view.opted_out:
        return "opted_out"
    return None if "marketing_push" in view.consents else "no_marketing_consent"


def shared(view: DeviceView, history: History) -> Clearance:
    """Return what quiet hours, the minimum gap and the caps per hour, day and week say, for all candidates alike.

    Quiet hours appear as a code only: when they end is a matter of the openings.
    """
    rails, now_s, times = view.settings.guardrails, view.now.timestamp(), history.times
    timed = _first_block(
        now_s,
        (
            ("minimum_gap", times[0] + rails.minimum_gap_s if times else -math.inf),
            ("cap_hour", _release(times, rails.max_per_hour, HOUR_S)),
            ("cap_day", _release(times, rails.max_per_day, DAY_S)),
            ("cap_week", _release(times, rails.max_per_week, 7 * DAY_S)),
        ),
    )
    quiet = in_quiet_hours(view.now, view.timezone, rails)
    return Clearance("quiet_hours", timed.not_before_s) if quiet else timed


def candidate_clearance(view: DeviceView, candidate: Candidate, history: History, common: Clearance) -> Clearance:
    """Return what all rules say of a promotional candidate, given what `shared` said of all."""
    if candidate.ttl_s <= 0:
        return _never("expired")
    rails = view.settings.guardrails
    same_category, same_campaign = (
        history.of("category", candidate.category),
        history.of("campaign", candidate.campaign),
    )
    copies = history.of("id", candidate.id)
    own = _first_block(
        view.now.timestamp(),
        (
            ("cap_category", _release(same_category, rails.max_per_category_per_week, 7 * DAY_S)),
            # Without a campaign there is nothing to count, not even against a cap of zero.
            ("cap_campaign", _release(same_campaign, rails.max_per_campaign_per_30d, 30 * DAY_S))
            if candidate.campaign
            else ("cap_campaign", -math.inf),
            ("duplicate", copies[0] + rails.duplicate_window_s if copies else -math.inf),
        ),
    )
    merged = Clearance(common.code or own.code, max(common.not_before_s, own.not_before_s))
    return _never(merged.code or "complaint") if _complained(view, candidate) else merged


def _complained(view: DeviceView, candidate: Candidate) -> bool:
    return any(
        record.kind == "complaint"
        and (record.candidate_id == candidate.id or (candidate.campaign and record.campaign == candidate.campaign))
        for record in view.feedback
    )


def transactional(view: DeviceView, candidate: Candidate) -> str | None:
    """Return why a transactional push must not be sent: its own opt-out, or that it has expired; else None."""
    if view.transactional_opted_out:
        return "transactional_opted_out"
    return "expired" if candidate.ttl_s <= 0 else None
