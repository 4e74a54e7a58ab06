"""Effects and standard errors are those of the formulas written out, and of simpler methods where these apply."""

from dataclasses import replace

import numpy as np
import pytest
from tests.lab.excursion_world import draw

from tactful_lab.evaluation import excursion
from tactful_lab.evaluation.excursion import Trial, WclsOptions
from tactful_lab.evaluation.sandwich import fit_clustered

PLAIN = WclsOptions(small_sample=False)


def slow_sandwich(x, y, weight, cluster, *, small_sample):
    """θ and its covariance, every sum a loop and every matrix of the textbook formed."""
    d = x.shape[1]
    bread, right = np.zeros((d, d)), np.zeros(d)
    for row, target, w in zip(x, y, weight, strict=True):
        bread += w * np.outer(row, row)
        right += w * target * row
    inverse = np.linalg.inv(bread)
    theta = inverse @ right
    meat = np.zeros((d, d))
    for label in set(cluster.tolist()):
        own = [i for i in range(len(y)) if cluster[i] == label]
        residual = np.array([y[i] - x[i] @ theta for i in own])
        if small_sample:
            hat = np.array([[x[i] @ inverse @ x[j] * weight[j] for j in own] for i in own])
            residual = np.linalg.inv(np.eye(len(own)) - hat) @ residual
        score = sum(weight[i] * residual[k] * x[i] for k, i in enumerate(own))
        meat += np.outer(score, score)
    return theta, inverse @ meat @ inverse


def written_out(trial, f, numerator, *, small_sample):
    """Effects and covariance from rows gone through one by one, controls being 1, the trial's and f's second column."""
    x, y, weight, cluster = [], [], [], []
    for i in range(len(trial.user)):
        if not trial.available[i]:
            continue
        a, p, c = trial.action[i], trial.propensity[i], numerator[i]
        weight.append((c / p) ** a * ((1 - c) / (1 - p)) ** (1 - a))
        x.append([1, *trial.controls[i], *f[i][1:], *((a - c) * f[i])])
        y.append(trial.outcome[i])
        cluster.append(trial.user[i])
    args = np.array(x, float), np.array(y), np.array(weight), np.array(cluster)
    theta, covariance = slow_sandwich(*args, small_sample=small_sample)
    p = f.shape[1]
    return theta[-p:], covariance[-p:, -p:]


@pytest.mark.parametrize("small_sample", [False, True])
@pytest.mark.parametrize("varying", [False, True])
def test_effects_are_those_of_a_plain_loop(small_sample, varying):
    """Estimates and covariance of an effect over time equal the written-out ones, whatever numerator and correction."""
    trial = draw(3, users=9, decisions=12)
    numerator = 0.2 + 0.03 * trial.moderator("day") * varying
    found = excursion.effect_over_time(trial, options=WclsOptions(numerator=numerator, small_sample=small_sample))
    f = np.column_stack([np.ones(len(trial.user)), trial.moderator("day")])
    theta, covariance = written_out(trial, f, numerator, small_sample=small_sample)
    assert [e.estimate for e in found.effects] == pytest.approx(theta, rel=1e-9)
    assert np.array(found.covariance) == pytest.approx(covariance, rel=1e-8, abs=1e-14)


def test_the_corrected_sandwich_is_the_jackknife():
    """Mancl and DeRouen's covariance is the sum of squared moves as each user in turn is left out of the fit."""
    random = np.random.default_rng(5)
    cluster = np.sort(random.integers(0, 12, 150))
    x, y, weight = random.normal(size=(150, 3)), random.normal(size=150), random.uniform(0.5, 2, 150)
    found = fit_clustered(x, y, weight, cluster, ("a", "b", "c"), small_sample=True)
    moves = []
    for label in range(12):
        keep = cluster != label
        root = np.sqrt(weight[keep])
        without = np.linalg.lstsq(x[keep] * root[:, None], y[keep] * root, rcond=None)[0]
        moves.append(found.coefficients - without)
    assert found.covariance == pytest.approx(np.array(moves).T @ np.array(moves), rel=1e-9)


