"""What became of a push, and what the person said of it."""

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from tactful import _deciding, _feedback, _pushes
from tactful._checks import decision_name
from tactful._device_rights import DeviceRights
from tactful._recording import add_event
from tactful._rows import json_row, push_row
from tactful._state import feedback_to_dict
from tactful.consent import PERSONALISATION
from tactful.errors import InvalidInput, UnknownDecision
from tactful.events import PUSH_KINDS, Event, store
from tactful.types import PushRecord

if TYPE_CHECKING:
    from tactful._state import DeviceState
    from tactful.host import Host

OUTCOMES = ("delivered", "dismissed", "opened", "converted", "opted_out")
"""What may become of a push, the furthest last."""


def record_outcome(host: "Host", device: int, decision_id: str, outcome: str, at: datetime | None) -> bool:
    """Record what became of a push; see `tactful.device.Device.record_outcome`."""
    if outcome not in OUTCOMES:
        remedy = f"use one of {', '.join(OUTCOMES)}"
        raise InvalidInput(f"unknown outcome {outcome!r}", field="outcome", remedy=remedy)
    state = host.state(device)
    push = state.pushes.get(decision_name(decision_id))
    if push is None:
        if host.vault.has(device, "decision", decision_id):
            return False  # decided, but not to send: nothing can have become of it
        message = "no push of that decision is stored on this device"
        raise UnknownDecision(message, field="decision_id", remedy="give the id of a decision made here")
    if OUTCOMES.index(outcome) > (OUTCOMES.index(push.outcome) if push.outcome else -1):
        push = _go_further(host, state, decision_id, push, outcome)
    if outcome == "opted_out":
        DeviceRights(host, device).opt_out("promotional")
    elif PERSONALISATION in state.granted and f"push_{outcome}" in PUSH_KINDS:
        properties = {"decision_id": decision_id, **({"category": push.category} if push.category else {})}
        now, profile = host.now(), state.profile
        event = Event(f"push_{outcome}", at or now, properties)
        add_event(host, state, store(event, now=now, timezone=profile.timezone, salt=profile.salt))
    return True


def _go_further(host: "Host", state: "DeviceState", decision_id: str, push: PushRecord, outcome: str) -> PushRecord:
    answers = push.outcome in ("", "delivered") and outcome != "delivered"
    first_answer = answers and push.kind == "promotional" and not _pushes.settled(state, push)
    push = replace(push, outcome=outcome)
    host.vault.write([push_row(state.device, decision_id, push)])
    state.pushes[decision_id] = push
    if first_answer and PERSONALISATION in state.granted:
        _deciding.learn(host, state, decision_id, engaged=outcome in ("opened", "converted"))
    return push


def feedback(host: "Host", device: int, decision_id: str, kind: str, reason: str | None) -> None:
    """Record what the person said of a push; see `tactful.device.Device.feedback`."""
    state = host.state(device)
    decision = _deciding.find(host, device, decision_id)
    record = _feedback.record(state, decision, decision_id, kind, reason, host.now())
    host.vault.write([json_row(device, "feedback", feedback_to_dict(record), None)])
    state.feedback.append(record)
