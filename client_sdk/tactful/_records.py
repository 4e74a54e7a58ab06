"""A device's rows in the vault, read back into its state."""

import json
from contextlib import suppress
from datetime import date

from tactful import consent
from tactful._state import DeviceState, History, Profile, feedback_from_dict, fold, push_from_dict
from tactful.consent import Consent
from tactful.errors import InvalidInput, UnknownDevice
from tactful.events import StoredEvent
from tactful.types import PacingState
from tactful.vault import Vault


def load(vault: Vault, device: int) -> DeviceState:
    """Return a device's state; raises `UnknownDevice` after an erasure and `VaultDamaged` where a row does not open."""
    profile = vault.read_named(device, "profile", "")
    if profile is None:
        raise UnknownDevice("no such device, or it was erased", field="device", remedy="enrol the person anew")
    state = DeviceState(device, Profile.from_bytes(profile.data), _history(vault, device))
    for row in vault.read(device, "consent"):
        state.agree(Consent(**json.loads(row.data)))
    for row in vault.read(device, "opt_out"):
        plain = json.loads(row.data)
        state.opt_outs[plain["kind"]] = plain["out"]
    for row in vault.read(device, "push"):
        plain = json.loads(row.data)
        decision_id = plain.pop("decision_id")
        state.pushes[decision_id] = push_from_dict(plain)
    state.feedback = [feedback_from_dict(json.loads(row.data)) for row in vault.read(device, "feedback")]
    week = vault.read_named(device, "pacing", "")
    if week is not None:
        start, sent, price_minor = json.loads(week.data)
        state.week = PacingState(date.fromisoformat(start), sent, price_minor)
    return state


def _history(vault: Vault, device: int) -> History:
    snapshot = vault.read_named(device, "snapshot", "")
    if snapshot is not None:
        with suppress(InvalidInput):  # another version's snapshot: the events tell it all again
            history = History.from_bytes(snapshot.data)
            tail = vault.read(device, "event", after=history.last_row)
            if fold(history, ((row.id, StoredEvent.from_bytes(row.data)) for row in tail)):
                return history
    history = History()
    fold(history, ((row.id, StoredEvent.from_bytes(row.data)) for row in vault.read(device, "event")))
    return history


def granted(vault: Vault, device: int) -> frozenset[str]:
    """Return the purposes that a device consents to."""
    return consent.granted(Consent(**json.loads(row.data)) for row in vault.read(device, "consent"))
