"""Effects of a push on each outcome of a log: on average, over time, by slot and by dosage.

The analysis of a micro-randomised trial (see `tactful_lab.evaluation.excursion`), on the decisions that chance decided.
Day 0 is the day of the log's first decision. Controls and context of the log enter as controls.
Dosage is computed from the log's own sends at the device's half-lives, one line for each, or is a column of the log.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tactful.model import DOSAGE_HALF_LIVES_D
from tactful_lab.evaluation.dosage import dosage
from tactful_lab.evaluation.excursion import (
    WclsOptions,
    average_effect,
    effect_by_level,
    effect_over_time,
    moderated_effect,
)
from tactful_lab.evaluation.excursion_results import ExcursionFit
from tactful_lab.evaluation.log import PushLog
from tactful_lab.evaluation.trial import Trial
from tactful_privacy.errors import InvalidInput

_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Analysis:
    """One analysis of one outcome.

    Attributes:
        outcome: its name.
        analysis: ``average``, ``over_time``, ``by_slot`` or ``by_dosage``.
        result: the fit, or the sentence that says why there is none.
    """

    outcome: str
    analysis: str
    result: ExcursionFit | str

    def to_dict(self) -> dict[str, Any]:
        """``outcome``, ``analysis``, ``concluded``, ``reason`` and ``fit``, one of the last two None."""
        fit = None if isinstance(self.result, str) else self.result.to_dict()
        reason = self.result if isinstance(self.result, str) else None
        return {
            "outcome": self.outcome,
            "analysis": self.analysis,
            "concluded": fit is not None,
            "reason": reason,
            "fit": fit,
        }


def effects(
    log: PushLog,
    level: float = 0.95,
    *,
    small_sample: bool = True,
    dosage_column: str | None = None,
    scale: str = "difference",
) -> tuple[Analysis, ...]:
    """Analyse every outcome; an analysis that the data cannot carry says why instead.

    Args:
        log: as read.
        level: of the intervals.
        small_sample: correct for few people, see `WclsOptions`.
        dosage_column: one of ``log.columns`` in the place of the dosages computed from the log.
        scale: ``difference`` or ``log-rr``.

    Raises:
        InvalidInput: There is no such scale.
    """
    if scale not in ("difference", "log-rr"):
        raise InvalidInput(f"unknown: {scale!r}", field="scale", remedy="give difference or log-rr")
    options = WclsOptions(None, small_sample, level, "log-rr" if scale == "log-rr" else "difference")
    dosages = doses(log, dosage_column)
    return tuple(each for name in log.outcomes for each in _of_outcome(log, name, dosages, options))


def multiplicity(found: tuple[Analysis, ...], level: float) -> dict[str, Any]:
    """``tests``, how many p-values are told, and ``threshold``, that of Bonferroni; None without a test."""
    tests = sum(len(each.result.effects) for each in found if not isinstance(each.result, str))
    return {"tests": tests, "threshold": (1 - level) / tests if tests else None, "intervals_adjusted": False}


def doses(log: PushLog, column: str | None) -> dict[str, NDArray[np.float64]]:
    """Dosage of each decision by name, (n,): one column of the log, or a computed one for each half-life."""
    if column is not None:
        return {column: log.columns[column]}
    return {
        f"dosage_{half_life:g}d": dosage(log.user, log.time_s, log.sent, half_life * _DAY_S)
        for half_life in DOSAGE_HALF_LIVES_D
    }


def _of_outcome(
    log: PushLog, name: str, doses: dict[str, NDArray[np.float64]], options: WclsOptions
) -> Iterator[Analysis]:
    known = np.isfinite(log.outcomes[name])
    codes, labels = _slots(log, known)
    analyses: list[tuple[str, Callable[[Trial], ExcursionFit]]] = [
        ("average", lambda trial: average_effect(trial, options)),
        ("over_time", lambda trial: effect_over_time(trial, "day", options)),
    ]
    if codes is not None:
        analyses.append(("by_slot", lambda trial: effect_by_level(trial, "slot", options, labels=labels)))
    for analysis, fitted in analyses:
        yield _told(name, analysis, partial(_apply, fitted, log, name, known, codes))
    for dose, values in doses.items():
        own = {dose: values[known]}
        fit = partial(_by_dosage, log, name, known, own, options)
        yield _told(name, "by_dosage", fit)


def _by_dosage(
    log: PushLog, name: str, known: NDArray[np.bool_], own: dict[str, NDArray[np.float64]], options: WclsOptions
) -> ExcursionFit:
    return moderated_effect(_trial(log, name, known, None, own), tuple(own), options)


def _apply(
    fitted: Callable[[Trial], ExcursionFit],
    log: PushLog,
    name: str,
    known: NDArray[np.bool_],
    codes: NDArray[np.int64] | None,
) -> ExcursionFit:
    return fitted(_trial(log, name, known, codes, {}))


def _told(name: str, analysis: str, fit: Callable[[], ExcursionFit]) -> Analysis:
    try:
        return Analysis(name, analysis, fit())
    except InvalidInput as error:
        return Analysis(name, analysis, str(error))


def _slots(log: PushLog, known: NDArray[np.bool_]) -> tuple[NDArray[np.int64] | None, list[str]]:
    if log.slot is None:
        return None, []
    labels, codes = np.unique(log.slot[known].astype(str), return_inverse=True)
    return codes.astype(np.int64), [str(label) for label in labels]


def _trial(
    log: PushLog,
    name: str,
    known: NDArray[np.bool_],
    codes: NDArray[np.int64] | None,
    doses: dict[str, NDArray[np.float64]],
) -> Trial:
    moderators = {**doses, "day": (log.time_s[known] - log.time_s.min()) / _DAY_S}
    if codes is not None:
        moderators["slot"] = codes.astype(np.float64)
    blocks = {"context": log.context, "control": log.controls}
    controls = {
        f"{block}_{index}": values[known, index]
        for block, values in blocks.items()
        if values is not None
        for index in range(values.shape[1])
    }
    return Trial.of(
        user=log.user[known],
        action=log.sent[known],
        propensity=log.send_propensity[known],
        outcome=log.outcomes[name][known],
        available=log.randomised[known],
        controls=controls,
        moderators=moderators,
    )
