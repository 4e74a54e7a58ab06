"""One decision: send now, wait for a better slot, or stay quiet. A pure function of the view, candidates and seed.

1. A transactional candidate leaves at once unless its own opt-out forbids it.
2. Guardrails, in their fixed order (`tactful.guardrails.ORDER`); each rule about time also says when it ends.
3. Without consent to personalisation: the fixed daytime slot, the guardrails, nothing else.
4. Ranking chooses one candidate; each opening within its TTL is scored.
5. Where a push may leave now, chance decides with the propensity π = Φ((m_now − τ)/s_now), clipped, within the weekly
   budget; τ = max(0, best discounted later score). With exploration off: send if S(now) > 0 and S(now) ≥ τ.
6. Not sent: wait for the best later opening if it is worth something, else stay quiet.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from tactful import explain, guardrails, planning, ranking, scoring
from tactful.guardrails import Clearance, History, Openings
from tactful.planning import Week
from tactful.ranking import Ranked
from tactful.scoring import Outlook, Scores
from tactful.settings import DAY_S, PolicySettings
from tactful.types import Candidate, Decision, DeviceView, Reason, WeekPlan

_Cleared = tuple[Candidate, Clearance]


def decide(view: DeviceView, candidates: Sequence[Candidate], *, decision_id: str, seed: bytes) -> Decision:
    """Decide about ``candidates`` for the device in ``view``.

    Args:
        view: everything that may be looked at.
        candidates: what could be pushed; their order matters only among transactional ones (the first leaves first).
        decision_id: the id that the log knows the decision by.
        seed: the draw's randomness; the same seed and id always draw the same number.
    """
    draft = _draft(view, decision_id)
    urgent = [c for c in candidates if c.kind == "transactional"]
    for candidate in urgent:
        if guardrails.transactional(view, candidate) is None:
            return _send(draft, candidate, (Reason("transactional"),))
    offers = [c for c in candidates if c.kind != "transactional"]
    if not offers:
        code = guardrails.transactional(view, urgent[0]) if urgent else None
        return replace(draft, reasons=(Reason(code or "no_candidate"),))
    forbidden = guardrails.standing(view)
    if forbidden:
        return replace(draft, reasons=(Reason(forbidden),))
    history = History(view.pushes)
    common = guardrails.shared(view, history)
    cleared = [(c, guardrails.candidate_clearance(view, c, history, common)) for c in offers]
    if not view.personalised:
        return _by_rules(view, draft, cleared)
    return _personalised(view, draft, cleared, draw(seed, decision_id))


def weekly_budget(view: DeviceView) -> int:
    """Return how many promotional pushes a week this device is planned to get; 0 where none may be sent."""
    if guardrails.standing(view) or not view.personalised:
        return 0
    return planning.week(view, scoring.forms(view, guardrails.openings(view))).budget


def week_plan(view: DeviceView, candidates: Sequence[Candidate] = ()) -> WeekPlan:
    """Plan the coming seven days: the weekly budget and each opening's score, for the best candidate if any."""
    if guardrails.standing(view) or not view.personalised:
        return WeekPlan(0, (), basis="rules")
    offers = [c for c in candidates if c.kind != "transactional" and ranking.admitted(view, c) is None]
    best = ranking.choose(view, offers) if offers else None
    return planning.plan(view, guardrails.openings(view), _worth(view, best), best.candidate if best else None)


def next_best_time(view: DeviceView, candidates: Sequence[Candidate] = ()) -> datetime | None:
    """Return the start of the best opening of the week's plan, None where the plan is empty."""
    chosen = week_plan(view, candidates).chosen
    return max(chosen, key=lambda slot: slot.score_minor).at if chosen else None


def draw(seed: bytes, decision_id: str) -> float:
    """Return a number uniform on [0, 1) with 53 bits, from SHA-256 of the seed and the decision's id."""
    return _uniform(b"tactful/v1/draw", seed, decision_id.encode())


def group_of(salt: bytes, settings: PolicySettings) -> str:
    """Return "never_push", "micro_randomised" or "policy": stable for a device as long as the fractions are."""
    place = _uniform(b"tactful/v1/group", salt)
    if place < settings.never_push_fraction:
        return "never_push"
    return "micro_randomised" if place < settings.never_push_fraction + settings.micro_randomised_fraction else "policy"


def _uniform(*parts: bytes) -> float:
    # Each part is preceded by its length, so that two different lists never hash the same bytes.
    message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return float((int.from_bytes(hashlib.sha256(message).digest()[:8], "big") >> 11) * 2.0**-53)


def _draft(view: DeviceView, decision_id: str) -> Decision:
    return Decision(
        id=decision_id,
        action="quiet",
        candidate=None,
        at=None,
        propensity=1.0,
        reasons=(),
        model_version=view.model.version,
        created_at=view.now,
        timezone=view.timezone,
        group=group_of(view.salt, view.settings),
    )


