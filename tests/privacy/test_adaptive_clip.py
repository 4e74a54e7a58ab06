"""The clip norm goes towards the quantile of the devices' norms, from far below and far above, with the real noise."""

import math
from fractions import Fraction

import numpy as np
import pytest

from tactful_privacy.accounting.modes import DISTRIBUTED, calibrate_in_mode
from tactful_privacy.errors import InvalidInput
from tactful_privacy.mechanisms.adaptive_clip import AdaptiveClip, clip_bits, share_below
from tactful_privacy.mechanisms.discrete_gaussian import sample
from tactful_privacy.mechanisms.grid import encode_block

HOSTS, DEVICES, N_MIN, COLLUDERS = 5, 200, 4, 1
RULE = AdaptiveClip()


def test_the_direction():
    """All above C: C grows. All below: it shrinks. Exactly the quantile: it stays."""
    assert RULE.next_clip(1.0, 0.0, 1.0) == pytest.approx(math.exp(0.15))
    assert RULE.next_clip(1.0, 1.0, 1.0) == pytest.approx(math.exp(-0.15))
    assert RULE.next_clip(1.0, 0.5, 1.0) == 1.0
    assert AdaptiveClip(quantile=0.9).next_clip(1.0, 0.5, 1.0) > 1.0


def test_noise_cannot_throw_it():
    """A share beyond [0, 1] moves no further than its end; C stays within its range."""
    assert RULE.next_clip(1.0, 40.0, 1.0) == RULE.next_clip(1.0, 1.0, 1.0)
    assert RULE.next_clip(1.0, -40.0, 1.0) == RULE.next_clip(1.0, 0.0, 1.0)
    assert AdaptiveClip(most_factor=2.0).next_clip(2.0, 0.0, 1.0) == 2.0
    assert AdaptiveClip(most_factor=2.0).next_clip(0.5, 1.0, 1.0) == 0.5


def test_the_bits():
    """+h up to C, -h above it or where the norm is no number, 0 for a device with nothing to say; and back."""
    rows = np.array([[3.0, 4.0], [3.0, 4.001], [0.0, 0.0], [np.nan, 0.0], [1e300, 0.0]])
    assert clip_bits(rows, 5.0, 0.25).tolist() == [0.25, -0.25, 0.0, -0.25, -0.25]
    assert clip_bits(np.zeros((0, 3)), 5.0, 0.25).shape == (0,)
    assert [share_below(mean, 0.25) for mean in (-0.25, 0.0, 0.125, 0.25)] == [0.0, 0.5, 0.75, 1.0]


def calibrated(clip_norm):
    return calibrate_in_mode(
        DISTRIBUTED,
        epsilon=8.0,
        delta=1e-6,
        participations=60,
        n_min=N_MIN,
        colluders=COLLUDERS,
        clip_norm=clip_norm,
        half_ranges=(RULE.half_range_share * clip_norm,),
        total_devices=HOSTS * DEVICES,
        dimension=6,
        n_hosts=HOSTS,
    )


def test_noise_follows_the_current_clip_at_the_same_price():
    """Over a range of 10⁴ in C: σ over C, the noise multiplier and the price of a round stay what they were."""
    first = calibrated(1.0)
    for clip_norm in (0.01, 0.37, 12.3, 100.0):
        now = calibrated(clip_norm)
        assert now.sigma_host / clip_norm == pytest.approx(first.sigma_host, rel=1e-4)
        assert now.noise_multiplier == pytest.approx(first.noise_multiplier, rel=1e-6)
        assert now.rho_per_round == pytest.approx(first.rho_per_round, rel=1e-6)
        assert now.rho_per_round <= Fraction(first.rho_total) / 60


def one_round(clip_norm, updates):
    """The next C after a round over real encoder, real noise of five hosts and the server's rule."""
    plan = calibrated(clip_norm)
    half = math.ldexp(plan.half_range_units[0], -plan.grid_exponent)
    bits = clip_bits(updates, math.ldexp(plan.clip_units, -plan.grid_exponent), half)
    total = encode_block(
        updates,
        bits[:, None],
        clip_units=plan.clip_units,
        grid_exponent=plan.grid_exponent,
        norm_bound_squared=plan.norm_bound_squared,
        half_ranges=plan.half_range_units,
    ).total[-1]
    noise = sum(int(sample(plan.noise_variance_units, 1)[0]) for _ in range(HOSTS))
    mean = math.ldexp(int(total) + noise, -plan.grid_exponent) / (HOSTS * DEVICES)
    return RULE.next_clip(clip_norm, share_below(mean, half), 1.0)


@pytest.mark.parametrize("start", [0.01, 100.0])
@pytest.mark.parametrize("sitting_out", [0, 300])
def test_it_finds_the_median_in_sixty_rounds(start, sitting_out):
    """From 1/100 and from 100 times the median norm, 1,000 planned devices, ε = 8 over the 60 rounds.

    Each round's share carries noise of deviation z √(1 + r²) √(5/3) / (2 r n) = 0.014 (z = 5.3, r = 1/4), so ln C at
    rest wobbles by about η · 0.014 / √(2 η s) = 0.008 with slope s = 0.4 of the norms' distribution function in ln C
    (log-normal, σ = 1), and drifts the full way at 0.15 a round (0.105 with 300 sitting out: 4.6 / 0.105 = 44 rounds,
    then 16 in which what is left shrinks e-fold every 1 / (0.7 η s) = 12). A tolerance of 0.35 in ln C is more than ten
    deviations of the noise and bears the tail of the drift.
    """
    rng = np.random.default_rng(11)
    updates = rng.normal(size=(HOSTS * DEVICES - sitting_out, 6))
    updates *= (np.exp(rng.normal(size=len(updates))) / np.linalg.norm(updates, axis=1))[:, None]
    clip_norm = start
    for number in range(60):
        moved = one_round(clip_norm, updates)
        if number < 20:
            assert (moved > clip_norm) == (start < 1.0)
        clip_norm = moved
    median = float(np.median(np.linalg.norm(updates, axis=1)))
    assert abs(math.log(clip_norm / median)) < 0.35


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantile": 1.0},
        {"learning_rate": 0.0},
        {"half_range_share": 0.0},
        {"most_factor": 1.0},
        {"most_factor": math.inf},
    ],
)
def test_terms_without_sense_are_refused(wrong):
    """Out-of-range settings are refused where they are written."""
    with pytest.raises(InvalidInput):
        AdaptiveClip(**wrong)
