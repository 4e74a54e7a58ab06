"""How many pushes a person has had of late: each past send counts 2^(−age / half-life), as on the device.

Every send of the log counts, whether chance decided it or not; a decision's own send and those of the same instant do
not. Sends before the log begins are not known and count nothing, so that a person's first days have too low a dosage.
"""

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.errors import InvalidInput

Floats = NDArray[np.float64]


def dosage(user: NDArray[np.int64], time_s: Floats, sent: NDArray[np.bool_], half_life_s: float) -> Floats:
    """Dosage just before each decision, (n,), in sends.

    Args:
        user: index of the person, (n,), rows in any order.
        time_s: decision time in seconds, (n,).
        sent: whether a push was sent, (n,).
        half_life_s: seconds after which a send counts half.

    Raises:
        InvalidInput: the half-life is not above 0.
    """
    if not half_life_s > 0:
        raise InvalidInput("must be above 0", field="half_life_s", remedy="give seconds")
    if not len(user):
        return np.zeros(0)
    order = np.lexsort((time_s, user))
    person, time = user[order], time_s[order]
    first = np.r_[True, (np.diff(person) != 0) | (np.diff(time) > 0)]
    instant, starts = np.cumsum(first) - 1, np.flatnonzero(first)
    sends = np.add.reduceat(sent[order].astype(np.float64), starts)
    same = np.r_[False, np.diff(person[starts]) == 0]
    passed = np.diff(time[starts], prepend=time[0])
    keep = np.where(same, 0.5 ** (np.where(same, passed, 0.0) / half_life_s), 0.0)
    result = np.empty(len(user))
    result[order] = _carried(keep, keep * np.r_[0.0, sends[:-1]])[instant]
    return result


def _carried(keep: Floats, add: Floats) -> Floats:
    """x_i = keep_i·x_{i−1} + add_i for all i, (n,), x before the first being 0.

    Affine maps are composed over spans of 1, 2, 4, …: passes grow as the logarithm of the longest person, who begins
    with keep 0.
    """
    keep, add, span = keep.copy(), add.copy(), 1
    while span < len(keep) and keep[span:].any():
        add[span:] = keep[span:] * add[:-span] + add[span:]
        keep[span:] = keep[span:] * keep[:-span]
        keep[:span] = 0.0
        span *= 2
    return add
