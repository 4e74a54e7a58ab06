"""What a shop that keeps everything in one place knows of its pushes: features, and whether each was opened in a day.

No privacy is spent or gained here: the log is central, and it is what the non-private baselines learn from.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tactful.features import DIMENSION, FeatureBlock
from tactful_lab.datasets.completejourney import N_SLOTS
from tactful_lab.worlds.people import Bools, Floats
from tactful_lab.worlds.seen import Observed, View

Indices = NDArray[np.intp]
COLUMNS = DIMENSION + 2
"""φ of the opening, then whether the message has a reason of the person's own, then whether a promotion runs."""
SETTLED_STEPS = 2 * N_SLOTS
"""A day that a device may be away, and a day in which an open counts."""


class Habits:
    """φ of every person and slot of today, from sessions up to yesterday; those who never allowed pushes are left out.

    A session that a push opened counts for nothing, as in the histogram: else a policy would learn its own times.
    """

    def __init__(self, reachable: Bools) -> None:
        self.who: Indices = np.flatnonzero(reachable)
        self._block = FeatureBlock.empty(len(self.who))
        self._today = np.zeros((len(self.who), N_SLOTS), np.uint8)
        self._phi: tuple[int, Floats] | None = None

    def phi(self, view: View) -> Floats:
        """φ of today's slots, (persons, 7, DIMENSION)."""
        if self._phi is None or self._phi[0] != view.day:
            self._phi = view.day, self._block.design(view.day + 1)  # day 1 of the calendar is a Monday, as day 0 here
        return self._phi[1]

    def learn(self, view: View, observed: Observed) -> None:
        """Take in one slot, and fold the day in when it was the last."""
        self._today[:, view.slot] = (observed.sessions > observed.opens)[self.who]
        if view.slot == N_SLOTS - 1:
            self._block.close_day(view.day + 1, self._today)


@dataclass(slots=True)
class _Sent:
    step: int
    who: Indices
    x: Floats
    opened: Bools
    dropped: Bools


class PushLog:
    """Rows of pushes sent: x (m, COLUMNS), opened within a day or not; pushes that never arrived are no rows.

    Args:
        keep: Most rows to hand out; the latest ones.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._sent: list[_Sent] = []

    def add(self, step: int, who: Indices, x: Floats) -> None:
        """Log pushes sent now to these persons (m,), rising, with their features (m, COLUMNS)."""
        none = np.zeros(len(who), np.bool_)
        self._sent.append(_Sent(step, who, x, none, none.copy()))

    def observe(self, observed: Observed) -> None:
        """Mark what was opened, and what was dropped on the way, in this step."""
        latest = {sent.step: sent for sent in self._sent[-SETTLED_STEPS - 1 :]}
        opened = np.flatnonzero(observed.opens)
        of_step = observed.opened_step[opened]
        for step in np.unique(of_step):
            if int(step) in latest:
                sent = latest[int(step)]
                sent.opened[np.searchsorted(sent.who, opened[of_step == step])] = True
        self._drop(np.flatnonzero(observed.expired), observed.step)

    def _drop(self, expired: Indices, step: int) -> None:
        """The push that expired is the person's latest before this step."""
        for sent in reversed(self._sent[-SETTLED_STEPS - 1 :]):
            if not len(expired):
                return
            if sent.step < step:
                mine = np.isin(sent.who, expired, assume_unique=True)
                sent.dropped |= mine
                expired = np.setdiff1d(expired, sent.who[mine], assume_unique=True)

    def rows(self, step: int) -> tuple[Floats, NDArray[np.int8]]:
        """Features and labels of pushes whose outcome is known at this step: the latest ``keep`` of them."""
        chosen, count = [], 0
        for sent in reversed(self._sent):
            if sent.step <= step - SETTLED_STEPS and count < self._keep:
                chosen.append(sent)
                count += len(sent.who)
        kept = [~sent.dropped for sent in chosen]
        x = [sent.x[k] for sent, k in zip(chosen, kept, strict=True)]
        y = [sent.opened[k] for sent, k in zip(chosen, kept, strict=True)]
        if not chosen:
            return np.zeros((0, COLUMNS), np.float32), np.zeros(0, np.int8)
        return np.concatenate(x), np.concatenate(y).astype(np.int8)


def rows_of(phi: Floats, contextual: Bools, promotion: bool) -> Floats:
    """Features of pushes: φ (m, DIMENSION), the person's own reason (m,), the shop's promotion."""
    message = np.stack([contextual, np.full(len(contextual), promotion)], axis=1)
    return np.concatenate([phi, message.astype(np.float32)], axis=1)
