"""Each misspecified kind differs from main in the way it says, and only in that way."""

import numpy as np
import pytest

from tactful_lab.worlds import KINDS, World, load
from tactful_lab.worlds.kinds import Doses

P = load()
N = 2_000


def factors(kind, tired=0.0, recent=0.0, habit=0.0):
    """Opening and hazard factors of all persons at one dose."""
    world = World(kind, N, 1)
    doses = Doses(*(np.full(N, x, np.float32) for x in (tired, recent, habit)), np.arange(N))
    return world.kind.opening(doses, world.people, P), world.kind.hazard(doses, world.people, P)


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_hold_the_same_people(kind):
    """One seed gives the same persons, permissions and first slot in every kind."""
    main, other = World("main", N, 9), World(kind, N, 9)
    for name in ("rate", "share", "open_base", "margin_minor", "half_life_d", "threshold", "opted_in"):
        assert np.array_equal(getattr(main.people, name), getattr(other.people, name)), name
    quiet = np.zeros(N, np.bool_)
    assert np.array_equal(main.step(quiet).sessions, other.step(quiet).sessions)


def test_main_tires_smoothly_and_saturates_differently_for_each():
    """Opening falls with the dose, is halved at the personal D50, and the hazard rises within its two bounds."""
    doses = (0.0, 1.0, 3.0, 6.0, 30.0)
    openings = np.stack([factors("main", tired=d)[0] for d in doses])
    assert np.all(openings[0] == 1)
    assert np.all(np.diff(openings, axis=0) < 0)
    world = World("main", N, 1)
    at_half = world.kind.opening(Doses(*[world.people.half_dose] * 3, np.arange(N)), world.people, P)
    np.testing.assert_allclose(at_half, 0.5, rtol=1e-6)
    hazards = [factors("main", recent=d)[1][0] for d in doses]
    assert hazards == sorted(hazards)
    assert P.opt_out.floor < hazards[0] < hazards[-1] <= P.opt_out.floor + P.opt_out.rise


def test_without_fatigue_nothing_depends_on_what_was_received():
    """Opening and hazard factors are 1 at any dose."""
    for tired in (0.0, 50.0):
        for factor in factors("no_fatigue", tired=tired, recent=tired, habit=tired):
            assert np.all(factor == 1)


def test_threshold_fatigue_jumps_at_the_personal_threshold():
    """Up to the threshold both factors are 1; just beyond it they are the two stated numbers, and nothing between."""
    world = World("threshold_fatigue", N, 1)
    for scale, opening, hazard in ((0.99, 1.0, 1.0), (1.01, P.threshold.beyond, P.threshold.hazard_beyond)):
        doses = Doses(world.people.threshold * np.float32(scale), *[world.people.threshold] * 2, np.arange(N))
        np.testing.assert_allclose(world.kind.opening(doses, world.people, P), opening, rtol=1e-6)
        np.testing.assert_allclose(world.kind.hazard(doses, world.people, P), hazard, rtol=1e-6)


def test_positive_habituation_rises_with_opens_and_never_tires():
    """Pushes received leave opening as it is, opens raise it up to 1 + gain, and the hazard is main's."""
    assert np.array_equal(factors("positive_habituation", tired=20.0)[0], np.ones(N, np.float32))
    openings = [factors("positive_habituation", habit=h)[0][0] for h in (0.0, 1.0, 100.0)]
    assert openings[0] == 1
    assert openings[1] == pytest.approx(1 + P.habituation.gain / 2)
    assert openings[2] == pytest.approx(1 + P.habituation.gain, rel=0.02)
    assert np.array_equal(factors("positive_habituation", recent=5.0)[1], factors("main", recent=5.0)[1])


def test_habits_of_heavy_drift_change_twelve_times_as_often():
    """After four weeks the share of persons with their old habits is (1 − per day)^27 in both, within 4 σ."""
    quiet = np.zeros(N, np.bool_)
    for kind, drift in (("main", P.drift), ("heavy_drift", P.heavy_drift)):
        world = World(kind, N, 2)
        before = world.people.share.copy()
        for _ in range(28 * 7 - 1):
            world.step(quiet)
        kept = np.all(world.people.share == before, axis=0).mean()
        expected = (1 - drift.per_day) ** 27
        assert abs(kept - expected) < 4 * np.sqrt(expected * (1 - expected) / N)  # false alarm 6e-5 (fixed seed)


def test_fatigue_recovers_with_the_personal_half_life():
    """A rested person's open probability returns: after k half-lives a dose of 8 acts as 8 · 2^−k."""
    world = World("main", N, 3)
    world._tired[:] = 8.0
    start = world.step_number
    for _ in range(7 * 6):
        world.step(np.zeros(N, np.bool_))
    days = (world.step_number - start) / 7
    np.testing.assert_allclose(world._tired, 8.0 * 2 ** (-days / world.people.half_life_d), rtol=1e-4)


def test_opens_build_the_habit_that_raises_the_next_open():
    """After opens have landed, a habituation world's openers are likelier to open, by the formula in their opens."""
    world, everybody = World("positive_habituation", N, 4), np.ones(N, np.bool_)
    before, opens = world.truth().open_probability, np.zeros(N)
    opens += world.step(everybody).opens
    assert opens.sum() > 20
    habit = opens * 2 ** (-(2 / 24) / P.habituation.half_life_d)
    np.testing.assert_allclose(world._habit, habit, rtol=1e-5)
    opened = (opens > 0) & world.reachable & ~world.contextual
    slots = world._slot_factors
    gain = world.truth().open_probability / before / (slots[1] / slots[0])
    expected = 1 + P.habituation.gain * habit / (1 + habit)
    small = (before < 0.2) & opened
    np.testing.assert_allclose(gain[small], expected[small], rtol=0.02)  # the hazard of the first dose is in both


def test_a_reason_and_a_promotion_change_the_response_by_their_factors():
    """Contextual pushes open and annoy by their two factors; in a promotion opens rise and the hazard does not."""
    world, everybody = World("main", N, 5), np.arange(N)
    plain, hazard = world._response(everybody, np.zeros(N, np.bool_))
    contextual, milder = world._response(everybody, np.ones(N, np.bool_))
    below = contextual < 0.99 * P.opening.maximum
    np.testing.assert_allclose((contextual / plain)[below], P.opening.contextual_factor, rtol=1e-5)
    np.testing.assert_allclose(milder / hazard, P.opt_out.contextual_factor, rtol=1e-5)
    world.step_number = 7 * P.calendar.promotion_offset_d
    assert world.promotion
    promoted, same = world._response(everybody, np.zeros(N, np.bool_))
    np.testing.assert_allclose(promoted / plain, P.opening.promotion_factor, rtol=1e-5)
    np.testing.assert_allclose(same, hazard, rtol=1e-6)
