"""How often: the weekly budget k that maximises the device's own concave utility U(k) − νk, and its dual price μ.

U(k) is what the k best openings of a week are worth together, where every pair of pushes costs fatigue by how close
they are. Choosing greedily gives gains that never increase (a choice can only lower what is left), so U is concave in
k and the best k is the last whose gain exceeds ν. Nothing of it leaves the device.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tactful import scoring, steady
from tactful.model import DOSAGE_HALF_LIVES_D, message_features
from tactful.scoring import Outlook
from tactful.settings import DAY_S, PolicySettings
from tactful.types import DeviceView, PacingState

Array = NDArray[np.float64]
WEEK_D = 7


@dataclass(frozen=True, slots=True)
class Choice:
    """Openings in the order in which they were chosen, and the gain of each in minor units (never increasing)."""

    picks: tuple[int, ...]
    gains_minor: tuple[float, ...]

    @property
    def utility_minor(self) -> tuple[float, ...]:
        """U(0), U(1), …, U(k)."""
        total, levels = 0.0, [0.0]
        for gain in self.gains_minor:
            total += gain
            levels.append(total)
        return tuple(levels)


def closeness(start_s: Array) -> Array:
    """Return (P, P) in [0, 1]: the dosage that a push in one opening leaves (mean over half-lives) in another."""
    apart_d = np.abs(start_s[:, None] - start_s[None, :]) / DAY_S
    result: Array = np.mean([np.exp2(-apart_d / half_life) for half_life in DOSAGE_HALF_LIVES_D], axis=0)
    return result


@lru_cache(maxsize=64)
def _geometry(start_s: bytes, minimum_gap_s: float) -> tuple[Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return for every pair of openings its `closeness`, whether it breaks the gap, and if within a day."""
    times = np.frombuffer(start_s, dtype=np.float64)
    apart_s = np.abs(times[:, None] - times[None, :])
    too_near = apart_s < minimum_gap_s
    # An opening is always too near to itself, also where there is no minimum gap.
    np.fill_diagonal(too_near, val=True)
    return closeness(times), too_near, apart_s < DAY_S


def best_openings(
    scores_minor: Array,
    start_s: Array,
    *,
    fatigue_minor: float,
    price_minor: float,
    limit: int,
    settings: PolicySettings,
) -> Choice:
    """Choose greedily up to ``limit`` openings whose gain exceeds ``price_minor`` (ν).

    Args:
        scores_minor: S of each opening on its own, (P,); −inf where nothing may be sent.
        start_s: seconds since the epoch, (P,).
        fatigue_minor: price of one unit of dosage.
        price_minor: what each push must gain at least.
        limit: at most so many.
        settings: the minimum gap and the cap per day exclude openings too close to one chosen.
    """
    if not scores_minor.size:
        return Choice((), ())
    rails, left = settings.guardrails, scores_minor.astype(np.float64, copy=True)
    near, too_near, within_day = _geometry(start_s.tobytes(), rails.minimum_gap_s)
    same_day = np.zeros(left.shape)
    picks, gains = list[int](), list[float]()
    while len(picks) < limit:
        best = int(left.argmax())
        if not left[best] > price_minor:
            break
        picks.append(best)
        gains.append(float(left[best]))
        same_day += within_day[best]
        left -= fatigue_minor * near[best]
        left[too_near[best] | (same_day >= rails.max_per_day)] = -np.inf
    return Choice(tuple(picks), tuple(gains))


def fatigue_price(view: DeviceView) -> float:
    """Return what one unit of dosage costs this device, in minor units, where the model knows no effect of a push."""
    return view.settings.fatigue_minor_per_dose * float(view.personal.fatigue_multiplier)


@dataclass(frozen=True, slots=True)
class Frequency:
    """How often this device is to be pushed.

    Attributes:
        budget: k, pushes a week.
        future_minor: F(k), what a push takes from those after it; 0 where the model knows no effect.
        dose_minor: what a push takes from another one at the same time, by which a week's plan spaces them.
    """

    budget: int
    future_minor: float
    dose_minor: float


def frequency(view: DeviceView, rested: Outlook) -> Frequency:
    """Return the weekly budget, before complaints, and its prices.

    Where the model knows an effect, k maximises the settled week's U(k) − νk (`tactful.steady`) in the device's usual
    opening, the larger one of messages with and without a reason of the person's own (each push is scored for its own
    message anyway), and the prices are those of messages without. Elsewhere k is the number of openings of the coming
    week that are worth a push.

    The fleet's price may hold a device back to one push a week, but does not silence one that wants any for itself.
    """
    often = _frequency(view, rested)
    if often.budget or not view.fleet_price_minor > 0.0:
        return often
    alone = _frequency(replace(view, fleet_price_minor=0.0), rested)
    return replace(often, budget=min(1, alone.budget))


