"""What the person said of a push, with what is known of that push."""

from datetime import datetime

from tactful._checks import decision_name
from tactful._state import DeviceState
from tactful.errors import InvalidInput, UnknownDecision
from tactful.events import is_text
from tactful.types import Decision, FeedbackRecord, PushRecord


def record(
    state: DeviceState, decision: Decision | None, decision_id: str, kind: str, reason: str | None, now: datetime
) -> FeedbackRecord:
    """Return the record of a feedback; see `Device.feedback`.

    Raises:
        UnknownDecision: neither a push nor a decision of that id is stored.
        InvalidInput: the reason is free text, or the kind is unknown.
    """
    push = state.pushes.get(decision_name(decision_id))
    if push is None and decision is None:
        message = "no decision of that id is stored on this device"
        raise UnknownDecision(message, field="decision_id", remedy="give the id of a decision made here")
    if reason is not None and not (is_text(reason, 64) and reason.isidentifier()):
        raise InvalidInput("must be a code, not free text", field="reason", remedy='give one such as "irrelevant"')
    candidate = None if decision is None else decision.candidate
    about = push or PushRecord(now, *((candidate.id, candidate.category) if candidate else ()))
    return FeedbackRecord(
        kind=kind,
        at=now,
        candidate_id=about.candidate_id,
        category=about.category,
        campaign=about.campaign,
        slot=None if decision is None else decision.slot,
        reason=reason or "",
    )
