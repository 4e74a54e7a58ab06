"""Resamples draw whole persons, the same ones for every policy."""

import numpy as np
import pytest
from tests.evaluation import push_world

from tactful_lab.evaluation import bootstrap, estimators
from tactful_lab.evaluation.compare import Plan, compare
from tactful_lab.evaluation.policies import Fixed, Logged, always, never
from tactful_privacy.errors import InvalidInput


def test_a_resample_is_the_estimate_on_the_drawn_persons_rows():
    """With the same draws, a loop which concatenates rows gives the same SNIPS of every resample, to 1e-12."""
    log = push_world.stateless_log(2, users=30)
    y, people = log.outcomes["y"], 30
    w = estimators.weights(log.sent, log.send_propensity, np.full(log.n, 0.7))
    sums = [bootstrap.person_sums(v, log.user, people)[:, None] for v in (w * y, w)]
    fast = bootstrap.resampled_ratios(*sums, seed=4, resamples=100)[:, 0]
    random = np.random.default_rng(4)
    for value in fast:
        drawn = random.integers(0, people, people)
        rows = np.concatenate([np.flatnonzero(log.user == person) for person in drawn])
        assert value == pytest.approx(np.sum(w[rows] * y[rows]) / np.sum(w[rows]), rel=1e-12)


def test_differences_are_paired():
    """A policy close to the logged one differs from it by far less than the two values' own intervals say."""
    log = push_world.stateless_log(7, users=400)
    near = Fixed(0.45)
    found = {(f.policy, f.estimator): f.result for f in compare(log, [near], plan=Plan(resamples=500))}
    for estimator in ("snips", "dr"):
        one, base = found[near.name, estimator], found["logged", estimator]
        apart = np.hypot(one.value.high - one.value.low, base.value.high - base.value.low)
        assert one.difference.high - one.difference.low < 0.6 * apart
        assert one.difference.value == pytest.approx(one.value.value - base.value.value)
    same = found["logged", "ips"].difference
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_persons_are_the_unit_and_not_their_decisions():
    """Writing every decision ten times narrows no interval."""
    log = push_world.stateless_log(3, users=100)
    sums = np.random.default_rng(1).normal(size=(100, 1)), np.ones((100, 1))
    one = bootstrap.resampled_ratios(*sums, seed=1, resamples=200)
    ten = bootstrap.resampled_ratios(10 * sums[0], 10 * sums[1], seed=1, resamples=200)
    assert ten == pytest.approx(one)
    assert bootstrap.person_sums(np.repeat(log.time_s, 10), np.repeat(log.user, 10), 100) == pytest.approx(
        10 * bootstrap.person_sums(log.time_s, log.user, 100)
    )


def test_intervals_are_seeded():
    """The same plan gives the same findings, another seed others."""
    log = push_world.stateless_log(3, users=100)
    first = compare(log, [always(), never()], plan=Plan(seed=1, resamples=100))
    assert first == compare(log, [always(), never()], plan=Plan(seed=1, resamples=100))
    assert first != compare(log, [always(), never()], plan=Plan(seed=2, resamples=100))


def test_the_interval_is_the_percentiles_of_the_draws():
    """Draws without a value do not count; none at all is an error."""
    draws = np.r_[np.arange(101.0), np.nan]
    found = bootstrap.percentile_interval(7, draws, level=0.9)
    assert (found.value, found.low, found.high, found.level) == pytest.approx((7, 5, 95, 0.9))
    with pytest.raises(InvalidInput, match="no resample"):
        bootstrap.percentile_interval(7, np.array([np.nan]))
    with pytest.raises(InvalidInput, match="level"):
        bootstrap.percentile_interval(7, draws, level=1.0)


def test_tables_that_do_not_fit_are_refused():
    """Shapes, no people, no resamples."""
    for top, bottom, resamples in (
        (np.ones((2, 1)), np.ones((3, 1)), 9),
        (np.ones((0, 1)), np.ones((0, 1)), 9),
        (np.ones((2, 1)), np.ones((2, 1)), 0),
    ):
        with pytest.raises(InvalidInput):
            bootstrap.resampled_ratios(top, bottom, seed=1, resamples=resamples)


def test_two_policies_of_one_name_are_refused():
    """Their rows could not be told apart; the logged policy asked for twice is one policy."""
    log = push_world.stateless_log(3, users=100)
    with pytest.raises(InvalidInput, match="one name"):
        compare(log, [Fixed(0.1, "mine"), Fixed(0.2, "mine")])
    assert len(compare(log, [Logged()], plan=Plan(resamples=10))) == 4
