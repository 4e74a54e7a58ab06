"""Rehearsals are reproducible and paired by seed, and the simple policies come out in a sane order."""

from itertools import pairwise

import numpy as np
import pytest

from tactful_lab.worlds import (
    BASELINES,
    FixedTime,
    HistogramTime,
    Never,
    RandomTimes,
    World,
    compare,
    rehearse,
    tuning_seeds,
)
from tactful_privacy.errors import InvalidInput

N, WEEKS = 2_500, 4
SEEDS = tuning_seeds(4)


def run(kind, name, seed, n=N, weeks=WEEKS):
    world = World(kind, n, seed)
    return rehearse(world, BASELINES[name](world), weeks, warmup_weeks=2)


@pytest.fixture(scope="module")
def main_world():
    return {name: [run("main", name, seed) for seed in SEEDS] for name in BASELINES}


def test_one_seed_is_one_story():
    """The same kind, seed and policy give the same weekly figures to the bit; another seed gives others."""
    first, second, other = run("main", "random_7", 1), run("main", "random_7", 1), run("main", "random_7", 2)
    assert np.array_equal(first.weekly_net_minor, second.weekly_net_minor)
    assert all(np.array_equal(first.weekly[name], second.weekly[name]) for name in first.weekly)
    assert first.net_value_per_user_week != other.net_value_per_user_week


def test_who_never_sends_loses_nobody(main_world):
    """Never: no push, no open, no opt-out, undefined open rate; expected and realised value agree within 16 %."""
    for outcome in main_world["never"]:
        assert outcome.pushes_per_user_week == outcome.opt_out_share == outcome.censored_opens == 0
        assert np.isnan(outcome.open_rate)
        assert np.isnan(outcome.opt_outs_per_push)
        # about 900 orders: standard error 4 % with the spread of margins
        assert outcome.net_value_per_user_week == pytest.approx(outcome.expected_value_per_user_week, rel=0.16)


def test_volumes_are_those_of_the_policies(main_world):
    """Sends per reachable person are near the stated number a week, and no more; weekly volume sums to the total."""
    for name, wanted in {"random_3": 3, "fixed_three": 3, "histogram_three": 3, "fixed_daily": 7}.items():
        for outcome in main_world[name]:
            reachable = outcome.opted_in / outcome.n
            assert outcome.pushes_per_user_week / reachable == pytest.approx(wanted, rel=0.12)
            assert outcome.weekly_volume.mean() == pytest.approx(outcome.pushes_per_user_week)


def test_timing_beats_the_clock_and_the_clock_beats_chance(main_world):
    """At three a week in main: histogram > evening > random > never in expected value, each paired interval above 0."""
    order = ["histogram_three", "fixed_three", "random_3", "never"]
    for better, worse in pairwise(order):
        assert compare(main_world[better], main_world[worse]).above_zero, (better, worse)


def test_the_oracle_beats_every_simple_policy(main_world):
    """Whoever knows each person's response and the hazard does better than all others, paired interval above 0."""
    for name, outcomes in main_world.items():
        if name != "greedy_oracle":
            assert compare(main_world["greedy_oracle"], outcomes).above_zero, name


def test_more_pushes_cost_more_permissions_and_open_less(main_world):
    """Daily against three a week, in main: several times the opt-outs, and a lower open rate."""
    for daily, three in zip(main_world["fixed_daily"], main_world["fixed_three"], strict=True):
        assert daily.opt_out_share > 3 * three.opt_out_share
        assert daily.open_rate < 0.8 * three.open_rate


def test_holding_back_loses_where_nobody_tires():
    """Without fatigue, daily pushes earn more than three a week, by a paired interval above 0."""
    daily, three = ([run("no_fatigue", f"histogram_{often}", s) for s in SEEDS] for often in ("daily", "three"))
    assert compare(daily, three).above_zero


