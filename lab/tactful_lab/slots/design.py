"""Design matrices of the task: the device's own feature pipeline, replayed day by day over all households."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tactful_lab.slots.baselines import Scores
from tactful_lab.slots.task import SlotTask, Split


class Features(Protocol):
    """What is asked of a feature pipeline for n devices (`tactful.features.FeatureBlock` is one)."""

    def close_day(self, day_ordinal: int, activity: NDArray[np.uint8]) -> None:
        """Take in one finished day's activity, shape (n, 7)."""

    def design(self, day_ordinal: int) -> NDArray[np.float32]:
        """Features of every slot of a day, from days closed before it, shape (n, 7, D)."""


MakeFeatures = Callable[[int], Features]


@dataclass(frozen=True, slots=True)
class Design:
    """One split's rows, in order of household, then day.

    Attributes:
        x: float32 (rows, 7, D).
        y: uint8 (rows, 7).
        household: int32 (rows,), index of the household; non-decreasing.
    """

    x: NDArray[np.float32]
    y: NDArray[np.uint8]
    household: NDArray[np.int32]

    @property
    def dimension(self) -> int:
        """Number of features D."""
        return int(self.x.shape[-1])

    def flat(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Views of x as (rows·7, D) and a float copy of y as (rows·7,)."""
        return self.x.reshape(-1, self.dimension), self.y.ravel().astype(np.float32)


def device_features(n: int) -> Features:
    """The SDK's own pipeline for n devices."""
    from tactful.features import FeatureBlock

    block: Features = FeatureBlock.empty(n)
    return block


def replay(
    task: SlotTask, splits: Iterable[Split] = ("train", "tune", "test"), make: MakeFeatures = device_features
) -> dict[Split, Design]:
    """Walk once through the year and collect the design of each split.

    All 2,297 households need about 4.2 million training labels × D float32: 0.5 GB at D = 32.
    """
    features = make(task.n_households)
    dimension = features.design(task.start_ordinal).shape[-1]
    wanted = {split: _empty(task, split, dimension) for split in splits}
    for day in range(task.activity.shape[1]):
        for split, design in wanted.items():
            if day in task.days(split):
                _fill(task, split, design, day, features)
        features.close_day(task.start_ordinal + day, task.activity[:, day])
    return wanted


def _empty(task: SlotTask, split: Split, dimension: int) -> Design:
    rows = task.rows(split)
    household = np.nonzero(rows)[0].astype(np.int32)
    x = np.empty((len(household), task.activity.shape[2], dimension), dtype=np.float32)
    return Design(x, task.labels(split)[rows], household)


def _fill(task: SlotTask, split: Split, design: Design, day: int, features: Features) -> None:
    rows = task.rows(split)
    column = day - task.days(split).start
    there = rows[:, column]
    # A row's position is the number of rows before it, household by household.
    position = np.cumsum(rows.sum(axis=1)) - rows.sum(axis=1) + rows[:, :column].sum(axis=1)
    design.x[position[there]] = features.design(task.start_ordinal + day)[there]


def to_dense(task: SlotTask, split: Split, row_scores: NDArray[np.floating]) -> Scores:
    """Scores of the rows (rows, 7) laid on the dense grid (N, days, 7), 0 where there is no row."""
    rows = task.rows(split)
    dense: Scores = np.zeros((*rows.shape, row_scores.shape[-1]), dtype=np.float32)
    dense[rows] = row_scores
    return dense