def _send(draft: Decision, candidate: Candidate, reasons: tuple[Reason, ...]) -> Decision:
    send_now = replace(draft, action="send", candidate=candidate, at=draft.created_at, reasons=reasons)
    return replace(send_now, send_probability=1.0)


def _first_in_order(codes: Sequence[str | None]) -> tuple[Reason, ...]:
    """Return one reason per code, in the fixed order of the guardrails."""
    found = {code for code in codes if code}
    return tuple(Reason(code) for code in (*guardrails.ORDER, "excluded", "low_interest") if code in found)


def _only(cleared: Sequence[_Cleared]) -> Candidate | None:
    return cleared[0][0] if len(cleared) == 1 else None


def _by_rules(view: DeviceView, draft: Decision, cleared: Sequence[_Cleared]) -> Decision:
    """Decide without looking at the person: guardrails and the fixed daytime slot; the highest value goes first."""
    why = Reason("no_features" if "on_device_personalisation" in view.consents else "no_personalisation")
    if draft.group == "never_push":
        return replace(draft, reasons=(Reason("never_push_group"), why))
    alive = [(c, clear) for c, clear in cleared if clear.not_before_s < math.inf]
    if not alive:
        codes = [clear.code for _, clear in cleared]
        return replace(draft, candidate=_only(cleared), reasons=(*_first_in_order(codes), why))
    candidate, clear = min(alive, key=lambda row: (row[1].code is not None, -row[0].value_minor, row[0].id))
    open_now, now_s = guardrails.openings(view), view.now.timestamp()
    index, slot = open_now.index_of(now_s), view.settings.fallback_slot
    if clear.code is None and index is not None and open_now.slot[index] == slot:
        return replace(_send(draft, candidate, (Reason("fixed_slot"), why)), slot=slot)
    instants = np.maximum(open_now.start_s, clear.not_before_s)
    fits = _fits(open_now, instants, now_s, candidate) & (open_now.slot == slot)
    reasons = (Reason(clear.code or "fixed_slot"), why)
    if not fits.any():
        return replace(draft, candidate=candidate, reasons=reasons)
    first = int(fits.argmax())
    at = datetime.fromtimestamp(float(instants[first]), UTC)
    return replace(draft, action="wait", candidate=candidate, at=at, reasons=reasons, slot=slot)


def _fits(ahead: Openings, instants: NDArray[np.float64], now_s: float, candidate: Candidate) -> NDArray[np.bool_]:
    """Whether each opening, entered at its instant, lies after now and within its own end and the TTL."""
    return (instants > now_s) & (instants < ahead.end_s) & (instants < now_s + candidate.ttl_s)


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """One candidate and everything that was computed for it.

    ``now``, ``later``: indices of openings, if any. ``possible_from_s``: when no rule would stand in the way any more,
    whether or not the candidate lives that long.
    """

    ranked: Ranked
    block: str | None
    week: Week
    ahead: Outlook
    scores: Scores
    worth_minor: float
    now: int | None
    later: int | None
    later_at_s: float
    threshold_minor: float
    possible_from_s: float | None


def _personalised(view: DeviceView, draft: Decision, cleared: Sequence[_Cleared], chance: float) -> Decision:
    turned_down = [ranking.admitted(view, c) for c, _ in cleared]
    admitted = [row for row, code in zip(cleared, turned_down, strict=True) if code is None]
    alive = [row for row in admitted if row[1].not_before_s < math.inf]
    if not alive:
        codes = [clear.code for _, clear in cleared if clear.not_before_s == math.inf]
        return replace(draft, candidate=_only(cleared), reasons=_first_in_order([*codes, *turned_down]))
    if draft.group == "never_push":
        return replace(draft, reasons=(Reason("never_push_group"),))
    pool = [row for row in alive if row[1].code is None] or alive
    ranked = ranking.choose(view, [c for c, _ in pool])
    clear = next(clear for c, clear in pool if c is ranked.candidate)
    case = _case(view, ranked, clear)
    draft = replace(draft, candidate=ranked.candidate, basis=case.ahead.basis, weekly_budget=case.week.budget)
    if case.block or case.now is None:
        return _not_now(view, draft, case, case.block or "outside_slots")
    return _by_chance(view, draft, case, case.now, chance)


def _worth(view: DeviceView, ranked: Ranked | None) -> float:
    """Return v: the candidate's value (or the reference) times how relevant it is to this person, in minor units."""
    if ranked is None:
        return view.settings.reference_value_minor * view.settings.unknown_interest
    return (ranked.candidate.value_minor or view.settings.reference_value_minor) * ranked.relevance


