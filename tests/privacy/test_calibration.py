"""Calibration: a promise becomes a plan's integers, which keep it exactly and fit the modulus."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tactful_privacy.accounting.calibration import NON_PRIVATE_RHO, calibrate
from tactful_privacy.accounting.filter import ZcdpFilter
from tactful_privacy.accounting.zcdp import epsilon, rho_budget, rho_of
from tactful_privacy.errors import BudgetExhausted, InvalidInput, ModulusTooSmall
from tactful_privacy.mechanisms.grid import encode_block

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


def test_the_checked_example():
    """Five hosts, n_min 4, t 1, C 0.4, 120 rounds, epsilon 4, delta 1e-6: the figures of the design to four digits."""
    found = calibrate(**EXAMPLE)
    assert round(found.rho_total, 6) == 0.311065
    assert round(found.noise_multiplier, 3) == 13.888
    assert round(found.sigma_host, 4) == 3.2074
    assert found.grid_exponent == 20
    assert round(found.modulus_usage, 2) == 0.48
    # Five survivors, all honest, against a curator who adds z * sensitivity once: sqrt(5/3) = 1.29 times the noise.
    curator = found.noise_multiplier * found.sensitivity
    assert math.sqrt(5) * found.sigma_host / curator == pytest.approx(1.29, abs=0.005)


@settings(deadline=None, max_examples=60)
@given(
    central=st.floats(0.1, 16),
    delta=st.floats(1e-12, 1e-3),
    rounds=st.integers(1, 1000),
    n_min=st.integers(2, 40),
    colluders=st.integers(0, 5),
    clip=st.floats(1e-3, 50),
    devices=st.integers(1, 10**5),
    dimension=st.integers(1, 512),
    halves=st.lists(st.floats(0.01, 1), max_size=3),
)
def test_the_promise_is_kept_exactly(central, delta, rounds, n_min, colluders, clip, devices, dimension, halves):
    """All participations fit the device's own filter, one more does not; modulus, grid and integers are consistent."""
    if n_min <= colluders:
        return
    try:
        found = calibrate(
            epsilon=central,
            delta=delta,
            participations=rounds,
            n_min=n_min,
            colluders=colluders,
            clip_norm=clip,
            half_ranges=tuple(half * clip for half in halves),
            total_devices=devices,
            dimension=dimension,
        )
    except ModulusTooSmall:
        return
    guard = ZcdpFilter(rho_budget(central, delta))
    guard.spend(rounds * found.rho_per_round)
    assert epsilon(guard.spent, delta) <= central
    with pytest.raises(BudgetExhausted):
        guard.spend(found.rho_per_round)
    assert found.rho_per_round == rho_of(found.event)
    assert found.modulus_usage <= 0.5
    assert found.noise_variance_units >= 16
    assert found.norm_bound_squared == found.clip_units**2 + sum(half**2 for half in found.half_range_units)
    assert Fraction(found.clip_units, 2**found.grid_exponent) <= Fraction(clip)


def test_a_calibrated_plan_encodes():
    """The integers go straight into the grid, statistics included, and a device at the bound is accepted."""
    found = calibrate(**EXAMPLE, half_ranges=(0.1, 0.05))
    block = encode_block(
        [[1.0] * 64],
        [[1.0, -1.0]],
        clip_units=found.clip_units,
        grid_exponent=found.grid_exponent,
        norm_bound_squared=found.norm_bound_squared,
        half_ranges=found.half_range_units,
    )
    assert block.accepted.all()
    assert sum(int(x) ** 2 for x in block.total) <= found.norm_bound_squared
    assert found.sensitivity == pytest.approx(math.sqrt(0.4**2 + 0.1**2 + 0.05**2), rel=1e-5)
    assert found.dimension == 66


def test_a_statistic_is_paid_for():
    """With a statistic in the vector the noise grows as the sensitivity does, at the same price."""
    without, with_one = calibrate(**EXAMPLE), calibrate(**EXAMPLE, half_ranges=(0.3,))
    assert with_one.sigma_host / without.sigma_host == pytest.approx(0.5 / 0.4, rel=1e-5)
    assert float(with_one.rho_per_round) == pytest.approx(float(without.rho_per_round), rel=1e-6)


def test_no_noise_carries_a_price_that_no_budget_covers():
    """An infinite epsilon gives noise 0, marked by a finite price which every filter refuses."""
    found = calibrate(**EXAMPLE | {"epsilon": math.inf})
    assert found.noise_variance_units == 0
    assert found.rho_per_round == NON_PRIVATE_RHO
    assert rho_of(found.event) == math.inf
    assert not ZcdpFilter(rho_budget(1000, 1e-6)).can_spend(found.rho_per_round)


def test_a_federation_too_large_for_the_modulus_is_refused():
    """With 16 bits and 100,000 devices no grid has room."""
    with pytest.raises(ModulusTooSmall, match="fewer devices"):
        calibrate(**EXAMPLE | {"total_devices": 100_000, "modulus_bits": 16})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epsilon", 0),
        ("epsilon", -1),
        ("epsilon", math.nan),
        ("delta", 0),
        ("delta", 1),
        ("participations", 0),
        ("n_min", 1),
        ("colluders", -1),
        ("colluders", 4),
        ("clip_norm", 0),
        ("clip_norm", math.inf),
        ("half_ranges", (0.0,)),
        ("total_devices", 0),
        ("dimension", 0),
        ("n_hosts", 3),
    ],
)
def test_arguments_out_of_range_are_refused(field, value):
    """Each argument outside its range is a typed error."""
    with pytest.raises(InvalidInput):
        calibrate(**EXAMPLE | {field: value})
