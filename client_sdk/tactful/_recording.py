"""Recording an event of a device: checked, kept under consent, folded into what is in memory."""

import secrets
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tactful import _pushes
from tactful._device_rights import DeviceRights
from tactful._rows import push_row
from tactful._state import DeviceState
from tactful.consent import PERSONALISATION
from tactful.errors import MalformedEvent
from tactful.events import ACTIVITY_KINDS, CLOCK_TOLERANCE_MS, Event, StoredEvent, is_text, store
from tactful.vault import NewRow

if TYPE_CHECKING:
    from tactful.host import Host


def track(
    host: "Host", device: int, kind: str, at: datetime | None, key: str | None, properties: dict[str, Any]
) -> bool:
    """Record an event and return whether it is kept; see `tactful.device.Device.track`."""
    state, now = host.state(device), host.now()
    profile = state.profile
    event = store(Event(kind, at or now, properties, key), now=now, timezone=profile.timezone, salt=profile.salt)
    if at is None and event.at_ms < state.history.latest_ms - CLOCK_TOLERANCE_MS:
        event = replace(event, clock_back=True)
    if key is not None and not is_text(key, 200):
        raise MalformedEvent("must be text of 1 to 200 characters", field="key", remedy="give the app's own id")
    if key is not None and host.vault.has(device, "event", key):
        return True
    if kind == "opt_out":
        DeviceRights(host, device).opt_out(str(properties.get("kind", "promotional")))
    if kind == "push_sent":
        _note_push(host, state, event)
    if PERSONALISATION not in state.granted:
        return False
    add_event(host, state, event, key)
    return True


def add_event(host: "Host", state: DeviceState, event: StoredEvent, key: str | None = None) -> None:
    """Write an event and fold it into the state in memory; a late one makes the state be read anew."""
    [row] = host.vault.write([NewRow(state.device, "event", event.to_bytes(), key)])
    if event.kind in ACTIVITY_KINDS:
        host.activity_writes += 1
    if state.history.is_late(event):
        host.forget(state.device)
        return
    state.history.add(row, event)
    if "category" in event.properties:
        state.forget_interests()


def _note_push(host: "Host", state: DeviceState, event: StoredEvent) -> None:
    known = event.properties.get("decision_id")
    if known in state.pushes:
        return
    name = str(known or "app-" + secrets.token_hex(8))
    push = _pushes.of_event(event)
    host.vault.write([push_row(state.device, name, push)])
    state.pushes[name] = push
