"""Held-out weeks: recall and AUC by household, with bootstrap intervals over households and paired differences."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tactful_lab.cases.recommend import Bools, Floats, auc, recall_at
from tactful_lab.slots.bootstrap import Interval, paired_interval, ratio_interval

SEED = 20_171
RESAMPLES = 1_000
POPULARITY = "popularity"


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One method on the held-out weeks; per household, (n,), NaN where it has none: by name of the measure."""

    name: str
    by_household: dict[str, Floats]

    def interval(self, measure: str) -> Interval:
        """Mean over households with its interval."""
        values = self.by_household[measure]
        values = values[~np.isnan(values)]
        return ratio_interval(values, np.ones_like(values), seed=SEED, resamples=RESAMPLES)

    def against(self, other: "Row", measure: str) -> Interval:
        """This method minus another on the same households, with its interval."""
        ours, theirs = self.by_household[measure], other.by_household[measure]
        both = np.flatnonzero(~np.isnan(ours) & ~np.isnan(theirs))
        return paired_interval(ours[both], theirs[both], np.arange(len(both)), seed=SEED, resamples=RESAMPLES)


MEASURES = {
    "recall_at_10": "recall@10",
    "recall_at_10_new": "recall@10, new to the household",
    "auc_new": "AUC, new to the household",
}


def offers(methods: Mapping[str, Floats], counts: Floats, wanted: Bools) -> list[Row]:
    """Measure scores (n, m) by method: on all items, and on those which a household had never bought before."""
    seen = counts > 0
    fresh = wanted & ~seen
    known = seen.any(axis=1)  # who has no past is not in the table
    rows = []
    for name, scores in methods.items():
        measured = {
            "recall_at_10": recall_at(scores, wanted, 10),
            "recall_at_10_new": recall_at(scores, fresh, 10, leave_out=seen),
            "auc_new": auc(scores, fresh, leave_out=seen),
        }
        rows.append(Row(name, {key: np.where(known, values, np.nan) for key, values in measured.items()}))
    return rows


def as_dict(rows: list[Row], base: str = POPULARITY) -> list[dict[str, Any]]:
    """For JSON: each measure with its interval, and the paired difference to ``base``."""
    reference = next(row for row in rows if row.name == base)
    found = []
    for row in rows:
        plain: dict[str, Any] = {"name": row.name}
        for measure in row.by_household:
            plain[measure] = _plain(row.interval(measure)) | {
                f"difference_to_{base.replace(' ', '_')}": _plain(row.against(reference, measure))
            }
        found.append(plain)
    return found


def _plain(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low_95": interval.low, "high_95": interval.high}
