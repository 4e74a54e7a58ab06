"""Run a policy through a world and add up; compare policies on the same seeds."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tactful_lab.datasets.completejourney import N_SLOTS
from tactful_lab.worlds.policies import Policy
from tactful_lab.worlds.seen import Observed
from tactful_lab.worlds.world import World
from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least, fraction

SLOTS_PER_WEEK = 7 * N_SLOTS
_COUNTED = ("sent", "delivered", "expired", "opens", "sessions", "conversions", "opt_outs")
Weekly = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a policy came to in one world; money in minor units, weekly arrays of shape (weeks,).

    Net value is the margin of all orders, organic ones too, less C_out for every opt-out: subtract `Never`'s for what
    the pushes brought. ``expected`` net value replaces each order by its chance: same mean, less noise.

    Attributes:
        kind: Name of the kind of world.
        policy: Name of the policy.
        seed: The world's seed.
        n: Persons.
        weeks: Length of the rehearsal, after the warm-up.
        warmup_weeks: Weeks without a push before it, from which the policy learned and which are not counted.
        hazard: The world's opt-out hazard per push.
        parameters_fingerprint: SHA-256 of the parameters.
        opted_in: Persons who allowed pushes at the start.
        weekly_net_minor: Net value of all persons.
        weekly_expected_minor: Expected net value of all persons.
        weekly: Counts of all persons by name: sent, delivered, expired, opens, sessions, conversions, opt_outs.
        censored_opens: Opens that had been decided and came after the horizon.
        censored_pushes: Pushes that still waited for their device at the horizon.
    """

    kind: str
    policy: str
    seed: int
    n: int
    weeks: int
    warmup_weeks: int
    hazard: float
    parameters_fingerprint: str
    opted_in: int
    weekly_net_minor: Weekly
    weekly_expected_minor: Weekly
    weekly: dict[str, Weekly]
    censored_opens: int
    censored_pushes: int

    @property
    def net_value_per_user_week(self) -> float:
        """Minor units."""
        return float(self.weekly_net_minor.sum()) / (self.n * self.weeks)

    @property
    def expected_value_per_user_week(self) -> float:
        """Minor units, orders replaced by their chance."""
        return float(self.weekly_expected_minor.sum()) / (self.n * self.weeks)

    @property
    def opt_out_share(self) -> float:
        """Share of those who allowed pushes at the start and do so no more."""
        return self._total("opt_outs") / max(self.opted_in, 1)

    @property
    def pushes_per_user_week(self) -> float:
        """Sends, over all persons (those out of reach included)."""
        return self._total("sent") / (self.n * self.weeks)

    @property
    def weekly_volume(self) -> Weekly:
        """Pushes sent per person, week by week."""
        return self.weekly["sent"] / self.n

    @property
    def open_rate(self) -> float:
        """Opens over delivered pushes; nan where nothing was delivered."""
        return self._total("opens") / delivered if (delivered := self._total("delivered")) else math.nan

    @property
    def opt_outs_per_push(self) -> float:
        """Opt-outs over delivered pushes; nan where nothing was delivered."""
        return self._total("opt_outs") / delivered if (delivered := self._total("delivered")) else math.nan

    def _total(self, name: str) -> float:
        return float(self.weekly[name].sum())


@dataclass(slots=True)
class _Sums:
    """Weekly sums while a rehearsal runs."""

    weeks: int
    opt_out_cost_minor: float
    net: Weekly = field(init=False)
    expected: Weekly = field(init=False)
    counts: dict[str, Weekly] = field(init=False)

    def __post_init__(self) -> None:
        self.net, self.expected = np.zeros(self.weeks), np.zeros(self.weeks)
        self.counts = {name: np.zeros(self.weeks) for name in _COUNTED}

    def add(self, week: int, seen: Observed) -> None:
        for name, sums in self.counts.items():
            sums[week] += np.count_nonzero(seen.sent) if name == "sent" else float(getattr(seen, name).sum())
        lost = self.opt_out_cost_minor * float(seen.opt_outs.sum())
        self.net[week] += float(seen.value_minor.sum(dtype=np.float64)) - lost
        self.expected[week] += float(seen.expected_minor.sum(dtype=np.float64)) - lost


