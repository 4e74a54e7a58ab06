"""How what a device keeps becomes rows of the vault."""

import json
from typing import Any

from tactful._state import push_to_dict
from tactful.types import PacingState, PushRecord
from tactful.vault import NewRow


def json_row(device: int, kind: str, plain: Any, name: str | None) -> NewRow:
    """Return a row of plain JSON values."""
    return NewRow(device, kind, json.dumps(plain).encode(), name)


def push_row(device: int, decision_id: str, push: PushRecord) -> NewRow:
    """Return the row of a push, one for each decision."""
    return json_row(device, "push", {**push_to_dict(push), "decision_id": decision_id}, decision_id)


def pacing_row(device: int, week: PacingState) -> NewRow:
    """Return the one row of the running week."""
    return json_row(device, "pacing", [week.week_start.isoformat(), week.sent, week.price_minor], "")
