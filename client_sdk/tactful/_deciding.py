"""Deciding for a device: bring its state to the day, let the policy decide, log before returning."""

import json
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tactful import _export, _pushes, policy
from tactful._checks import candidates_of
from tactful._rows import pacing_row, push_row
from tactful._state import DeviceState
from tactful.clock import to_ms, zone
from tactful.errors import UnknownDecision
from tactful.pacing import after_send
from tactful.types import Candidate, Decision, DeviceView
from tactful.vault import NewRow

if TYPE_CHECKING:
    from tactful.host import Host


def ready(host: "Host", device: int, now: datetime) -> tuple[DeviceState, DeviceView]:
    """Return a device's state brought to the local day of ``now``, and the view of it that a decision may look at."""
    state = host.state(device)
    since, now_ms = state.history.features.next_day, to_ms(now, "now")
    if state.roll(now_ms, host.model):
        host.save_snapshot(state)
        for decision_id in _pushes.unanswered(state, since):
            learn(host, state, decision_id, engaged=False)
        state.roll(now_ms, host.model)
    return state, state.view(now, host.model, host.settings, host.fleet_price_minor)


def decide(
    host: "Host", device: int, candidates: Sequence[Candidate], now: datetime | None, seed: bytes | None
) -> Decision:
    """Decide and log; see `tactful.device.Device.decide`."""
    moment = host.now() if now is None else now
    offers = candidates_of(candidates, moment, seed)
    state, view = ready(host, device, moment)
    chance = secrets.token_bytes(16) if seed is None else seed
    name = secrets.token_bytes(8) if seed is None else _pushes.decision_id(state.profile.salt, seed, moment)
    decision = policy.decide(view, offers, decision_id="d-" + name.hex(), seed=chance)
    _log(host, state, view, decision, chance)
    return decision


def _log(host: "Host", state: DeviceState, view: DeviceView, decision: Decision, seed: bytes) -> None:
    rows: list[NewRow] = []
    if view.personalised:
        logged = f'{{"seed":"{seed.hex()}","decision":{decision.to_json()}}}'.encode()
        rows.append(NewRow(state.device, "decision", logged, decision.id))
    if decision.action == "send" and decision.candidate is not None:
        push, week = _pushes.of_decision(decision, view), state.week
        if push.kind == "promotional":
            today = decision.created_at.astimezone(zone(view.timezone)).date()
            week = after_send(week, today, decision.weekly_budget or 0, view.settings)
        rows.append(push_row(state.device, decision.id, push))
        rows.append(pacing_row(state.device, week))
        host.vault.write(rows)
        state.pushes[decision.id], state.week = push, week
    elif rows:
        host.vault.write(rows)


def find(host: "Host", device: int, decision_id: str) -> Decision | None:
    """Return a logged decision, None where there is none of that id."""
    row = host.vault.read_named(device, "decision", decision_id)
    return None if row is None else Decision.from_json(json.dumps(json.loads(row.data)["decision"]))


def explain(host: "Host", device: int, decision_id: str) -> dict[str, Any]:
    """Return a decision with its reasons in words and its outcome; see `tactful.device.Device.explain`."""
    decision = find(host, device, decision_id)
    if decision is None:
        message = "no decision of that id is stored on this device"
        raise UnknownDecision(message, field="decision_id", remedy="decisions are logged with personalisation only")
    push = host.state(device).pushes.get(decision_id)
    text = {lang: decision.text(lang) for lang in ("en", "zh")}
    return {"decision": decision.to_dict(), "text": text, "outcome": push.outcome if push else ""}


def profile(host: "Host", device: int) -> dict[str, Any]:
    """Return what the device holds as conclusions; see `tactful.device.Device.profile`."""
    state, _ = ready(host, device, host.now())
    return _export.profile(state, to_ms(host.now()))


def learn(host: "Host", state: DeviceState, decision_id: str, *, engaged: bool) -> None:
    """Let the personal layer learn from an answer to a push, or from none."""
    if _pushes.learn(state, find(host, state.device, decision_id), engaged):
        host.save_snapshot(state)
