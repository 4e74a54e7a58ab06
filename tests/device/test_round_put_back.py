"""A vault put back from a backup leaves the round that it was in, and believes no ledger that nobody signed."""

import dataclasses
from fractions import Fraction

import pytest

from tactful.federation import ParticipationPolicy
from tactful.federation.vault_round import VaultRound
from tactful_privacy.errors import LedgerBroken
from tactful_privacy.ledger import HeadBook
from tactful_privacy.wire import Refusal, RoundReply, RoundRequest, digest

from .crash_world import World, contribution_in
from .spend_world import plan
from .test_budget_rollback import KEY, PRICE, PUBLIC, answer, back_up, begun, person, put_back, release, side_of
from .test_budget_rollback import rolled_back as rolled_back
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


def test_entries_that_nobody_signed_explain_nothing_under_a_pinned_key(rolled_back, tmp_path):
    """A file with the server's key in it and rounds at a price of 0, but no head: the budgets stay frozen."""
    folder, _ = rolled_back
    with open_host(folder) as host:
        forged = begun(folder, host)
        release(forged, plan(2, Fraction(0))), release(forged, plan(3, Fraction(0)))
        terms = {"host_id": "north", "server_key": PUBLIC, "policy": ParticipationPolicy(), "ledger": forged.path}
        assert VaultRound(host, **terms).eligible_devices(plan(4)) == []
        HeadBook(forged).sign("shop", KEY)
        release(forged, plan(5, Fraction(7)))
        report = host.replay_ledger(forged.path, server_key=PUBLIC)
        assert (report.entries, report.rounds_missing) == (4, (2, 3))


@pytest.mark.parametrize("kind", ["release", "void"])
def test_a_negative_price_gives_nothing_back(tmp_path, kind):
    """A server signs a round at a price below 0: the replay refuses its ledger, and what was spent stays spent."""
    with open_host(tmp_path) as host:
        ledger = begun(tmp_path, host)
        person(host)
        answer(side_of(host), 1, ledger=ledger)
        release(ledger, plan(2))
        body = {**list(ledger.entries())[-1].body, "round_number": 3, "plan_digest": "ab" * 32, "rho": -PRICE}
        ledger.append(kind, {**body, "contributed": ["north"]})
        HeadBook(ledger).sign("shop", KEY)
        with pytest.raises(LedgerBroken, match="is not a price"):
            host.replay_ledger(ledger.path, "north", PUBLIC)
        assert host.find("ada").privacy_budget().rho_spent == PRICE
