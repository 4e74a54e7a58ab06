"""Plant each fault so many times, and count which checks notice."""

import time
from collections.abc import Iterable, Sequence

from tactful_privacy.audit.faults.model import (
    NO_VIOLATION,
    NONE,
    Check,
    FaultResult,
    FaultTable,
    FaultyTarget,
    PlantedFault,
    Progress,
    Trial,
)
from tactful_privacy.audit.verdict import CONFIDENCE, ESTIMATE_CONFIDENCE
from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least

LEAST = 0.8
"""A check counts as catching a fault if it does in this share of the trials."""
UNLUCKY = 1e-4
"""The chance of more alarms than are put down to chance where there is no fault."""


def run_faults(
    target: FaultyTarget, *, runs: int = 20, only: Sequence[str] = (), progress: Progress | None = None
) -> FaultTable:
    """Plant the target's faults one after the other.

    Args:
        target: open; every trial is at least one of its rounds or one self-test of its hosts.
        runs: trials of each fault.
        only: names of the faults wanted; all where empty.
        progress: told after every trial.

    Raises:
        InvalidInput: no such fault, or fewer than one run.
    """
    at_least(1, runs=runs)
    started = time.monotonic()
    results = tuple(_run(fault, runs, progress) for fault in _chosen(target.faults(), only))
    return FaultTable(runs, results, time.monotonic() - started)


def _chosen(faults: Sequence[PlantedFault], only: Sequence[str]) -> Sequence[PlantedFault]:
    names = [fault.name for fault in faults]
    if unknown := sorted(set(only) - set(names)):
        raise InvalidInput(f"{unknown[0]!r} is no fault", field="only", remedy=f"known are {', '.join(names)}")
    return [fault for fault in faults if not only or fault.name in only]


def _run(fault: PlantedFault, runs: int, progress: Progress | None) -> FaultResult:
    started = time.monotonic()
    trials: list[Trial] = []
    for number in range(1, runs + 1):
        trials.append(fault.trial())
        if progress is not None:
            progress(fault, number)
    return summarise(fault, trials, time.monotonic() - started)


def summarise(fault: PlantedFault, trials: Sequence[Trial], seconds: float = 0.0) -> FaultResult:
    """Return what the trials of a fault say together."""
    runs, catches = len(trials), _catches(fault, trials)
    if fault.expected:
        caught_by, caught = _surest(catches, runs)
        as_expected = all(catches.get(check, 0) >= LEAST * runs for check in fault.expected)
    else:
        caught_by, caught = NO_VIOLATION, runs - catches.get(Check.AUDIT, 0)
        as_expected = _stays_calm(fault, catches, runs)
    return FaultResult(
        name=fault.name,
        title=fault.title,
        where=fault.where,
        remark=fault.remark,
        runs=runs,
        expected=tuple(check.value for check in fault.expected),
        catches=catches,
        self_test_checks=_distinct(trial.self_test for trial in trials),
        refusal_codes=_distinct(trial.refusals for trial in trials),
        caught_by=caught_by,
        caught=caught,
        as_expected=as_expected,
        seconds=seconds,
    )


def _catches(fault: PlantedFault, trials: Sequence[Trial]) -> dict[str, int]:
    """Count per check; one that had nothing to look at in any trial is absent."""
    said = {check.value: [trial.says(check, fault.signs) for trial in trials] for check in Check}
    return {check: words.count(True) for check, words in said.items() if any(word is not None for word in words)}


def _stays_calm(fault: PlantedFault, catches: dict[str, int], runs: int) -> bool:
    allowed = {Check.AUDIT: most_alarms(runs, CONFIDENCE), Check.ESTIMATE: most_alarms(runs, ESTIMATE_CONFIDENCE)}
    allowed |= dict.fromkeys(fault.tolerated, runs)
    return all(caught <= allowed.get(Check(check), 0) for check, caught in catches.items())


def _surest(catches: dict[str, int], runs: int) -> tuple[str, int]:
    """The check that catches most; of equals the one that stands earliest in `Check`, since it stops the round."""
    best = max(catches, key=lambda check: catches[check], default=NONE)
    caught = catches.get(best, 0)
    return (best, caught) if caught >= LEAST * runs else (NONE, caught)


def most_alarms(runs: int, confidence: float) -> int:
    """Return how many of ``runs`` audits may alarm without a fault, exceeded with probability below ``UNLUCKY``."""
    from scipy.stats import binom

    return int(binom.isf(UNLUCKY, runs, 1 - confidence))


def _distinct(groups: Iterable[tuple[str, ...] | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in groups for name in group or ()))