def rehearse(
    world: World,
    policy: Policy,
    weeks: int,
    *,
    warmup_weeks: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Let a policy decide for every slot of some weeks; the world must be new.

    Args:
        world: A world at its first step; it is used up.
        policy: The policy, told of every step.
        weeks: How many weeks.
        warmup_weeks: Weeks before them in which nothing is sent and the policy is told what it would be told: the
            history that a shop has.
        progress: Called with the weeks done and the weeks in all.

    Raises:
        InvalidInput: The world has begun, or weeks < 1, or the warm-up is below 0.
    """
    at_least(1, weeks=weeks)
    at_least(0, warmup_weeks=warmup_weeks)
    if world.step_number:
        raise InvalidInput("has begun already", field="world", remedy="make a new one for each rehearsal")
    sums = _Sums(weeks, world.parameters.opt_out_cost_minor)
    nobody = np.zeros(world.n, np.bool_)
    for _ in range(warmup_weeks * SLOTS_PER_WEEK):
        view = world.view()
        policy.learn(view, nobody, world.step(nobody))
    for week in range(weeks):
        for _ in range(SLOTS_PER_WEEK):
            view = world.view()
            send = policy.decide(view)
            seen = world.step(send)
            policy.learn(view, send, seen)
            sums.add(week, seen)
        if progress is not None:
            progress(week + 1, weeks)
    return _outcome(world, policy, sums, warmup_weeks)


def _outcome(world: World, policy: Policy, sums: _Sums, warmup_weeks: int) -> Outcome:
    return Outcome(
        kind=world.kind.name,
        policy=policy.name,
        seed=world.seed,
        n=world.n,
        weeks=sums.weeks,
        warmup_weeks=warmup_weeks,
        hazard=world.hazard,
        parameters_fingerprint=world.parameters.fingerprint,
        opted_in=int(world.people.opted_in.sum()),
        weekly_net_minor=sums.net,
        weekly_expected_minor=sums.expected,
        weekly=sums.counts,
        censored_opens=world.opens_in_flight,
        censored_pushes=world.pushes_waiting,
    )


@dataclass(frozen=True, slots=True)
class Paired:
    """Mean difference of two policies over paired seeds and its Student interval; ``ratio`` is mean / baseline mean."""

    difference: float
    low: float
    high: float
    ratio: float
    pairs: int
    level: float = 0.95

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval lies above 0."""
        return self.low > 0


def expected_value(outcome: Outcome) -> float:
    """The figure compared by default: expected net value per user-week, minor units."""
    return outcome.expected_value_per_user_week


def compare(
    candidate: Sequence[Outcome],
    baseline: Sequence[Outcome],
    *,
    figure: Callable[[Outcome], float] = expected_value,
    level: float = 0.95,
) -> Paired:
    """Compare two policies over the same worlds, seed by seed, with seeds as the independent units.

    Raises:
        InvalidInput: Fewer than two pairs, worlds that are not the same, or seeds that occur twice.
    """
    fraction(level=level)
    if len(candidate) < 2 or [_world(o) for o in candidate] != [_world(o) for o in baseline]:
        raise InvalidInput("need two or more outcomes each, of the same worlds in the same order", field="baseline")
    if len({o.seed for o in candidate}) < len(candidate):
        raise InvalidInput("occur twice", field="seeds", remedy="rehearse every seed once")
    ours, theirs = (np.array([figure(o) for o in outcomes]) for outcomes in (candidate, baseline))
    gaps = ours - theirs
    mean, error = float(gaps.mean()), float(gaps.std(ddof=1)) / math.sqrt(len(gaps))
    half = float(stats.t.ppf((1 + level) / 2, len(gaps) - 1)) * error
    ratio = mean / float(theirs.mean()) if theirs.mean() else math.nan
    return Paired(mean, mean - half, mean + half, ratio, len(gaps), level)


def _world(outcome: Outcome) -> tuple[str, int, int, int, int, float, str]:
    o = outcome
    return (o.kind, o.seed, o.n, o.weeks, o.warmup_weeks, o.hazard, o.parameters_fingerprint)