def coin_trial(seed=8, users=20, decisions=15, propensity=0.4):
    """Everyone available at every decision, a push sent by the same coin each time."""
    random = np.random.default_rng(seed)
    rows = users * decisions
    day = np.tile(np.arange(decisions), users)
    action = (random.random(rows) < propensity).astype(float)
    mood = random.normal(size=rows)
    y = mood + action * (0.2 + 0.03 * day) + random.normal(size=rows)
    return Trial.of(
        user=np.repeat(np.arange(users), decisions),
        action=action,
        propensity=propensity,
        outcome=y,
        controls={"mood": mood},
        moderators={"day": day},
    )


@pytest.mark.parametrize("small_sample", [False, True])
def test_it_is_ordinary_least_squares_where_the_coin_is_always_the_same(small_sample):
    """With one propensity, it as numerator and full availability, the slopes on A and A·day of plain regression return.

    All weights are then 1. As f = (1, day) stands among the controls, (A − p)f = Af − pf spans with them what Af does,
    with the same coefficients on it, the same residuals and, a sandwich being equivariant, the same standard errors.
    """
    trial = coin_trial()
    day, a = trial.moderator("day"), trial.action
    naive = np.column_stack([np.ones(len(a)), trial.controls[:, 0], day, a, a * day])
    ols = np.linalg.lstsq(naive, trial.outcome, rcond=None)[0]
    _, covariance = slow_sandwich(naive, trial.outcome, np.ones(len(a)), trial.user, small_sample=small_sample)
    for numerator in (None, 0.4):
        options = WclsOptions(numerator=numerator, small_sample=small_sample)
        found = excursion.effect_over_time(trial, options=options)
        assert found.sample.max_weight == pytest.approx(1)
        assert [e.estimate for e in found.effects] == pytest.approx(ols[-2:], rel=1e-9)
        assert [e.standard_error for e in found.effects] == pytest.approx(np.sqrt(np.diag(covariance))[-2:], rel=1e-8)


def test_by_level_it_is_a_difference_of_means_whatever_the_numerator():
    """With one propensity within a level and levels as controls, an effect is mean sent − mean not sent."""
    trial = draw(4, users=15, decisions=20)
    state, here = trial.moderator("state"), trial.available
    for numerator in (None, 0.2, np.where(state == 1, 0.1, 0.7)):
        found = excursion.effect_by_level(trial, "state", WclsOptions(numerator=numerator))
        assert found.controls == ("constant", "tired before")
        for level in (0, 1):
            sent, not_sent = (trial.outcome[here & (state == level) & (trial.action == a)] for a in (1, 0))
            assert found.effect(f"state={level}").estimate == pytest.approx(sent.mean() - not_sent.mean())


def test_what_stands_beside_an_unavailable_decision_does_not_matter():
    """Missing or absurd values where the user was not available change nothing, nor do order and labels."""
    trial = draw(6, users=12, decisions=15)
    first = excursion.effect_over_time(trial)
    order = np.random.default_rng(1).permutation(len(trial.user))
    away = ~trial.available

    def spoil(column):
        return np.where(away, np.nan, column)[order]

    spoiled = Trial.of(
        user=[f"user {label}" for label in trial.user[order]],
        available=trial.available[order],
        action=spoil(trial.action),
        propensity=np.where(away, 7.0, trial.propensity)[order],
        outcome=spoil(trial.outcome),
        controls={"tired before": spoil(trial.controls[:, 0])},
        moderators={"day": spoil(trial.moderator("day"))},
    )
    again = excursion.effect_over_time(spoiled)
    for one, other in zip(first.effects, again.effects, strict=True):
        assert (one.estimate, one.low, one.high) == pytest.approx((other.estimate, other.low, other.high))
    assert first.sample.rows_unavailable == again.sample.rows_unavailable == away.sum()


