"""Each estimator equals an independent implementation by plain loops, on the same numbers."""

import numpy as np
import pytest
from tests.evaluation import ope_oracle, push_world

from tactful_lab.evaluation import estimators, outcome_model, support
from tactful_lab.evaluation.log import PushLog
from tactful_lab.evaluation.policies import BySlot, Fixed, FromColumn, Logged, always, never
from tactful_privacy.errors import InvalidInput

POLICIES = [always(), never(), Fixed(0.3), Logged(), BySlot({"noon": 0.9}, 0.2), FromColumn("tilted")]


@pytest.fixture(scope="module")
def log():
    return push_world.stateless_log(5, users=60)


@pytest.fixture(scope="module")
def model(log):
    return outcome_model.cross_fitted(outcome_model.features(log), log.outcomes["y"], log.sent, log.user, seed=1)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_one_decision_estimators_equal_plain_loops(log, model, policy):
    """IPS, SNIPS, DR and switch-DR agree with the loops to 1e-12, for six policies and three thresholds."""
    target, y = policy.send_probability(log), log.outcomes["y"]
    w = estimators.weights(log.sent, log.send_propensity, target)
    assert estimators.ips(y, w).value == pytest.approx(ope_oracle.ips(log, y, target), rel=1e-12)
    assert estimators.snips(y, w).value == pytest.approx(ope_oracle.snips(log, y, target), rel=1e-12)
    robust = estimators.doubly_robust(y, w, model, sent=log.sent, target=target)
    loops = ope_oracle.switch_dr(log, y, target, model.stay, model.send, np.inf)
    assert robust.value == pytest.approx(loops, rel=1e-12)
    for tau in (0.5, 1.5, 3.0):
        fast = estimators.switch_doubly_robust(y, w, model, sent=log.sent, target=target, threshold=tau)
        loops = ope_oracle.switch_dr(log, y, target, model.stay, model.send, tau)
        assert fast.value == pytest.approx(loops, rel=1e-12)
    assert support.effective_size(w) == pytest.approx(ope_oracle.effective_size(w), rel=1e-12)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
@pytest.mark.parametrize("window_d", [1.0, 2.5, 7.0])
def test_window_estimators_equal_a_walk_through_each_window(log, policy, window_d):
    """Shuffled rows, forced decisions, missing outcomes and cut windows included, to 1e-9."""
    random = np.random.default_rng(2)
    order = random.permutation(log.n)
    y = np.where(random.random(log.n) < 0.1, np.nan, log.outcomes["y"])[order]
    mixed = PushLog(
        user=log.user[order],
        time_s=log.time_s[order] + 1e6,
        sent=log.sent[order],
        send_propensity=log.send_propensity[order],
        outcomes={"y": y},
        eligible=random.random(log.n) < 0.8,
        slot=log.slot[order],
        columns={"tilted": log.columns["tilted"][order]},
        cut_user=np.array([3, 17, 17]),
        cut_time_s=np.array([1e6 + 10, 1e6 + 4 * 86_400, 0.0]),
    )
    target = policy.send_probability(mixed)
    w = estimators.weights(mixed.sent, mixed.send_propensity, target)
    rho, whole = estimators.window_weights(mixed, w, window_d)
    rows = whole & mixed.randomised & np.isfinite(y)
    top, bottom, count = ope_oracle.windows(mixed, y, target, window_d * 86_400)
    assert rows.sum() == count
    assert estimators.ips(y[rows], rho[rows]).value == pytest.approx(top / count, rel=1e-9)
    assert estimators.snips(y[rows], rho[rows]).value == pytest.approx(top / bottom, rel=1e-9)


def test_a_person_is_predicted_by_a_model_of_the_others(log, model):
    """Each fold's predictions equal a least-squares ridge regression on the other folds' rows of the same action."""
    x, y = outcome_model.features(log), log.outcomes["y"]
    people = len(np.unique(log.user))
    fold = (np.random.default_rng(1).permutation(people) % outcome_model.FOLDS)[log.user]
    for k in range(outcome_model.FOLDS):
        for action, predicted in ((False, model.stay), (True, model.send)):
            slow = ope_oracle.ridge(x, y, (fold != k) & (log.sent == action))
            assert predicted[fold == k] == pytest.approx(x[fold == k] @ slow, rel=1e-7)


def test_the_logged_policy_is_worth_the_plain_mean(log):
    """Its weights are exactly 1."""
    w = estimators.weights(log.sent, log.send_propensity, Logged().send_probability(log))
    assert np.array_equal(w, np.ones(log.n))
    assert estimators.ips(log.outcomes["y"], w).value == pytest.approx(log.outcomes["y"].mean(), rel=1e-12)


def test_the_threshold_minimises_variance_plus_squared_bias():
    """A rare huge weight with a good model is switched off; with equal weights nothing is."""
    random = np.random.default_rng(8)
    n = 4_000
    logged = np.where(random.random(n) < 0.02, 0.004, 0.5)
    sent = random.random(n) < logged
    y = 1.0 + sent + random.normal(size=n) * 3
    good = estimators.Modelled(np.ones(n), np.full(n, 2.0))
    target = np.where(logged < 0.1, 0.02, 0.5)
    w = estimators.weights(sent, logged, target)
    args = {"sent": sent, "send_propensity": logged, "target": target}
    assert estimators.switch_threshold(y, w, good, **args) <= 5
    even = {"sent": sent, "send_propensity": logged, "target": logged}
    assert estimators.switch_threshold(y, np.ones(n), good, **even) == np.inf


def test_products_in_a_window_do_not_lose_digits_in_a_long_log():
    """20,000 windows of 7 decisions: the last product equals numpy's own product to 1e-9."""
    random = np.random.default_rng(6)
    users, steps = 20_000, 7
    sent = random.random(users * steps) < 0.3
    log = PushLog(
        user=np.repeat(np.arange(users), steps),
        time_s=np.tile(np.arange(steps) * 3_600.0, users),
        sent=sent,
        send_propensity=np.full(users * steps, 0.3),
        outcomes={"y": np.zeros(users * steps)},
    )
    w = estimators.weights(sent, log.send_propensity, np.full(log.n, 0.6))
    w[::50] = 0.0
    products, whole = estimators.window_weights(log, w, 7.0)
    assert whole.all()
    assert products.reshape(users, steps) == pytest.approx(np.cumprod(w.reshape(users, steps), axis=1), rel=1e-9)


def test_wrong_use_of_the_estimators_is_refused(log):
    """Impossible actions, targets outside 0 to 1, unequal lengths, windows longer than 7 days: typed errors."""
    one = np.ones(1)
    for sent, logged, target, field in (
        (one, 0 * one, one, "send_propensity"),
        (one, one / 2, 2 * one, "target"),
        (one, one / 2, np.array([np.nan]), "target"),
        (one, np.ones(2), one, "weights"),
    ):
        with pytest.raises(InvalidInput) as error:
            estimators.weights(sent, logged, target)
        assert error.value.field == field
    for window_d in (0.0, 7.01, float("nan")):
        with pytest.raises(InvalidInput, match="7 days"):
            estimators.window_weights(log, np.ones(log.n), window_d)
