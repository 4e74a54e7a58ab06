"""Push logs from simulated worlds, written by a policy that decides by chance, with what other policies are worth.

Once a day, in a slot drawn for each person and day, a push is offered to whoever can be reached; it is sent with a
probability that rises with a reason of the person's own and falls with recent pushes. A person engages if they use the
app in that slot or open the push within a day.

Two truths of a target policy, per decision. ``single``: it decides once, everything before being as it was logged. From
the world's own open probability o of a push and the use u₀ of the slot without it, the value of a decision is
q·o + (1 − q·o)·u₀, and u₀ is seen wherever the push was not opened. ``windowed``: it decides for a window of days, in
the state that the logging policy left; found by letting it do so.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from tactful.evaluation import EvaluationSpec, Target
from tactful.evaluation_sums import DecisionTable
from tactful_lab.datasets.completejourney import N_SLOTS
from tactful_lab.evaluation.log import PushLog
from tactful_lab.worlds import World
from tactful_privacy.validate import at_least

Bools = NDArray[np.bool_]
DAYS = 14
WINDOW_D = 7
DAY_S = 86_400.0
FLOOR, CEILING = 0.1, 0.7
_HALF_LIFE_D = 3.0
_MARKS = ("eligible", "sent", "engaged", "opened", "opted_out")


@dataclass(frozen=True, slots=True, eq=False)
class WorldLog:
    """Decisions of N persons over some days, at most one a day: arrays (N, days).

    Attributes:
        eligible: whether there was a decision.
        propensity: logged probability of a send.
        sent: whether it was sent.
        engaged: whether the person engaged.
        opened: whether the push was opened within a day.
        opted_out: whether the push cost the permission.
        open_probability: the world's own, of a push; zeros unless asked for.
    """

    eligible: Bools
    propensity: NDArray[np.float32]
    sent: Bools
    engaged: Bools
    opened: Bools
    opted_out: Bools
    open_probability: NDArray[np.float32]

    def people(self, first: int, last: int) -> "WorldLog":
        """The log of some persons."""
        return WorldLog(**{each.name: getattr(self, each.name)[first:last] for each in fields(self)})

    def table(self) -> DecisionTable:
        """As a device sees its decisions."""
        rows = self.eligible
        bounds = np.concatenate([[0], np.cumsum(rows.sum(axis=1))]).astype(np.int64)
        columns = (self.sent, self.propensity, self.engaged, self.opted_out)
        sent, propensity, engaged, opted_out = (column[rows].astype(np.float64) for column in columns)
        day = np.nonzero(rows)[1].astype(np.int64)
        return DecisionTable(sent, propensity, engaged, opted_out, day, bounds)

    def push_log(self, spec: EvaluationSpec) -> PushLog:
        """As a central log, with each target's probability of a send in a column of its name."""
        who, day = np.nonzero(self.eligible)
        propensity = self.propensity[who, day].astype(np.float64)
        users = np.unique(who, return_inverse=True)[1]
        return PushLog(
            user=users.astype(np.int64),
            time_s=np.asarray(day * DAY_S, dtype=np.float64),
            sent=self.sent[who, day],
            send_propensity=propensity,
            outcomes={"engaged": self.engaged[who, day].astype(np.float64)},
            columns={target.name: target.probability(propensity, None, spec) for target in spec.targets},
        )

    def truth(self, target: Target, spec: EvaluationSpec) -> tuple[float, float]:
        """Sum over decisions of the target's expected engagement, and their number; needs ``open_probability``."""
        rows = self.eligible
        o, sent, opened = self.open_probability[rows], self.sent[rows], self.opened[rows]
        q = target.probability(self.propensity[rows].astype(np.float64), None, spec)
        used = self.engaged[rows] & ~opened
        alone = used / (1.0 - sent * o)  # seen with probability 1 − sent·o, and unbiased so
        return float(np.sum(q * o + (1.0 - q * o) * alone)), float(rows.sum())


def record(
    kind: str,
    n: int,
    seed: int,
    *,
    days: int = DAYS,
    instead: tuple[Target, EvaluationSpec] | None = None,
    follow: Callable[[int], bool] = lambda _day: False,
    truth: bool = False,
) -> WorldLog:
    """Run a world and log it.

    Args:
        kind: of world, one of `tactful_lab.worlds.KINDS`.
        n: persons.
        seed: of the world; the policy's coins have a stream of their own.
        days: with decisions; one more is lived through, so that every open is seen.
        instead: a target policy that decides in the place of the logging one …
        follow: … on the days for which this is true. The logged propensity is then the target's.
        truth: whether to keep the world's open probability.
    """
    at_least(1, n=n, days=days)
    world, run = World(kind, n, seed), _Run(n, days, np.random.default_rng([seed, 991]))
    for _ in range((days + 1) * N_SLOTS):
        run.step(world, instead if follow(world.day) else None, truth)
    return run.log()


class _Run:
    """The log while it grows: rows of (days, N), since a step is about all persons."""

    def __init__(self, n: int, days: int, random: np.random.Generator) -> None:
        self.days, self.random = days, random
        self.marks = {name: np.zeros((days, n), np.bool_) for name in _MARKS}
        self.numbers = {name: np.zeros((days, n), np.float32) for name in ("propensity", "open_probability")}
        self.due = np.zeros(n, np.int64)
        self.recent = np.zeros(n, np.float32)

    def step(self, world: World, instead: tuple[Target, EvaluationSpec] | None, truth: bool) -> None:
        view = world.view()
        if view.slot == 0:
            self.due = self.random.integers(0, N_SLOTS, len(self.due))
            self.recent *= np.float32(0.5 ** (1 / _HALF_LIFE_D))
        here = view.reachable & view.online & (self.due == view.slot)
        who = np.flatnonzero(here) if view.day < self.days else np.zeros(0, np.intp)
        chance = 0.35 + 0.25 * view.contextual[who] - 0.06 * self.recent[who].astype(np.float64)
        chance = np.clip(chance, FLOOR, CEILING)
        if instead is not None:
            chance = instead[0].probability(chance, None, instead[1])
        send = np.zeros(len(here), np.bool_)
        send[who] = (
            self.random.random(len(here))[who] < chance
        )  # a coin for everybody, so that runs of a seed are paired
        if view.day < self.days:
            self.marks["eligible"][view.day, who] = True
            self.numbers["propensity"][view.day, who] = chance
            self.marks["sent"][view.day] |= send
            if truth:
                self.numbers["open_probability"][view.day, who] = world.truth().open_probability[who]
        self._see(world, view.day, who, send)

    def _see(self, world: World, day: int, who: NDArray[np.intp], send: Bools) -> None:
        """Live through the slot; opens belong to the day on which their push was sent."""
        seen = world.step(send)
        self.recent += send
        if len(who):
            self.marks["engaged"][day, who] |= seen.sessions[who] > 0
            self.marks["opted_out"][day, who] = seen.opt_outs[who]
        openers = np.flatnonzero(seen.opens)
        sent_on = seen.opened_step[openers] // N_SLOTS
        self.marks["opened"][sent_on, openers] = True

    def log(self) -> WorldLog:
        eligible, sent, engaged, opened, opted_out = (np.ascontiguousarray(self.marks[name].T) for name in _MARKS)
        propensity, chance = (np.ascontiguousarray(number.T) for number in self.numbers.values())
        return WorldLog(eligible, propensity, sent, engaged | opened, opened, opted_out, chance)
