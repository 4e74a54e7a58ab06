"""What a rehearsal varies: frequency and price for the frontier, ε and the number of people for the curve."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tactful_lab.rehearsal.options import Options
from tactful_lab.rehearsal.policies import NEVER, ORACLE, PRIVATE, Coins, Make, make
from tactful_lab.rehearsal.run import Estimate, Progress, Row, made, run_policy, run_seeds
from tactful_lab.worlds import FixedTime, HistogramTime, Policy, World, compare
from tactful_lab.worlds.registry import LEARNERS
from tactful_privacy.errors import InvalidInput

PRICES_IN_PUSHES = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0)
"""Fleet prices of the frontier, in values of a push."""
DAYS = {1: (2,), 2: (1, 4), 3: (0, 2, 4), 4: (0, 2, 4, 6), 5: (0, 1, 3, 4, 6), 7: tuple(range(7))}
"""Weekdays of a cap of so many pushes a week."""
CURVE_N, CURVE_EPSILON = (500, 2_000, 10_000, 100_000), (0.5, 1.0, 2.0, 4.0, 8.0)

Build = Callable[[World], Policy]


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the frontier: a policy at one setting.

    Attributes:
        family: Policies of one curve.
        setting: ``pushes_per_week`` or ``fleet_price_minor``.
        value: Of the setting.
        gain: Expected net value above sending nothing, minor units per user-week.
        opt_out: Share of the opted-in who withdrew.
        pushes: Per user-week.
    """

    family: str
    setting: str
    value: float
    gain: Estimate
    opt_out: Estimate
    pushes: float

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "family": self.family,
            "setting": self.setting,
            "setting_value": self.value,
            "gain_over_never_minor_per_user_week": self.gain.as_dict(),
            "opt_out_share": self.opt_out.as_dict(),
            "pushes_per_user_week": self.pushes,
        }


def frontier_plan(options: Options) -> list[tuple[str, str, float, Callable[[Make], Build]]]:
    """The runs of the frontier: (family, setting, its value, how a policy is made)."""
    plan: list[tuple[str, str, float, Callable[[Make], Build]]] = []
    for days, weekdays in DAYS.items():
        caps = {
            "random times": partial(_random, days),
            "fixed cap": partial(_fixed, weekdays),
            "histogram send time": partial(_histogram, weekdays),
        }
        plan += [(family, "pushes_per_week", days, partial(_same, build)) for family, build in caps.items()]
    numbers = options.parameters()
    push_minor = numbers.opt_out.push_open_rate * numbers.session_minor
    for name in (*(name for name in options.policies if name in LEARNERS), ORACLE):
        for pushes in PRICES_IN_PUSHES:
            price = pushes * push_minor
            plan.append((name, "fleet_price_minor", price, partial(_priced, options, name, price)))
    return plan


def _random(pushes_per_week: int, world: World) -> Policy:
    return Coins(pushes_per_week, world.seed)


def _fixed(weekdays: tuple[int, ...], world: World) -> Policy:  # noqa: ARG001 (a Build)
    return FixedTime(weekdays)


def _histogram(weekdays: tuple[int, ...], world: World) -> Policy:
    return HistogramTime(world.n, weekdays)


def _same(build: Build, maker: Make) -> Build:  # noqa: ARG001 (no name to be made)
    return build


def _priced(options: Options, name: str, price: float, maker: Make) -> Build:
    return lambda world: made(options, name, world, price=price, maker=maker)


def frontier(options: Options, never: Row, progress: Progress | None = None, *, maker: Make = make) -> list[Point]:
    """Run the frontier on the rehearsal's own seeds; ``never`` is its row of sending nothing."""
    points = []
    for family, setting, value, build in frontier_plan(options):
        row = run_seeds(options, f"{family}, {value:g}", build(maker), progress)
        points.append(_point(family, setting, value, row, never))
    return points


def _point(family: str, setting: str, value: float, row: Row, never: Row) -> Point:
    gain = Estimate.paired(compare(row.outcomes, never.outcomes))
    opt_out = row.figure(lambda outcome: outcome.opt_out_share)
    return Point(family, setting, value, gain, opt_out, row.figure(lambda o: o.pushes_per_user_week).value)


@dataclass(frozen=True, slots=True)
class Cell:
    """One point of the ε-utility curve: a policy at one ε among n people."""

    policy: str
    n: int
    epsilon: float
    gain: Estimate

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        gain = self.gain.as_dict()
        return {"policy": self.policy, "n": self.n, "central_epsilon": self.epsilon} | {
            "gain_over_never_minor_per_user_week": gain
        }


def curve_policies(options: Options) -> tuple[str, ...]:
    """Those of the options' policies whose ε can be set.

    Raises:
        InvalidInput: There is none.
    """
    found = tuple(name for name in options.policies if name in PRIVATE)
    if not found:
        remedy = f"add --policy with one of {', '.join(PRIVATE)}"
        raise InvalidInput("needs a policy that learns under an ε", field="--curve", remedy=remedy)
    return found


def curve_seconds(options: Options, rows: dict[str, Row], sizes: Sequence[int], epsilons: Sequence[float]) -> float:
    """Seconds that the curve will take, from what the rehearsal's own runs took; proportional to the people."""
    each = {name: rows[name].duration_s / options.n for name in (NEVER, *curve_policies(options))}
    return sum(sizes) * sum(took * (1 if name == NEVER else len(epsilons)) for name, took in each.items())


def curve(
    options: Options,
    sizes: Sequence[int],
    epsilons: Sequence[float],
    progress: Progress | None = None,
    *,
    maker: Make = make,
) -> list[Cell]:
    """Run the ε-utility curve on the rehearsal's own seeds."""
    cells = []
    for n in sizes:
        sized = replace(options, n=n)
        never = run_policy(sized, NEVER, progress, maker=maker)
        for name in curve_policies(options):
            for epsilon in epsilons:
                row = run_policy(replace(sized, epsilon=epsilon), name, progress, maker=maker)
                cells.append(Cell(name, n, epsilon, Estimate.paired(compare(row.outcomes, never.outcomes))))
    return cells
