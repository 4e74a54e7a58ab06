"""Trials from which no effect can be told are refused by name, and results are plain values."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.lab.excursion_world import draw

from tactful_lab.evaluation import excursion
from tactful_lab.evaluation.excursion import Trial, WclsOptions
from tactful_privacy.errors import InvalidInput


@pytest.fixture(scope="module")
def trial():
    return draw(1, users=20, decisions=20)


def with_value(column, where, value):
    changed = np.array(column, dtype=float)
    changed[where] = value
    return changed


@pytest.mark.parametrize("chance", [0.0, 1.0, -0.1, 1.2, np.nan])
def test_a_propensity_outside_its_range_is_refused(trial, chance):
    """A propensity that is not strictly between 0 and 1 where the user was available: the row is named."""
    row = int(np.flatnonzero(trial.available)[5])
    with pytest.raises(InvalidInput, match=f"propensity: .*in 1 rows, first in row {row}"):
        replace(trial, propensity=with_value(trial.propensity, row, chance))


@pytest.mark.parametrize(
    ("field", "value"), [("action", 0.5), ("action", np.nan), ("outcome", np.nan), ("outcome", np.inf)]
)
def test_a_value_that_cannot_be_used_is_refused(trial, field, value):
    """An action that is neither 0 nor 1, an outcome that is missing or infinite."""
    row = int(np.flatnonzero(trial.available)[0])
    with pytest.raises(InvalidInput, match=field):
        replace(trial, **{field: with_value(getattr(trial, field), row, value)})


def test_a_missing_control_or_moderator_is_named(trial):
    """The column with the gap is the error's field."""
    row = int(np.flatnonzero(trial.available)[0])
    with pytest.raises(InvalidInput, match="tired before: is missing"):
        replace(trial, controls=with_value(trial.controls, (row, 0), np.nan))
    with pytest.raises(InvalidInput, match="dosage: is missing"):
        replace(trial, moderators=with_value(trial.moderators, (row, 2), np.nan))


def test_a_trial_in_which_nobody_was_available_is_refused(trial):
    """Never available: there is no effect to speak of."""
    with pytest.raises(InvalidInput, match="available: nobody was available"):
        replace(trial, available=np.zeros_like(trial.available))


@pytest.mark.parametrize("labels", [[None, "a"], [np.nan, 1.0]])
def test_a_missing_user_is_refused(labels):
    """A decision without a user belongs to no cluster."""
    with pytest.raises(InvalidInput, match="user: is missing in 1 rows"):
        Trial.of(user=labels, action=[0, 1], propensity=0.5, outcome=[0, 1])


def test_shapes_and_names_are_checked(trial):
    """Columns of another length, tables without columns, names too few or twice, text for a number."""
    columns = {"user": [1, 2], "action": [0, 1], "propensity": 0.5, "outcome": [0, 1]}
    for change in ({"action": [0, 1, 1]}, {"outcome": [1]}, {"controls": {"x": [1]}}, {"action": ["sent", "not"]}):
        with pytest.raises(InvalidInput, match=next(iter(change)) if "controls" not in change else "x"):
            Trial.of(**{**columns, **change})
    with pytest.raises(InvalidInput, match="available: is neither"):
        Trial.of(**columns, available=[2, 1])
    with pytest.raises(InvalidInput, match="available: is not an array of bool"):
        replace(trial, available=trial.available.astype(int))
    with pytest.raises(InvalidInput, match="controls"):
        replace(trial, controls=trial.controls[:, 0])
    with pytest.raises(InvalidInput, match="names"):
        replace(trial, names=trial.names[:-1])
    with pytest.raises(InvalidInput, match="comes twice: day, day"):
        replace(trial, names=("x", "day", "day", *trial.names[3:]))


def test_controls_that_repeat_each_other_are_named(trial):
    """Both the column that can be left out and what it is made of are told; a constant is one of them."""
    tired = trial.controls[:, 0]
    again = replace(
        trial, controls=np.column_stack([tired, 3 - 2 * tired]), names=("tired before", "awake", *trial.names[1:])
    )
    with pytest.raises(InvalidInput, match="controls: awake is a combination of constant, tired before"):
        excursion.average_effect(again)
    empty = replace(trial, controls=np.zeros_like(trial.controls))
    with pytest.raises(InvalidInput, match="controls: tired before is a combination of nothing"):
        excursion.average_effect(empty)


def test_moderators_that_repeat_each_other_are_named(trial):
    """A moderator that is a multiple of another, or that does not vary."""
    day = trial.moderator("day")
    table = np.column_stack([day, 24 * day, np.full(len(day), 3.0)])
    other = replace(trial, moderators=table, names=("tired before", "day", "hour", "shop"))
    with pytest.raises(InvalidInput, match="moderators: hour is a combination of day"):
        excursion.moderated_effect(other, ("day", "hour"))
    with pytest.raises(InvalidInput, match="moderators: shop is a combination of constant"):
        excursion.moderated_effect(other, ("shop",))
    with pytest.raises(InvalidInput, match="moderators: no moderator 'week'; there are: day, hour, shop"):
        excursion.moderated_effect(other, ("week",))


