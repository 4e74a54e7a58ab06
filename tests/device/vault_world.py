"""A small vault for the device's tests: one person who consents to everything, a clock that stands still."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from tactful import Device, Host, PolicySettings
from tactful.testing import FrozenClock

NOON = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)  # a Tuesday
PURPOSES = ("federated_learning", "marketing_push", "on_device_personalisation")


def open_host(folder: Path, **options: object) -> Host:
    options.setdefault("clock", FrozenClock(NOON))
    options.setdefault("strict", True)
    # Salts are random: without this one device in a hundred would fall into the group that is never pushed.
    options.setdefault("settings", PolicySettings(never_push_fraction=0, micro_randomised_fraction=0))
    options.setdefault("keys", "file:host.key")
    return Host.open(folder / "vaults.db", **options)


def person(host: Host, name: str = "ada", purposes: tuple[str, ...] = PURPOSES) -> Device:
    device = host.device(name)
    for purpose in purposes:
        device.set_consent(purpose, granted=True, policy_version="2026-11")
    return device


def alter(folder: Path, statement: str, *values: object) -> None:
    """Write into the file behind the vault's back."""
    connection = sqlite3.connect(folder / "vaults.db")
    with connection:
        connection.execute(statement, values)
    connection.close()


def look(folder: Path, query: str, *values: object) -> list[tuple]:
    connection = sqlite3.connect(folder / "vaults.db")
    rows = connection.execute(query, values).fetchall()
    connection.close()
    return rows
