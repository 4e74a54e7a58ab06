"""Noise, epsilon and rounds follow from one another, the quorum from drop-out, and the cohort from the noise."""

import math
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tactful_privacy.accounting.calibration import calibrate
from tactful_privacy.accounting.directions import (
    epsilon_for,
    n_min_for,
    noise_multiplier_for,
    noise_multiplier_of,
    participations_for,
    sigma_host_for,
    void_probability,
)
from tactful_privacy.accounting.modes import calibrate_in_mode
from tactful_privacy.accounting.signal import ALIGNMENT, THRESHOLD, outlook, outlook_of, smallest_cohort
from tactful_privacy.errors import InvalidInput

EXAMPLE = {
    "epsilon": 4.0,
    "delta": 1e-6,
    "participations": 120,
    "n_min": 4,
    "colluders": 1,
    "clip_norm": 0.4,
    "total_devices": 2297,
    "dimension": 64,
    "n_hosts": 5,
}


@settings(deadline=None)
@given(st.floats(0.05, 20), st.floats(1e-10, 1e-3), st.integers(1, 5000))
def test_the_three_directions_are_inverses_rounded_to_the_safe_side(epsilon, delta, rounds):
    """Noise for a promise keeps it, allows exactly its rounds, and a billionth less noise breaks it."""
    z = noise_multiplier_for(epsilon, delta, rounds)
    assert epsilon_for(z, rounds, delta) <= epsilon
    assert epsilon_for(z * (1 - 1e-9), rounds, delta) > epsilon * (1 - 1e-8)
    assert participations_for(epsilon, delta, z) == rounds
    assert participations_for(epsilon, delta, z * (1 - 1e-6)) < rounds
    assert epsilon_for(z, rounds + 1, delta) > epsilon


def test_the_directions_agree_with_the_plan():
    """The noise multiplier and one host's sigma are those of the calibrated integers."""
    found = calibrate(**EXAMPLE)
    z = noise_multiplier_for(4.0, 1e-6, 120)
    assert z == pytest.approx(found.noise_multiplier, rel=1e-6)
    assert sigma_host_for(z, found.sensitivity, 3) == pytest.approx(found.sigma_host, rel=1e-6)
    assert noise_multiplier_of(found.sigma_host, found.sensitivity, 3) == pytest.approx(found.noise_multiplier)
    assert participations_for(4.0, 1e-6, found.noise_multiplier) == 120


def test_no_round_fits_under_too_little_noise():
    """Participations may be none."""
    assert participations_for(0.1, 1e-6, 1.0) == 0


@pytest.mark.parametrize(("hosts", "n_min", "drop_out"), [(5, 4, 0.1), (20, 14, 0.2), (100, 60, 0.35), (7, 7, 0.01)])
def test_the_chance_of_a_void_round_is_the_binomial_tail(hosts, n_min, drop_out):
    """Against exact rational arithmetic."""
    p = Fraction(drop_out)
    exact = sum(comb(hosts, k) * (1 - p) ** k * p ** (hosts - k) for k in range(n_min))
    assert void_probability(hosts, n_min, drop_out) == pytest.approx(float(exact), rel=1e-10)


@pytest.mark.parametrize(
    ("hosts", "drop_out", "colluders"), [(5, 0.0, 1), (20, 0.1, 1), (100, 0.2, 5), (1000, 0.3, 50)]
)
def test_the_quorum_is_the_largest_that_is_rarely_missed(hosts, drop_out, colluders):
    """It is reached in 99 rounds of 100, one more would not be, and two survivor lists cannot both be signed."""
    n_min = n_min_for(hosts, drop_out, colluders)
    assert void_probability(hosts, n_min, drop_out) <= 0.01
    assert n_min == hosts or void_probability(hosts, n_min + 1, drop_out) > 0.01
    assert 2 * n_min > hosts + colluders


def test_too_much_drop_out_has_no_quorum():
    """The error says what could be changed."""
    with pytest.raises(InvalidInput, match="enrol more hosts"):
        n_min_for(5, 0.3, 1)


def test_fifty_devices_at_epsilon_2_cannot_work():
    """For 64 coordinates and for 300 the operator is told, with the cohort that is needed."""
    for dimension in (64, 300):
        found = calibrate(**EXAMPLE | {"epsilon": 2.0, "total_devices": 50, "dimension": dimension})
        seen = outlook_of(found, devices=50, survivors=5, dimension=dimension, clip_norm=0.4)
        assert not seen.can_learn
        assert seen.sentence.startswith("cannot work: 50 devices")
        assert str(seen.smallest_cohort) in seen.sentence


def test_the_checked_federation_can_learn():
    """2,297 devices at epsilon 4 are many times enough."""
    seen = outlook_of(calibrate(**EXAMPLE), devices=2297, survivors=5, dimension=64, clip_norm=0.4)
    assert seen.can_learn
    assert seen.signal_to_noise > 20
    assert seen.sentence.startswith("can learn")


