"""What a device contributes to an evaluation: sums written out, closed forms, bounds whatever it holds."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tactful.evaluation import EACH, FORMS, SHARED, EvaluationSpec, Target
from tactful.evaluation_sums import DecisionTable, contributions, device_sums, updates
from tactful.training import UnknownTask

TARGETS = (Target("odds", 0.5), Target("fixed", 0.3), Target("price", 2.0))


def table(seed=0, devices=40, each=9):
    random, rows = np.random.default_rng(seed), devices * each
    propensity = random.uniform(0.1, 0.8, rows)
    return DecisionTable(
        sent=(random.random(rows) < propensity).astype(float),
        propensity=propensity,
        engaged=(random.random(rows) < 0.3).astype(float),
        opted_out=(random.random(rows) < 0.05).astype(float),
        day=np.tile(np.repeat(np.arange(5), 2)[:each], devices) + 739_000,
        bounds=np.arange(0, rows + 1, each),
        predicted=random.uniform(0.1, 0.4, (rows, 2)),
        score=random.normal(2.0, 2.0, rows),
    )


def spec(**changes):
    fields = {"decisions_cap": 20.0, "reward_cap": 30.0, "gain_cap": 30.0, "reward_opted_out": -2.0}
    fields |= {"model_predicts": 1} | changes
    return EvaluationSpec(TARGETS, **fields)


def written_out(how, data, k):
    """The sums of each device for target k, decision by decision, in plain numbers."""
    found = []
    for device in range(data.n_devices):
        value = gain = weight = square = reward = 0.0
        window, product = None, 1.0
        for i in range(data.bounds[device], data.bounds[device + 1]):
            p, sent = data.propensity[i], data.sent[i] == 1
            form = how.targets[k]
            if form.form == "fixed":
                q = form.number
            elif form.form == "odds":
                q = form.number * p / (1 - p) / (1 + form.number * p / (1 - p))
            else:
                q = how.floor + (how.ceiling - how.floor) / (1 + np.exp(-(data.score[i] - form.number)))
            here = data.day[i] // how.window_d if how.window_d else i
            if here != window:
                window, product = here, 1.0
            before = product
            product *= q / p if sent else (1 - q) / (1 - p)
            rho, last = min(product, how.weight_cap), min(before, how.weight_cap)
            r = data.engaged[i] - 2.0 * data.opted_out[i]
            stay, send = data.predicted[i]
            gain += rho * (r - (send if sent else stay)) + last * (q * send + (1 - q) * stay) - r
            value, weight, square, reward = value + rho * r, weight + rho, square + rho * rho, reward + r
        found.append((value, gain, weight, square, reward))
    return np.array(found)


@pytest.mark.parametrize("window_d", [0, 2])
@pytest.mark.parametrize("k", range(3))
def test_sums_written_out(window_d, k):
    """Every target's sums are those of a plain loop, with and without windows, weights capped at 3."""
    how, data = spec(window_d=window_d, weight_cap=3.0), table()
    sums = device_sums(how, data)
    assert sums.truncated.any()
    columns = (sums.value[:, k], sums.gain[:, k], sums.weight[:, k], sums.weight_square[:, k], sums.reward)
    np.testing.assert_allclose(np.column_stack(columns), written_out(how, data, k), rtol=0, atol=1e-12)


def test_a_toy_of_two_actions():
    """Each action once in proportion to its chance: IPS, SNIPS and DR are the policy's value in closed form.

    Ten decisions, five sent at 0.5; 2 of those sent engaged, 1 of the others. Sending at 0.3: 0.3·2/5 + 0.7·1/5 = 0.26.
    """
    engaged = np.array([1, 1, 0, 0, 0, 1, 0, 0, 0, 0.0])
    sent, half = np.repeat([1.0, 0.0], 5), np.full(10, 0.5)
    data = DecisionTable(sent, half, engaged, np.zeros(10), np.arange(10), np.array([0, 10]))
    sums = device_sums(EvaluationSpec((Target("fixed", 0.3),), predicted_stay=0.9, predicted_send=0.1), data)
    assert sums.value[0, 0] / 10 == pytest.approx(0.26)
    assert sums.weight[0, 0] == pytest.approx(10.0)
    assert (sums.reward[0] + sums.gain[0, 0]) / 10 == pytest.approx(0.26)  # whatever the predictions are


def test_the_logged_policy_has_weight_one():
    """Odds times 1 is the logged policy: every weight is 1 and, predictions apart, it gains nothing."""
    data = replace(table(), predicted=None)
    sums = device_sums(EvaluationSpec((Target("odds", 1.0),)), data)
    np.testing.assert_allclose(sums.weight[:, 0], sums.decisions)
    np.testing.assert_allclose(sums.gain[:, 0], 0.0, atol=1e-12)


