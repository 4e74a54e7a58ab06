"""A push log in memory, and how one is read: problems are found first, and every row that leaves is counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tactful_lab.evaluation import checks
from tactful_lab.evaluation.columns import coded, load_frame, number, seconds, text_of
from tactful_lab.evaluation.mapping import LogMap
from tactful_lab.evaluation.problems import Findings, Problem
from tactful_privacy.errors import InvalidInput

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_NONE = np.zeros(0)


@dataclass(frozen=True, slots=True)
class PushLog:
    """n logged decisions whose action and propensity are known. Arrays have shape (n,) unless said otherwise.

    Attributes:
        user: Index of the person, 0 to n_users − 1.
        time_s: Decision time, seconds since 1970 in UTC.
        sent: Whether a push was sent.
        send_propensity: Probability of a send under the policy that logged, 0 to 1.
        outcomes: Value of each outcome by name; NaN where it is missing.
        eligible: Whether chance decided; elsewhere no push was possible or a rule decided, and every policy is taken
            to do the same. Default: everywhere.
        slot: The slot's label, or None.
        context: Columns known before the decision, by which effects may differ, (n, k).
        controls: Columns known before the decision, (n, m).
        columns: Further numeric columns by name, e.g. another policy's probability of a send.
        cut_user: Person of each row that was left out of the log, (c,): it cuts its window.
        cut_time_s: Its time, (c,).
    """

    user: NDArray[np.int64]
    time_s: Floats
    sent: Bools
    send_propensity: Floats
    outcomes: Mapping[str, Floats]
    eligible: Bools | None = None
    slot: NDArray[np.object_] | None = None
    context: Floats | None = None
    controls: Floats | None = None
    columns: Mapping[str, Floats] = field(default_factory=dict)
    cut_user: NDArray[np.int64] = field(default_factory=lambda: _NONE.astype(np.int64))
    cut_time_s: Floats = field(default_factory=lambda: _NONE)

    def __post_init__(self) -> None:
        n = len(self.user)
        named: dict[str, Any] = {"time_s": self.time_s, "sent": self.sent, "send_propensity": self.send_propensity}
        named |= {"slot": self.slot, "context": self.context, "controls": self.controls, "eligible": self.eligible}
        for name, values in (*named.items(), *self.outcomes.items(), *self.columns.items()):
            if values is not None and len(values) != n:
                message = f"has {len(values)} rows, the users have {n}"
                raise InvalidInput(message, field=name, remedy="give one value for each decision")
        if n and not (np.min(self.user) >= 0 and np.all((self.send_propensity >= 0) & (self.send_propensity <= 1))):
            message = "users must be indices from 0, propensities within 0 and 1"
            raise InvalidInput(message, field="user, send_propensity", remedy="encode users by numpy.unique")
        certain = np.where(self.sent, self.send_propensity, 1 - self.send_propensity)[self.randomised] <= 0
        if certain.any():
            message = f"{int(certain.sum())} actions had probability 0"
            raise InvalidInput(message, field="send_propensity", remedy="read the log by read_log, which lists them")

    @property
    def n(self) -> int:
        """Number of decisions."""
        return len(self.user)

    @property
    def randomised(self) -> Bools:
        """Whether chance decided, (n,)."""
        return np.ones(self.n, dtype=bool) if self.eligible is None else self.eligible

    @property
    def propensity(self) -> Floats:
        """Probability of the action that was taken, (n,)."""
        return np.asarray(np.where(self.sent, self.send_propensity, 1 - self.send_propensity), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class LoadedLog:
    """A log, what was wrong with the file, and how many of its rows are where."""

    log: PushLog
    problems: tuple[Problem, ...]
    rows_read: int
    rows_left_out: int
    unavailable: int
    deterministic: int

    def counts(self) -> dict[str, Any]:
        """Stable facts for JSON; times are ISO text in UTC."""
        log = self.log
        chance = log.randomised
        times = (
            [pd.Timestamp(t, unit="s", tz="UTC").isoformat() for t in (log.time_s.min(), log.time_s.max())]
            if log.n
            else [None] * 2
        )
        return {
            "rows_read": self.rows_read,
            "rows_left_out": self.rows_left_out,
            "decisions_unavailable": self.unavailable,
            "decisions_deterministic": self.deterministic,
            "decisions_evaluated": int(chance.sum()),
            "users": len(np.unique(log.user[chance])),
            "sends": int(log.sent[chance].sum()),
            "send_share": float(log.sent[chance].mean()) if chance.any() else None,
            "first_decision_utc": times[0],
            "last_decision_utc": times[1],
        }


def read_log(path: Path, plan: LogMap, columns: Sequence[str] = (), dosage: str | None = None) -> LoadedLog:
    """Read a push log by its mapping.

    Args:
        path: CSV or Parquet.
        plan: What its columns mean.
        columns: Further numeric columns, for `policies.FromColumn`.
        dosage: A column of recent pushes, which joins the log's ``columns``.

    Raises:
        InvalidInput: The file or a column is not there or cannot be read, or no row of it can be used. Else bad rows
            are problems and no errors.
    """
    frame = load_frame(path, plan, (*plan.columns, *columns, *([dosage] if dosage else [])))
    found = Findings(len(frame))
    people = _people(frame, plan, found)
    acts = _Acts.read(frame, plan, found)
    values = {name: _outcome(frame, plan, column, found) for name, column in plan.outcomes}
    numeric = {name: _numeric(frame, plan, name, found) for name in (*plan.context, *plan.controls)}
    further = {name: _probability(frame, plan, name, found, acts.chance) for name in columns}
    further |= {dosage: _dosage(frame, plan, dosage, found)} if dosage else {}
    slot = _slot(frame, plan, found)
    checks.duplicates(frame, plan, people, found)
    kept = ~found.unusable & ~found.repeated
    _require_rows(kept, found)
    log = PushLog(
        **_who_and_when(people, kept, found),
        sent=acts.sent[kept],
        send_propensity=acts.send_propensity[kept],
        outcomes={name: column[kept] for name, column in values.items()},
        eligible=acts.chance[kept],
        slot=None if slot is None else slot[kept],
        context=_stack(numeric, plan.context, kept),
        controls=_stack(numeric, plan.controls, kept),
        columns={name: column[kept] for name, column in further.items()},
    )
    checks.propensities_fit(log.sent, log.send_propensity, log.user, log.randomised, found)
    counts = (int(mask.sum()) for mask in (~kept, ~acts.available & kept, acts.ruled & kept))
    return LoadedLog(log, tuple(found.problems), len(frame), *counts)


def _require_rows(kept: Bools, found: Findings) -> None:
    """Refuse a file none of whose rows can be used: then it is the mapping that is wrong, not the rows."""
    if len(kept) and not kept.any():
        worst = max(found.problems, key=lambda problem: problem.count)
        message = f"none of the {len(kept)} rows can be used: {worst.text} ({worst.count} rows, {worst.kind})"
        remedy = "check the mapping's columns, codes and options, e.g. time_unit"
        raise InvalidInput(message, field=worst.column, remedy=remedy)


def _who_and_when(people: tuple[NDArray[np.int64], Floats], kept: Bools, found: Findings) -> dict[str, Any]:
    """Persons and times of the rows that stay, and of those which leave and cut a window of somebody who stays."""
    index, time_s = people
    used, users = np.unique(index[kept], return_inverse=True)
    cut = found.unusable & np.isin(index, used) & np.isfinite(time_s)
    gone = np.searchsorted(used, index[cut]).astype(np.int64)
    return {"user": users.astype(np.int64), "time_s": time_s[kept], "cut_user": gone, "cut_time_s": time_s[cut]}


def _people(frame: Any, plan: LogMap, found: Findings) -> tuple[NDArray[np.int64], Floats]:
    """Index of each row's person, −1 where it is missing, and the decision time."""
    index, _ = pd.factorize(text_of(frame[plan.user], plan), use_na_sentinel=True)
    found.drop("missing_user", plan.user, index < 0, "the person is missing")
    time_s, unreadable = seconds(frame[plan.time], plan)
    found.drop("missing_time", plan.time, np.isnan(time_s) & ~unreadable, "the decision time is missing")
    text = "the decision time cannot be read, or the clock of its zone shows it twice or never"
    found.drop("unreadable_time", plan.time, unreadable, text)
    return np.asarray(index, dtype=np.int64), time_s


