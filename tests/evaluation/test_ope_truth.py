"""On logs whose policies have a known value, the estimators find it."""

import numpy as np
import pytest
from tests.evaluation import push_world

from tactful_lab.evaluation import estimators, outcome_model
from tactful_lab.evaluation.policies import BySlot, Fixed, FromColumn, always, never

CASES = [
    (always(), 1.0),
    (never(), 0.0),
    (Fixed(0.25), 0.25),
    (BySlot({"evening": 1.0}, 0.1), np.array([0.1, 0.1, 1.0])),
    (FromColumn("tilted"), np.array([[0.1], [0.8]])),
]


@pytest.mark.parametrize(("policy", "send"), CASES, ids=lambda case: getattr(case, "name", ""))
def test_every_estimator_finds_the_closed_form(policy, send):
    """20,000 persons: within 5 standard errors clustered by person (false alarm 6e-7 for each of 20 checks)."""
    log = push_world.stateless_log(11, users=20_000)
    y, target, truth = log.outcomes["y"], policy.send_probability(log), push_world.stateless_truth(send)
    w = estimators.weights(log.sent, log.send_propensity, target)
    model = outcome_model.cross_fitted(outcome_model.features(log), y, log.sent, log.user, seed=1)
    both = {"sent": log.sent, "target": target}
    for terms in (
        estimators.ips(y, w),
        estimators.snips(y, w),
        estimators.doubly_robust(y, w, model, **both),
        estimators.switch_doubly_robust(y, w, model, **both, threshold=50.0),
    ):
        assert abs(terms.value - truth) < 5 * clustered_error(terms, log.user)


def clustered_error(terms, user):
    """Standard error of a ratio of sums, clustered by person (delta method)."""
    residual = np.bincount(user, weights=terms.numerator - terms.value * terms.denominator)
    return np.sqrt(np.sum(residual**2)) / terms.denominator.sum()


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_window_weights_find_a_stateful_policy_s_value(probability):
    """The truth is the sum over all paths; within 5 clustered standard errors (false alarm 6e-7 for each check)."""
    log = push_world.stateful_log(3, users=20_000)
    w = estimators.weights(log.sent, log.send_propensity, np.full(log.n, probability))
    rho, _ = estimators.window_weights(log, w, 7.0)
    for terms in (estimators.ips(log.outcomes["y"], rho), estimators.snips(log.outcomes["y"], rho)):
        assert abs(terms.value - push_world.stateful_truth(probability)) < 5 * clustered_error(terms, log.user)


def test_weights_of_one_decision_are_wrong_for_a_stateful_policy():
    """In the same world plain IPS misses the truth of `always` by more than 20 standard errors: windows are needed."""
    log = push_world.stateful_log(3, users=20_000)
    terms = estimators.ips(log.outcomes["y"], estimators.weights(log.sent, log.send_propensity, np.ones(log.n)))
    assert abs(terms.value - push_world.stateful_truth(1.0)) > 20 * clustered_error(terms, log.user)


def test_a_wrong_model_costs_precision_and_not_truth():
    """DR with a model that is off by 5 everywhere finds the truth, within 5 standard errors; the model does not."""
    log = push_world.stateless_log(12, users=20_000)
    y, target, truth = log.outcomes["y"], np.ones(log.n), push_world.stateless_truth(1.0)
    w = estimators.weights(log.sent, log.send_propensity, target)
    bad = estimators.Modelled(np.full(log.n, 5.0), np.full(log.n, truth + 5.0))
    terms = estimators.doubly_robust(y, w, bad, sent=log.sent, target=target)
    assert abs(terms.value - truth) < 5 * clustered_error(terms, log.user)
    assert bad.of(target).mean() - truth == pytest.approx(5.0)
