"""What a policy sees before it decides, what comes back after, and what only an oracle knows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tactful_lab.worlds.people import Bools, Floats


@dataclass(frozen=True, slots=True)
class View:
    """The moment of a decision, for N persons; nothing in it is hidden from a real product.

    Attributes:
        step: Slots since the start.
        day: Days since the start, a Monday.
        slot: 0 to 6, from 8:00.
        weekday: 0 is Monday.
        promotion: Whether the shop runs a promotion today.
        reachable: Whether the person allows pushes, (N,).
        online: Whether the device would receive one now, (N,).
        contextual: Whether the push on offer has a reason of the person's own (a basket left, a restock), (N,).
    """

    step: int
    day: int
    slot: int
    weekday: int
    promotion: bool
    reachable: Bools
    online: Bools
    contextual: Bools


@dataclass(frozen=True, slots=True)
class Observed:
    """What one step brought, for N persons, each array (N,).

    Attributes:
        step: The step it belongs to.
        sessions: Sessions in this slot, 0 to 2: an organic one, one from a push, or both.
        opens: Whether a push was opened in this slot (two opened in one slot are one session).
        opened_step: The step in which the opened push was sent, −1 without an open.
        delay_h: Hours from delivery to the open, 0 without one.
        conversions: Whether an order was placed.
        value_minor: Margin of the order, minor units.
        expected_minor: The same before the coin of conversion: less noise, same mean.
        sent: Sends that were counted: those to reachable persons.
        delivered: Whether a push reached the device in this slot.
        expired: Whether a waiting push was dropped: too old, or replaced by a newer one.
        opt_outs: Whether the person withdrew the permission.
    """

    step: int
    sessions: NDArray[np.uint8]
    opens: Bools
    opened_step: NDArray[np.int32]
    delay_h: Floats
    conversions: Bools
    value_minor: Floats
    expected_minor: Floats
    sent: Bools
    delivered: Bools
    expired: Bools
    opt_outs: Bools


@dataclass(frozen=True, slots=True)
class Truth:
    """What a push delivered now would do to each person, each array (N,).

    Attributes:
        open_probability: Chance that it is ever opened.
        opt_out_probability: Chance that it costs the permission.
        displaced: Chance that an open uses up an organic session of the coming day.
        session_minor: Value of a session now, minor units.
    """

    open_probability: Floats
    opt_out_probability: Floats
    displaced: Floats
    session_minor: Floats