@dataclass(frozen=True, slots=True)
class _Acts:
    """What was done with what probability, (n,) each; rows that make no sense are dropped in the findings."""

    sent: Bools
    available: Bools
    ruled: Bools
    send_propensity: Floats

    @property
    def chance(self) -> Bools:
        return np.asarray(self.available & ~self.ruled, dtype=bool)

    @classmethod
    def read(cls, frame: Any, plan: LogMap, found: Findings) -> "_Acts":
        action = coded(text_of(frame[plan.action], plan), plan.sent_codes, plan.not_sent_codes)
        found.drop("missing_action", plan.action, action == -1, "the action is missing")
        found.drop("unknown_action", plan.action, action == -2, "the action is neither a code of a send nor of none")
        sent = action == 1
        available = _flag(frame, plan, plan.available, "availability", found, default=True)
        ruled = _flag(frame, plan, plan.deterministic, "determinism", found, default=False)
        text = "a push was sent although none was possible"
        found.drop("sent_while_unavailable", plan.available or "", sent & ~available, text)
        chance = available & ~ruled
        logged, certain = checks.propensities(frame, plan, sent, chance, available & ruled, found)
        if plan.certain_decisions == "leave_out":
            text = "propensity 1: a rule decided, and nothing is learned of the other action"
            found.note("certain_decision", plan.propensity or "", certain & ~found.unusable, text, "deterministic")
            ruled = ruled | certain
        return cls(sent, available, ruled & available, logged)


