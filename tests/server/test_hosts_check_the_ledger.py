"""Every release reaches the hosts with its proof, and a server whose ledger is not what it was is found out."""

import json
import warnings
from pathlib import Path

import pytest

from tactful.federation.ledger_view import LedgerView
from tactful_privacy.errors import LedgerBroken
from tactful_privacy.ledger import HeadBook, Ledger, export, gather, head_of, judge
from tactful_privacy.wire import ModelRelease, RoundRequest
from tactful_server.journal import Phase
from tactful_server.transparency import RECENT_HEADS, Held, Transparency

with warnings.catch_warnings():  # typer's own import names what newer clicks deprecate
    warnings.simplefilter("ignore", DeprecationWarning)
    from typer.testing import CliRunner

    from tactful_server.cli import app
    from tactful_server.federation import Fault


def view_of(world, name):
    return LedgerView.from_bytes(world.hosts[name].ledgers.get("shop"))


def test_every_host_verifies_every_release(make_world):
    """After three rounds each host has verified three proofs, and all hold the server's newest head."""
    world = make_world()
    world.run(3)
    newest = HeadBook(world.federation.office.ledger).heads()[-1].encode()
    assert {
        name: (view_of(world, name).verified, view_of(world, name).signed_head) for name in world.hosts
    } == dict.fromkeys(world.hosts, (3, newest))


def test_every_round_signs_one_head(make_world):
    """A head a round, void rounds included; each continues the last."""
    world = make_world()
    world.run()
    world.run(faults=lambda _e: Fault.LOSE_REQUEST)
    world.run()
    ledger = world.federation.office.ledger
    sizes = [head_of(head).size for head in HeadBook(ledger).heads()]
    assert sizes == [7, 8, 9]
    assert judge(gather(ledger.path)).signed_entries == ledger.size == 9


def test_a_host_that_was_away_is_linked_in_one_exchange_more(make_world):
    """A host which missed more releases than links are sent for still follows the ledger, without a restart."""
    world = make_world(n=5, n_min=4)
    world.run()
    lonely = "host-1"
    world.run(RECENT_HEADS + 3, faults=lambda e: Fault.LOSE_REQUEST if e.host_id == lonely else None)
    assert view_of(world, lonely).verified == 1
    (result,) = world.run()
    assert lonely not in result.dropped
    assert view_of(world, lonely).signed_head == HeadBook(world.federation.office.ledger).heads()[-1].encode()
    assert view_of(world, lonely).unlinked == 1


@pytest.mark.parametrize("with_book", [True, False])
def test_a_ledger_put_back_from_a_copy_does_not_grow(make_world, with_book):
    """The server refuses to go on from an old ledger, by its heads or else by the plans in its journal."""
    world = make_world()
    world.run()
    ledger = world.home / "ledger.jsonl"
    old = ledger.read_bytes()
    world.run(2)
    ledger.write_bytes(old)
    if not with_book:
        (world.home / "ledger.heads.jsonl").unlink()
    world.reopen()
    with pytest.raises(LedgerBroken, match="truncated") as caught:
        world.run()
    assert caught.value.fault == "truncated"
    assert ledger.read_bytes() == old


@pytest.mark.parametrize(("linked", "code"), [(True, "ledger_forked"), (False, "ledger_ahead")])
def test_a_second_history_is_refused_by_every_host(make_world, tmp_path, monkeypatch, linked, code):
    """A server that shows its hosts another ledger under its own key releases to nobody, and the report says why."""
    world = make_world()
    world.run()
    office = world.federation.office
    second = Ledger(tmp_path / "second.jsonl")
    for entry in office.ledger.entries():
        second.append(entry.kind, {**entry.body, "told": "otherwise"} if entry.kind == "enrolment" else entry.body)
    office.ledger = second
    office.transparency = Transparency("shop", second, office.signing_key)
    monkeypatch.setattr(type(office), "last_release", lambda _office: None)
    monkeypatch.setattr(type(office), "resume", lambda _office: None)
    if linked:
        office.transparency.sign()
    models = {name: len(host.installed) for name, host in world.hosts.items()}
    (result,) = world.run()
    assert {name: drop.code for name, drop in result.dropped.items()} == dict.fromkeys(world.hosts, code)
    assert {name: len(host.installed) for name, host in world.hosts.items()} == models
    views = [view_of(world, name) for name in world.hosts]
    assert {(view.refused.get(code, 0), view.unlinked > 0, view.verified) for view in views} == {
        (linked, not linked, 1)
    }


