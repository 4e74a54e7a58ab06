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
    order = np.lexsort((time_s, user))
    level, before, result = 0.0, 0.0, np.zeros(len(user))
    last_user, last_time = -1, 0.0
    rows = zip(order.tolist(), user[order].tolist(), time_s[order].tolist(), sent[order].tolist(), strict=True)
    for row, person, time, push in rows:
        if person != last_user:
            level = before = 0.0
        elif time > last_time:
            before = level = level * 0.5 ** ((time - last_time) / half_life_s)
        result[row] = before
        level += push
        last_user, last_time = person, time
    return result
