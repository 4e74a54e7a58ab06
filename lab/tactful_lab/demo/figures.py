"""Every figure of the demonstration under a stable name, for ``--json``."""

from typing import Any

from tactful_lab.demo.story import Story
from tactful_lab.demo.table import DAY_RATE, HISTOGRAM, DecemberTable


def as_dict(story: Story, table: DecemberTable, duration_s: float) -> dict[str, Any]:
    """Return what was shown: plain JSON values, units in the keys."""
    least, median, most = story.epsilon
    return {
        "options": {
            "epsilon": story.options.epsilon,
            "delta": story.options.delta,
            "rounds": story.options.rounds,
            "hosts": story.options.hosts,
            "dropout_share": story.options.dropout,
            "seed": story.options.seed,
            "trainer": story.options.trainer,
            "event_level_noise_multiplier": story.options.event_noise,
        },
        "households": story.households,
        "events_stored": story.events,
        "rounds_released": story.released,
        "rounds_void": len(story.rounds) - story.released,
        "rounds": [_round(row) for row in story.rounds],
        "rho_per_round": story.rho_per_round,
        "central_epsilon_spent": {"min": least, "median": median, "max": most},
        "event_level_epsilon_at_most": story.event_epsilon,
        "bytes_up_per_device": story.bytes_up_per_device,
        "lower_ceiling": {
            "user": story.lower_user,
            "central_epsilon_ceiling": story.lower_epsilon,
            "rounds_joined": story.lower_rounds,
        },
        "erasure": {
            "user": story.erased_user,
            "after_round": story.erased_after,
            "receipt": None if story.receipt is None else story.receipt.to_dict(),
        },
        "ledger": {
            "entries": story.ledger.entries if story.ledger else 0,
            "releases": story.ledger.releases if story.ledger else 0,
            "head": story.ledger.head.hex() if story.ledger else "",
            "verified": story.ledger is not None,
        },
        "model_version": story.model_version,
        "december": [_method(table, row.name) for row in table.rows],
        "log_loss_difference": {name: _interval(table, name) for name in (HISTOGRAM, DAY_RATE)},
        "week": _week(story),
        "duration_s": duration_s,
    }


def _round(row: Any) -> dict[str, Any]:
    return {
        "round": row.result.round_number,
        "task": row.task,
        "outcome": row.result.outcome,
        "survivors": len(row.result.survivors),
        "dropped": {host: drop.stage for host, drop in row.result.dropped.items()},
        "signal_norm": row.signal,
        "noise_norm": row.noise,
        "central_epsilon_median": row.epsilon[1],
        "duration_s": row.result.seconds,
    }


def _method(table: DecemberTable, name: str) -> dict[str, Any]:
    row = table.row(name)
    bounds = {"log_loss_low": row.log_loss.low, "log_loss_high": row.log_loss.high}
    return {"name": name, **row.metrics.as_dict(), **bounds, "precision": table.precision[name]}


def _interval(table: DecemberTable, name: str) -> dict[str, float]:
    interval = table.against(name)
    return {"value": interval.value, "low_95": interval.low, "high_95": interval.high}


def _week(story: Story) -> dict[str, Any]:
    plan = story.week
    slots = plan.chosen if plan else ()
    return {
        "user": story.week_user,
        "budget_pushes": plan.budget if plan else 0,
        "basis": plan.basis if plan else "",
        "chosen": [
            {"at": slot.at.isoformat(), "score_minor": slot.score_minor, "en": slot.text("en"), "zh": slot.text("zh")}
            for slot in slots
        ],
        "decision": {"action": story.decision_action, **story.decision_text},
    }