@settings(deadline=None)
@given(
    st.floats(1e-3, 1e3),
    st.integers(1, 10_000),
    st.floats(1e-3, 10),
    st.integers(1, 1000),
    st.floats(0.01, 1),
    st.booleans(),
)
def test_the_smallest_cohort_is_the_first_that_reaches_the_threshold(
    noise, dimension, clip_norm, rounds, alignment, per_device
):
    """With it the ratio is at least the threshold, up to rounding, and with one device fewer it is below."""
    same = {
        "noise_deviation": noise,
        "dimension": dimension,
        "clip_norm": clip_norm,
        "participations": rounds,
        "alignment": alignment,
        "noise_per_device": per_device,
    }
    cohort = smallest_cohort(**same)
    enough = outlook(devices=cohort, **same)
    assert enough.can_learn
    assert enough.signal_to_noise >= THRESHOLD * (1 - 1e-9)
    if cohort > 1:
        fewer = outlook(devices=cohort - 1, **same)
        assert not fewer.can_learn
        assert fewer.signal_to_noise < THRESHOLD * (1 + 1e-9)


def test_what_the_budget_buys_depends_on_neither_rounds_nor_clip():
    """A trusted curator's ratio is a N sqrt(2 rho / d), however the budget is cut up."""
    expected = ALIGNMENT * 500 * math.sqrt(2 * 0.08815268837 / 64)
    for rounds, clip_norm in ((1, 1.0), (30, 0.02), (1000, 7.0)):
        found = calibrate_in_mode(
            "central", **EXAMPLE | {"epsilon": 2.0, "participations": rounds, "clip_norm": clip_norm}
        )
        seen = outlook_of(found, devices=500, survivors=5, dimension=64, clip_norm=clip_norm, mode="central")
        assert seen.signal_to_noise == pytest.approx(expected, rel=1e-3)


def test_shared_noise_costs_its_surplus():
    """Five survivors of whom three are reckoned honest: the ratio is that of a curator over sqrt(5/3)."""
    shared = outlook_of(calibrate(**EXAMPLE), devices=500, survivors=5, dimension=64, clip_norm=0.4)
    curator = calibrate_in_mode("central", **EXAMPLE)
    alone = outlook_of(curator, devices=500, survivors=5, dimension=64, clip_norm=0.4, mode="central")
    assert alone.signal_to_noise / shared.signal_to_noise == pytest.approx(math.sqrt(5 / 3), rel=1e-5)


def test_local_noise_needs_a_cohort_of_another_order():
    """Where each device adds all the noise it needs, the sum's noise grows with the cohort: squares of what it was."""
    local = calibrate_in_mode("local", **EXAMPLE | {"epsilon": 2.0, "total_devices": 100_000})
    seen = outlook_of(local, devices=100_000, survivors=5, dimension=64, clip_norm=0.4, mode="local")
    central = calibrate_in_mode("central", **EXAMPLE | {"epsilon": 2.0})
    needed = outlook_of(central, devices=1, survivors=5, dimension=64, clip_norm=0.4, mode="central").smallest_cohort
    assert seen.smallest_cohort == pytest.approx((2 * needed) ** 2, rel=0.05)  # twice: replacement against zero-out


def test_the_norms_and_the_share_are_those_of_simulated_releases():
    """The noise's norm is its root mean square, and the best rescaled displacement keeps the share that is claimed.

    20,000 draws: the mean square of 64 normals has relative standard error sqrt(2/64/20000) = 0.13 %; 1 % is 8 of them,
    as is 0.01 of the share: false alarms below 1e-9 (the seed is fixed besides).
    """
    seen = outlook(devices=50, noise_deviation=3.0, dimension=64, clip_norm=0.4, participations=30)
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 3.0 / 50, (20_000, 64))
    assert math.sqrt((noise**2).sum(axis=1).mean()) == pytest.approx(seen.noise_norm, rel=0.01)
    target = np.zeros(64)
    target[0] = 30 * seen.mean_update_norm
    released = target + math.sqrt(30) * noise
    shrink = seen.share_learned
    lost = ((shrink * released - target) ** 2).sum(axis=1).mean() / target[0] ** 2
    assert 1 - lost == pytest.approx(seen.share_learned, abs=0.01)


def test_no_noise_always_learns():
    """A rehearsal without noise has an infinite ratio, and one device is enough."""
    seen = outlook(devices=1, noise_deviation=0.0, dimension=64, clip_norm=1.0, participations=1)
    assert (seen.signal_to_noise, seen.share_learned, seen.can_learn, seen.smallest_cohort) == (math.inf, 1, True, 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: noise_multiplier_for(0, 1e-6, 1),
        lambda: noise_multiplier_for(1, 1e-6, 0),
        lambda: epsilon_for(0, 1, 1e-6),
        lambda: epsilon_for(1, 1, 1),
        lambda: participations_for(math.inf, 1e-6, 1),
        lambda: sigma_host_for(1, 1, 0),
        lambda: noise_multiplier_of(1, 0, 1),
        lambda: void_probability(3, 4, 0.1),
        lambda: void_probability(3, 2, 1.0),
        lambda: n_min_for(0, 0.1, 1),
        lambda: outlook(devices=0, noise_deviation=1, dimension=1, clip_norm=1, participations=1),
        lambda: outlook(devices=1, noise_deviation=-1, dimension=1, clip_norm=1, participations=1),
        lambda: outlook(devices=1, noise_deviation=math.nan, dimension=1, clip_norm=1, participations=1),
        lambda: outlook(devices=1, noise_deviation=1, dimension=1, clip_norm=1, participations=1, alignment=1.5),
    ],
)
def test_arguments_out_of_range_are_refused(call):
    """Each is a typed error."""
    with pytest.raises(InvalidInput):
        call()
