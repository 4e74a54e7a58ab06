"""Every figure of a rehearsal under a stable name, for ``--json``."""

import math
from dataclasses import asdict
from typing import Any

from tactful_lab.rehearsal import words
from tactful_lab.rehearsal.policies import DELTA
from tactful_lab.rehearsal.run import Rehearsal, Row
from tactful_lab.rehearsal.sweeps import Cell, Point


def as_dict(
    rehearsal: Rehearsal,
    points: list[Point] | None,
    cells: list[Cell] | None,
    log: dict[str, Any] | None,
    duration_s: float,
) -> dict[str, Any]:
    """Return what was found: plain JSON values, units in the keys. Documented in docs/rehearsal.md."""
    options, numbers = rehearsal.options, rehearsal.options.parameters()
    asked = asdict(options) | {"policies": list(options.policies), "baseline": options.against}
    asked |= {"opt_out_cost_minor": numbers.opt_out_cost_minor}
    asked |= {"hazard": numbers.opt_out.hazard if options.hazard is None else options.hazard}
    asked.pop("numbers")
    asked["central_epsilon"], asked["delta"] = asked.pop("epsilon"), DELTA
    asked["first_seed"] = options.seed_range[0]
    return {
        "options": asked,
        "world": words.WORLDS[options.world],
        "simulated": words.SIMULATED,
        "seeds": list(options.seed_range),
        "seed_range": options.seed_kind,
        "parameters_version": numbers.version,
        "parameters_fingerprint": numbers.fingerprint,
        "policies": [_row(rehearsal, row) for row in rehearsal.shown],
        "frontier": None if points is None else [point.as_dict() for point in points],
        "curve": None if cells is None else [cell.as_dict() for cell in cells],
        "log": log,
        "duration_s": duration_s,
    }


def _row(rehearsal: Rehearsal, row: Row) -> dict[str, Any]:
    regret, half = rehearsal.regret(row)
    to_value, to_gain = rehearsal.relative(row)
    delivered = sum(float(outcome.weekly["delivered"].sum()) for outcome in row.outcomes)
    opens = sum(float(outcome.weekly["opens"].sum()) for outcome in row.outcomes)
    return {
        "policy": row.policy,
        "label": row.label,
        "loggable": row.loggable,
        "central_epsilon_spent": _finite(row.epsilon_spent),
        "gain_over_never_minor_per_user_week": rehearsal.gain(row).as_dict(),
        "net_value_minor_per_user_week": row.figure(lambda o: o.net_value_per_user_week).as_dict(),
        "expected_value_minor_per_user_week": row.figure(lambda o: o.expected_value_per_user_week).as_dict(),
        "opt_out_share": row.figure(lambda o: o.opt_out_share).as_dict(),
        "pushes_per_user_week": row.figure(lambda o: o.pushes_per_user_week).as_dict(),
        "open_rate": opens / delivered if delivered else None,
        "difference_minor_per_user_week": rehearsal.difference(row).as_dict(),
        "difference_relative_to_net_value": to_value,
        "difference_relative_to_gain": to_gain,
        "opt_out_share_difference": rehearsal.opt_out_difference(row).as_dict(),
        "weekly_pushes_per_user": row.weekly_pushes.tolist(),
        "weekly_regret_minor_per_user": regret.tolist(),
        "weekly_regret_half_width_95_minor_per_user": half.tolist(),
        "duration_s": row.duration_s,
    }


def _finite(value: float | None) -> float | None:
    """JSON has no infinity: a policy without a promise spends null."""
    return value if value is not None and math.isfinite(value) else None