def test_a_comparison_is_the_t_interval_of_paired_gaps(main_world):
    """Difference, interval and ratio equal the textbook formula; a policy against itself differs by 0."""
    ours, theirs = main_world["fixed_daily"], main_world["fixed_three"]
    found = compare(ours, theirs, figure=lambda o: o.opt_out_share)
    gaps = np.array([a.opt_out_share - b.opt_out_share for a, b in zip(ours, theirs, strict=True)])
    half = 3.182446 * gaps.std(ddof=1) / 2  # t quantile .975 with 3 degrees of freedom
    assert found.difference == pytest.approx(gaps.mean())
    assert (found.low, found.high) == pytest.approx((gaps.mean() - half, gaps.mean() + half), rel=1e-6)
    assert found.ratio == pytest.approx(gaps.mean() / np.mean([o.opt_out_share for o in theirs]))
    same = compare(ours, ours)
    assert (same.difference, same.low, same.high, same.above_zero) == (0.0, 0.0, 0.0, False)


def test_pairs_must_be_of_the_same_worlds(main_world):
    """Other seeds, another kind, one pair, or a seed twice are refused."""
    ours = main_world["never"]
    other = [run("no_fatigue", "never", seed, weeks=1) for seed in SEEDS]
    for a, b in ((ours, ours[::-1]), (ours, other), (ours[:1], ours[:1]), ([ours[0]] * 2, [ours[0]] * 2)):
        with pytest.raises(InvalidInput):
            compare(a, b)


def test_opens_after_the_horizon_are_counted_as_censored():
    """With a push to everybody in the last slot of the horizon, opens are left in flight and said to be."""
    outcome = rehearse(World("main", N, 3), FixedTime((6,), slot=6), 1)
    assert outcome.censored_opens > 0 < outcome.censored_pushes
    sent = outcome.weekly["sent"].sum()
    assert sent == outcome.weekly["delivered"].sum() + outcome.weekly["expired"].sum() + outcome.censored_pushes


def test_progress_is_told_week_by_week_and_a_used_world_is_refused():
    """The callback sees (1, 2), (2, 2); a second rehearsal in the same world is an error."""
    told, world = [], World("main", 50, 1)
    rehearse(world, Never(), 2, progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 2), (2, 2)]
    with pytest.raises(InvalidInput, match="world"):
        rehearse(world, Never(), 1)


def test_the_warm_up_teaches_and_does_not_count():
    """After a warm-up without pushes the histogram opens more, and no push of it is in the outcome's weeks."""
    outcomes = []
    for warmup in (0, 8):
        world = World("main", 6_000, 5)
        outcomes.append(rehearse(world, HistogramTime(6_000), 2, warmup_weeks=warmup))
    cold, warm = outcomes
    assert warm.open_rate > cold.open_rate
    assert len(warm.weekly_volume) == warm.weeks == 2
    assert warm.warmup_weeks == 8


@pytest.mark.parametrize(
    "make",
    [
        lambda: RandomTimes(0.0, 1),
        lambda: RandomTimes(50.0, 1),
        lambda: FixedTime((7,)),
        lambda: FixedTime(()),
        lambda: HistogramTime(0),
        lambda: rehearse(World("main", 5, 1), Never(), 0),
    ],
)
def test_impossible_policies_are_refused(make):
    """Volumes and weekdays that cannot be are named when the policy is made."""
    with pytest.raises(InvalidInput):
        make()


def test_net_value_is_margin_less_the_cost_of_opt_outs():
    """Weekly figures equal a plain loop over the same world: margins, expected margins, and C_out for each opt-out."""
    outcome = rehearse(World("main", 400, 6, hazard=0.02), FixedTime(), 1)
    world, policy = World("main", 400, 6, hazard=0.02), FixedTime()
    seen = [world.step(policy.decide(world.view())) for _ in range(49)]
    lost = world.parameters.opt_out_cost_minor * sum(int(s.opt_outs.sum()) for s in seen)
    assert lost > 0
    assert outcome.weekly_net_minor[0] == pytest.approx(sum(float(s.value_minor.sum()) for s in seen) - lost, rel=1e-5)
    expected = sum(float(s.expected_minor.sum()) for s in seen) - lost
    assert outcome.weekly_expected_minor[0] == pytest.approx(expected, rel=1e-5)
