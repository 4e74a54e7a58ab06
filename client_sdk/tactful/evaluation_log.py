"""The task ``evaluate`` over a host's vault: the devices' logged decisions, and what they contribute."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tactful._state import slot_of_hour
from tactful.clock import local_day, local_hour, offset_minutes, to_ms
from tactful.evaluation import EvaluationSpec, Floats
from tactful.evaluation_model import with_predictions
from tactful.evaluation_sums import DecisionTable, updates
from tactful.events import StoredEvent
from tactful.features import DIMENSION, SLOTS, FeatureBlock
from tactful.model import Model, dosage
from tactful.training.protocol import UnknownTask
from tactful_privacy.wire import RoundPlan

if TYPE_CHECKING:
    from tactful.host import Host
    from tactful.vault import Vault

DAY_MS = 86_400_000
OPEN_WINDOW_MS = DAY_MS
"""An open later than a day after the decision is not its."""
HISTORY_DAYS = 2 * 366
"""How far back features look, as in training."""
_OPENS = ("push_opened", "push_converted")


class Row(NamedTuple):
    """One decision, in the order of the columns of `DecisionTable`, and what a model must know of it."""

    at_ms: int
    sent: bool
    propensity: float
    engaged: bool
    opted_out: bool
    day: int
    slot: int
    dose_short: float
    dose_middle: float
    dose_long: float
    own_reason: float
    campaign: float


def contributions(host: "Host", plan: RoundPlan, devices: Sequence[int], last: date) -> Floats:
    """Return one row for each device, shape (n, layout's length); a device without decisions contributes zeros.

    Args:
        host: whose vault.
        plan: of a round of the task ``evaluate``.
        devices: their numbers.
        last: the last finished local day.

    Raises:
        UnknownTask: a target, a setting, the layout or a statistic is not known.
    """
    spec = EvaluationSpec.from_settings(plan.settings)
    if plan.statistics or tuple(plan.layout) != spec.layout:
        remedy = "take the layout of the settings, and no statistics"
        raise UnknownTask("has another shape here", field="layout", remedy=remedy)
    model = host.models.get(plan.model_digest) if spec.needs_model else None
    return updates(spec, decisions(host, devices, last, spec, model), plan.clip_norm)


def decisions(
    host: "Host", devices: Sequence[int], last: date, spec: EvaluationSpec, model: Model | None = None
) -> DecisionTable:
    """Return the decisions that chance decided, of finished days whose opens are all known.

    A person engaged if they used the app in the slot of the decision or opened its push within a day.

    Args:
        host: whose vault.
        devices: numbers of n devices.
        last: the last finished local day; decisions up to the day before it count.
        spec: how many days of them, and what a score is.
        model: what predicts and scores; None: nothing does.
    """
    span = range(last.toordinal() - spec.history_d, last.toordinal())
    found = [_of_device(host.vault, device, span) for device in devices]
    rows = [row for part in found for row in part]
    columns = np.array([row[1:] for row in rows], dtype=np.float64).reshape(-1, len(Row._fields) - 1)
    sent, propensity, engaged, opted_out, day, slot = columns[:, :6].T
    bounds = np.cumsum([0, *map(len, found)], dtype=np.int64)
    table = DecisionTable(sent, propensity, engaged, opted_out, day.astype(np.int64), bounds)
    if model is None:
        return table
    phi = features_of(host, devices, table.day, table.device, slot.astype(np.int64))
    return with_predictions(spec, table, model, phi, columns[:, 6:9], columns[:, 9:])


def features_of(
    host: "Host",
    devices: Sequence[int],
    days: NDArray[np.int64],
    device: NDArray[np.int64],
    slot: NDArray[np.int64],
) -> NDArray[np.float32]:
    """φ of each decision's day, device (its place in ``devices``) and slot, (rows, D): the days before it replayed."""
    phi = np.zeros((len(slot), DIMENSION), dtype=np.float32)
    if not len(slot):
        return phi
    final = int(days.max())
    pairs = [rows[rows[:, 0] > final - HISTORY_DAYS] for rows in host.activity(devices, date.fromordinal(final))]
    first = min([int(days.min()), *(int(rows[0, 0]) for rows in pairs if len(rows))])
    activity = np.zeros((len(devices), final - first + 1, SLOTS), dtype=np.uint8)
    for index, rows in enumerate(pairs):
        activity[index, rows[:, 0] - first, rows[:, 1]] = 1
    block = FeatureBlock.empty(len(devices))
    for day in range(final - first + 1):
        here = np.flatnonzero(days == first + day)
        if len(here):
            phi[here] = block.design(first + day)[device[here], slot[here]]
        block.close_day(first + day, activity[:, day])
    return phi


def _of_device(vault: "Vault", device: int, span: range) -> list[Row]:
    """A device's decisions by chance in these local days, in order of time."""
    logged = [json.loads(row.data)["decision"] for row in vault.read(device, "decision")]
    logged = [decision for decision in logged if decision["evaluable"]]
    if not logged:
        return []
    seen = seen_of(vault, device)
    rows = [row_of(decision, seen) for decision in logged]
    return sorted(row for row in rows if row is not None and row.day in span)


class Seen(NamedTuple):
    """Of one device: (day, slot) of use, opt-outs, first open and value of conversions by decision, times of pushes."""

    active: set[tuple[int, int | None]]
    opened: dict[str, int]
    left: set[str]
    pushes_ms: NDArray[np.float64]
    earned_minor: dict[str, float]


def seen_of(vault: "Vault", device: int) -> Seen:
    """Read what became of a device's decisions."""
    pushes = [json.loads(row.data) for row in vault.read(device, "push")]
    left = {push["decision_id"] for push in pushes if push["outcome"] == "opted_out"}
    left |= _left_unnamed(vault, device, pushes, left)
    times = np.array([push["at"] for push in pushes if push["kind"] == "promotional"], dtype=np.float64)
    active, opened, earned = set[tuple[int, int | None]](), dict[str, int](), dict[str, float]()
    for row in vault.read(device, "event"):
        event = StoredEvent.from_bytes(row.data)
        if event.is_activity:
            active.add((event.day, slot_of_hour(event.hour)))
        elif event.kind in _OPENS:
            name = str(event.properties.get("decision_id", ""))
            opened[name] = min(event.at_ms, opened.get(name, event.at_ms))
            if "value_minor" in event.properties:
                earned[name] = earned.get(name, 0.0) + float(event.properties["value_minor"])
    return Seen(active, opened, left, times, earned)


def _left_unnamed(vault: "Vault", device: int, pushes: list[dict[str, Any]], named: set[str]) -> set[str]:
    """Pushes that cost the permission although nobody said so: the newest in the day before an `opt_out`.

    Most people leave in the settings of their phone, which name no push; an opt-out that came with a push's own
    outcome has its push already.
    """
    found = set[str]()
    for row in vault.read(device, "opt_out"):
        said = json.loads(row.data)
        if said["out"] and said["kind"] == "promotional":
            recent = [push for push in pushes if 0 <= said["at_ms"] - push["at"] <= OPEN_WINDOW_MS]
            recent = [push for push in recent if push["kind"] == "promotional"]
            if recent and not named & {push["decision_id"] for push in recent}:
                found.add(max(recent, key=lambda push: push["at"])["decision_id"])
    return found


def row_of(decision: dict[str, Any], seen: Seen) -> Row | None:
    """The decision as a row; None outside all slots, where no push may leave and nothing is predicted."""
    at_ms, name = to_ms(datetime.fromisoformat(decision["created_at"])), decision["id"]
    offset = offset_minutes(at_ms, decision["timezone"])
    day, slot = local_day(at_ms, offset), slot_of_hour(local_hour(at_ms, offset))
    if slot is None:
        return None
    at_open = seen.opened.get(name)
    engaged = (day, slot) in seen.active or (at_open is not None and at_open - at_ms <= OPEN_WINDOW_MS)
    doses = dosage((at_ms - seen.pushes_ms[seen.pushes_ms < at_ms]) / DAY_MS)
    told = (decision["action"] == "send", decision["send_probability"], engaged, name in seen.left)
    known = [*map(float, doses), *_message_of(decision["candidate"])]
    return Row(at_ms, *told, day, slot, *known)


def _message_of(candidate: dict[str, Any] | None) -> tuple[float, float]:
    """Features of the message, as `tactful.model.MESSAGE`; zeros without one."""
    if candidate is None:
        return 0.0, 0.0
    return float(candidate.get("own_reason", False)), float(candidate["campaign"] is not None)
