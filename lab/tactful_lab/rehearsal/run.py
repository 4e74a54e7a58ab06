"""Runs policies on the same seeds and adds up what a reader wants to see."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tactful_lab.rehearsal.options import Options
from tactful_lab.rehearsal.policies import NEVER, ORACLE, Make, make, states_chances
from tactful_lab.worlds import Outcome, Paired, Policy, World, compare, rehearse

Progress = Callable[[str, int], None]
"""Called with what runs and how many weeks of it are done since the last call."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds with its 95 % Student interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Estimate":
        """Of two or more independent values."""
        array = np.asarray(values, dtype=np.float64)
        mean, n = float(array.mean()), len(array)
        half = float(stats.t.ppf(0.975, n - 1)) * float(array.std(ddof=1)) / math.sqrt(n)
        return cls(mean, mean - half, mean + half)

    @classmethod
    def paired(cls, paired: Paired) -> "Estimate":
        """The difference of a paired comparison."""
        return cls(paired.difference, paired.low, paired.high)

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return {"value": self.value, "low_95": self.low, "high_95": self.high}


@dataclass(frozen=True, slots=True)
class Row:
    """One policy over all seeds; money in minor units per user-week, shares of 1.

    Attributes:
        policy: Its registered name.
        label: What it calls itself.
        outcomes: By seed, in order.
        loggable: Whether it states the probability of its sends.
        epsilon_spent: Central ε that it says it spent, the largest over seeds; None where it spends none.
        duration_s: Of all its runs.
    """

    policy: str
    label: str
    outcomes: tuple[Outcome, ...]
    loggable: bool
    epsilon_spent: float | None
    duration_s: float

    def figure(self, of: Callable[[Outcome], float]) -> Estimate:
        """Mean of one figure over the seeds."""
        return Estimate.of([of(outcome) for outcome in self.outcomes])

    @property
    def weekly_pushes(self) -> NDArray[np.float64]:
        """Pushes per person, (weeks,)."""
        pushes: NDArray[np.float64] = np.mean([outcome.weekly_volume for outcome in self.outcomes], axis=0)
        return pushes


@dataclass(slots=True)
class Rehearsal:
    """What came of it: rows by policy in the order of the table; ``never`` and the oracle are always there."""

    options: Options
    rows: dict[str, Row] = field(default_factory=dict)

    @property
    def shown(self) -> list[Row]:
        """The rows of the table: what was asked for, `never` first and the oracle last."""
        asked = [name for name in self.options.to_run if name not in (NEVER, ORACLE)]
        return [self.rows[name] for name in (NEVER, *asked, ORACLE)]

    def gain(self, row: Row) -> Estimate:
        """Expected net value per user-week above sending nothing, paired by seed."""
        return self._gap(row, self.rows[NEVER])

    def difference(self, row: Row) -> Estimate:
        """Expected net value per user-week above the baseline's, paired by seed."""
        return self._gap(row, self.rows[self.options.against])

    def relative(self, row: Row) -> tuple[float | None, float | None]:
        """The difference relative to the baseline's net value, and relative to the baseline's gain."""
        gap, base = self.difference(row).value, self.rows[self.options.against]
        gain, value = self.gain(base).value, base.figure(lambda o: o.expected_value_per_user_week).value
        return (gap / value if value else None), (gap / gain if gain > 0 else None)

    def opt_out_difference(self, row: Row) -> Estimate:
        """Opt-out share above the baseline's, paired by seed."""
        base = self.rows[self.options.against]
        return Estimate.paired(compare(row.outcomes, base.outcomes, figure=lambda o: o.opt_out_share))

    def regret(self, row: Row) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Expected net value per person that the oracle has above the policy, week by week; half-width of its interval.

        Shapes (weeks,), paired by seed. It may fall below 0: the oracle is greedy, not optimal.
        """
        pairs = zip(self.rows[ORACLE].outcomes, row.outcomes, strict=True)
        gaps = np.array([(best.weekly_expected_minor - ours.weekly_expected_minor) / ours.n for best, ours in pairs])
        error = gaps.std(axis=0, ddof=1) / math.sqrt(len(gaps))
        return gaps.mean(axis=0), float(stats.t.ppf(0.975, len(gaps) - 1)) * error

    @staticmethod
    def _gap(row: Row, base: Row) -> Estimate:
        return Estimate.paired(compare(row.outcomes, base.outcomes))


def run(options: Options, progress: Progress | None = None, *, maker: Make = make) -> Rehearsal:
    """Run every policy on every seed.

    Args:
        options: What is asked for.
        progress: Told of every week done.
        maker: Makes the policies.
    """
    rehearsal = Rehearsal(options)
    for name in options.to_run:
        rehearsal.rows[name] = run_policy(options, name, progress, maker=maker)
    return rehearsal


def made(options: Options, name: str, world: World, *, price: float | None = None, maker: Make = make) -> Policy:
    """Make one policy as the options say; ``price``: another fleet price than theirs."""
    asked = options.fleet_price_minor if price is None else price
    return maker(name, world, epsilon=options.epsilon, fleet_price_minor=asked, warmup_weeks=options.warmup_weeks)


def require_makeable(options: Options) -> None:
    """Check before the minutes of work that every policy can be made, on worlds of one person.

    Raises:
        InvalidInput: A policy's package is not installed.
    """
    for name in options.to_run:
        made(options, name, World(options.world, 1, options.seed_range[0], parameters=options.parameters()))


def run_policy(options: Options, name: str, progress: Progress | None = None, *, maker: Make = make) -> Row:
    """Run one policy on every seed of the options."""

    def build(world: World) -> Policy:
        return made(options, name, world, maker=maker)

    return run_seeds(options, name, build, progress)


def run_seeds(options: Options, name: str, build: Callable[[World], Policy], progress: Progress | None = None) -> Row:
    """Run what ``build`` makes on every seed of the options."""
    outcomes, spent, began, loggable, label = [], list[float](), time.monotonic(), False, name
    for seed in options.seed_range:
        world = new_world(options, seed)
        policy = build(world)
        told = _told(progress, f"{name}, seed {seed}")
        outcomes.append(rehearse(world, policy, options.weeks, warmup_weeks=options.warmup_weeks, progress=told))
        loggable, label = states_chances(policy), policy.name
        epsilon = getattr(policy, "epsilon_spent", None)
        spent += [] if epsilon is None else [float(epsilon)]
    return Row(name, label, tuple(outcomes), loggable, max(spent, default=None), time.monotonic() - began)


def _told(progress: Progress | None, text: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda _done, _of: progress(text, 1)


def new_world(options: Options, seed: int) -> World:
    """A world of these options at its first step."""
    return World(options.world, options.n, seed, hazard=options.hazard, parameters=options.parameters())