def _frequency(view: DeviceView, rested: Outlook) -> Frequency:
    if not rested.known:
        return Frequency(len(budget_choice(view, rested).picks), 0.0, fatigue_price(view))
    costs = steady.Costs(scoring.own_kappa(view), view.model.hazard_dosage, view.settings.opt_out_cost_minor)
    plain, own = (usual_opening(view, rested, message_features(own_reason, False)) for own_reason in (False, True))
    most, price = view.settings.guardrails.max_per_week, view.fleet_price_minor
    k, with_reason = (steady.best_frequency(steady.steady_utility(usual, costs, most), price) for usual in (plain, own))
    factor, wanted = view.settings.future_cost_factor, int(max(k[0], with_reason[0]))
    future, dose = factor * steady.future_cost(plain, costs, k), factor * steady.dose_price(plain, costs, k)
    budget = min(most, wanted + view.settings.budget_slack) if wanted else 0
    return Frequency(budget, float(future[0]), float(dose[0]))


def usual_opening(view: DeviceView, rested: Outlook, message: Array) -> steady.Rested:
    """Return the mean of the coming seven days' best openings at the reference value, for a message m, shape (2,)."""
    settings, model = view.settings, view.model
    worth = settings.reference_value_minor * settings.unknown_interest * rested.value_factor
    gain = worth * rested.delta_p - settings.opt_out_cost_minor * rested.delta_h
    days = [np.flatnonzero(rested.openings.day == day) for day in range(WEEK_D)]
    best = np.array([day[gain[day].argmax()] for day in days if day.size], dtype=np.intp)
    if not best.size:
        return steady.Rested(*np.zeros((4, 1)))
    hazard = np.log(rested.delta_h[best] / (1.0 - rested.delta_h[best])) - model.hazard_dosage.sum()
    effect = rested.effect[best] + message @ model.message_effect
    parts = (rested.eta[best], effect, hazard + message @ model.message_hazard, worth[best])
    return steady.Rested(*(np.array([part.mean()]) for part in parts))


def budget_choice(view: DeviceView, rested: Outlook) -> Choice:
    """Return the best openings of the next seven days for a rested device (no dosage) at the reference value."""
    settings = view.settings
    worth = settings.reference_value_minor * settings.unknown_interest
    scores = worth * rested.delta_p - settings.opt_out_cost_minor * rested.delta_h
    # Openings are in order of time, so the first seven days are the head of the table.
    count = int(np.searchsorted(rested.openings.day, WEEK_D))
    return best_openings(
        scores[:count],
        rested.openings.start_s[:count],
        fatigue_minor=fatigue_price(view),
        price_minor=view.fleet_price_minor,
        limit=settings.guardrails.max_per_week,
        settings=settings,
    )


def weekly_budget(view: DeviceView, rested: Outlook) -> int:
    """Return k, halved (rounded down) for every "too often" said in the last ``feedback_d`` days."""
    return frequency(view, rested).budget >> complaints_of_frequency(view)


def complaints_of_frequency(view: DeviceView) -> int:
    """Return how many times "too often" was said in the last ``feedback_d`` days."""
    horizon_s = view.settings.feedback_d * DAY_S
    return sum(r.kind == "too_often" and (view.now - r.at).total_seconds() < horizon_s for r in view.feedback)


def current(state: PacingState, today: date) -> PacingState:
    """Return the state of the local week that ``today`` lies in: an old week's count does not carry over."""
    monday = today - timedelta(days=today.weekday())
    return state if monday <= state.week_start else PacingState(monday, 0, state.price_minor)


def price_minor(state: PacingState, budget: int, elapsed: float, settings: PolicySettings) -> float:
    """Return μ now: the week's price, raised where sends run ahead of the budget's even pace, never below zero.

    ``elapsed`` is the share of the local week that has passed, in [0, 1].
    """
    ahead = state.sent - budget * min(1.0, max(0.0, elapsed))
    return max(0.0, state.price_minor + settings.pacing_step_minor * ahead)


def after_send(state: PacingState, today: date, budget: int, settings: PolicySettings) -> PacingState:
    """Return the state after one more promotional push was sent on the local day ``today``."""
    rolled = roll(state, today, budget, settings)
    return replace(rolled, sent=rolled.sent + 1)


def roll(state: PacingState, today: date, budget: int, settings: PolicySettings) -> PacingState:
    """Return the state of the week of ``today``; closing a week moves μ along the dual's subgradient, sent − budget."""
    monday = today - timedelta(days=today.weekday())
    if monday <= state.week_start:
        return state
    price = max(0.0, state.price_minor + settings.pacing_step_minor * (state.sent - budget))
    return PacingState(monday, 0, price)
