"""What the worlds were anchored on comes out of them, on a tuning seed and with stated tolerances."""

import numpy as np
import pytest

from tactful_lab.worlds import RandomTimes, World, load, tuning_seeds
from tactful_lab.worlds.fit import dirichlet_of_counts, gamma_of_counts

N, WEEKS = 12_000, 6
P = load()


@pytest.fixture(scope="module")
def month():
    """Six weeks of three pushes a week in random slots: counts of pushes and opens by context, and the delays."""
    world, policy = World("main", N, tuning_seeds(1)[0]), RandomTimes(3.0, 1)
    pushes, opens, delays, views, online = np.zeros(2), np.zeros(2), [], [], []
    delivered = opt_outs = 0
    for _ in range(49 * WEEKS):
        view = world.view()
        views.append(view)
        online.append(view.online.mean())
        seen = world.step(policy.decide(view))
        at_once = seen.sent & view.online
        pushes += np.bincount(view.contextual[at_once], minlength=2)
        who = np.flatnonzero(seen.opens)
        for person, step in zip(who, seen.opened_step[who], strict=True):
            opens[int(views[step].contextual[person])] += views[step].online[person]
        delays.append(seen.delay_h[who])
        delivered, opt_outs = delivered + seen.delivered.sum(), opt_outs + seen.opt_outs.sum()
    return world, opens / pushes, np.concatenate(delays), np.mean(online), opt_outs / delivered


def test_generic_pushes_are_opened_3_to_5_percent(month):
    """Generic open rate 4 % ± 0.5 points (standard error 0.06 points over 110,000 pushes: 8 of them)."""
    assert month[1][0] == pytest.approx(0.04, abs=0.005)


def test_contextual_pushes_are_opened_about_14_percent(month):
    """Contextual open rate 14 % ± 2.5 points (standard error 0.7 points over 2,700 pushes)."""
    assert month[1][1] == pytest.approx(0.14, abs=0.025)


def test_half_of_the_opens_come_within_48_minutes(month):
    """Median delay 48 minutes ± 10 %: the window of a day cuts the tail (−2 %), sampling 2 % (4,500 opens)."""
    assert np.median(month[2]) == pytest.approx(P.opening.delay_median_h, rel=0.10)


def test_opt_in_and_connection_are_as_stated(month):
    """60 % opted in (± 4 standard errors, 1.8 points); devices are off-line 10 % of the time (± 0.5 points)."""
    assert month[0].people.opted_in.mean() == pytest.approx(P.reach.opt_in, abs=0.018)
    off = P.reach.to_offline / (P.reach.to_offline + P.reach.to_online)
    assert 1 - month[3] == pytest.approx(off, abs=0.005)


def test_the_hazard_is_the_stated_one_at_three_a_week(month):
    """Opt-outs per push within 30 % of the stated hazard (standard error 8 % over 130 opt-outs)."""
    assert month[4] == pytest.approx(P.opt_out.hazard, rel=0.30)


@pytest.mark.parametrize("hazard", P.opt_out.hazard_sweep)
def test_the_sweep_scales_the_hazard(hazard):
    """In the oracle's view every hazard of the sweep is the default's times its ratio, exactly up to rounding."""
    default, swept = World("main", 200, 1), World("main", 200, 1, hazard=hazard)
    ratio = hazard / P.opt_out.hazard
    np.testing.assert_allclose(
        swept.truth().opt_out_probability, ratio * default.truth().opt_out_probability, rtol=1e-5
    )


def test_simulated_people_differ_as_the_households_do():
    """Habits fitted to 4,000 simulated persons of a still world give back concentration, shares and rate shape.

    Tolerances 10 % (concentration, rate shape: standard error 2 to 3 %; sessions are at most one a slot, which takes
    a few percent from the rate's spread) and 0.01 (shares).
    """
    world, n = World("main", 4_000, tuning_seeds(2)[1]), 4_000
    counts, random = np.zeros((n, 7), np.int64), np.random.default_rng(0)
    mean = world.people.rate[:, None] * world.people.share.T
    counts += random.poisson(365 * mean / P.organic.sessions_per_basket)
    alpha = dirichlet_of_counts(counts)
    per_day, shape = gamma_of_counts(counts.sum(axis=1), 365)
    assert alpha.sum() == pytest.approx(P.habits.slot_concentration, rel=0.10)
    np.testing.assert_allclose(alpha / alpha.sum(), P.habits.slot_share, atol=0.01)
    assert shape == pytest.approx(P.habits.rate_shape, rel=0.10)
    assert per_day == pytest.approx(P.habits.baskets_per_day, rel=0.06)


def test_organic_sessions_follow_rate_hour_weekday_and_promotion():
    """Over eight weeks without pushes, sessions by slot, weekday and promotion match their expectation to 4 σ.

    Seven slots, seven weekdays and promotion on or off: 16 checks at 6e-5 each (fixed seed). Habits drift in both.
    """
    world, quiet = World("main", 4_000, tuning_seeds(3)[2]), np.zeros(4_000, np.bool_)
    got, want = np.zeros((56, 7)), np.zeros((56, 7))
    for _ in range(56 * 7):
        day, slot = world.day, world.slot
        season = P.habits.weekday_factor[day % 7] * (P.calendar.organic_factor if world.promotion else 1)
        want[day, slot] = -np.expm1(-season * world.people.rate * world.people.share[slot]).sum(dtype=float)
        got[day, slot] = world.step(quiet).sessions.sum()
    days = np.arange(56)
    promoted = np.isin((days - P.calendar.promotion_offset_d) % P.calendar.promotion_every_d, [0, 1, 2])
    groups = [days % 7 == weekday for weekday in range(7)] + [promoted, ~promoted]
    pairs = [(got[g].sum(), want[g].sum()) for g in groups]
    pairs += list(zip(got.sum(axis=0), want.sum(axis=0), strict=True))
    assert all(abs(a - b) < 4 * np.sqrt(b) for a, b in pairs)
    assert got[promoted].mean() > 1.2 * got[~promoted].mean()
