"""Training rows of many devices: one row for each (device, day, slot), labelled by whether the slot was used."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tactful.features import DIMENSION, SLOTS, FeatureBlock
from tactful_privacy.errors import InvalidInput

WARM_UP_DAYS = 28
"""Rows start this many days after a device's first activity: before that its features say little."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingTable:
    """Rows of n devices, device by device.

    Attributes:
        x: features, float32 (rows, DIMENSION).
        y: labels, float32 (rows,), 0 or 1.
        bounds: int64 (n + 1,): the rows of device i are ``bounds[i]`` to ``bounds[i + 1]``; none is allowed.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    bounds: NDArray[np.int64]

    @property
    def n_devices(self) -> int:
        """Number of devices n."""
        return len(self.bounds) - 1

    def select(self, indices: NDArray[np.intp]) -> "TrainingTable":
        """Return the rows of some devices only, in the order given (the whole table itself if these are all)."""
        if np.array_equal(indices, np.arange(self.n_devices)):
            return self
        parts = [np.arange(self.bounds[i], self.bounds[i + 1]) for i in indices]
        rows = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
        sizes = (self.bounds[1:] - self.bounds[:-1])[indices]
        return TrainingTable(self.x[rows], self.y[rows], np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))


def build_table(
    activity: NDArray[np.uint8], first_ordinal: int, last_train_ordinal: int, warm_up_d: int = WARM_UP_DAYS
) -> TrainingTable:
    """Replay the days in order and collect the rows from each device's warm-up to ``last_train_ordinal``.

    Args:
        activity: uint8 (n, days, 7), above zero where a device was active.
        first_ordinal: ``date.toordinal()`` of day 0.
        last_train_ordinal: the last day with rows, which may not lie after the last day of ``activity``.
        warm_up_d: days between a device's first activity and its first row.

    Raises:
        InvalidInput: the shape is wrong or the days do not reach ``last_train_ordinal``.
    """
    n, days, slots = activity.shape if activity.ndim == 3 else (0, 0, 0)
    if slots != SLOTS or not first_ordinal <= last_train_ordinal < first_ordinal + days:
        raise InvalidInput(
            f"has shape {activity.shape}", field="activity", remedy="give (n, days, 7) up to the last day"
        )
    until = last_train_ordinal - first_ordinal + 1
    seen: NDArray[np.uint8] = activity[:, :until].max(axis=2) > 0
    first = np.where(seen.any(axis=1), seen.argmax(axis=1), until) + warm_up_d
    counts = np.maximum(until - first, 0)
    bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    x = np.empty((int(bounds[-1]), SLOTS, DIMENSION), dtype=np.float32)
    y = np.empty((int(bounds[-1]), SLOTS), dtype=np.float32)
    block = FeatureBlock.empty(n)
    for day in range(until):
        ready = np.nonzero(day >= first)[0]
        if ready.size:
            rows = bounds[ready] + day - first[ready]
            x[rows] = block.design(first_ordinal + day)[ready]
            y[rows] = activity[ready, day] > 0
        block.close_day(first_ordinal + day, activity[:, day])
    return TrainingTable(x.reshape(-1, DIMENSION), y.reshape(-1), bounds * SLOTS)
