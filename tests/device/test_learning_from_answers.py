"""An answer to a push is held against what its decision stated: response and fatigue of the person move by it."""

import numpy as np
import pytest

from tactful import Candidate, PolicySettings
from tactful._pushes import expectation
from tactful.model import OPEN_RATE_PRIOR
from tactful.personal import PersonalBlock
from tactful.types import Decision, Reason

from .vault_world import NOON, open_host, person

RANDOMISED = PolicySettings(never_push_fraction=0, micro_randomised_fraction=1.0)


def test_what_a_decision_stated_is_what_its_answer_is_held_against():
    """The stated probability and fatigue where the model knew an effect, else the public open rate and none."""
    stated = Decision("d", "send", None, NOON, 1.0, (), "m", NOON)
    assert expectation(stated) == (OPEN_RATE_PRIOR, 0.0)
    told = Decision(
        "d", "send", None, NOON, 1.0, (Reason("x", None, (("expected", "0.3"), ("strain", "0.7"))),), "m", NOON
    )
    assert expectation(told) == (0.3, 0.7)


@pytest.mark.parametrize(("expected", "engaged"), [(0.0, True), (1.0, False)])
def test_an_answer_against_a_certain_expectation_is_learned_from(expected, engaged):
    """Far out on the logit scale a probability is 0 or 1 as a float; the opposite answer still counts, by a little."""
    detail = (("expected", repr(expected)), ("strain", "50.0"))
    decision = Decision("d", "send", None, NOON, 1.0, (Reason("x", None, detail),), "m", NOON)
    block = PersonalBlock(1)
    stated, strain = expectation(decision)
    block.update_push(0, 3, stated, engaged, strain)
    assert np.sign(block.push_mean[0, 0]) == (1 if engaged else -1)
    assert np.isfinite(block.fatigue_mean).all()


@pytest.mark.parametrize("outcome", ["opened", "dismissed"])
def test_an_answer_moves_the_response(tmp_path, outcome):
    """Under the public prior: up by an open, down by a dismissal, by the amount of one Newton step; fatigue stays."""
    with open_host(tmp_path, settings=RANDOMISED) as host:
        device = person(host)
        offer = Candidate(id="c", category="k", value_minor=2_000)
        coins = (device.decide([offer], seed=bytes([coin]) * 16) for coin in range(50))
        decision = next(decision for decision in coins if decision.action == "send")
        device.record_outcome(decision.id, outcome)
        personal = host.state(device.id).history.personal
        information = OPEN_RATE_PRIOR * (1 - OPEN_RATE_PRIOR)
        step = ((outcome == "opened") - OPEN_RATE_PRIOR) / (25.0 + information)
        np.testing.assert_allclose(personal.push_mean[0, 0], step, rtol=1e-12)
        np.testing.assert_array_equal(personal.fatigue_mean, 1.0)