@pytest.mark.parametrize("window_d", [0, 1, 7])
def test_norms_hold_for_wild_devices(window_d):
    """Whatever a device holds, its contribution is within the clip norm and finite: 4,000 decisions, propensities of
    1e-300, all opted out; what is impossible is left out; nobody but it is touched."""
    good = table(devices=2)
    wild = np.full(4_000, 1e-300)
    wild[::2] = 1 - 1e-16
    wild[:3] = [np.nan, 0.0, 1.0]
    ones = np.ones(4_000)
    data = DecisionTable(
        *(
            np.concatenate([a, b])
            for a, b in zip(
                (good.sent, good.propensity, good.engaged, good.opted_out, good.day),
                (np.tile([1.0, 0.0], 2_000), wild, ones, ones, np.repeat(np.arange(400), 10)),
                strict=True,
            )
        ),
        bounds=np.append(good.bounds, good.bounds[-1] + 4_000),
    )
    how = EvaluationSpec(TARGETS[:2], window_d=window_d, reward_opted_out=-80.0, reward_cap=5.0)
    found = updates(how, data, 1.7)
    assert np.isfinite(found).all()
    assert (np.linalg.norm(found, axis=1) < 1.7).all()
    assert found[2].any()
    alone = DecisionTable(good.sent, good.propensity, good.engaged, good.opted_out, good.day, good.bounds)
    np.testing.assert_array_equal(found[:2], updates(how, alone, 1.7))


def test_the_greatest_contribution_nearly_fills_the_norm():
    """A device at every cap has the clip norm less a thousandth: half-ranges are not smaller than they need be."""
    how = EvaluationSpec(TARGETS)
    np.testing.assert_allclose(np.linalg.norm(how.half_ranges), 0.999)
    assert len(how.coordinates) == len(SHARED) + 3 * len(EACH) == how.layout[0].length == len(how.units)


def test_clipping_keeps_ratios():
    """A device above its caps is shrunk as a whole: its value per decision and per weight stay what they were."""
    how, data = spec(reward_cap=0.5), table()
    sums = device_sums(how, data)
    rows = dict(zip(how.coordinates, contributions(how, sums).T * how.units[:, None], strict=True))
    clipped = rows["clipped"] > 0
    assert clipped.any()
    some = clipped & (sums.value[:, 0] != 0)
    kept = rows["decisions"] / sums.decisions
    for name, full in (("value.0", sums.value[:, 0]), ("gain.1", sums.gain[:, 1]), ("reward", sums.reward)):
        np.testing.assert_allclose(rows[name], kept * full, atol=1e-12)
    assert (kept[some] < 1).all()
    np.testing.assert_allclose(rows["lost_decisions"], (1 - kept) * sums.decisions, atol=1e-12)


def test_a_device_without_decisions_is_zero():
    """No decision by chance: the zero vector, as for a device that is not there."""
    data = DecisionTable(*(np.zeros(0) for _ in range(4)), np.zeros(0, np.int64), np.zeros(4, np.int64))
    assert not updates(EvaluationSpec(TARGETS[:2], window_d=7), data, 1.0).any()


def test_settings_round_trip():
    """What a plan carries says the whole spec, each form included; targets keep their order beyond ten."""
    targets = (*(Target("fixed", k / 16) for k in range(12)), Target("odds", 2.0), Target("price", -1.5))
    how = EvaluationSpec(targets, window_d=7, reward_opted_out=-80.0)
    assert EvaluationSpec.from_settings(how.to_settings()) == how
    assert {form for form in FORMS if any(t.form == form for t in targets)} == set(FORMS)


@pytest.mark.parametrize(
    "settings",
    [
        (),
        (("target.00.code", Fraction(1)),),
        (("target.00.fixed", Fraction(3, 2)),),
        (("target.00.odds", Fraction(-1)),),
        (("target.00.fixed", Fraction(1, 2)), ("surprise", Fraction(1))),
        (("target.00.fixed", Fraction(1, 2)), ("window_d", Fraction(8))),
        (("target.00.fixed", Fraction(1, 2)), ("reward_engaged", Fraction(10**10))),
        (("target.00.fixed", Fraction(1, 2)), ("target.01.fixed", Fraction(1, 2))),
        tuple((f"target.{k:02d}.odds", Fraction(k)) for k in range(17)),
    ],
)
def test_unknown_settings_are_refused(settings):
    """A form, name or number that this SDK does not know is refused with a type, never run."""
    with pytest.raises(UnknownTask):
        EvaluationSpec.from_settings(settings)


def test_a_price_needs_a_score():
    """Without a model's score a fleet price cannot be valued."""
    data = table()
    bare = DecisionTable(data.sent, data.propensity, data.engaged, data.opted_out, data.day, data.bounds)
    with pytest.raises(UnknownTask, match="score"):
        updates(EvaluationSpec(TARGETS), bare, 1.0)
