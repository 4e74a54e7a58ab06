"""How fast the simulated worlds run, and whether their anchors come out; the simple policies in the main world.

Speed is processor time of one thread for whole steps: the world, and a policy that sends seven pushes a week to each
person in random slots, as many as any policy compared here. The figures of the simple policies are from reporting
seeds, without tuning.
"""

import math
import statistics
import time
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks._harness import Row
from tactful_lab.worlds import BASELINES, KINDS, Outcome, RandomTimes, World, compare, rehearse, reporting_seeds
from tactful_lab.worlds.parameters import load

SIZES = (10_000, 100_000)
SPEED_STEPS = 49
REPEATS = 5
N, WEEKS, WARMUP_WEEKS, SEEDS = 10_000, 8, 4, 5
BAR = 2e6


def person_slots_per_second(kind: str, n: int) -> float:
    """Median of `REPEATS` weeks, the first of which comes after a week that warms up caches and fatigue."""
    world, policy, rates = World(kind, n, seed=0), RandomTimes(7.0, seed=0), []
    for _ in range(REPEATS + 1):
        start = time.process_time()
        for _ in range(SPEED_STEPS):
            world.step(policy.decide(world.view()))
        rates.append(n * SPEED_STEPS / (time.process_time() - start))
    return statistics.median(rates[1:])


def speeds() -> Iterator[Row]:
    for kind in KINDS:
        for n in SIZES if kind == "main" else SIZES[:1]:
            rate = person_slots_per_second(kind, n)
            yield Row(f"speed, {kind}, {n:,} persons", rate, "person-slots per second", "bar", BAR)


def anchors() -> Iterator[Row]:
    """Open rates and delay under three pushes a week in random slots, over pushes to devices that are on-line."""
    parameters = load()
    world, policy = World("main", 40_000, seed=reporting_seeds(1)[0]), RandomTimes(3.0, seed=0)
    pushes, opens, delays, contexts, connected = np.zeros(2), np.zeros(2), [], [], []
    for _ in range(49 * WEEKS):
        view = world.view()
        contexts.append(view.contextual)
        connected.append(view.online)
        seen = world.step(policy.decide(view))
        arrived = seen.sent & view.online
        pushes += [np.count_nonzero(arrived & ~view.contextual), np.count_nonzero(arrived & view.contextual)]
        who = np.flatnonzero(seen.opens)
        kind = [contexts[step][i] for step, i in zip(seen.opened_step[who], who, strict=True)]
        at_once = [connected[step][i] for step, i in zip(seen.opened_step[who], who, strict=True)]
        opens += np.bincount(np.array(kind, dtype=np.intp)[np.array(at_once, dtype=np.bool_)], minlength=2)
        delays.append(seen.delay_h[who])
    yield Row("open rate, generic", opens[0] / pushes[0], "1", "anchor (3-5 %)", 0.04)
    yield Row("open rate, contextual", opens[1] / pushes[1], "1", "anchor", 0.14)
    median_h = float(np.median(np.concatenate(delays)))
    yield Row("delay to the open, median", 60 * median_h, "minutes", "anchor", 60 * parameters.opening.delay_median_h)
    yield Row("opted in", world.people.opted_in.mean(), "1", "anchor", parameters.reach.opt_in)


def outcomes(kind: str, name: str) -> list[Outcome]:
    worlds = (World(kind, N, seed) for seed in reporting_seeds(SEEDS))
    return [rehearse(world, BASELINES[name](world), WEEKS, warmup_weeks=WARMUP_WEEKS) for world in worlds]


def policies() -> Iterator[Row]:
    for kind in KINDS:
        never = outcomes(kind, "never")
        for name in BASELINES:
            if name == "never":
                continue
            ran = outcomes(kind, name)
            gain = compare(ran, never)
            label = f"{kind}, {ran[0].policy}"
            yield Row(f"{label}: gain over never", gain.difference, "minor units per user-week")
            yield Row(f"{label}: gain over never, 95 % low", gain.low, "minor units per user-week")
            yield Row(f"{label}: gain over never, 95 % high", gain.high, "minor units per user-week")
            yield Row(f"{label}: opt-out share", _mean([o.opt_out_share for o in ran]), "1")
            yield Row(f"{label}: pushes", _mean([o.pushes_per_user_week for o in ran]), "per user-week")


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def run() -> list[Row]:
    """Speed, anchors and the simple policies in every kind of world; about two minutes."""
    return [*speeds(), *anchors(), *policies()]


if __name__ == "__main__":
    for row in run():
        print(f"{row.name:66} {row.value:14.6g} {row.unit} {row.reference} {row.reference_value or ''}")