def _case(view: DeviceView, ranked: Ranked, clear: Clearance) -> _Case:
    open_from_now, now_s = guardrails.openings(view), view.now.timestamp()
    base = scoring.forms(view, open_from_now)
    week, worth, message = planning.week(view, base), _worth(view, ranked), scoring.message_of(ranked.candidate)
    ahead = scoring.outlook(view, base, message=message, future_minor=week.future_minor)
    scores = scoring.score(view, ahead, worth, week.price_minor)
    instants = np.maximum(open_from_now.start_s, clear.not_before_s)
    possible = (instants > now_s) & (instants < open_from_now.end_s) & week.usable
    usable = possible & (instants < now_s + ranked.candidate.ttl_s)
    discount = view.settings.discount_per_day ** (np.maximum(instants - now_s, 0.0) / DAY_S)
    later_scores = np.where(usable, scores.total * discount, -math.inf)
    later = int(later_scores.argmax()) if usable.any() else None
    best_later = -math.inf if later is None else float(later_scores[later])
    now = open_from_now.index_of(now_s)
    block = clear.code or (None if now is None else week.block(now))
    at_s = math.nan if later is None else float(instants[later])
    first = float(instants[possible.argmax()]) if possible.any() else None
    return _Case(ranked, block, week, ahead, scores, worth, now, later, at_s, max(0.0, best_later), first)


def _not_now(view: DeviceView, draft: Decision, case: _Case, code: str) -> Decision:
    """Return "wait" for the best later opening if it is worth something, else "quiet", for the reason ``code``."""
    if case.later is not None and case.threshold_minor > 0:
        at = datetime.fromtimestamp(case.later_at_s, UTC)
        return _scored(view, replace(draft, action="wait", at=at), case, case.later, code)
    index = case.now if case.now is not None else case.later
    if index is None:
        return replace(draft, reasons=(Reason(code, None, _possible_from(case)),))
    return _scored(view, draft, case, index, code)


def _possible_from(case: _Case) -> tuple[tuple[str, str], ...]:
    """Return the counterfactual of a rule about time: from when on it would have let the push go."""
    if case.block is None or case.possible_from_s is None:
        return ()
    return (("possible_from", datetime.fromtimestamp(case.possible_from_s, UTC).isoformat()),)


def _scored(view: DeviceView, draft: Decision, case: _Case, index: int, code: str) -> Decision:
    because = explain.reasons(view, case.ahead, case.scores, index, case.worth_minor)
    ranked = case.ranked
    facts: tuple[tuple[str, str], ...] = (
        ("interest", repr(ranked.interest)),
        ("novelty", repr(ranked.novelty)),
        ("worth_minor", repr(case.worth_minor)),
    )
    facts += _possible_from(case) if draft.action == "quiet" else ()
    facts += _stated(view, case, index) if draft.action == "send" and case.ahead.known else ()
    score, slot = float(case.scores.total[index]), int(case.ahead.openings.slot[index])
    return replace(draft, reasons=(Reason(code, None, facts), *because), score_minor=score, slot=slot)


def _stated(view: DeviceView, case: _Case, index: int) -> tuple[tuple[str, str], ...]:
    """What the personal layer learns from later: the probability of engagement, and the shared fatigue κ·D."""
    ahead = case.ahead
    expected = scoring.sigmoid(ahead.eta[index] + ahead.effect[index])
    return (("expected", repr(float(expected))), ("strain", repr(float(ahead.doses[index] @ view.model.kappa))))


def _by_chance(view: DeviceView, draft: Decision, case: _Case, now: int, chance: float) -> Decision:
    """Send or hold back where a push may leave now; a rule without chance in it is logged as 0 or 1."""
    score, worth_it = float(case.scores.total[now]), case.threshold_minor
    send_probability = _send_probability(view, draft, case, now)
    explored = 0.0 < send_probability < 1.0
    sent = chance < send_probability
    propensity = send_probability if sent else 1.0 - send_probability
    draft = replace(draft, propensity=propensity, send_probability=send_probability, evaluable=explored)
    best_now = score > 0 and score >= worth_it
    if sent:
        draft = replace(draft, action="send", at=view.now)
        return _scored(view, draft, case, now, "best_now" if best_now else "try_now")
    if best_now:
        return _not_now(view, draft, case, "held_back")
    return _not_now(view, draft, case, "better_slot" if worth_it > 0 else "not_worth_it")


def _send_probability(view: DeviceView, draft: Decision, case: _Case, now: int) -> float:
    settings, score = view.settings, float(case.scores.total[now])
    if draft.group == "micro_randomised":
        return settings.micro_randomised_propensity
    if not settings.exploration:
        return float(score > 0 and score >= case.threshold_minor)
    spread = scoring.deviation(view, case.ahead, now, case.worth_minor)
    margin = score - case.threshold_minor
    sure = 0.5 * (1.0 + math.erf(margin / (spread * math.sqrt(2.0)))) if spread > 0 else float(margin >= 0)
    return min(settings.propensity_ceiling, max(settings.propensity_floor, sure))
