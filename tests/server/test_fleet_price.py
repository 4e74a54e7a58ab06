"""The fleet price on its own: dual ascent from a noised mean, its steps, its projection and its state."""

import numpy as np
import pytest

from tactful_privacy.errors import InvalidInput
from tactful_privacy.mechanisms.sends import per_week, scaled
from tactful_server.fleet_price import FleetPrice, PriceState

NO_NOISE = {"tolerance_per_week": 1.0}


def demand(price: float) -> float:
    """Mean pushes that a made-up fleet sends at a price: 5·e^(−ν/4), so 2 pushes at ν = 4·ln 2.5."""
    return 5.0 * float(np.exp(-price / 4.0))


def ascend(terms: FleetPrice, noise_std: float, rounds: int, seed: int) -> list[float]:
    rng, state, prices = np.random.default_rng(seed), PriceState(), []
    for _ in range(rounds):
        state = terms.step(state, demand(state.price_minor) + noise_std * rng.standard_normal(), noise_std)
        prices.append(state.price_minor)
    return prices


def test_the_price_finds_the_market_clearing_one():
    """Without noise ν goes to 4·ln 2.5, where the fleet sends the target: the oracle inverts the demand by hand."""
    prices = ascend(FleetPrice(target_per_week=2.0, ceiling_minor=50.0), 0.0, 400, seed=1)
    assert prices[-1] == pytest.approx(4.0 * np.log(2.5), abs=0.02)


def test_noise_averages_out():
    """With noise of half a push in every mean, the mean of 40 runs is within 0.15 of the clearing price.

    A run spreads by about 0.4 at the end, so the mean of 40 by 0.06: a false alarm is below 2 in 100.
    """
    terms = FleetPrice(target_per_week=2.0, ceiling_minor=50.0)
    last = [ascend(terms, 0.5, 200, seed)[-1] for seed in range(40)]
    assert np.mean(last) == pytest.approx(4.0 * np.log(2.5), abs=0.15)


def test_a_noisy_round_moves_the_price_less():
    """At σ = 3τ a step is a tenth of that without noise: 1/(1 + 9)."""
    terms = FleetPrice(target_per_week=1.0, **NO_NOISE)
    sure, unsure = (terms.step(PriceState(), 3.0, std).price_minor for std in (0.0, 3.0))
    assert (sure, unsure) == (pytest.approx(2.0), pytest.approx(0.2))


def test_the_price_stays_between_zero_and_its_ceiling():
    """Means far below and far above the target leave ν at 0 and at the ceiling."""
    terms = FleetPrice(target_per_week=3.0, step_minor=5.0, ceiling_minor=8.0)
    assert terms.step(PriceState(1.0), -40.0, 0.1).price_minor == 0.0
    assert terms.step(PriceState(1.0), 40.0, 0.1).price_minor == 8.0


def test_a_round_without_the_statistic_leaves_everything():
    """None reported: the same price, and the step size does not shrink either."""
    state = PriceState(1.5, 3)
    assert FleetPrice(target_per_week=1.0).step(state, None, 0.1) == state


def test_the_state_survives_bytes():
    """Dump and load give the same numbers to the last bit; other bytes are refused."""
    state = PriceState(0.1 + 0.2, 7)
    assert PriceState.load(state.dump()) == state
    assert PriceState.load(b"") == PriceState()
    with pytest.raises(InvalidInput, match="unreadable"):
        PriceState.load(b"{}")


def test_reported_sends_stay_inside_their_half_range():
    """0, 3, 7 and 12 pushes at a cap of 7 are 0, 3/7, 1 and 1 of the half-range; the mean is undone exactly."""
    np.testing.assert_allclose(scaled([0, 3, 7, 12], 7, 0.2), [0, 0.2 * 3 / 7, 0.2, 0.2])
    assert per_week(float(scaled([0, 3, 7], 7, 0.2).mean()), 7, 0.2) == pytest.approx(10 / 3)


@pytest.mark.parametrize(
    "wrong", [{"target_per_week": -1}, {"decay": 1.5}, {"cap": 0}, {"cap": 101}, {"step_minor": 0}]
)
def test_terms_out_of_range_are_refused(wrong):
    """Each is a typed error that names the field."""
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        FleetPrice(**{"target_per_week": 1.0} | wrong)
