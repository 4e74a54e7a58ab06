"""How many pushes the fleet sends, as one charged number of a contribution, and the price that follows from it.

A device reports n/cap of the statistic's half-range, n being its promotional pushes of the last seven finished days, at
most ``cap``. Zero stands for nothing sent *and* for a device that takes no part, so the mean over planned devices needs
nobody's count. The statistic lies inside the joint norm, Δ² = C² + Σ half-range², and so it is charged.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

SENDS = "sends"
"""Name of the statistic."""
SENDS_CAP = "sends_cap"
"""Name of the plan's setting: n is capped at it; public, the same for all devices."""
FLEET_PRICE = "fleet_price_minor"
"""Name of ν on a model's card, in minor units of money for a push; never negative."""
MOST_SENDS = 100


def scaled(counts: ArrayLike, cap: float, half_range: float) -> NDArray[np.float64]:
    """Return counts (n,) of pushes as reported numbers (n,), each in [0, half_range]."""
    return np.clip(np.asarray(counts, dtype=np.float64) / cap, 0.0, 1.0) * half_range


def per_week(mean: float, cap: float, half_range: float) -> float:
    """Undo `scaled` for a mean: pushes of a planned device in a week. Noise may carry it below 0 or above the cap."""
    return mean * cap / half_range