def test_a_user_who_is_never_available_is_counted_and_changes_nothing():
    """Such a user is reported and takes no part in the degrees of freedom."""
    trial = draw(6, users=12, decisions=15)
    alone = replace(trial, available=trial.available & (trial.user != 3))
    keep = trial.user != 3
    without = Trial(*(getattr(trial, name)[keep] for name in COLUMNS), trial.names)
    found, expected = excursion.average_effect(alone), excursion.average_effect(without)
    assert (found.sample.users, found.sample.users_never_available) == (11, 1)
    assert found.effects == expected.effects


COLUMNS = ("user", "available", "action", "propensity", "outcome", "controls", "moderators")


def test_intervals_are_of_t_with_the_correction_and_normal_without():
    """Half the width is the quantile of the stated distribution times the standard error."""
    trial = draw(2, users=10, decisions=20)
    corrected, plain = excursion.average_effect(trial), excursion.average_effect(trial, PLAIN)
    assert (corrected.degrees_of_freedom, plain.degrees_of_freedom) == (10 - 2 - 1, None)
    # Quantiles from tables: t with 7 degrees 2.3646, normal 1.9600.
    for fit, quantile in ((corrected, 2.3646), (plain, 1.9600)):
        effect = fit.effects[0]
        assert effect.high - effect.estimate == pytest.approx(quantile * effect.standard_error, rel=1e-4)
        assert effect.estimate - effect.low == pytest.approx(effect.high - effect.estimate)
    assert corrected.effects[0].standard_error > plain.effects[0].standard_error


def test_an_interval_that_touches_zero_has_a_p_value_of_one_minus_its_level():
    """The p-value and the interval are of one distribution."""
    trial = draw(2, users=10, decisions=20)
    p_value = excursion.average_effect(trial).effects[0].p_value
    touching = excursion.average_effect(trial, WclsOptions(level=1 - p_value)).effects[0]
    assert min(abs(touching.low), abs(touching.high)) == pytest.approx(0, abs=1e-12)


def test_a_combination_of_effects_carries_their_covariance():
    """The effect on day 5 is the constant of a fit in which day 5 is day 0."""
    trial = draw(7, users=20, decisions=12)
    moved = replace(trial, moderators=trial.moderators - 5)
    on_day_5 = excursion.effect_over_time(trial).combine((1, 5), "constant")
    expected = excursion.effect_over_time(moved).effects[0]
    numbers = ("estimate", "standard_error", "low", "high")
    assert [getattr(on_day_5, n) for n in numbers] == pytest.approx([getattr(expected, n) for n in numbers])


def test_equality_of_two_levels_is_the_test_of_their_difference():
    """With two levels the statistic is the square of the difference over its standard error."""
    fit = excursion.effect_by_level(draw(2, users=20, decisions=20), "state")
    difference = fit.combine((-1, 1), "difference")
    found = fit.equality()
    assert found.statistic == pytest.approx((difference.estimate / difference.standard_error) ** 2)
    assert found.p_value == pytest.approx(difference.p_value)
    assert found.degrees_of_freedom == (1, fit.degrees_of_freedom)


def test_equality_does_not_depend_on_which_level_comes_first():
    """Three levels in another order give the same test, corrected or not."""
    trial = draw(2, users=20, decisions=21)
    moderators = trial.moderators.copy()
    moderators[:, 3] = (moderators[:, 3] + 1) % 3
    for options in (WclsOptions(), PLAIN):
        one, other = (
            excursion.effect_by_level(t, "third", options).equality()
            for t in (trial, replace(trial, moderators=moderators))
        )
        assert one.statistic == pytest.approx(other.statistic)
        assert one.p_value == pytest.approx(other.p_value)
        assert one.degrees_of_freedom[0] == 2


def test_wrong_propensities_show():
    """Randomisation z is small if the propensities are true (|z| ≤ 5: false alarm < 1e-6) and large if they are not."""
    trial = draw(9, users=60, decisions=40)
    assert abs(excursion.average_effect(trial).sample.randomisation_z) <= 5
    wrong = replace(trial, propensity=trial.propensity * 0.7)
    assert excursion.average_effect(wrong).sample.randomisation_z > 8
