"""The running week of a decision, and the plan of the coming one: budget, what is left of it, and the slots to use."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from tactful import explain, pacing, scoring
from tactful.guardrails import Openings, zone
from tactful.scoring import Forms, Outlook, Scores
from tactful.settings import DAY_S
from tactful.types import Candidate, DeviceView, Reason, SlotScore, WeekPlan


@dataclass(frozen=True, slots=True, eq=False)
class Week:
    """The weekly budget k, the pacing price μ now, and which openings feedback and budget leave usable, bool (P,)."""

    budget: int
    future_minor: float
    dose_minor: float
    price_minor: float
    usable: NDArray[np.bool_]
    wrong_time: NDArray[np.bool_]
    too_often: bool

    def block(self, index: int) -> str | None:
        """Return why an opening is not usable, None where it is."""
        if self.usable[index]:
            return None
        if self.wrong_time[index]:
            return "wrong_time"
        if self.budget:
            return "budget_spent"
        return "too_often" if self.too_often else "not_worth_it"


def week(view: DeviceView, base: Forms) -> Week:
    """Work out the budget of a rested device and what is left of it this local week."""
    rested, ahead = scoring.outlook(view, base, np.zeros(3)), base.openings
    often = pacing.frequency(view, rested)
    budget = often.budget >> pacing.complaints_of_frequency(view)
    today = view.now.astimezone(zone(view.timezone)).date()
    state = pacing.current(view.week, today)
    elapsed = (ahead.weekday + (view.now.timestamp() - ahead.midnight_s) / DAY_S) / 7
    price = pacing.price_minor(state, budget, elapsed, view.settings)
    told = wrong_slots(view)
    wrong = np.isin(ahead.slot, told) if told else np.zeros(ahead.slot.shape, dtype=np.bool_)
    this_week = ahead.day + ahead.weekday < 7
    funded = np.where(this_week, state.sent < budget, budget > 0)
    too_often = pacing.complaints_of_frequency(view) > 0
    return Week(budget, often.future_minor, often.dose_minor, price, funded & ~wrong, wrong, too_often)


def wrong_slots(view: DeviceView) -> list[int]:
    """Return the slots of which the person said "wrong time" in the last ``feedback_d`` days."""
    horizon = timedelta(days=view.settings.feedback_d)
    told = [r for r in view.feedback if r.kind == "wrong_time" and r.slot is not None and view.now - r.at < horizon]
    return sorted({r.slot for r in told if r.slot is not None})


def plan(view: DeviceView, ahead: Openings, worth_minor: float, candidate: Candidate | None = None) -> WeekPlan:
    """Score the openings of the coming seven days and choose at most the weekly budget of them."""
    base = scoring.forms(view, ahead)
    now, message = week(view, base), scoring.message_of(candidate)
    outlook = scoring.outlook(view, base, message=message, future_minor=now.future_minor)
    scores = scoring.score(view, outlook, worth_minor, now.price_minor)
    coming = (ahead.start_s > view.now.timestamp()) & (ahead.day < pacing.WEEK_D)
    choice = pacing.best_openings(
        # Pushes of one plan charge each other for what they take from one another, so F(k) is not charged as well.
        np.where(coming & ~now.wrong_time, scores.total - scores.fatigue if outlook.known else scores.total, -np.inf),
        ahead.start_s,
        fatigue_minor=now.dose_minor,
        price_minor=0.0,
        limit=now.budget,
        settings=view.settings,
    )
    slots = [
        _slot_score(view, outlook, scores, i, worth_minor, now, choice.picks) for i in np.flatnonzero(coming).tolist()
    ]
    return WeekPlan(now.budget, tuple(slots), choice.utility_minor, outlook.basis)


def _slot_score(
    view: DeviceView, ahead: Outlook, scores: Scores, i: int, worth_minor: float, now: Week, picks: Sequence[int]
) -> SlotScore:
    opening, score, chosen = ahead.openings, float(scores.total[i]), i in picks
    because: tuple[Reason, ...] = (Reason("plan_chosen" if chosen else _why_not(view, ahead, score, i, now, picks)),)
    if chosen:
        because += explain.reasons(view, ahead, scores, i, worth_minor)
    at = datetime.fromtimestamp(float(opening.start_s[i]), UTC)
    return SlotScore(at, int(opening.day[i]), int(opening.slot[i]), score, chosen, because, view.timezone)


def _why_not(view: DeviceView, ahead: Outlook, score: float, i: int, now: Week, picks: Sequence[int]) -> str:
    if now.wrong_time[i]:
        return "wrong_time"
    if score <= 0:
        return "plan_not_worth_it"
    rails, starts = view.settings.guardrails, ahead.openings.start_s
    apart_s = [abs(float(starts[i] - starts[pick])) for pick in picks]
    if any(gap < rails.minimum_gap_s for gap in apart_s) or sum(gap < DAY_S for gap in apart_s) >= rails.max_per_day:
        return "plan_too_close"
    return "plan_better_ones"
