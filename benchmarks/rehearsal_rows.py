"""From outcomes to rows: gains, paired differences and ratios with intervals over seeds, and the bars.

A ratio of two means over the same seeds has the interval of its linearisation: residuals a − r·b, Student's t, divided
by the mean of b. With three seeds that is wide, and is shown so.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from benchmarks._harness import Row
from benchmarks.rehearsal_cells import Cache, Cell
from tactful_lab.worlds import Outcome, compare
from tactful_lab.worlds.rehearse import expected_value

UNIT = "minor units per user-week"
AT_LEAST, AT_MOST, ABOVE = "bar, at least", "bar, at most", "bar, above"
SHOWN_BY_WEEK = ("fixed_daily", "histogram_daily", "logistic_paced", "central", "cold_start", "tactful, ε = 4")
TACTFUL = "tactful, ε = 4"
ABLATIONS = ("no_personal_layer", "no_forgetting", "explores_more")
LEARNED = (
    "tactful",
    "central",
    "local_only",
    "cold_start",
    "thompson_no_fatigue",
    *ABLATIONS,
    "vowpal_wabbit",
    "mabwiser",
)
PEERS = ("histogram_three", "histogram_daily", "logistic_three", "logistic_daily", "logistic_paced")


@dataclass(frozen=True, slots=True)
class Group:
    """Policies in the same worlds: a label, and for each policy its cells, seed by seed."""

    label: str
    cells: Mapping[str, Sequence[Cell]]

    def outcomes(self, kept: Cache) -> dict[str, list[Outcome]]:
        """Outcomes of those policies all of whose cells are there."""
        found = {name: kept.outcomes(cells) for name, cells in self.cells.items()}
        return {name: ran for name, ran in found.items() if len(ran) > 1}


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float) -> "Interval":
        """All three times a factor above 0."""
        return Interval(self.value * factor, self.low * factor, self.high * factor)


def difference(ours: Sequence[Outcome], theirs: Sequence[Outcome]) -> Interval:
    """Paired difference of the expected net value."""
    paired = compare(ours, theirs)
    return Interval(paired.difference, paired.low, paired.high)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """Ratio of the means of paired figures (seeds,); not a number where the denominator is 0."""
    a, b = np.array(ours), np.array(theirs)
    if b.mean() == 0:
        return Interval(math.nan, math.nan, math.nan)
    found = float(a.mean() / b.mean())
    error = float((a - found * b).std(ddof=1)) / math.sqrt(len(a)) / abs(float(b.mean()))
    half = float(stats.t.ppf(0.975, len(a) - 1)) * error
    return Interval(found, found - half, found + half)


def gains(ran: Sequence[Outcome], never: Sequence[Outcome]) -> list[float]:
    """Gain over never, seed by seed."""
    return [expected_value(a) - expected_value(b) for a, b in zip(ran, never, strict=True)]


def with_interval(name: str, figure: Interval, unit: str) -> Iterator[Row]:
    """A figure and its ends as three rows."""
    yield Row(name, figure.value, unit)
    yield Row(f"{name}, 95 % low", figure.low, unit)
    yield Row(f"{name}, 95 % high", figure.high, unit)


def _mean(ran: Sequence[Outcome], figure: Callable[[Outcome], float]) -> float:
    return math.fsum(figure(o) for o in ran) / len(ran)


def comparison_rows(kept: Cache, group: Group, peers: Sequence[str]) -> Iterator[Row]:
    """Gain, net value, opt-out and volume of each policy, and its paired difference to the peers."""
    ran = group.outcomes(kept)
    never = ran.get("never")
    if never is None:
        return
    yield Row(f"{group.label} · seeds", len(never), "seeds")
    for name, outcomes in ran.items():
        head = f"{group.label} · {name}"
        yield Row(f"{head} · net value", _mean(outcomes, expected_value), UNIT)
        if name == "never":
            continue
        yield from with_interval(f"{head} · gain over never", difference(outcomes, never), UNIT)
        yield Row(f"{head} · opt-out share", _mean(outcomes, lambda o: o.opt_out_share), "1")
        yield Row(f"{head} · pushes", _mean(outcomes, lambda o: o.pushes_per_user_week), "per user-week")
        if name.startswith(LEARNED):
            yield from _against(head, outcomes, never, {p: ran[p] for p in peers if p in ran})


def _against(
    head: str, ours: Sequence[Outcome], never: Sequence[Outcome], peers: Mapping[str, Sequence[Outcome]]
) -> Iterator[Row]:
    for peer, theirs in peers.items():
        gap, value, gain = difference(ours, theirs), _mean(theirs, expected_value), difference(theirs, never).value
        yield from with_interval(f"{head} · minus {peer}", gap, UNIT)
        yield from with_interval(f"{head} · minus {peer}, of its net value", gap.scaled(100 / value), "%")
        if gain > 0:
            yield from with_interval(f"{head} · minus {peer}, of its gain", gap.scaled(100 / gain), "%")


def series_rows(kept: Cache, group: Group) -> Iterator[Row]:
    """Gain over never and pushes sent, week by week."""
    ran = group.outcomes(kept)
    for name in SHOWN_BY_WEEK if "never" in ran else ():
        for week, pairs in enumerate(_by_week(ran[name], ran["never"]) if name in ran else (), start=1):
            head = f"{group.label} · {name} · week {week}"
            yield Row(f"{head} · gain over never", pairs[0], UNIT)
            yield Row(f"{head} · pushes", pairs[1], "per user-week")


def _by_week(ran: Sequence[Outcome], never: Sequence[Outcome]) -> list[tuple[float, float]]:
    gained = [(a.weekly_expected_minor - b.weekly_expected_minor) / a.n for a, b in zip(ran, never, strict=True)]
    volume = [o.weekly_volume for o in ran]
    return [(float(g), float(v)) for g, v in zip(np.mean(gained, axis=0), np.mean(volume, axis=0), strict=True)]


def bars(kept: Cache, groups: Sequence[Group], prices: Mapping[str, tuple[float, Group]]) -> Iterator[Row]:
    """The bars, each with the figure that is held against it: the lower end where an interval is asked for."""
    for group in groups:
        ran = group.outcomes(kept)
        if "never" not in ran or not group.label.endswith(("N = 10,000", "N = 100,000")):
            continue
        if group.label.endswith("N = 10,000"):
            yield from _peer_bars(group.label, ran)
        yield from _kept_bars(group.label, ran)
    for cap, (_, group) in prices.items():
        yield from _cap_bars(cap, group.outcomes(kept))


def _peer_bars(label: str, ran: Mapping[str, Sequence[Outcome]]) -> Iterator[Row]:
    for name in ran if label.startswith("main") else (TACTFUL,):
        epsilon = float(name.removeprefix("tactful, ε = ")) if name.startswith("tactful") else math.inf
        for peer in PEERS if epsilon <= 4 and name in ran else ():
            if peer not in ran:
                continue
            gap = difference(ran[name], ran[peer])
            head = f"bar · {label} · {name} minus {peer}, 95 % low"
            if label.startswith("main"):
                yield Row(head, gap.low, UNIT, ABOVE, 0.0)
            else:
                share = gap.low / _mean(ran[peer], expected_value)
                yield Row(f"{head}, of its net value", 100 * share, "%", AT_LEAST, -1.0)


def _kept_bars(label: str, ran: Mapping[str, Sequence[Outcome]]) -> Iterator[Row]:
    if not label.startswith("main") or "central" not in ran:
        return
    central = gains(ran["central"], ran["never"])
    for name, outcomes in ran.items():
        if name.startswith("tactful"):
            share = ratio(gains(outcomes, ran["never"]), central)
            head = f"bar · {label} · {name}, share of central's gain kept"
            bar = {"10,000": 0.8, "100,000": 0.95}[label.rsplit(" ", 1)[1]]
            held = (AT_LEAST, bar) if name == TACTFUL else ("", None)
            yield Row(head, share.value, "1", *held)
            yield Row(f"{head}, 95 % low", share.low, "1")
            yield Row(f"{head}, 95 % high", share.high, "1")


def _cap_bars(cap: str, ran: Mapping[str, Sequence[Outcome]]) -> Iterator[Row]:
    if not {TACTFUL, cap} <= set(ran):
        return
    ours, theirs = ran[TACTFUL], ran[cap]
    left = ratio([o.opt_out_share for o in ours], [o.opt_out_share for o in theirs])
    sent = ratio([o.pushes_per_user_week for o in ours], [o.pushes_per_user_week for o in theirs])
    head = f"bar · {TACTFUL} against {cap}"
    yield Row(f"{head}, opt-out ratio", left.value, "1", AT_MOST, 0.8)
    yield Row(f"{head}, opt-out ratio, 95 % low", left.low, "1")
    yield Row(f"{head}, opt-out ratio, 95 % high", left.high, "1")
    yield Row(f"{head}, volume ratio", sent.value, "1", AT_MOST, 1.0)
