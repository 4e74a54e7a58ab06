"""Effects of a push on each outcome of a log: on average, over time, and by slot.

The analysis of a micro-randomised trial (see `tactful_lab.evaluation.excursion`), on the decisions that chance decided.
Day 0 is the day of the log's first decision. Controls and context of the log enter as controls.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tactful_lab.evaluation.excursion import WclsOptions, average_effect, effect_by_level, effect_over_time
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
        analysis: ``average``, ``over_time`` or ``by_slot``.
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


def effects(log: PushLog, level: float = 0.95) -> tuple[Analysis, ...]:
    """Analyse every outcome; an analysis that the data cannot carry says why instead.

    Args:
        log: as read.
        level: of the intervals.
    """
    return tuple(each for name in log.outcomes for each in _of_outcome(log, name, WclsOptions(level=level)))


def _of_outcome(log: PushLog, name: str, options: WclsOptions) -> Iterator[Analysis]:
    known = np.isfinite(log.outcomes[name])
    codes, labels = _slots(log, known)
    analyses: dict[str, Callable[[Trial], ExcursionFit]] = {
        "average": lambda trial: average_effect(trial, options),
        "over_time": lambda trial: effect_over_time(trial, "day", options),
    }
    if codes is not None:
        analyses["by_slot"] = lambda trial: effect_by_level(trial, "slot", options, labels=labels)
    for analysis, fitted in analyses.items():
        try:
            yield Analysis(name, analysis, fitted(_trial(log, name, known, codes)))
        except InvalidInput as error:
            yield Analysis(name, analysis, str(error))


def _slots(log: PushLog, known: NDArray[np.bool_]) -> tuple[NDArray[np.int64] | None, list[str]]:
    if log.slot is None:
        return None, []
    labels, codes = np.unique(log.slot[known].astype(str), return_inverse=True)
    return codes.astype(np.int64), [str(label) for label in labels]


def _trial(log: PushLog, name: str, known: NDArray[np.bool_], codes: NDArray[np.int64] | None) -> Trial:
    moderators = {"day": (log.time_s[known] - log.time_s.min()) / _DAY_S}
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
