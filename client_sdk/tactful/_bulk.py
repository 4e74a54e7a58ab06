"""Many devices at once: enrolment, recording and reading of activity, each in one pass over the vault."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tactful._state import Profile, slot_of_hour
from tactful.consent import consent
from tactful.errors import UnknownDevice
from tactful.events import Event, StoredEvent, store
from tactful.vault import NewRow, Vault
from tactful.vault_rounds import RoundStore

if TYPE_CHECKING:
    from tactful.host import Host

SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Enrolment:
    """On which terms people are enrolled."""

    timezone: str
    consents: tuple[str, ...]
    policy_version: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class TrackReport:
    """How many events were recorded, and how many were not kept for want of consent."""

    recorded: int
    without_consent: int


def enrol(vault: Vault, rounds: RoundStore, user_ids: Iterable[str], terms: Enrolment) -> int:
    """Insert devices with profile and consents, in one transaction; return how many were new."""
    statements = [
        json.dumps(consent(purpose, True, terms.policy_version, terms.at_ms).to_dict()).encode()
        for purpose in terms.consents
    ]
    count = 0
    with vault.transaction():
        rows: list[NewRow] = []
        for user_id in user_ids:
            if vault.find(user_id) is None:
                token = vault.keys.token(user_id)
                device = vault.enrol(token)
                rounds.inherit(device, token)
                profile = Profile(user_id, terms.timezone, os.urandom(SALT_BYTES), terms.at_ms)
                rows.append(NewRow(device, "profile", profile.to_bytes(), ""))
                rows.extend(NewRow(device, "consent", statement) for statement in statements)
                count += 1
        vault.write(rows)
    return count


def stored_events(
    host: "Host", events: Iterable[tuple[str, str, datetime, dict[str, Any]]]
) -> tuple[list[NewRow], TrackReport]:
    """Check events and return the rows to write, and the report."""
    now, without = host.now(), 0
    people: dict[str, tuple[int, Profile, bool]] = {}
    rows: list[NewRow] = []
    for user_id, kind, at, properties in events:
        person = people.get(user_id)
        if person is None:
            person = people[user_id] = _person(host, user_id)
        device, profile, granted = person
        event = store(Event(kind, at, properties), now=now, timezone=profile.timezone, salt=profile.salt)
        if granted:
            rows.append(NewRow(device, "event", event.to_bytes()))
        else:
            without += 1
    return rows, TrackReport(len(rows), without)


def _person(host: "Host", user_id: str) -> tuple[int, Profile, bool]:
    device = host.vault.find(user_id)
    if device is None:
        raise UnknownDevice("is not enrolled here", field="user_id", remedy="enrol with device() or enrol_many()")
    granted = False
    for row in host.vault.read(device, "consent"):
        statement = json.loads(row.data)
        if statement["purpose"] == "on_device_personalisation":
            granted = statement["granted"]
    profile = host.vault.read_named(device, "profile", "")
    if profile is None:
        raise UnknownDevice("was erased", field="user_id", remedy="enrol the person anew")
    return device, Profile.from_bytes(profile.data), granted


def activity_of(vault: Vault, devices: Sequence[int], last_day: int) -> list[NDArray[np.int32]]:
    """Return for each device its active (local day ordinal, slot) pairs, sorted, each once: int32 (k, 2)."""
    return [_activity(vault, device, last_day) for device in devices]


def _activity(vault: Vault, device: int, last_day: int) -> NDArray[np.int32]:
    pairs = set()
    for row in vault.read(device, "event"):
        event = StoredEvent.from_bytes(row.data)
        slot = slot_of_hour(event.hour)
        if event.is_activity and slot is not None and event.day <= last_day:
            pairs.add((event.day, slot))
    return np.array(sorted(pairs), dtype=np.int32).reshape(-1, 2)
