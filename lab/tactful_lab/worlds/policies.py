"""What shops do today, and an oracle: the policies against which a learner is held.

A policy sees a `View`, answers with the persons to send to, and is told what came of it. Its own coins come from its
seed, not from the world's.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tactful_lab.datasets.completejourney import N_SLOTS
from tactful_lab.worlds.people import Bools
from tactful_lab.worlds.seen import Observed, View
from tactful_lab.worlds.world import World
from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least

EVENING_SLOT = 5
"""18:00 to 20:00."""
THREE_A_WEEK = (0, 2, 4)
EVERY_DAY = tuple(range(7))


class Policy(Protocol):
    """Decides slot by slot for all persons of one world."""

    name: str

    def decide(self, view: View) -> Bools:
        """The persons to send to now, (N,); those out of reach are ignored."""

    def learn(self, view: View, send: Bools, observed: Observed) -> None:
        """Take in what one step brought."""


class _Fixed:
    """A policy that learns nothing."""

    name = ""

    def learn(self, view: View, send: Bools, observed: Observed) -> None:
        """Nothing to learn."""


class Never(_Fixed):
    """Sends nothing: what the shop has without pushes."""

    name = "never"

    def decide(self, view: View) -> Bools:
        """Nobody."""
        return np.zeros(len(view.reachable), np.bool_)


class RandomTimes(_Fixed):
    """Sends in each slot with one probability: ``pushes_per_week`` of the 49 slots on average."""

    def __init__(self, pushes_per_week: float, seed: int) -> None:
        slots = 7 * N_SLOTS
        if not 0 < pushes_per_week <= slots:
            raise InvalidInput("is not possible", field="pushes_per_week", remedy=f"above 0, at most {slots}")
        self.name = f"random, {pushes_per_week:g} a week"
        self._chance = pushes_per_week / slots
        self._random = np.random.default_rng(seed)

    def decide(self, view: View) -> Bools:
        """Each person by a coin."""
        sends: Bools = self._random.random(len(view.reachable)) < self._chance
        return sends


class FixedTime(_Fixed):
    """Sends to everybody in one slot on certain weekdays: by default in the evening of every day."""

    def __init__(self, weekdays: tuple[int, ...] = EVERY_DAY, slot: int = EVENING_SLOT) -> None:
        self.name = f"fixed, {len(weekdays)} a week"
        self._weekdays, self._slot = _weekdays(weekdays), slot

    def decide(self, view: View) -> Bools:
        """Everybody, when it is time."""
        due = view.slot == self._slot and view.weekday in self._weekdays
        return np.full(len(view.reachable), due)


class HistogramTime:
    """Send-time optimisation by histogram: each person's busiest slot so far, on certain weekdays.

    The histogram counts sessions that no push opened; ``strength`` sessions at the population's shares stand for a
    person without a history. The slot is chosen in the morning.
    """

    def __init__(self, n: int, weekdays: tuple[int, ...] = THREE_A_WEEK, strength: float = 5.0) -> None:
        at_least(1, n=n)
        at_least(0, strength=strength)
        self.name = f"histogram send time, {len(weekdays)} a week"
        self._weekdays, self._strength = _weekdays(weekdays), strength
        self._counts = np.zeros((N_SLOTS, n), np.float32)
        self._best: NDArray[np.intp] = np.full(n, EVENING_SLOT)

    def decide(self, view: View) -> Bools:
        """Those whose slot is now, on a day for pushes."""
        if view.slot == 0:
            self._best = self._choose()
        if view.weekday not in self._weekdays:
            return np.zeros(len(view.reachable), np.bool_)
        sends: Bools = self._best == view.slot
        return sends

    def learn(self, view: View, send: Bools, observed: Observed) -> None:  # noqa: ARG002 (a Policy)
        """Count the sessions of this slot which no push opened."""
        self._counts[view.slot] += observed.sessions > observed.opens

    def _choose(self) -> NDArray[np.intp]:
        total = self._counts.sum(axis=1, keepdims=True)
        if not total.any():
            return self._best
        best: NDArray[np.intp] = np.argmax(self._counts + self._strength * total / total.sum(), axis=0)
        return best


class GreedyOracle(_Fixed):
    """Knows each person's true response, and sends where the push is worth more now than ``price_minor``.

    A bound from inside the simulation, not a policy anybody could run, and not the optimum: the price stands for what a
    push takes from the ones after it, and is to be tuned on tuning seeds. A push without a reason of its own waits
    until the last push is ``rest_slots`` ago, and then for the best slot left of the day; one with a reason waits for
    ``reason_rest_slots``.
    """

    def __init__(
        self, world: World, price_minor: float = 0.0, rest_slots: int = N_SLOTS, reason_rest_slots: int = N_SLOTS
    ) -> None:
        at_least(0, price_minor=price_minor)
        at_least(1, rest_slots=rest_slots, reason_rest_slots=reason_rest_slots)
        self.name = f"greedy oracle, price {price_minor:g}"
        self._world, self._price = world, price_minor
        self._rest, self._reason_rest = rest_slots, reason_rest_slots
        self._last = np.full(world.n, -N_SLOTS, np.int64)

    def decide(self, view: View) -> Bools:
        """Everybody whose push pays more than the price, in a good slot, and who had none for a while."""
        share = self._world.people.share
        timely = view.contextual | (share[view.slot] >= share[view.slot :].max(axis=0))
        rested = view.step - self._last >= np.where(view.contextual, self._reason_rest, self._rest)
        sends: Bools = rested & timely & (self._world.expected_value(view.reachable) > self._price)
        self._last[sends] = view.step
        return sends


def _weekdays(weekdays: tuple[int, ...]) -> tuple[int, ...]:
    if not weekdays or not set(weekdays) <= set(EVERY_DAY):
        raise InvalidInput(f"cannot be {weekdays!r}", field="weekdays", remedy="numbers from 0 (Monday) to 6")
    return weekdays


Maker = Callable[[World], Policy]

BASELINES: dict[str, Maker] = {
    "never": lambda world: Never(),  # noqa: ARG005 (a Maker)
    "random_3": lambda world: RandomTimes(3.0, world.seed),
    "random_7": lambda world: RandomTimes(7.0, world.seed),
    "fixed_daily": lambda world: FixedTime(),  # noqa: ARG005 (a Maker)
    "fixed_three": lambda world: FixedTime(THREE_A_WEEK),  # noqa: ARG005 (a Maker)
    "histogram_three": lambda world: HistogramTime(world.n),
    "histogram_daily": lambda world: HistogramTime(world.n, EVERY_DAY),
    "greedy_oracle": GreedyOracle,
}
"""The simple policies by name, each made for one world."""
