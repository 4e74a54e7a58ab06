"""The strategy under Flower's own loop, hosts that say no, and the ClientApp's manners."""

import numpy as np
import pytest

from tactful.federation.policy import ParticipationPolicy
from tactful_privacy.errors import InvalidInput
from tactful_privacy.wire import Refusal, RoundReply
from tactful_server.federation import InProcessGrid, SecureRounds
from tactful_server.federation._flwr import ArrayRecord, ConfigRecord, Message, RecordDict, Strategy


def test_start_runs_rounds_and_returns_the_model(make_world):
    """Our own loop behind Flower's entry point."""
    world = make_world()
    result = SecureRounds(world.federation.office).start(InProcessGrid(world.apps), num_rounds=2)
    assert sorted(result.train_metrics_clientapp) == [1, 2]
    (array,) = result.arrays.to_numpy_ndarrays()
    np.testing.assert_array_equal(array, world.parameters())


def test_flowers_stock_loop_can_drive_the_hooks(make_world):
    """Each of Flower's train rounds is one exchange: five make a release, the sixth serves it and begins the next."""
    world = make_world()
    strategy = SecureRounds(world.federation.office)
    Strategy.start(strategy, InProcessGrid(world.apps), ArrayRecord([np.zeros(1)]), num_rounds=6)
    assert [(r.round_id.round_number, r.phase) for r in world.federation.office.store.rounds()] == [
        (1, "released"),
        (2, "shares"),
    ]
    assert all(host.has_model(world.federation.model().digest) for host in world.hosts.values())


def test_a_host_with_stricter_terms_refuses_and_the_others_go_on(make_world):
    """The refusal's code reaches the result; nothing of that host is in the sum; it still gets the model."""
    world = make_world(noise=True)
    world.hosts["host-3"].policy = ParticipationPolicy(n_min=4, epsilon=0.5, participations=5)
    (result,) = world.run()
    assert result.dropped["host-3"].code == "too_little_noise"
    assert result.survivors == ("host-0", "host-1", "host-2", "host-4")
    assert not world.hosts["host-3"].spends
    assert len(world.hosts["host-3"].installed) == 2


def test_a_host_that_is_not_reachable_is_dropped(make_world):
    """Fewer nodes than hosts on the roster: the round goes on with those who are there."""
    world = make_world()
    (result,) = world.federation.run({n: a for n, a in world.apps.items() if n != "host-4"}, rounds=1)
    assert (result.outcome, result.dropped["host-4"].code) == ("released", "silent")
    (back,) = world.run()
    assert back.survivors == tuple(world.hosts)


def test_a_client_app_answers_junk_with_a_typed_refusal(make_world):
    """Bytes that are no request come back as a refusal; a message without any is an error reply."""
    world = make_world()
    grid = InProcessGrid(world.apps)
    junk = Message(RecordDict({"tactful": ConfigRecord({"request": b"junk"})}), 1, "train.keys")
    empty = Message(RecordDict(), 1, "train.keys")
    refused, failed = grid.send_and_receive([junk, empty])
    reply = RoundReply.decode(refused.content["tactful"]["reply"])
    assert Refusal.decode(reply.payload).host_id == "host-0"
    assert "InvalidInput" in failed.error.reason


def test_a_lost_server_key_is_not_replaced_silently(make_world):
    """Hosts pin the key: a federation whose key is gone or cut is refused, and nothing is overwritten."""
    world = make_world()
    path = world.home / "server.key"
    key = path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    for damaged in (key[:-1], None):
        path.unlink()
        if damaged:
            path.write_bytes(damaged)
        with pytest.raises(InvalidInput, match="backup"):
            world.reopen()
    path.write_bytes(key)
    world.reopen()
    assert world.run()[0].outcome == "released"


@pytest.mark.parametrize("sequence", range(1, 7))
def test_a_store_that_fails_once_costs_no_round(make_world, sequence):
    """A full disk at any transition raises; the same strategy then resumes from what was written."""
    world = make_world()
    store, failed = world.federation.office.store, []
    append = store.append

    def flaky(transition):
        if transition.sequence == sequence and not failed:
            failed.append(transition)
            raise OSError("disk full")
        append(transition)

    store.append = flaky
    strategy, grid = SecureRounds(world.federation.office), InProcessGrid(world.apps)
    with pytest.raises(OSError, match="disk full"):
        strategy.run_round(grid)
    result = strategy.run_round(grid)
    assert (result.outcome, result.round_number, result.survivors) == ("released", 1, tuple(world.hosts))
