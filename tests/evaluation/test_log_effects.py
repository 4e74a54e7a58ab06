"""Effects of a push, read from a log, are those of the world that wrote it; what cannot be told is said."""

import dataclasses
import json

import numpy as np
import pytest
from tests.evaluation import push_world
from tests.evaluation.test_lab_evaluate_command import folder, run  # noqa: F401 - the fixture

from tactful_lab.evaluation.effects import effects


@pytest.fixture(scope="module")
def log():
    return push_world.stateless_log(3, users=2_000)


def by_name(found):
    return {each.analysis: each.result for each in found}


def test_effects_of_a_known_world(log):
    """The average and each slot's effect lie within 5 standard errors of the world's; over time there is no change."""
    found = by_name(effects(log))
    for slot, wanted in zip(push_world.SLOTS, push_world.EFFECT.mean(axis=0), strict=True):
        effect = found["by_slot"].effect(f"slot={slot}")
        assert abs(effect.estimate - wanted) < 5 * effect.standard_error
    average = found["average"].effect("average")
    assert abs(average.estimate - push_world.EFFECT.mean()) < 5 * average.standard_error
    change = found["over_time"].effect("day")
    assert abs(change.estimate) < 5 * change.standard_error


def test_decisions_of_rules_and_missing_outcomes_are_not_looked_at(log):
    """Where no chance decided and where the outcome is missing, any nonsense may stand."""
    random = np.random.default_rng(4)
    eligible, known = random.random(log.n) < 0.8, random.random(log.n) < 0.9
    y = np.where(eligible, log.outcomes["y"], 1e9)
    bent = dataclasses.replace(log, eligible=eligible, outcomes={"y": np.where(known, y, np.nan)})
    average = by_name(effects(bent))["average"].effect("average")
    assert abs(average.estimate - push_world.EFFECT.mean()) < 5 * average.standard_error


def test_too_few_people_are_a_reason_and_no_error():
    """Two people carry no analysis of three slots: the reason stands in place of the fit."""
    (first, *_rest) = [each for each in effects(push_world.stateless_log(5, users=2)) if each.analysis == "by_slot"]
    assert isinstance(first.result, str)
    assert first.to_dict()["concluded"] is False
    assert first.to_dict()["fit"] is None


def test_the_command_prints_effects_before_policies(folder):  # noqa: F811 - the fixture
    """Text and JSON hold the average, the trend and each slot, beside the policies."""
    shown = run(folder, log="clean.csv")
    assert shown.output.index("Effects, where chance decided") < shown.output.index("mean per decision")
    plain = json.loads(run(folder, "--json", log="clean.csv").stdout)
    assert list(plain) == ["data_problems", "log", "options", "effects", "multiplicity", "policies", "concluded"]
    assert {each["analysis"] for each in plain["effects"]} == {"average", "over_time", "by_slot", "by_dosage"}
    names = {effect["name"] for each in plain["effects"] for effect in each["fit"]["effects"]}
    assert {"average", "day", "slot=evening"} <= names
