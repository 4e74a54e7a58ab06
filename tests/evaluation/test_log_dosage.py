"""The dosage of a decision is the decayed count of the person's earlier sends, whatever the order of the rows."""

import dataclasses

import numpy as np
import pytest
from tests.evaluation import push_world

from tactful_lab.evaluation.dosage import dosage
from tactful_lab.evaluation.effects import effects, multiplicity
from tactful_privacy.errors import InvalidInput


def test_dosage_equals_the_written_out_sum() -> None:
    """A double loop over all pairs of decisions gives the same numbers, with ties in time."""
    random = np.random.default_rng(3)
    user, time = random.integers(0, 7, 200), random.integers(0, 60, 200) * 3_600.0
    sent = random.random(200) < 0.5
    told = dosage(user, time, sent, 20_000.0)
    for i in range(200):
        past = sent & (user == user[i]) & (time < time[i])
        assert told[i] == pytest.approx(np.sum(0.5 ** ((time[i] - time[past]) / 20_000.0)), abs=1e-9)


def test_a_half_life_of_zero_is_refused() -> None:
    """Nothing is computed from it."""
    with pytest.raises(InvalidInput, match="above 0"):
        dosage(np.zeros(1, np.int64), np.zeros(1), np.ones(1, bool), 0.0)


def test_an_effect_that_falls_with_dosage_is_found() -> None:
    """Each push adds 1 − 0.4·D to the outcome: the 3-day line has both, within 5 standard errors (6e-7 each)."""
    log = push_world.stateless_log(3, users=500)
    dose = dosage(log.user, log.time_s, log.sent, 3 * 86_400.0)
    noise = np.random.default_rng(8).normal(size=log.n)
    bent = dataclasses.replace(log, outcomes={"y": log.sent * (1 - 0.4 * dose) + noise})
    found = effects(bent, small_sample=False)
    fit = next(e.result for e in found if not isinstance(e.result, str) and e.result.effects[-1].name == "dosage_3d")
    for name, truth in (("constant", 1.0), ("dosage_3d", -0.4)):
        effect = fit.effect(name)
        assert abs(effect.estimate - truth) < 5 * effect.standard_error
    assert fit.small_sample is False
    assert multiplicity(found, 0.95)["tests"] == sum(len(e.result.effects) for e in found)
