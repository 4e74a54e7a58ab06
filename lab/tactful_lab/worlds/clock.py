"""Steps and hours: seven two-hour slots a day from 8:00, a night of ten hours, and when an open lands."""

import numpy as np
from numpy.typing import NDArray

from tactful_lab.datasets.completejourney import FIRST_HOUR, N_SLOTS
from tactful_lab.worlds.people import NIGHT_H, SLOT_H, Floats

WINDOW_H = 24.0
"""Opens later than this are not attributed to the push."""
RING = N_SLOTS + 1
"""An open within the window lands at most seven steps ahead."""


def hours_after(slot: int) -> float:
    """Hours from the start of a slot to the start of the next one."""
    return NIGHT_H if slot == N_SLOTS - 1 else SLOT_H


def delay_h(uniform: Floats, median_h: float, shape: float) -> Floats:
    """Log-logistic delays (m,) in hours from uniform draws (m,) in [0, 1)."""
    return (np.float32(median_h) * (uniform / (1.0 - uniform)) ** np.float32(1.0 / shape)).astype(np.float32)


def within_window(median_h: float, shape: float) -> float:
    """Chance that a log-logistic delay is within the attribution window."""
    return float(1.0 / (1.0 + (WINDOW_H / median_h) ** -shape))


def steps_ahead(slot: int, delay: Floats) -> NDArray[np.int64]:
    """Steps until opens with these delays (m,) are seen, for pushes at the start of ``slot``.

    What happens at night is seen in the first slot of the morning. Delays must lie within the window.
    """
    hour = FIRST_HOUR + SLOT_H * slot + delay.astype(np.float64)
    day, hour = np.divmod(hour, 24.0)
    in_day = np.clip((hour - FIRST_HOUR) // SLOT_H, 0, N_SLOTS)  # N_SLOTS: the next morning
    return (day * N_SLOTS + in_day - slot).astype(np.int64)
