"""Each mode has its own price and calibration, all of them comparable: zCDP under zero-out, converted where needed."""

import dataclasses
import math
from fractions import Fraction

import pytest

from tactful_privacy.accounting.modes import (
    CENTRAL,
    DISTRIBUTED,
    LOCAL,
    MODES,
    REHEARSAL,
    calibrate_in_mode,
    event_in_mode,
    headroom_in_mode,
    price_in_mode,
    promised_price,
)
from tactful_privacy.accounting.zcdp import epsilon, rho_budget, rho_of
from tactful_privacy.errors import InvalidInput, ModulusTooSmall

TERMS = {
    "epsilon": 4.0,
    "delta": 1e-6,
    "participations": 12,
    "n_min": 4,
    "colluders": 1,
    "clip_norm": 0.4,
    "half_ranges": (0.1,),
    "total_devices": 200,
    "dimension": 30,
    "n_hosts": 5,
}


def divergence_of_shift(shift, variance):
    """zCDP of one discrete Gaussian moved by an integer vector: |shift|² / (2σ²), by the direct sum at order 2."""
    sigma = math.sqrt(variance)
    span = range(-int(40 * sigma), int(40 * sigma) + 1)
    total = math.fsum(math.exp(-(x * x) / (2 * variance)) for x in span)
    order_two = math.fsum(math.exp(((x - shift) ** 2 - 2 * x * x) / (2 * variance)) for x in span) / total
    return math.log(order_two) / 2


def test_the_price_of_local_is_that_of_one_devices_noise():
    """(2B)²/(2σ²) under replacement, B²/(2σ²) under zero-out; both against the discrete Gaussian's own divergence."""
    bound, variance = 7, 200
    price = price_in_mode(LOCAL, bound**2, variance, honest_hosts=1)
    assert float(price) == pytest.approx(divergence_of_shift(bound, variance), rel=1e-9)
    assert float(promised_price(LOCAL, price)) == pytest.approx(divergence_of_shift(2 * bound, variance), rel=1e-9)


@pytest.mark.parametrize("mode", MODES)
def test_the_event_of_a_mode_has_its_price(mode):
    """What accountants see costs what plan and vault say: exactly for a round, to the float for a run."""
    facts = (10**9, 10**10, 3)
    assert rho_of(event_in_mode(mode, *facts, dimension=30)) == price_in_mode(mode, *facts)
    run = event_in_mode(CENTRAL, *facts, dimension=30, participations=4)
    assert float(rho_of(run)) == pytest.approx(float(price_in_mode(CENTRAL, *facts, participations=4)), rel=1e-12)
    assert rho_of(event_in_mode(REHEARSAL, *facts, dimension=30)) == math.inf
    with pytest.raises(InvalidInput, match="mode"):
        event_in_mode("both", *facts, dimension=30)


def test_prices_by_mode():
    """Exact fractions; k participations of a run cost k times; a rehearsal has no price, an unknown mode is refused."""
    assert price_in_mode(DISTRIBUTED, 100, 50, 3) == Fraction(1, 3)
    assert price_in_mode(CENTRAL, 100, 50, 3) == price_in_mode(LOCAL, 100, 50, 3) == 1
    assert price_in_mode(CENTRAL, 100, 50, 3, participations=4) == 4
    assert price_in_mode(REHEARSAL, 100, 50, 3) == 0
    assert promised_price(CENTRAL, Fraction(1)) == promised_price(DISTRIBUTED, Fraction(1)) == 1
    with pytest.raises(InvalidInput, match="mode"):
        price_in_mode("homoeopathic", 100, 50, 3)


@pytest.mark.parametrize("mode", MODES)
def test_the_calibration_keeps_the_modes_promise(mode):
    """All participations together cost no more than (ε, δ) in the mode's adjacency, and waste less than a millionth."""
    calibration = calibrate_in_mode(mode, **TERMS)
    honest = 3 if mode == DISTRIBUTED else 1
    price = price_in_mode(mode, calibration.norm_bound_squared, calibration.noise_variance_units, honest)
    assert (price, calibration.participations) == (calibration.rho_per_round, 12)
    promised = promised_price(mode, 12 * price)
    assert promised <= Fraction(rho_budget(4.0, 1e-6))
    assert epsilon(promised, 1e-6) == pytest.approx(4.0, rel=1e-6)


def test_noise_by_mode():
    """σ²/B²: distributed a third of central's (three honest hosts share it), local four times central's."""
    ratio = {
        mode: c.noise_variance_units / c.norm_bound_squared
        for mode in MODES
        for c in [calibrate_in_mode(mode, **TERMS)]
    }
    assert ratio[CENTRAL] == pytest.approx(3 * ratio[DISTRIBUTED], rel=1e-6)
    assert ratio[LOCAL] == pytest.approx(4 * ratio[CENTRAL], rel=1e-6)


def test_head_room_counts_the_noises_in_the_sum():
    """One for each host, in local one for each device, in central none."""
    facts = {"norm_bound": 1e5, "noise_variance_units": 10**14, "n_hosts": 5, "dimension": 30, "bits": 32}
    usage = {mode: headroom_in_mode(mode, total_devices=100, **facts) for mode in MODES}
    plain = 100 * 1e5 / 2**31
    assert usage[CENTRAL] == pytest.approx(plain)
    assert (usage[LOCAL] - plain) / (usage[DISTRIBUTED] - plain) == pytest.approx(math.sqrt(100 / 5))
    with pytest.raises(ModulusTooSmall):
        headroom_in_mode(LOCAL, total_devices=10_000, **facts)


def test_a_local_calibration_leaves_room_for_every_device():
    """Its grid is coarser than the distributed one's, and its own check passes."""
    local, distributed = (calibrate_in_mode(mode, **TERMS) for mode in (LOCAL, DISTRIBUTED))
    assert local.grid_exponent < distributed.grid_exponent
    used = headroom_in_mode(
        LOCAL,
        total_devices=200,
        norm_bound=math.sqrt(local.norm_bound_squared),
        noise_variance_units=local.noise_variance_units,
        n_hosts=5,
        dimension=31,
        bits=32,
    )
    assert used == pytest.approx(local.modulus_usage)
    assert used <= 0.5


def test_without_noise_every_mode_is_the_same_rehearsal():
    """An infinite ε gives no noise in any mode; an unknown mode is refused."""
    free = TERMS | {"epsilon": math.inf}
    first, *others = (calibrate_in_mode(mode, **free) for mode in MODES)
    assert first.noise_variance_units == 0
    for other in others:
        assert dataclasses.replace(other, honest_hosts=first.honest_hosts) == first
    with pytest.raises(InvalidInput, match="mode"):
        calibrate_in_mode("both", **TERMS)