def _flag(frame: Any, plan: LogMap, column: str | None, what: str, found: Findings, *, default: bool) -> Bools:
    if column is None:
        return np.full(len(frame), default)
    value = coded(text_of(frame[column], plan), plan.yes_codes, plan.no_codes)
    found.drop(f"missing_{what}", column, value == -1, f"the {what} is missing")
    found.drop(f"unknown_{what}", column, value == -2, f"the {what} is neither a code of yes nor of no")
    return np.asarray(np.where(value < 0, default, value == 1), dtype=bool)


def _outcome(frame: Any, plan: LogMap, column: str, found: Findings) -> Floats:
    values, unreadable = number(frame[column], plan)
    text = "the outcome is no number; the decision leaves this outcome's evaluation"
    found.note("unreadable_outcome", column, unreadable, text, "left_out_of_outcome")
    missing = np.isnan(values) & ~unreadable
    if plan.missing_outcomes == "zero":
        found.note("missing_outcome", column, missing, "the outcome is missing; counted as 0, as asked", "zero")
        return np.where(missing, 0.0, values)
    text = "the outcome is missing; the decision leaves this outcome's evaluation"
    found.note("missing_outcome", column, missing, text, "left_out_of_outcome")
    return values


def _numeric(frame: Any, plan: LogMap, column: str, found: Findings) -> Floats:
    """A control or context column; gaps take the column's mean, which costs precision and no validity."""
    values, unreadable = number(frame[column], plan)
    gaps = np.isnan(values)
    text = "a control or context value is missing or no number; the column's mean stands in for it"
    found.note("missing_context", column, gaps | unreadable, text, "column_mean")
    return np.where(gaps, np.nanmean(values) if not gaps.all() else 0.0, values)


def _probability(frame: Any, plan: LogMap, column: str, found: Findings, chance: Bools) -> Floats:
    """A policy's probability of a send; it must be there wherever chance decided."""
    values, _ = number(frame[column], plan)
    outside = np.isnan(values) | (values < 0) | (values > 1)
    text = "the policy's probability of a send is missing or outside 0 to 1"
    found.drop("impossible_policy_probability", column, outside & chance, text)
    return np.where(outside, 0.0, values)


def _dosage(frame: Any, plan: LogMap, column: str, found: Findings) -> Floats:
    """Recent pushes; a row without a number leaves, since an effect by dosage cannot place it."""
    values, _ = number(frame[column], plan)
    bad = ~np.isfinite(values) | (values < 0)
    found.drop("impossible_dosage", column, bad, "the dosage is missing, no number or below 0")
    return np.where(bad, 0.0, values)


def _slot(frame: Any, plan: LogMap, found: Findings) -> NDArray[np.object_] | None:
    if plan.slot is None:
        return None
    words = text_of(frame[plan.slot], plan)
    absent = np.array([word is None for word in words], dtype=bool)
    found.note("missing_slot", plan.slot, absent, "the slot is missing; it counts as a slot of its own", "own_slot")
    return np.asarray(np.where(absent, "", words), dtype=object)


def _stack(columns: Mapping[str, Floats], names: tuple[str, ...], kept: Bools) -> Floats | None:
    return np.column_stack([columns[name][kept] for name in names]) if names else None
