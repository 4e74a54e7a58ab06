"""A vault put back from a backup within a round leaves that round: its masks were used since."""

import dataclasses

import pytest

from tactful_privacy.wire import Refusal, RoundReply, RoundRequest, digest

from .crash_world import World, contribution_in
from .test_budget_rollback import back_up, put_back
from .vault_world import open_host


@pytest.mark.parametrize("accepted", [False, True])
def test_a_round_that_the_copy_was_in_is_left(tmp_path, accepted):
    """A second answer under the same masks would take them off the first one; a round begun afterwards is answered."""
    folder = tmp_path / "host"
    folder.mkdir()
    world = World(folder)
    kept = back_up(folder)
    world.answer(folder)
    put_back(folder, kept)
    with open_host(folder) as host:
        assert host.status()["rolled_back"]
        if accepted:
            host.accept_vault()
        for _ in range(2):
            reply = RoundReply.decode(world.participant(host).handle(world.request)).payload
            assert Refusal.decode(reply).code == "state_unreadable"
        host.check()
        later = dataclasses.replace(world.federation.plan, round_number=world.federation.plan.round_number + 1)
        world.federation.participants[world.name] = world.participant(host)
        _, requests = world.federation.until("contribution", later)
        request = RoundRequest(digest(later), "contribution", 0, requests[world.name]).encode()
        first, again = (contribution_in(world.participant(host).handle(request)) for _ in range(2))
        assert first == again
        assert len(host.rounds.spends(1)) == accepted