def test_no_release_leaves_before_its_entry_even_after_a_crash(make_world):
    """Killed between journal and ledger: the next process enters the round before it shows it to anybody."""
    world = make_world()
    office = world.federation.office
    append = office.store.append

    class Killed(BaseException):
        pass

    def dying(transition):
        append(transition)
        if transition.phase is Phase.RELEASED:
            raise Killed

    office.store.append = dying
    with pytest.raises(Killed):
        world.run()
    world.reopen()
    assert world.federation.office.ledger.find("release", b"") is None
    machine = world.federation.office.last_release()
    assert machine is not None
    payload = RoundRequest.decode(next(iter(machine.requests().values()))).payload
    release = ModelRelease.decode(payload)
    assert release.proof.entry == world.federation.office.ledger.line(release.proof.index)


def test_what_a_host_says_of_its_head_is_checked(make_world):
    """Only a head of this ledger under this key counts, whatever a host sends."""
    world = make_world()
    world.run()
    desk = world.federation.office.transparency
    head = view_of(world, "host-1").signed_head
    assert desk.hear(head) is Held.CURRENT
    assert desk.hear(b"") is Held.UNKNOWN
    assert desk.hear(head[:-1] + bytes([head[-1] ^ 1])) is Held.UNKNOWN


def test_a_proof_stays_small(make_world):
    """The release of a twelfth round of five hosts carries under 4 KiB of proof."""
    world = make_world()
    world.run(12)
    machine = world.federation.office.last_release()
    release = ModelRelease.decode(RoundRequest.decode(next(iter(machine.requests().values()))).payload)
    assert len(release.proof.encode()) < 4096
    assert len(release.proof.links) == RECENT_HEADS


def test_the_operator_exports_what_an_auditor_verifies(make_world):
    """`tactful server ledger export` and `heads` give what `judge` accepts, and what devices hold."""
    world = make_world()
    world.run(2)
    store, target = str(world.home / "server.db"), world.home / "export.jsonl"
    done = CliRunner().invoke(app, ["ledger", "export", str(target), "--store", store, "--json"])
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"entries": 8, "file": str(target)})
    verdict = judge(gather(target), world.federation.server_key)
    assert (verdict.entries, verdict.signed_entries, verdict.key_pinned) == (8, 8, True)
    listed = json.loads(CliRunner().invoke(app, ["ledger", "heads", "--store", store, "--json"]).stdout)["heads"]
    assert [head["size"] for head in listed] == [7, 8]
    status = view_of(world, "host-0").status()
    assert (status["size"], status["root"]) == (8, listed[-1]["root"])
    assert CliRunner().invoke(app, ["ledger", "--store", store]).exit_code == 0


def test_an_export_is_written_whole_or_not_at_all(make_world, tmp_path):
    """A target that cannot be written is bad input, and leaves nothing behind."""
    world = make_world()
    store = str(world.home / "server.db")
    missing = tmp_path / "none" / "export.jsonl"
    done = CliRunner().invoke(app, ["ledger", "export", str(missing), "--store", store])
    assert (done.exit_code, missing.parent.exists()) == (2, False)
    target = Path(tmp_path / "export.jsonl")
    assert export(world.federation.office.ledger, target) == 6
    assert [path.name for path in tmp_path.glob("*.draft")] == []
