"""Off-policy values from noisy sums: equal to the central ones without noise, and intervals that hold with it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tactful.evaluation import EvaluationSpec, Target
from tactful.evaluation_sums import DecisionTable, contributions, device_sums, updates
from tactful_lab.evaluation import estimators
from tactful_lab.evaluation.estimators import Modelled
from tactful_lab.evaluation.federated import ESTIMATORS, NoisySums, evaluate_sums, read_sums, simulated_round
from tactful_lab.evaluation.log import PushLog
from tactful_lab.evaluation.world_logs import record
from tactful_privacy.errors import InvalidInput

ODDS, RARE = Target("odds", 0.4), Target("fixed", 0.2)
STAY, SEND = 0.2, 0.35  # chance of an engagement of a person of the mean inclination


def toy(seed, people=2_000, each=7):
    """People with inclinations of their own; the logged chance rises with it. Truth in closed form by `value`."""
    random, rows = np.random.default_rng(seed), people * each
    lean = np.repeat(random.uniform(-0.1, 0.1, people), each)
    propensity = 0.4 + 2 * lean
    sent = random.random(rows) < propensity
    chance = np.where(sent, SEND, STAY) + lean
    engaged = random.random(rows) < chance
    bounds = np.arange(0, rows + 1, each)
    zeros, day = np.zeros(rows), np.tile(np.arange(each), people)
    return DecisionTable(sent.astype(float), propensity, engaged.astype(float), zeros, day, bounds)


def value(target):
    """E[STAY + lean + q(lean)·(SEND − STAY)] over the uniform lean, by quadrature on a dense grid."""
    lean = (np.arange(200_000) + 0.5) / 200_000 * 0.2 - 0.1
    q = target.probability(0.4 + 2 * lean, None, None)
    return float(np.mean(STAY + lean + q * (SEND - STAY)))


def exact(spec, data):
    """The sums of a round without noise."""
    return simulated_round(spec, contributions(spec, device_sums(spec, data)), 0.0, np.random.default_rng(0))


WIDE = EvaluationSpec(
    (ODDS, RARE), decisions_cap=50.0, reward_cap=60.0, gain_cap=60.0, weight_cap=1e6, predicted_stay=0.2
)


def test_values_without_noise_are_the_central_ones():
    """IPS, SNIPS, DR and the gain from sums equal the central estimators on the same decisions, to 1e-12."""
    data = toy(1)
    found = evaluate_sums(exact(WIDE, data))
    model = Modelled(np.full(len(data.sent), 0.2), np.zeros(len(data.sent)))
    for target in WIDE.targets:
        q = target.probability(data.propensity, None, WIDE)
        w = estimators.weights(data.sent > 0, data.propensity, q)
        robust = estimators.doubly_robust(data.engaged, w, model, sent=data.sent, target=q).value
        central = {"snips": estimators.snips(data.engaged, w).value, "ips": estimators.ips(data.engaged, w).value}
        central |= {"dr": robust, "gain": robust - data.engaged.mean()}
        for name, wanted in central.items():
            assert found.estimate(target.name, name).value == pytest.approx(wanted, abs=1e-12)
    assert found.clipped_share == 0.0
    assert found.estimate("logged", "logged").value == pytest.approx(data.engaged.mean(), abs=1e-12)


def test_window_values_without_noise_are_the_central_ones():
    """Products of weights over windows of a week: those of `window_weights` on the same log, to 1e-12."""
    data = toy(2)
    spec = replace(WIDE, window_d=7, decisions_cap=1e6, reward_cap=1e6, gain_cap=1e6)
    found = evaluate_sums(exact(spec, data))
    user = np.repeat(np.arange(data.n_devices), np.diff(data.bounds))
    log = PushLog(user, data.day * 86_400.0, data.sent > 0, data.propensity, {"y": data.engaged})
    for target in spec.targets:
        w = estimators.weights(log.sent, log.send_propensity, target.probability(data.propensity, None, spec))
        rho, _ = estimators.window_weights(log, w, 7.0)
        assert found.estimate(target.name, "snips").value == pytest.approx(estimators.snips(data.engaged, rho).value)
        assert found.estimate(target.name, "ips").value == pytest.approx(estimators.ips(data.engaged, rho).value)


def test_errors_are_those_of_a_sandwich():
    """With the estimate as the reference the sampling error is the clustered sandwich of the ratio, written out."""
    data = toy(3, people=300)
    first = evaluate_sums(exact(WIDE, data)).estimate(RARE.name, "snips").value
    spec = replace(WIDE, reference=first)
    sums, one = device_sums(spec, data), evaluate_sums(exact(spec, data)).estimate(RARE.name, "snips")
    meat = sum((sums.value[u, 1] - one.value * sums.weight[u, 1]) ** 2 for u in range(300))
    assert one.sampling_error == pytest.approx(math.sqrt(meat) / sums.weight[:, 1].sum(), rel=1e-9)
    assert one.noise_error == 0.0
    assert one.high - one.value == pytest.approx(1.959963984540054 * one.sampling_error)


def test_the_noise_error_is_the_spread_that_noise_causes():
    """500 draws of the noise on one log: their spread is the stated error, within 4 standard errors (12.7 %)."""
    spec = EvaluationSpec((ODDS, RARE), decisions_cap=7.0, reward_cap=5.0, gain_cap=3.0, predicted_stay=0.2)
    rows, random = contributions(spec, device_sums(spec, toy(4))), np.random.default_rng(5)
    drawn = [evaluate_sums(simulated_round(spec, rows, 3.0, random)) for _ in range(500)]
    for name in ESTIMATORS:
        ones = [each.estimate(RARE.name, name) for each in drawn]
        stated = np.sqrt(np.mean([one.noise_error**2 for one in ones]))
        assert np.std([one.value for one in ones]) == pytest.approx(stated, rel=4 / math.sqrt(2 * 500))


@pytest.mark.parametrize("noise", [0.0, 1.6, 6.8])
def test_intervals_cover_in_a_toy(noise):
    """At least 176 of 200 intervals hold the closed form: at a true coverage of 95 % that fails with probability 1e-4
    a figure. 6.8 and 1.6 clip norms are one round at ε = 1 and ε = 4 with five hosts."""
    spec = EvaluationSpec(
        (ODDS, RARE),
        decisions_cap=7.0,
        reward_cap=7.0,
        gain_cap=3.0,
        predicted_stay=0.2,
        predicted_send=0.3,
        reference=0.25,
    )
    random, held = np.random.default_rng(6), {}
    logged = value(Target("odds", 1.0))
    for seed in range(200):
        rows = contributions(spec, device_sums(spec, toy(1_000 + seed, people=1_000)))
        for one in evaluate_sums(simulated_round(spec, rows, noise, random)).estimates[1:]:
            truth = value_of[one.policy] - (logged if one.estimator == "gain" else 0.0)
            held.setdefault((one.policy, one.estimator), []).append(one.low <= truth <= one.high)
    assert {len(hits) for hits in held.values()} == {200}
    assert min(sum(hits) for hits in held.values()) >= 176, {key: sum(hits) for key, hits in held.items()}


value_of = {target.name: value(target) for target in (ODDS, RARE)}


def test_bias_bounds_hold_where_clipping_is_harsh():
    """People with many decisions count for less: values move, and never further than the bound says."""
    data = toy(7)
    full = evaluate_sums(exact(WIDE, data))
    for cap in (0.5, 1.0, 2.0, 4.0):
        cut = evaluate_sums(exact(replace(WIDE, reward_cap=cap, gain_cap=cap, weight_cap=1.2), data))
        assert cut.clipped_share > 0
        for one in cut.estimates:
            moved = abs(one.value - full.estimate(one.policy, one.estimator).value)
            assert 0 < moved <= one.bias_bound + 1e-12


def test_a_round_is_read_back():
    """The mean that a server opens, in model units, gives the sums again, and its noise in their units."""
    data, clip = toy(8, people=50), 1.3
    mean = updates(WIDE, data, clip).sum(axis=0) / 60
    read = read_sums(WIDE, mean, planned_devices=60, noise_std=0.01, clip_norm=clip)
    np.testing.assert_allclose(read.total, exact(WIDE, data).total, rtol=1e-12)
    value_std = read.of("value.0")[1]
    share = WIDE.half_ranges[WIDE.coordinates.index("value.0")]
    assert value_std == pytest.approx(0.01 * 60 / (clip * share) * WIDE.reward_cap)
    with pytest.raises(InvalidInput, match="shape"):
        read_sums(WIDE, mean[:-1], planned_devices=60, noise_std=0.01, clip_norm=clip)


def test_nothing_is_concluded_from_noise():
    """Where the denominator drowns, or too few decisions carry a policy, there is a reason in the place of a value."""
    spec = EvaluationSpec((ODDS, RARE), decisions_cap=7.0)
    rows = contributions(spec, device_sums(spec, toy(9, people=30)))
    drowned = evaluate_sums(simulated_round(spec, rows, 50.0, np.random.default_rng(0)))
    assert {one.refusal for one in drowned.estimates} == {"too_noisy"}
    few = exact(spec, toy(9, people=10))
    told = evaluate_sums(few)
    assert {one.refusal for one in told.estimates[1:]} == {"effective_sample_too_small"}
    assert told.to_dict()["estimates"][1]["value"] is None
    assert evaluate_sums(NoisySums(spec, np.zeros_like(few.total), few.noise_std)).estimates[0].refusal == "too_noisy"
    with pytest.raises(InvalidInput):
        told.estimate("odds:9", "ips")


def test_the_truth_of_a_world_is_what_its_log_says():
    """30,000 people: the world's own value of two policies and the IPS value of their log differ by less than 4.5
    standard errors of IPS (false alarm below 1e-5 each; the truth's own error is smaller and left out)."""
    spec = EvaluationSpec((ODDS, Target("fixed", 0.3)), decisions_cap=14.0, reward_cap=30.0, gain_cap=30.0)
    log = record("threshold_fatigue", 30_000, 1_234, truth=True)
    found = evaluate_sums(exact(spec, log.table()))
    for target in spec.targets:
        top, bottom = log.truth(target, spec)
        one = found.estimate(target.name, "gain")
        base = log.truth(Target("odds", 1.0), spec)[0] / bottom
        assert one.value == pytest.approx(top / bottom - base, abs=4.5 * one.sampling_error)
        whole = found.estimate(target.name, "ips")
        assert whole.value == pytest.approx(top / bottom, abs=4.5 * whole.sampling_error)


def test_a_target_that_decides_is_worth_what_windows_say():
    """60,000 people of a world with fatigue: a week decided by the target itself, and the window estimate of a log."""
    target = Target("fixed", 0.6)
    spec = EvaluationSpec((target,), decisions_cap=14.0, reward_cap=60.0, gain_cap=60.0, weight_cap=1e6, window_d=7)
    found = evaluate_sums(exact(spec, record("threshold_fatigue", 60_000, 77, days=7).table()))
    played = record("threshold_fatigue", 60_000, 78, days=7, instead=(target, spec), follow=lambda _day: True)
    truth = played.engaged[played.eligible].mean()
    one = found.estimate(target.name, "snips")
    error = math.hypot(one.sampling_error, math.sqrt(truth / played.eligible.sum()))
    assert one.value == pytest.approx(truth, abs=4.5 * error)
    assert played.propensity[played.eligible] == pytest.approx(0.6)
