"""95 % intervals over persons cover the truth as they claim, for values and for differences between policies."""

from collections import Counter

import pytest
from tests.evaluation import push_world

from tactful_lab.evaluation.compare import Estimate, Plan, compare
from tactful_lab.evaluation.policies import BySlot, always, never

EVENING = BySlot({"evening": 1.0})
TRUTH = {"always": 1.0, "never": 0.0, "slot:evening=1": [0.0, 0.0, 1.0], "logged": push_world.LOGGED}


def stateless_coverage(replications, first_seed):
    """Share of the intervals that hold the truth, by (policy, estimator, value or difference)."""
    values = {name: push_world.stateless_truth(send) for name, send in TRUTH.items()}
    held = Counter()
    for seed in range(first_seed, first_seed + replications):
        found = compare(
            push_world.stateless_log(seed), [always(), never(), EVENING], plan=Plan(resamples=400, seed=seed)
        )
        for one in found:
            assert isinstance(one.result, Estimate)
            key, truth = (one.policy, one.estimator), values[one.policy]
            held[*key, "value"] += one.result.value.low <= truth <= one.result.value.high
            if one.policy != "logged":
                gap = one.result.difference
                held[*key, "difference"] += gap.low <= truth - values["logged"] <= gap.high
    return {key: count / replications for key, count in held.items()}


def stateful_coverage(replications, first_seed):
    held = Counter()
    for seed in range(first_seed, first_seed + replications):
        log = push_world.stateful_log(seed)
        for one in compare(log, [always(), never()], plan=Plan(window_d=7.0, resamples=400, seed=seed)):
            if one.estimator.startswith("window") and one.policy != "logged":
                truth = push_world.stateful_truth(float(one.policy == "always"))
                held[one.policy, one.estimator] += one.result.value.low <= truth <= one.result.value.high
    return {key: count / replications for key, count in held.items()}


def rare_coverage(replications, first_seed):
    held, concluded = Counter(), Counter()
    for seed in range(first_seed, first_seed + replications):
        for one in compare(push_world.rare_log(seed), [always(), never()], plan=Plan(resamples=400, seed=seed)):
            if one.policy != "logged" and one.concluded:
                key, truth = (one.policy, one.estimator, "rare"), push_world.HAZARD[one.policy == "always"]
                concluded[key] += 1
                held[key] += one.result.value.low <= truth <= one.result.value.high
    assert min(concluded.values()) >= 0.95 * replications
    return {key: held[key] / concluded[key] for key in concluded}


def test_intervals_cover_in_forty_logs():
    """At least 80 % of 40: 95 % less 4.4 standard errors of .0345; by the binomial tail, false alarm 5e-4 a figure."""
    found = stateless_coverage(40, 1_000)
    assert len(found) == 28
    assert min(found.values()) >= 0.80, found


def test_window_intervals_cover_in_forty_logs():
    """As above, for the stateful world."""
    found = stateful_coverage(40, 5_000)
    assert len(found) == 4
    assert min(found.values()) >= 0.80, found


@pytest.mark.slow
def test_intervals_cover_in_two_hundred_logs():
    """At least 90 % of 200, the promise. At a true coverage of 95 % a figure fails with probability 1e-3."""
    found = stateless_coverage(200, 2_000) | stateful_coverage(200, 6_000) | rare_coverage(200, 7_000)
    assert len(found) == 40
    assert min(found.values()) >= 0.90, found
