"""Effects as log ratios are those of two weighted means where there are no controls, and cover the truth elsewhere."""

import json
from pathlib import Path

import numpy as np
import pytest

from tactful_lab.evaluation.excursion import Trial, WclsOptions, average_effect, effect_by_level, moderated_effect
from tactful_privacy.errors import InvalidInput

FOUND = json.loads((Path(__file__).resolve().parent / "data" / "independent.json").read_text(encoding="utf-8"))
PLAIN = WclsOptions(small_sample=False, scale="log-rr")


def test_without_controls_it_is_the_written_out_ratio_of_means():
    """Estimate and sandwich of two weighted means, by the delta method, and statsmodels' Poisson GEE, to 1e-9."""
    log = {name: np.array(values, dtype=float) for name, values in FOUND["log"].items()}
    a, p, y, user = log["sent"], log["send_propensity"], log["outcome"], log["user"].astype(int)
    fit = average_effect(Trial.of(user=user, action=a, propensity=p, outcome=y), PLAIN)
    w = np.where(a == 1, p.mean() / p, (1 - p.mean()) / (1 - p))
    influence, value = np.zeros(user.max() + 1), 0.0
    for arm, sign in ((a, 1), (1 - a, -1)):
        mean = (w * arm * y).sum() / (w * arm).sum()
        value += sign * np.log(mean)
        influence += np.bincount(user, weights=sign * w * arm * (y - mean) / (w * arm * y).sum())
    assert fit.effects[0].estimate == pytest.approx(value, abs=1e-9)
    assert fit.covariance[0][0] == pytest.approx(influence @ influence, abs=1e-9)
    if told := FOUND.get("relative_effect"):
        assert value == pytest.approx(told["effect"], abs=1e-9)
        assert fit.covariance[0][0] == pytest.approx(told["variance"], abs=1e-9)


def world(random, users=60, each=30):
    """Log ratio 0.2 + 0.3·z, z in {0, 1}; the propensity follows z, and the main effect is not log-linear."""
    user, day = np.repeat(np.arange(users), each), np.tile(np.arange(each), users)
    z = random.integers(0, 2, len(user)).astype(float)
    p = np.where(z == 1, 0.6, 0.3)
    a = (random.random(len(user)) < p).astype(float)
    base = 0.15 + 0.1 * z * (day > 15) + 0.08 * np.sin(day) + 0.05 * random.standard_normal(users).clip(-1, 1)[user]
    y = (random.random(len(user)) < np.clip(base, 0.01, 0.5) * np.exp(a * (0.2 + 0.3 * z))).astype(float)
    return Trial.of(user=user, action=a, propensity=p, outcome=y, controls={"day": day}, moderators={"z": z})


def covered(trials, options, seed):
    random, hits = np.random.default_rng(seed), 0
    for _ in range(trials):
        slope = moderated_effect(world(random), ("z",), options).effect("z")
        hits += slope.low <= 0.3 <= slope.high
    return hits


def test_intervals_cover_quickly():
    """Of 120 intervals at 95 %, at least 104: fewer has probability below 4e-4 if coverage is 95 %."""
    assert covered(120, WclsOptions(scale="log-rr"), 5) >= 104


@pytest.mark.slow
def test_intervals_cover():
    """Coverage of 2,000 intervals within 5 binomial standard errors, 0.0244, of 95 % (false alarm below 1e-6)."""
    assert abs(covered(2_000, WclsOptions(scale="log-rr"), 6) / 2_000 - 0.95) < 0.0244


def test_the_correction_moves_errors_alone():
    """With 12 users each standard error grows, and no estimate moves."""
    trial = world(np.random.default_rng(2), users=12)
    plain = moderated_effect(trial, ("z",), PLAIN)
    corrected = moderated_effect(trial, ("z",), WclsOptions(scale="log-rr"))
    for one, other in zip(plain.effects, corrected.effects, strict=True):
        assert one.estimate == other.estimate
        assert other.standard_error > one.standard_error


def test_no_event_in_an_arm_and_negative_outcomes_are_refused():
    """The first has no ratio, the second none that means anything."""
    a = np.tile([0.0, 1.0], 100)
    user = np.repeat(np.arange(50), 4)
    z = np.repeat([0.0, 1.0], 100)
    y = a * (1 - z) + (1 - z) * (np.arange(200) % 5 == 0) + z * (1 - a) * (np.arange(200) % 3 == 0)
    trial = Trial.of(user=user, action=a, propensity=0.5, outcome=y, moderators={"z": z})
    with pytest.raises(InvalidInput, match="no event"):
        effect_by_level(trial, "z", PLAIN)
    with pytest.raises(InvalidInput, match="negative"):
        average_effect(Trial.of(user=user, action=a, propensity=0.5, outcome=-y), PLAIN)
