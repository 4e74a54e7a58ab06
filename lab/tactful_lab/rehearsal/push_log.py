"""The push log of one seed, in the form which ``tactful lab evaluate`` reads, and the mapping that says so.

A row is a decision at which the policy said with what probability it would send. People who never allowed pushes have
no rows; those who withdrew have rows that say so (``available`` 0). Everything in it is simulated.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tactful_lab.datasets.completejourney import FIRST_HOUR, N_SLOTS, SLOT_HOURS
from tactful_lab.rehearsal.options import Options
from tactful_lab.rehearsal.policies import Make, make, states_chances
from tactful_lab.rehearsal.run import made, new_world
from tactful_lab.worlds import Observed, Policy, View, rehearse
from tactful_lab.worlds.people import Bools
from tactful_lab.worlds.registry import LEARNERS
from tactful_privacy.errors import InvalidInput

START = datetime(2026, 1, 5, FIRST_HOUR, tzinfo=UTC)
"""The worlds' first slot: a Monday, 8:00."""
DAY_STEPS, WEEK_STEPS = N_SLOTS, 7 * N_SLOTS
OPEN_STEPS = 2 * N_SLOTS
"""An open may land this much later: a day until the device returns, and a day from delivery to the open."""
MOST_ROWS = 20_000_000
MAP = """\
# Which column of {log} means what, for: tactful lab evaluate {log} --map {map}
columns:
  user: user
  time: decided_at
  action: action
  propensity: propensity      # of the action that was taken
  available: available
  deterministic: deterministic
  slot: slot
  outcomes: [opened, session_24h, value_24h_minor, opted_out_24h]
  context: [own_reason, promotion, sessions_7d, pushes_7d]
options:
  time_unit: iso
"""


@dataclass(slots=True)
class _Step:
    """What was known and done at one step, each (N,)."""

    view: View
    send: Bools
    propensity: NDArray[np.float32]
    sessions_7d: NDArray[np.int32]
    pushes_7d: NDArray[np.int32]


class Recorder:
    """A policy that does what another does, and keeps what a log needs."""

    def __init__(self, policy: Policy, n: int) -> None:
        self.name, self.steps, self.seen = policy.name, list[_Step](), list[Observed]()
        self._policy, self._n = policy, n

    def decide(self, view: View) -> Bools:
        """Decide as the other does."""
        send = self._policy.decide(view)
        chance: Any = self._policy
        known = (self._lately("sessions"), self._lately("sent"))
        self.steps.append(_Step(view, send.copy(), np.array(chance.propensity, np.float32), *known))
        return send

    def learn(self, view: View, send: Bools, observed: Observed) -> None:
        """Let the other learn, and keep what was seen."""
        self._policy.learn(view, send, observed)
        self.seen.append(observed)

    def _lately(self, name: str) -> NDArray[np.int32]:
        """Sum of one figure over the last seven days, (N,), this slot not included."""
        total = np.zeros(self._n, np.int32)
        for observed in self.seen[-WEEK_STEPS:]:
            total += getattr(observed, name)
        return total


def require_loggable(options: Options, name: str, *, maker: Make = make) -> None:
    """Check before the minutes of work that this policy can be logged.

    Raises:
        InvalidInput: It does not say with what probability it sends, or the log would be too large.
    """
    if not states_chances(made(options, name, new_world(replace(options, n=1), options.seed_range[0]), maker=maker)):
        message = f"{name} does not say with what probability it sends, so nothing can be learned from its log"
        remedy = f"log one that does: --log-policy random_3, or a learner ({', '.join(LEARNERS)})"
        raise InvalidInput(message, field="--log-policy", remedy=remedy)
    rows = options.n * options.weeks * WEEK_STEPS
    if rows > MOST_ROWS:
        raise InvalidInput(f"would hold up to {rows:,} rows", field="--log", remedy="give fewer people or weeks")


def record(options: Options, name: str, *, maker: Make = make) -> pd.DataFrame:
    """Run one policy on the first seed and return its log."""
    world = new_world(options, options.seed_range[0])
    recorder = Recorder(made(options, name, world, maker=maker), world.n)
    rehearse(world, recorder, options.weeks, warmup_weeks=options.warmup_weeks)
    return frame(recorder, world.people.opted_in)


def frame(recorder: Recorder, opted_in: Bools) -> pd.DataFrame:
    """The log of a finished run, decision by decision, in order of time."""
    after = _After(recorder.seen)
    parts = []
    for step in recorder.steps:
        who = np.flatnonzero(~np.isnan(step.propensity) & opted_in)
        parts.append(_rows(step, who) | after.outcomes(step.view.step, who))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return pd.DataFrame(columns)


def _rows(step: _Step, who: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
    """What stands in the log before anything is known of what followed."""
    view, available = step.view, step.view.reachable[who]
    chance = np.where(available, step.propensity[who].astype(np.float64), 0.0)
    sent = step.send[who] & available
    at = START + timedelta(days=view.day, hours=SLOT_HOURS * view.slot)
    full = {"decided_at": at.isoformat(), "slot": f"{at.hour:02d}-{at.hour + SLOT_HOURS:02d}"}
    return {
        "user": np.char.mod("u%06d", who),
        **{name: np.full(len(who), value) for name, value in full.items()},
        "available": available.astype(np.int8),
        "deterministic": ((chance <= 0) | (chance >= 1)).astype(np.int8),
        "action": np.where(sent, "send", "wait"),
        "propensity": np.where(sent, chance, 1.0 - chance),
        "own_reason": view.contextual[who].astype(np.int8),
        "promotion": np.full(len(who), int(view.promotion), np.int8),
        "sessions_7d": step.sessions_7d[who],
        "pushes_7d": step.pushes_7d[who],
    }


class _After:
    """What followed each decision; NaN where the rehearsal ended before it could be known."""

    def __init__(self, seen: list[Observed]) -> None:
        self._seen, self._first = seen, seen[0].step
        n = len(seen[0].opens)
        self._opened = np.zeros((len(seen), n), np.bool_)
        for observed in seen:
            who = np.flatnonzero(observed.opens)
            self._opened[observed.opened_step[who] - self._first, who] = True

    def outcomes(self, step: int, who: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
        """Of the decisions of these persons at this step, each (m,)."""
        at = step - self._first
        day = self._seen[at : at + DAY_STEPS]
        known, opened_known = len(day) == DAY_STEPS, at + OPEN_STEPS < len(self._seen)
        sessions = np.array([o.sessions[who] > 0 for o in day]).any(axis=0)
        value = np.array([o.value_minor[who] for o in day], np.float64).sum(axis=0)
        left = np.array([o.opt_outs[who] for o in day]).any(axis=0)
        return {
            "opened": _or_nan(self._opened[at, who], known=opened_known),
            "session_24h": _or_nan(sessions, known=known),
            "value_24h_minor": _or_nan(value, known=known),
            "opted_out_24h": _or_nan(left, known=known),
        }


def _or_nan(values: Any, *, known: bool) -> NDArray[np.float64]:
    return values.astype(np.float64) if known else np.full(len(values), np.nan)


def map_path(log: Path) -> Path:
    """Where the mapping of a log stands: ``pushes.csv`` has ``pushes.map.yaml``."""
    return log.with_name(f"{log.stem}.map.yaml")


def write(log: pd.DataFrame, path: Path) -> tuple[Path, Path]:
    """Write the log and its mapping; return both paths."""
    log.to_csv(path, index=False, float_format="%.9g")
    map_path(path).write_text(MAP.format(log=path.name, map=map_path(path).name), encoding="utf-8")
    return path, map_path(path)
