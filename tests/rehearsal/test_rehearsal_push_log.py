"""The push log of a rehearsal holds what the world did: a loop over persons and steps finds the same outcomes."""

import numpy as np
import pytest

from tactful_lab.rehearsal import push_log
from tactful_lab.rehearsal.options import Options
from tactful_lab.rehearsal.policies import Coins
from tactful_lab.rehearsal.run import new_world
from tactful_lab.worlds import rehearse
from tactful_privacy.errors import InvalidInput

OPTIONS = Options(policies=("random_7",), n=60, weeks=2, warmup_weeks=1, seeds=2, hazard=0.02)


@pytest.fixture(scope="module")
def played():
    """A finished run of a coin policy, and its log."""
    world = new_world(OPTIONS, OPTIONS.seed_range[0])
    recorder = push_log.Recorder(Coins(7.0, world.seed), world.n)
    rehearse(world, recorder, OPTIONS.weeks, warmup_weeks=OPTIONS.warmup_weeks)
    return recorder, push_log.frame(recorder, world.people.opted_in), world


def test_each_outcome_is_what_a_plain_loop_finds(played):
    """Opens belong to the push that was sent; sessions, value and opt-outs to the seven slots from the decision on."""
    recorder, log, world = played
    steps = [step.view.step for step in recorder.steps]
    people = [int(name[1:]) for name in log["user"]]
    assert sorted(set(people)) == np.flatnonzero(world.people.opted_in).tolist()
    per_step = len(set(people))
    for row in range(0, len(log), 37):
        step, who = steps[row // per_step], people[row]
        after = [o for o in recorder.seen if step <= o.step < step + 7]
        found = log.iloc[row]
        if len(after) < 7:
            assert np.isnan(found["session_24h"])
            continue
        assert found["session_24h"] == any(o.sessions[who] > 0 for o in after)
        assert np.isclose(found["value_24h_minor"], sum(float(o.value_minor[who]) for o in after))
        assert found["opted_out_24h"] == any(o.opt_outs[who] for o in after)
        opened = any(o.opens[who] and o.opened_step[who] == step for o in recorder.seen)
        assert np.isnan(found["opened"]) or found["opened"] == opened


def test_propensities_are_of_the_action_taken(played):
    """A coin of one in seven; who withdrew has rows that say so, and no action of chance."""
    _, log, _ = played
    able = log[log["available"] == 1]
    chance = np.where(able["action"] == "send", able["propensity"], 1 - able["propensity"])
    assert np.allclose(chance, 1 / 7, atol=1e-6)
    gone = log[log["available"] == 0]
    assert len(gone) > 0
    assert (gone["action"] == "wait").all()
    assert (gone["deterministic"] == 1).all()


def test_opens_without_a_push_do_not_occur(played):
    """`opened` is an outcome of a sent push only."""
    _, log, _ = played
    assert log.loc[log["action"] == "wait", "opened"].fillna(0).sum() == 0
    assert log.loc[log["action"] == "send", "opened"].sum() > 0


def test_what_states_no_probability_is_refused():
    """By name, with the remedy."""
    with pytest.raises(InvalidInput, match="histogram_three"):
        push_log.require_loggable(OPTIONS, "histogram_three")
