"""Target policies give every decision its probability of a send, and are read from words."""

import numpy as np
import pytest
from tests.evaluation import push_world

from tactful_lab.evaluation.policies import BySlot, Fixed, FromColumn, Logged, always, never, parse_policy
from tactful_privacy.errors import InvalidInput

LOG = push_world.stateless_log(1, users=20)
WITHOUT = push_world.stateful_log(1, users=20)


def test_each_policy_s_probabilities():
    """Constant, by slot with the rest apart, from a column, as logged."""
    assert set(always().send_probability(LOG)) == {1.0}
    assert set(never().send_probability(LOG)) == {0.0}
    assert set(Fixed(0.3).send_probability(LOG)) == {0.3}
    by_slot = BySlot({"noon": 0.9, "evening": 0.5}, 0.1).send_probability(LOG)
    assert by_slot.tolist() == [{"noon": 0.9, "evening": 0.5}.get(slot, 0.1) for slot in LOG.slot]
    assert np.array_equal(FromColumn("tilted").send_probability(LOG), LOG.columns["tilted"])
    assert np.array_equal(Logged().send_probability(LOG), LOG.send_propensity)


@pytest.mark.parametrize(
    ("words", "policy"),
    [
        ("logged", Logged()),
        ("always", always()),
        ("never", never()),
        ("fixed:0.25", Fixed(0.25)),
        ("slot:18=0.5,20=1", BySlot({"18": 0.5, "20": 1.0})),
        ("slot:a=b=0.5,*=0.2", BySlot({"a=b": 0.5}, 0.2, "slot:a=b=0.5,*=0.2")),
        ("column:p_new", FromColumn("p_new")),
    ],
)
def test_policies_from_words(words, policy):
    """Each form; its name is its words."""
    assert parse_policy(words) == policy
    assert parse_policy(words).name == words


@pytest.mark.parametrize(
    "words",
    [
        "",
        "sometimes",
        "always:1",
        "fixed:",
        "fixed:x",
        "fixed:1.5",
        "fixed:nan",
        "slot:",
        "slot:a",
        "slot:a=2",
        "column:",
    ],
)
def test_words_that_are_no_policy(words):
    """One typed error."""
    with pytest.raises(InvalidInput):
        parse_policy(words)


def test_a_policy_that_does_not_fit_the_log_is_refused():
    """No slots, a slot that never occurs, a column that was not read."""
    for policy, log in ((BySlot({"noon": 1.0}), WITHOUT), (BySlot({"night": 1.0}), LOG), (FromColumn("x"), LOG)):
        with pytest.raises(InvalidInput) as error:
            policy.send_probability(log)
        assert error.value.remedy
