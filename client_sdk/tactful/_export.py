"""The portable copy of everything held about a person: plain JSON values, times in ISO 8601, units in the keys."""

import json
from datetime import date
from typing import TYPE_CHECKING, Any

from tactful import budget as budgets
from tactful import links
from tactful._state import DeviceState
from tactful.clock import from_ms
from tactful.events import StoredEvent
from tactful.features import FEATURES, SLOT_STARTS
from tactful.types import Decision
from tactful.vault_rounds import Spend

if TYPE_CHECKING:
    from tactful.host import Host

FORMAT = "tactful-export-1"


def profile(state: DeviceState, now_ms: int) -> dict[str, Any]:
    """Return the conclusions which the device draws: interests, features of today, the personal layer."""
    history = state.history
    layer, next_day = history.personal.layer(0), history.features.next_day
    today = max(state.today(now_ms), next_day or 0)
    design = history.features.design(today)[0]
    return {
        "interests": {name: round(level, 6) for name, level in sorted(history.interest(now_ms).items())},
        "features_of": date.fromordinal(today).isoformat(),
        "features": {
            f"slot_{hour:02d}": {spec.name: float(value) for spec, value in zip(FEATURES, row, strict=True)}
            for hour, row in zip(SLOT_STARTS, design, strict=True)
        },
        "personal_layer": {
            "activity_intercept_logit": layer.activity_intercept,
            "activity_slots_logit": layer.activity_slots.tolist(),
            "push_intercept_logit": layer.push_intercept,
            "push_slots_logit": layer.push_slots.tolist(),
        },
    }


def export(host: "Host", state: DeviceState, budget: dict[str, Any], conclusions: dict[str, Any]) -> dict[str, Any]:
    """Return every row of a device, decrypted, and what its privacy budget was spent on."""
    device, read = state.device, host.vault.read
    decisions = [json.loads(row.data)["decision"] for row in read(device, "decision")]
    return {
        "format": FORMAT,
        "exported_at": host.now().isoformat(),
        "user_id": state.profile.user_id,
        "timezone": state.profile.timezone,
        "salt": state.profile.salt.hex(),
        "enrolled_at": from_ms(state.profile.enrolled_ms).isoformat(),
        "consents": [{**c.to_dict(), "at": from_ms(c.at_ms).isoformat()} for c in state.consents],
        "opt_outs": [json.loads(row.data) for row in read(device, "opt_out")],
        "events": [StoredEvent.from_bytes(row.data).to_dict() for row in read(device, "event")],
        "decisions": decisions,
        "explanations": {plain["id"]: _in_words(plain) for plain in decisions},
        "pushes": [_dated(json.loads(row.data)) for row in read(device, "push")],
        "feedback": [_dated(json.loads(row.data)) for row in read(device, "feedback")],
        "pacing": _pacing(state),
        "profile": conclusions,
        "privacy_budget": budget,
        "budget_periods": [period.to_dict() for period in budgets.renewals(host, device)],
        "budget_links": [link.to_dict() for link in links.of_device(host, device)],
        "spends": [_spend(spend) for spend in host.rounds.spends(device)],
    }


def _pacing(state: DeviceState) -> dict[str, Any]:
    week = state.week
    return {"week_start": week.week_start.isoformat(), "sent": week.sent, "price_minor": week.price_minor}


def _spend(spend: Spend) -> dict[str, Any]:
    return {
        "federation": spend.federation,
        "round": spend.round_number,
        "plan_digest": spend.plan_digest.hex(),
        "rho": str(spend.rho),
        "source": spend.source or "round",
    }


def _dated(plain: dict[str, Any]) -> dict[str, Any]:
    return {**plain, "at": from_ms(plain["at"]).isoformat()}


def _in_words(plain: dict[str, Any]) -> dict[str, str]:
    decision = Decision.from_json(json.dumps(plain))
    return {lang: decision.text(lang) for lang in ("en", "zh")}
