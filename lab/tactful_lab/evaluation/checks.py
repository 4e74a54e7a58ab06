"""The checks of a log that need more than one column: propensities, duplicates, and whether the two agree."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tactful_lab.evaluation.columns import number, text_of
from tactful_lab.evaluation.mapping import LogMap
from tactful_lab.evaluation.problems import Findings

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
CONTRADICTION = "propensities_contradict_actions"
# Six standard errors, two-sided: a true log is accused once in 5e8.
CONTRADICTION_Z = 6.0
_FEWEST_USERS = 30


def propensities(
    frame: Any, plan: LogMap, sent: Bools, chance: Bools, ruled: Bools, found: Findings
) -> tuple[Floats, Bools]:
    """The probability of a send of each row, (n,), and where the action that was taken had probability 1, (n,)."""
    column = plan.propensity or ""
    if plan.propensity is None:
        values, unreadable = np.full(len(frame), np.nan), np.zeros(len(frame), dtype=bool)
    else:
        values, unreadable = number(frame[plan.propensity], plan)
    absent = np.isnan(values) & ~unreadable
    taken = values if plan.propensity_of == "taken" else np.where(sent, values, 1 - values)
    if plan.fixed_propensity is not None:
        taken = np.where(absent, _of_action(plan, sent), taken)
        if plan.propensity is not None:
            text = "the propensity is missing; the fixed one stands in for it, as asked"
            found.note("missing_propensity", column, absent & chance, text, "fixed_propensity")
    else:
        found.drop("missing_propensity", column, absent & chance, "the propensity is missing")
    impossible = unreadable | (values < 0) | (values > 1) | (taken <= 0)
    text = "the action cannot have had this propensity: it must be above 0 and at most 1"
    found.drop("impossible_propensity", column, impossible & chance, text)
    text = "a rule decided, so the propensity must be 0 or 1"
    odd = ruled & (unreadable | (~absent & (values != 0) & (values != 1)))
    found.drop("impossible_propensity_of_rule", column, odd, text)
    known = np.where(chance & (taken > 0) & (taken <= 1), taken, 1.0)
    return np.where(sent, known, 1 - known), chance & (taken == 1)


def _of_action(plan: LogMap, sent: Bools) -> Floats:
    fixed = plan.fixed_propensity or 0.0
    return np.where(sent, fixed, 1 - fixed)


def duplicates(frame: Any, plan: LogMap, people: tuple[NDArray[np.int64], Floats], found: Findings) -> None:
    """Decisions that stand more than once: equal copies leave but for the first, differing ones leave altogether."""
    keys = pd.DataFrame({"user": people[0], "time": people[1]})
    if plan.decision is not None:
        words = pd.Series(text_of(frame[plan.decision], plan), dtype=object)
        found.drop("missing_decision", plan.decision, words.isna().to_numpy(), "the decision's name is missing")
        keys = pd.DataFrame({"decision": words})
    known = (
        ((people[0] >= 0) & np.isfinite(people[1])) if plan.decision is None else keys["decision"].notna().to_numpy()
    )
    repeated = keys.duplicated(keep=False).to_numpy() & known
    if not repeated.any():
        return
    where = np.flatnonzero(repeated)
    same = frame.iloc[where].astype(str).groupby([keys.iloc[where][name].to_numpy() for name in keys], sort=False)
    differs = np.zeros(len(frame), dtype=bool)
    differs[where] = (same.transform("nunique").max(axis=1) > 1).to_numpy()
    copies = repeated & ~differs & keys.duplicated(keep="first").to_numpy()
    name = plan.decision or f"{plan.user}, {plan.time}"
    found.note("duplicate_decision", name, copies, "an equal copy of an earlier row; the first stays", "left_out")
    found.repeated |= copies
    found.drop("conflicting_decision", name, differs, "the same decision stands more than once and differs")


def propensities_fit(
    sent: Bools, send_propensity: Floats, user: NDArray[np.int64], chance: Bools, found: Findings
) -> None:
    """Note if sends are more or fewer than their logged propensities say, by 6 standard errors clustered by person.

    Action minus propensity sums to 0 in expectation also under a policy that learns. A log of fewer than 30 people is
    not tested.
    """
    z = contradiction_z(sent[chance], send_propensity[chance], user[chance])
    if abs(z) > CONTRADICTION_Z:
        text = (
            f"sends were {sent[chance].mean():.4f} of the decisions, their propensities say "
            f"{send_propensity[chance].mean():.4f} ({z:+.1f} standard errors): check what the column holds"
        )
        found.note(CONTRADICTION, "propensity", np.ones(int(chance.sum()), dtype=bool), text, "no_conclusion")


def contradiction_z(sent: Bools, send_propensity: Floats, user: NDArray[np.int64]) -> float:
    """Σ(action − propensity) over its standard error clustered by person; 0 for fewer than 30 people."""
    residual = np.bincount(user, weights=sent - send_propensity) if len(user) else np.zeros(0)
    people = len(np.unique(user))
    spread = float(np.sqrt(np.sum(residual**2)))
    return float(residual.sum()) / spread if people >= _FEWEST_USERS and spread > 0 else 0.0
