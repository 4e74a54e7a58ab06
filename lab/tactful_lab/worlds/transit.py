"""Pushes that wait for their device, and opens that have been decided but not yet happened."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tactful_lab.worlds import clock
from tactful_lab.worlds.people import Bools, Floats

Steps = NDArray[np.int32]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Delivered:
    """Pushes that reached their device in one step: persons, when each was sent, whether it was contextual, (m,)."""

    who: Indices
    sent_step: Steps
    contextual: Bools


class Outbox:
    """At most one push waits for a device, as with a collapse key: a newer one replaces it."""

    def __init__(self, n: int, ttl_slots: int) -> None:
        self._ttl = ttl_slots
        self.waiting: Bools = np.zeros(n, np.bool_)
        self._sent_step = np.zeros(n, np.int32)
        self._contextual: Bools = np.zeros(n, np.bool_)

    def exchange(self, sent: Bools, contextual: Bools, online: Bools, step: int) -> tuple[Delivered, Bools]:
        """Take this step's sends; what is delivered now, and which waiting pushes were dropped, (N,)."""
        expired = self.waiting & (sent | (self._sent_step < step - self._ttl))
        np.copyto(self._sent_step, step, where=sent)
        np.copyto(self._contextual, contextual, where=sent)
        pending = (self.waiting & ~expired) | sent
        who = np.flatnonzero(pending & online)
        self.waiting = pending & ~online
        return Delivered(who, self._sent_step[who], self._contextual[who]), expired


class InFlight:
    """Opens by the step in which they land; two that land on one person in one step are one open, the later push's."""

    def __init__(self, n: int) -> None:
        self._delay = np.zeros((clock.RING, n), np.float32)
        self._sent_step = np.full((clock.RING, n), -1, np.int32)

    @property
    def count(self) -> int:
        """Opens still to come."""
        return int(np.count_nonzero(self._delay))

    def add(self, step: int, slot: int, who: Indices, delay: Floats, sent_step: Steps) -> None:
        """Let pushes delivered now to these persons (m,) be opened after these delays in hours (m,)."""
        row = (step + clock.steps_ahead(slot, delay)) % clock.RING
        self._delay[row, who] = np.maximum(delay, np.finfo(np.float32).tiny)
        self._sent_step[row, who] = sent_step

    def land(self, step: int) -> tuple[Floats, Steps]:
        """Delays and send steps of the opens of this step, each (N,): 0 and −1 where there is none."""
        row = step % clock.RING
        delay, sent_step = self._delay[row].copy(), self._sent_step[row].copy()
        self._delay[row], self._sent_step[row] = 0, -1
        return delay, sent_step
