"""The logged decisions of a host's devices as rows for training: `tactful.training.heads.PushTable`.

Only finished days whose opens are all known count. A row's features are those of its day, by replaying the days before
it; the personal layer's part of the activity logit is today's, since past ones are not kept. Decisions by a rule say
nothing about the effect of a push (their π is what was done), but pushes among them count for hazard and value.
"""

import json
import math
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tactful._state import slot_of_hour
from tactful.clock import local_day, local_hour, offset_minutes
from tactful.evaluation_log import HISTORY_DAYS, Row, Seen, features_of, row_of, seen_of
from tactful.features import SLOTS
from tactful.model import MESSAGE, message_features
from tactful.training.heads import PushTable
from tactful.training.tables import TrainingTable

if TYPE_CHECKING:
    from tactful.host import Host


class Pushed(NamedTuple):
    """One decision: what became of it, and what was offered."""

    row: Row
    own_reason: bool
    campaign: bool
    value: float


def push_table(host: "Host", devices: Sequence[int], last: date, window_d: int = 0) -> PushTable:
    """Return the decisions of some devices.

    Args:
        host: whose vault.
        devices: numbers of n devices.
        last: the last finished local day; decisions up to the day before it count.
        window_d: how many days of them; 0 takes `HISTORY_DAYS`.
    """
    span = range(last.toordinal() - (window_d or HISTORY_DAYS), last.toordinal())
    found = [_of_device(host, device, span) for device in devices]
    rows = [pushed for part in found for pushed in part]
    bounds = np.cumsum([0, *map(len, found)], dtype=np.int64)
    columns = np.array([pushed.row for pushed in rows], dtype=np.float64).reshape(-1, len(Row._fields)).T
    told = dict(zip(Row._fields, columns, strict=True))
    day, slot = told["day"].astype(np.int64), told["slot"].astype(np.int64)
    device = np.repeat(np.arange(len(devices)), np.diff(bounds))
    personal = [host.state(number).history.personal.offsets()[0] for number in devices]
    message = np.array([message_features(pushed.own_reason, pushed.campaign) for pushed in rows])
    doses = np.stack([told[name] for name in ("dose_short", "dose_middle", "dose_long")], axis=1)
    return PushTable(
        phi=features_of(host, devices, day, device, slot),
        message=message.reshape(-1, len(MESSAGE)).astype(np.float32),
        doses=doses.astype(np.float32),
        offset=np.array([personal[d][s] for d, s in zip(device, slot, strict=True)], dtype=np.float32),
        sent=told["sent"].astype(np.float32),
        propensity=told["propensity"].astype(np.float32),
        engaged=told["engaged"].astype(np.float32),
        opted_out=told["opted_out"].astype(np.float32),
        value=np.array([pushed.value for pushed in rows], dtype=np.float32),
        bounds=bounds,
    )


def _of_device(host: "Host", device: int, span: range) -> list[Pushed]:
    """A device's promotional decisions that teach something, in order of time."""
    logged = [json.loads(row.data)["decision"] for row in host.vault.read(device, "decision")]
    logged = [decision for decision in logged if _teaches(decision)]
    if not logged:
        return []
    seen = seen_of(host.vault, device)
    pairs = [(row_of(decision, seen), decision) for decision in logged]
    reference = host.settings.reference_value_minor
    rows = [_pushed(row, decision, seen, reference) for row, decision in pairs if row is not None and row.day in span]
    return sorted(rows)


def _teaches(decision: dict[str, Any]) -> bool:
    candidate = decision["candidate"]
    promotional = candidate is not None and candidate["kind"] == "promotional"
    return promotional and (decision["evaluable"] or decision["action"] == "send")


def _pushed(row: Row, decision: dict[str, Any], seen: Seen, reference_minor: float) -> Pushed:
    candidate = decision["candidate"]
    stated = candidate["value_minor"] or reference_minor
    value = seen.earned_minor.get(decision["id"], math.nan) / stated
    return Pushed(row, bool(candidate.get("own_reason", False)), candidate["campaign"] is not None, value)


def unasked(host: "Host", devices: Sequence[int], last: date, table: TrainingTable, window_d: int = 0) -> TrainingTable:
    """Return the rows of the newest days without the slots into which a promotional push was sent.

    Args:
        host: whose vault.
        devices: numbers of the table's n devices.
        last: the local day of the newest rows; each device has all slots of its days, in order.
        table: use of the app.
        window_d: how many days; 0 takes all.
    """
    keep = np.zeros(len(table.y), dtype=np.bool_)
    for number, start, stop in zip(devices, table.bounds[:-1], table.bounds[1:], strict=True):
        first = max(int(start), int(stop) - window_d * SLOTS) if window_d else int(start)
        keep[first:stop] = True
        for day, slot in _pushed_into(host, number):
            row = int(stop) - (last.toordinal() - day + 1) * SLOTS + slot
            if first <= row < stop:
                keep[row] = False
    bounds = np.concatenate([[0], np.cumsum(keep)]).astype(np.int64)[table.bounds]
    return TrainingTable(table.x[keep], table.y[keep], bounds)


def _pushed_into(host: "Host", device: int) -> list[tuple[int, int]]:
    pushes = [json.loads(row.data) for row in host.vault.read(device, "push")]
    timezone, found = host.state(device).profile.timezone, list[tuple[int, int]]()
    for at_ms in (push["at"] for push in pushes if push["kind"] == "promotional"):
        offset = offset_minutes(at_ms, timezone)
        slot = slot_of_hour(local_hour(at_ms, offset))
        if slot is not None:
            found.append((local_day(at_ms, offset), slot))
    return found