def test_a_level_at_which_nothing_was_ever_sent_is_named(trial):
    """Where one action is missing the effect of that level alone cannot be told."""
    never = replace(trial, action=np.where(trial.moderator("state") == 1, 0.0, trial.action))
    with pytest.raises(InvalidInput, match="moderators: state=1 is a combination of"):
        excursion.effect_by_level(never, "state")


def test_moderators_that_stand_among_the_controls_are_no_fault(trial):
    """A main effect that the controls span already is not added again."""
    found = excursion.moderated_effect(trial, ("state", "day"))
    assert found.controls == ("constant", "tired before", "main effect of day")


def test_too_few_users_are_refused():
    """As many users as coefficients: no standard error."""
    few = draw(2, users=3, decisions=30)
    with pytest.raises(InvalidInput, match="user: 3 users for 3 coefficients"):
        excursion.average_effect(few)


def test_an_effect_that_rests_on_one_user_is_refused_by_the_correction(trial):
    """A level seen in one user only is named with the correction; without it the fit goes through."""
    lone = replace(trial, moderators=np.column_stack([trial.user == 4]).astype(float), names=("tired before", "vip"))
    with pytest.raises(InvalidInput, match="user: one user alone tells main effect of vip=0, effect of vip=1 apart"):
        excursion.effect_by_level(lone, "vip")
    assert len(excursion.effect_by_level(lone, "vip", WclsOptions(small_sample=False)).effects) == 2


def test_nothing_to_compare_is_refused(trial):
    """Always sent, never sent, or an outcome that is always the same."""
    for action, word in ((1.0, "sent"), (0.0, "not sent")):
        with pytest.raises(InvalidInput, match=f"action: {word} at every decision"):
            excursion.average_effect(replace(trial, action=np.full(len(trial.user), action)))
    with pytest.raises(InvalidInput, match="outcome: is the same"):
        excursion.average_effect(replace(trial, outcome=np.ones(len(trial.user))))


def test_a_numerator_that_would_weight_the_effect_is_refused(trial):
    """Out of range, of a wrong shape, or different where the moderators are the same."""
    for numerator in (0.0, 1.0, np.nan, [0.5, 0.5]):
        with pytest.raises(InvalidInput, match="numerator"):
            excursion.average_effect(trial, WclsOptions(numerator=numerator))
    varying = WclsOptions(numerator=trial.propensity)
    with pytest.raises(InvalidInput, match="numerator: differs between rows with the same moderators"):
        excursion.average_effect(trial, varying)
    assert excursion.effect_by_level(trial, "state", varying).numerator is None


def test_questions_that_a_fit_cannot_answer_are_refused(trial):
    """A curve of levels, equality of one effect, weights of another length, an unknown name, a level of 100 %."""
    average, levels = excursion.average_effect(trial), excursion.effect_by_level(trial, "third")
    for fit in (average, levels):
        with pytest.raises(InvalidInput, match="effects: no line"):
            fit.curve((0, 1))
    with pytest.raises(InvalidInput, match="needs two effects"):
        average.equality()
    with pytest.raises(InvalidInput, match="weights"):
        levels.combine((1, 2), "x")
    with pytest.raises(InvalidInput, match="no effect 'third=7'; there are: third=0, third=1, third=2"):
        levels.effect("third=7")
    with pytest.raises(InvalidInput, match="level"):
        excursion.average_effect(trial, WclsOptions(level=1.0))


def test_levels_are_called_by_their_labels(trial):
    """Labels stand in the names of effects and controls; a value without one, or between two, is refused."""
    fit = excursion.effect_by_level(trial, "third", labels=("early", "middle", "late"))
    assert [effect.name for effect in fit.effects] == ["third=early", "third=middle", "third=late"]
    assert fit.controls[-1] == "main effect of third=middle"
    plain = excursion.effect_by_level(trial, "third")
    assert [e.estimate for e in fit.effects] == [e.estimate for e in plain.effects]
    with pytest.raises(InvalidInput, match="labels: no label for 2; number the values from 0"):
        excursion.effect_by_level(trial, "third", labels=("early", "middle"))
    with pytest.raises(InvalidInput, match=r"labels: no label for 0\.000"):
        excursion.effect_by_level(trial, "dosage", labels=("none", "one"))


def test_results_are_json(trial):
    """A fit, its curve and its test of equality go through JSON and come back as they were."""
    fit = excursion.effect_over_time(trial)
    levels = excursion.effect_by_level(trial, "state")
    for result in (fit, levels, fit.curve((0, 10)), levels.equality()):
        told = result.to_dict()
        assert json.loads(json.dumps(told, allow_nan=False)) == json.loads(json.dumps(told))
    told = fit.to_dict()
    assert [effect["name"] for effect in told["effects"]] == ["constant", "day"]
    assert told["sample"]["rows"] + told["sample"]["rows_unavailable"] == len(trial.user)
    assert told["level"] == 0.95
