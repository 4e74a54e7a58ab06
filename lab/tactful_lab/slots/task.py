"""Rows, labels and splits of the slot-propensity task.

A row is a household on one local day after its first basket; it has seven labels, one for each two-hour slot from 8:00
to 22:00: does a basket start in it? What predicts a row may use the household's own past up to the evening before.
Training rows run from the 28th day after the first basket to 31 October 2017, tuning is November, the test is December.

Arrays are dense over (households, days, slots), so that whole blocks of households move through a day at once.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tactful_lab.datasets.completejourney import FIRST_DAY, LAST_DAY, N_SLOTS, Baskets

Split = Literal["train", "tune", "test"]
SPLIT_DATES: dict[Split, tuple[date, date]] = {
    "train": (date(2017, 1, 1), date(2017, 10, 31)),
    "tune": (date(2017, 11, 1), date(2017, 11, 30)),
    "test": (date(2017, 12, 1), date(2017, 12, 31)),
}
WARM_UP_DAYS = 28
N_DAYS = LAST_DAY.toordinal() - FIRST_DAY.toordinal() + 1


@dataclass(frozen=True, slots=True)
class SlotTask:
    """All households' activity and the rows of each split.

    Attributes:
        activity: uint8 (N, 365, 7), 1 where a basket starts in the slot, else 0; day 0 is ``start_ordinal``.
        first_day: int32 (N,), day index of each household's first basket (in any hour, slots or not).
        household_ids: int64 (N,).
        start_ordinal: proleptic ordinal of day 0.
    """

    activity: NDArray[np.uint8]
    first_day: NDArray[np.int32]
    household_ids: NDArray[np.int64]
    start_ordinal: int = FIRST_DAY.toordinal()

    @property
    def n_households(self) -> int:
        """Number of households N."""
        return len(self.first_day)

    @property
    def weekday(self) -> NDArray[np.int64]:
        """Weekday of each day, Monday = 0, shape (365,)."""
        return (self.start_ordinal + np.arange(self.activity.shape[1]) - 1) % 7

    def days(self, split: Split) -> range:
        """Day indices of a split, whatever the household."""
        first, last = SPLIT_DATES[split]
        return range(first.toordinal() - self.start_ordinal, last.toordinal() - self.start_ordinal + 1)

    def rows(self, split: Split) -> NDArray[np.bool_]:
        """Which (household, day of the split) are rows, shape (N, days in the split)."""
        days = np.asarray(self.days(split))
        wait = WARM_UP_DAYS if split == "train" else 1
        return days[None, :] >= self.first_day[:, None] + wait

    def labels(self, split: Split) -> NDArray[np.uint8]:
        """Labels on the split's dense grid, shape (N, days in the split, 7); see `rows` for which of them count."""
        days = self.days(split)
        return self.activity[:, days.start : days.stop]

    def take(self, households: NDArray[np.intp]) -> "SlotTask":
        """The same task for some of the households, in the order given."""
        return SlotTask(
            self.activity[households], self.first_day[households], self.household_ids[households], self.start_ordinal
        )


def build(baskets: Baskets) -> SlotTask:
    """Lay baskets out on the dense grid of households × days of 2017 × slots."""
    n = len(baskets.household_ids)
    day = baskets.day - FIRST_DAY.toordinal()
    first_day = np.full(n, N_DAYS, dtype=np.int32)
    np.minimum.at(first_day, baskets.household, day)
    activity = np.zeros((n, N_DAYS, N_SLOTS), dtype=np.uint8)
    inside = baskets.slot >= 0
    activity[baskets.household[inside], day[inside], baskets.slot[inside]] = 1
    return SlotTask(activity, first_day, baskets.household_ids)
