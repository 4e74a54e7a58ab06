"""Pushes as the caps count them, and the ids of decisions."""

import hashlib
import secrets
from dataclasses import replace
from datetime import datetime

from tactful._state import DeviceState
from tactful.clock import from_ms, to_ms
from tactful.errors import InvalidInput
from tactful.events import StoredEvent
from tactful.model import OPEN_RATE_PRIOR
from tactful.types import Decision, DeviceView, PushRecord, Reason

_LEAST = 1e-6


def of_event(event: StoredEvent) -> PushRecord:
    """Return the record of a push that the app sent by itself."""
    campaign = event.properties.get("campaign")
    return PushRecord(
        from_ms(event.at_ms),
        candidate_id=str(event.properties.get("candidate_id", "")),
        category=str(event.properties.get("category", "")),
        campaign=None if campaign is None else str(campaign),
    )


def of_decision(decision: Decision, view: DeviceView) -> PushRecord:
    """Return the record of a push that a decision sent; without personalisation only time and cap keys.

    Raises:
        InvalidInput: the decision sends nothing.
    """
    candidate = decision.candidate
    if candidate is None:
        raise InvalidInput("sends nothing", field="decision")
    cap_keys = PushRecord(
        at=decision.created_at,
        candidate_id=candidate.id,
        category=candidate.category,
        campaign=candidate.campaign,
        kind=candidate.kind,
    )
    if not view.personalised:
        return cap_keys
    return replace(cap_keys, variant=candidate.variant, tags=candidate.tags, embedding=candidate.embedding)


def expectation(decision: Decision) -> tuple[float, float]:
    """Return the probability of engagement and the fatigue κ·D that a decision stated; where it knew no effect, r₀.

    A probability that was rounded to 0 or 1 is moved off it by `_LEAST`, since an answer may still be the other one.
    """
    said = dict(decision.reasons[0].detail) if decision.reasons else {}
    stated = float(said.get("expected", OPEN_RATE_PRIOR))
    return min(max(stated, _LEAST), 1.0 - _LEAST), float(said.get("strain", 0.0))


def learn(state: DeviceState, decision: Decision | None, engaged: bool) -> bool:
    """Let the personal layer learn from an answer, or from none, to a decision; whether there was anything to learn."""
    if decision is None or decision.slot is None:
        return False
    expected, strain = expectation(decision)
    state.history.personal.update_push(0, decision.slot, expected, engaged, strain)
    state.forget_day()
    return True


def decision_id(salt: bytes, seed: bytes, moment: datetime) -> bytes:
    """Return the 8 bytes of a decision's id where its seed was given: the same for the same device, time and seed."""
    at = to_ms(moment, "now").to_bytes(8, "big")
    return hashlib.sha256(b"tactful/v1/decision\0" + salt + at + seed).digest()[:8]


def internal_error(now: datetime) -> Decision:
    """Return the quiet decision that stands for one which failed."""
    return Decision(
        id="d-" + secrets.token_hex(8),
        action="quiet",
        candidate=None,
        at=None,
        propensity=1.0,
        reasons=(Reason("internal_error"),),
        model_version="none",
        created_at=now,
    )


def settled(state: DeviceState, push: PushRecord) -> bool:
    """Whether the day after the push has been closed: no answer since then is an answer of its own."""
    closed = state.history.features.next_day
    return closed is not None and state.today(to_ms(push.at)) < closed - 1


def unanswered(state: DeviceState, since: int | None) -> list[str]:
    """Return the decisions whose promotional pushes were settled without an answer when days were closed just now.

    Most people never dismiss a push, they leave it. To learn from opens and dismissals alone would make everybody look
    eager and never tired.

    Args:
        state: of the device, its days closed.
        since: the first of the days closed just now; None where the history was folded anew: nothing is learned.
    """
    if since is None:
        return []
    waiting = [(name, push) for name, push in state.pushes.items() if push.outcome in ("", "delivered")]
    return [
        name
        for name, push in waiting
        if push.kind == "promotional" and settled(state, push) and state.today(to_ms(push.at)) >= since - 1
    ]
