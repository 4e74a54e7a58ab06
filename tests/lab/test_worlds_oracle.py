"""The oracle's view of a push is what the simulation does with it."""

import numpy as np
import pytest

from tactful_lab.worlds import KINDS, RandomTimes, World

N = 150_000


@pytest.mark.parametrize("kind", ["main", "threshold_fatigue"])
def test_the_expected_value_of_one_push_is_the_mean_difference_it_makes(kind):
    """Two forks, one with a push to everybody on-line now, differ over two days by what the oracle says, within 4 σ.

    Gain and opt-outs are held apart. The forks share their random numbers, so the spread is that of the persons whom
    the push changed: σ is 2 % of the gain and 6 % of the opt-outs. False alarm 6e-5 each (fixed seed). Opens land later
    than the oracle's at once, which moves the gain by less than 1 %.
    """
    world, policy = World(kind, N, 11, hazard=0.005), RandomTimes(3.0, 1)
    for _ in range(30):
        world.step(policy.decide(world.view()))
    world._outbox.waiting[:] = False
    send = world.reachable & world.online
    opt_outs = np.where(send, world.truth().opt_out_probability, 0)
    gain = world.expected_value(send) + world.parameters.opt_out_cost_minor * opt_outs
    pushed, quiet, nobody = world.fork(), world.fork(), np.zeros(N, np.bool_)
    more, lost = -gain, -opt_outs
    for step in range(15):
        with_push, without = pushed.step(nobody if step else send), quiet.step(nobody)
        more = more + with_push.expected_minor - without.expected_minor
        lost = lost + with_push.opt_outs
    for gap, size, share in ((more, gain, 0.03), (lost, opt_outs, 0.09)):
        error = gap.std() / np.sqrt(N)
        assert abs(gap.mean()) < 4 * error
        assert error < share * size.mean()  # the check has power


@pytest.mark.parametrize("kind", KINDS)
def test_the_truth_is_probabilities_and_values(kind):
    """All four are finite, the probabilities within [0, 1], and nothing sent or nobody reachable is worth 0."""
    world = World(kind, 500, 12)
    truth = world.truth()
    for probability in (truth.open_probability, truth.opt_out_probability, truth.displaced):
        assert np.all((probability >= 0) & (probability <= 1))
    assert np.all(truth.session_minor > 0)
    assert not world.expected_value(np.zeros(500, np.bool_)).any()
    assert not world.expected_value(~world.reachable).any()


def test_asking_the_oracle_changes_nothing():
    """A world whose oracle was asked at every step goes the same way as one that was left alone."""
    asked, alone, policy = World("main", 500, 13), World("main", 500, 13), RandomTimes(7.0, 1)
    for _ in range(60):
        send = policy.decide(asked.view())
        asked.expected_value(send)
        a, b = asked.step(send), alone.step(send)
        assert np.array_equal(a.sessions, b.sessions)
        assert np.array_equal(a.opt_outs, b.opt_outs)
