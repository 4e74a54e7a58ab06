"""Without enough effective sample, or without support, nothing is concluded, and the result says why."""

import numpy as np
import pytest
from tests.evaluation import push_world

from tactful_lab.evaluation import support
from tactful_lab.evaluation.checks import contradiction_z
from tactful_lab.evaluation.compare import Estimate, Plan, compare
from tactful_lab.evaluation.log import PushLog
from tactful_lab.evaluation.policies import Logged, always, never
from tactful_lab.evaluation.support import Limits, Reason, Refusal
from tactful_privacy.errors import InvalidInput


def log_of(users, each, logged, *, seed=1, sent=None, **fields):
    random, n = np.random.default_rng(seed), users * each
    chance = np.broadcast_to(np.asarray(logged, dtype=float), n).copy()
    acts = random.random(n) < chance if sent is None else sent
    return PushLog(
        user=np.repeat(np.arange(users), each),
        time_s=np.tile(np.arange(each) * 3_600.0, users),
        sent=acts,
        send_propensity=chance,
        outcomes={"y": acts + random.normal(size=n)},
        **fields,
    )


def results(log, policy, **plan):
    return [f for f in compare(log, [policy], plan=Plan(resamples=50, **plan)) if f.policy == policy.name]


def test_effective_size():
    """Equal weights count fully, one weight counts once, zeros not at all; scale is nothing, also at 1e300."""
    assert support.effective_size(np.full(50, 3.0)) == pytest.approx(50)
    assert support.effective_size([0, 0, 7.0]) == 1
    assert support.effective_size([0, 0]) == support.effective_size([]) == 0
    assert support.effective_size([1e300, 1e300]) == pytest.approx(2)


def test_people_count_and_not_their_decisions():
    """20 persons with 500 decisions each: thousands of effective decisions, at most 20 effective users: refused."""
    for one in results(log_of(20, 500, 0.5), always()):
        assert one.support.effective_decisions > 4_000
        assert one.support.effective_users <= 20
        assert isinstance(one.result, Refusal)
        assert one.result.reason is Reason.EFFECTIVE_SAMPLE_TOO_SMALL
        assert "users" in one.result.text
    assert all(one.concluded for one in results(log_of(20, 500, 0.5), always(), limits=Limits(effective_users=10)))


def test_few_effective_decisions_are_refused_and_the_other_policy_is_not():
    """Sends at 1 %: `always` has about 20 of 2,000 decisions; `never` has almost all."""
    log = log_of(500, 4, 0.01)
    assert {one.result.reason for one in results(log, always())} == {Reason.EFFECTIVE_SAMPLE_TOO_SMALL}
    assert all(one.concluded for one in results(log, never()))


def test_what_the_logged_policy_never_did_is_not_concluded():
    """At a tenth of the decisions no push could be logged: `always` is refused with the share, `never` is not."""
    log = log_of(500, 4, np.tile([0.5] * 9 + [0.0], 200))
    for one in results(log, always()):
        assert one.support.unsupported_share == pytest.approx(0.1)
        assert one.result.reason is Reason.NO_SUPPORT
    assert all(one.concluded for one in results(log, never()))
    assert all(one.concluded for one in results(log, Logged()))
    assert all(one.concluded for one in results(log, always(), limits=Limits(unsupported_share=0.1)))


def test_decisions_that_always_sent_say_nothing_of_quiet():
    """A fifth of the decisions sent for certain: `never` is refused, `always` is not."""
    log = log_of(500, 5, np.tile([0.5] * 4 + [1.0], 500))
    assert {one.result.reason for one in results(log, never())} == {Reason.NO_SUPPORT}
    assert all(one.concluded for one in results(log, always()))


def test_a_log_that_chance_did_not_decide_says_nothing():
    """No eligible decision, no decision at all, no outcome: refused as such, for every policy and the reference."""
    gap = log_of(100, 4, 0.5)
    empty = {"y": np.full(400, np.nan)}
    without = PushLog(gap.user, gap.time_s, gap.sent, gap.send_propensity, empty)
    for log in (log_of(100, 4, 0.5, eligible=np.zeros(400, dtype=bool)), log_of(0, 4, 0.5), without):
        found = compare(log, [always(), never()], plan=Plan(window_d=7.0))
        assert len(found) == 18
        assert {one.result.reason for one in found} == {Reason.NOTHING_TO_EVALUATE}


def test_propensities_that_contradict_the_actions_stop_every_conclusion():
    """Half the pushes that the propensities say: refused, the logged policy included."""
    sent = np.random.default_rng(3).random(2_000) < 0.25
    found = compare(log_of(500, 4, 0.5, sent=sent), [always()])
    assert {one.result.reason for one in found} == {Reason.PROPENSITIES_CONTRADICT_ACTIONS}


def test_true_propensities_are_not_accused():
    """500 logs of a policy that follows its own last send: none at 6 standard errors (false alarm 1e-6)."""
    for seed in range(500):
        log = push_world.stateful_log(seed, users=100)
        assert abs(contradiction_z(log.sent, log.send_propensity, log.user)) < 6


def test_long_windows_lose_their_effective_sample():
    """14 decisions a window at 0.5: `always` keeps 2^-14 of the windows, so windows are refused, single weights not."""
    log = log_of(300, 14, 0.5)
    by = {one.estimator: one for one in results(log, always(), window_d=7.0)}
    assert by["window_ips"].result.reason is by["window_snips"].result.reason is Reason.EFFECTIVE_SAMPLE_TOO_SMALL
    assert all(by[name].concluded for name in ("ips", "snips", "dr", "switch_dr"))


def test_an_outcome_that_hardly_ever_happens_is_refused():
    """Nobody opted out, or six did: an interval of no width, or of chance, is no conclusion; by option it is."""
    for rows in ([], range(0, 600, 100)):
        log = log_of(200, 4, 0.5)
        y = np.zeros(800)
        y[list(rows)] = 1.0
        rare = PushLog(log.user, log.time_s, log.sent, log.send_propensity, {"opted_out": y})
        for one in results(rare, always()):
            assert one.support.effective_event_users <= len(rows)
            assert one.result.reason is Reason.OUTCOME_TOO_RARE
        assert all(one.concluded for one in results(rare, Logged(), limits=Limits(event_users=0)))


def test_a_refused_reference_leaves_values_without_differences():
    """Differences need both sides."""
    log = log_of(500, 4, 0.01)
    by = {(one.policy, one.estimator): one for one in compare(log, [never()], reference=always())}
    assert not by["always", "ips"].concluded
    assert isinstance(by["never", "ips"].result, Estimate)
    assert by["never", "ips"].result.difference is None
    assert by["never", "ips"].to_dict()["difference"] is None
    assert by["always", "ips"].to_dict()["value"] is None


def test_limits_below_one_are_refused():
    """A limit of nothing is no limit."""
    with pytest.raises(InvalidInput, match="effective_users"):
        Limits(effective_users=0)
