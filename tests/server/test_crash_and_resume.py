"""The server process dies anywhere in a round; the next one ends the round, and releases it once."""

import numpy as np
import pytest

from tactful_privacy.ledger import verify


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


def count(world, kind):
    return sum(entry.kind == kind for entry in world.federation.office.ledger.entries())


@pytest.mark.parametrize("stage", ["keys", "shares", "contribution", "sign", "unmask", "released"])
def test_killed_while_a_stage_is_under_way(make_world, stage):
    """Killed after the second host of a stage got its request: same sum, one release, one spend per device."""
    world = make_world()

    def kill(exchange):
        if (exchange.stage, exchange.host_id) == (stage, "host-2"):
            raise Killed

    with pytest.raises(Killed):
        world.run(faults=kill)
    world.reopen()
    (result,) = world.run()
    done = 2 if stage == "released" else 1
    assert (result.outcome, result.round_number, result.survivors) == ("released", done, tuple(world.hosts))
    assert count(world, "release") == done
    np.testing.assert_allclose(world.parameters(), world.mean(world.hosts) * done, atol=2.0**-14)
    assert all(len(host.spends) == 10 * done for host in world.hosts.values())


@pytest.mark.parametrize("sequence", range(7))
@pytest.mark.parametrize("before", [True, False])
def test_killed_around_every_transition(make_world, sequence, before):
    """Killed just before or just after a transition is written."""
    world = make_world()
    office = world.federation.office
    append = office.store.append

    def dying(transition):
        if transition.sequence == sequence and before:
            raise Killed
        append(transition)
        if transition.sequence == sequence:
            raise Killed

    office.store.append = dying
    with pytest.raises(Killed):
        world.run()
    world.reopen()
    released_already = sequence == 6 and not before
    (result,) = world.run()
    assert result.round_number == (2 if released_already else 1)
    assert count(world, "release") == result.round_number
    assert result.survivors == tuple(world.hosts)


@pytest.mark.parametrize("step", ["ledger", "registry"])
def test_killed_between_journal_ledger_and_registry(make_world, step):
    """A release that was journalled is entered into ledger and registry exactly once, whichever was missing."""
    world = make_world()
    office = world.federation.office

    def die(*_args, **_more):
        raise Killed

    if step == "ledger":
        office.ledger.append = die
    else:
        office.registry.publish = die
    with pytest.raises(Killed):
        world.run()
    assert not any(len(host.installed) > 1 for host in world.hosts.values())
    world.reopen()
    (result,) = world.run()
    assert result.round_number == 2
    assert result.survivors == tuple(world.hosts)
    assert count(world, "release") == 2
    assert verify(world.federation.ledger_path).releases == 2
    assert [r.version for r in world.federation.office.store.artifacts("tiny")] == [0, 1, 2]


def test_the_optimiser_keeps_its_state_over_a_restart(make_world):
    """Momentum after a restart is what it would have been without."""
    world = make_world()
    world.options["optimiser"].momentum = 0.5
    world.run()
    world.options["optimiser"].velocity = None
    world.reopen()
    world.run()
    np.testing.assert_allclose(world.parameters(), world.mean(world.hosts) * 2.5, atol=2.0**-13)
