"""A host installs only what the ledger proves: its plan, its terms, its survivors, in a history that never forks."""

import dataclasses
import json
from fractions import Fraction

import pytest

from tactful.federation.ledger_view import LedgerView
from tactful.federation.participant import RoundParticipant
from tactful.federation.policy import ParticipationPolicy
from tactful.federation.vault_round import VaultRound
from tactful.host import Host
from tactful.testing import MemoryKey
from tactful_privacy.ledger import Ledger, Release
from tactful_privacy.wire import (
    Artifact,
    ArtifactCard,
    Block,
    HeadLink,
    LedgerHead,
    ModelRelease,
    Signed,
    digest,
    open_signed,
    pack_f64,
    sign,
)
from tactful_server.transparency import Held, Transparency

from .round_world import Federation, refused

A = "host-00"


class Shop:
    """Five hosts, a ledger, and a server that may be made to lie."""

    def __init__(self, folder):
        self.hosts = Federation()
        self.key = self.hosts.server
        self.ledger = Ledger(folder / "ledger.jsonl")
        self.ledger.append("genesis", {"federation": "testing"})
        self.desk = Transparency("testing", self.ledger, self.key)
        self.version = 0

    def run(self, *, append=True, **changes):
        """One round to its opening; its entry is appended, perhaps with other values than the truth."""
        self.version += 1
        plan = dataclasses.replace(self.hosts.plan, round_number=self.version, previous_head=self.ledger.head)
        self.hosts.plan = plan
        aggregator, _ = self.hosts.until("opened")
        self.artifact = self.make_artifact()
        release = Release(
            plan_digest=digest(plan),
            round_number=plan.round_number,
            roster=tuple((entry.host_id, entry.planned_devices) for entry in self.hosts.roster.entries),
            survivors=aggregator.survivors,
            rho=plan.rho,
            model_digest=Artifact.decode(self.artifact.payload).digest,
            keys_digest=aggregator.keys_digest,
        )
        if append:
            self.ledger.append("release", dataclasses.replace(release, **changes).to_body())
        return plan

    def make_artifact(self):
        card = ArtifactCard(
            name="slots",
            version=self.version,
            federation="testing",
            round_number=self.version,
            layout=(Block("alpha", 2),),
            features=(),
            epsilon=Fraction(4),
            delta=Fraction(1, 10**6),
            rho=Fraction(1, 100),
            ledger_head=bytes(32),
            parent=bytes(32),
            evaluation=(),
            training=(),
        )
        return sign(Artifact(card, pack_f64([1.0, float(self.version)])), self.key)

    def payload(self):
        return self.desk.release(self.hosts.plan, self.artifact.encode())

    def send(self, payload=None, host=A):
        return self.hosts.ask(host, "released", payload or self.payload())

    def view(self, host=A):
        return LedgerView.from_bytes(self.hosts.hosts[host].ledgers.get("testing"))

    def installed(self, host=A):
        return len(self.hosts.hosts[host].installed)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A shop whose hosts skip their self-test, which has tests of its own."""
    monkeypatch.setattr(RoundParticipant, "_require_sound", lambda self: None)
    return Shop(tmp_path)


def proof_with(payload, **changes):
    """The same release with some of its proof replaced."""
    release = ModelRelease.decode(payload)
    return dataclasses.replace(release, proof=dataclasses.replace(release.proof, **changes)).encode()


def test_a_release_in_the_ledger_is_installed_and_its_head_kept(shop):
    """Three rounds: each release is proven, each continues the last head, and the host answers with its newest."""
    for number in range(1, 4):
        shop.run()
        answer = shop.send()
        head = open_signed(answer, LedgerHead, shop.key.public_key().public_bytes_raw())
        assert (head.size, head.root, head.chain_head) == (number + 1, shop.ledger.root(), shop.ledger.head)
        assert shop.desk.hear(answer) is Held.CURRENT
        assert shop.installed() == number
        assert shop.view() == LedgerView(answer, number)


def test_a_repeated_release_changes_nothing(shop):
    """The same release again gets the same answer and is counted once."""
    shop.run()
    payload = shop.payload()
    assert shop.send(payload) == shop.send(payload)
    assert shop.view().verified == 1


def test_a_host_that_was_away_asks_for_its_link_and_gets_it(shop):
    """After more rounds than links are sent for, a host answers with its old head, installs nothing, and is linked."""
    shop.run()
    first = shop.send()
    for _ in range(10):
        shop.run()
        shop.desk.sign()
    assert shop.send() == first
    assert (shop.installed(), shop.view().unlinked) == (1, 1)
    assert shop.desk.hear(first) is Held.BEHIND
    assert shop.desk.hear(shop.send()) is Held.CURRENT
    assert (shop.installed(), shop.view().verified) == (2, 2)


def test_a_bare_artifact_is_no_proof(shop):
    """A model without a proof is refused, counted, and not installed."""
    shop.run()
    assert refused(shop.send(shop.artifact.encode())) == "plan_not_in_ledger"
    assert (shop.installed(), shop.view().refused) == (0, {"plan_not_in_ledger": 1})


@pytest.mark.parametrize(
    "changes",
    [
        {"plan_digest": bytes(32)},
        {"round_number": 9},
        {"rho": Fraction(1, 10**6)},
        {"survivors": ("host-00", "host-01", "host-02", "host-03")},
        {"roster": (("host-00", 1), ("host-01", 3))},
        {"roster": (("host-01", 3),)},
        {"model_digest": bytes(32)},
        {"keys_digest": bytes(32)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_entry_with_other_terms_than_were_agreed_is_refused(shop, changes):
    """The ledger must say what this host agreed to, paid and signed, in every field."""
    plan = shop.run(**changes)
    index = shop.ledger.size - 1
    honest = shop.desk.ledger.find
    shop.desk.ledger.find = lambda kind, plan_digest: (
        index if plan_digest == digest(plan) else honest(kind, plan_digest)
    )
    assert refused(shop.send()) == "plan_not_in_ledger"
    assert (shop.installed(), shop.view().signed_head) == (0, b"")


def test_a_release_under_another_plan_of_the_round_is_refused(shop):
    """A host that agreed to one plan does not take the release of another plan of the same round number."""
    shop.run()
    other = dataclasses.replace(shop.hosts.plan, deadline_unix_s=shop.hosts.plan.deadline_unix_s + 1)
    body = json.loads(shop.ledger.line(1))["body"]
    shop.ledger.append("release", {**body, "plan_digest": digest(other)})
    payload = shop.desk.release(other, shop.artifact.encode())
    assert refused(shop.hosts.ask(A, "released", payload, plan=other)) == "plan_not_in_ledger"


def test_a_host_that_took_no_part_still_gets_a_proven_model(shop):
    """Who refused the plan is shown the same proof, and checks all of it that does not need the plan."""
    host = shop.hosts.hosts[A]
    shop.run()
    host.rounds.clear()
    host.positions.clear()
    shop.send()
    assert (shop.installed(), shop.view().verified) == (1, 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda proof: {"entry": proof.entry.replace(b"release", b"void", 1)},
        lambda proof: {"entry": b"{}"},
        lambda proof: {"entry": proof.entry + b" "},
        lambda proof: {"index": proof.index - 1},
        lambda proof: {"index": proof.index + 1},
        lambda proof: {"path": proof.path[1:]},
        lambda proof: {"path": (bytes(32), *proof.path[1:])},
        lambda proof: {"path": (*proof.path, bytes(32))},
    ],
)
def test_a_mutated_inclusion_proof_proves_nothing(shop, change):
    """Entry, index and path cannot be altered."""
    shop.run()
    shop.run()
    payload = shop.payload()
    altered = proof_with(payload, **change(ModelRelease.decode(payload).proof))
    assert refused(shop.send(altered)) == "plan_not_in_ledger"
    assert shop.installed() == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda proof: {"plan_head_index": proof.plan_head_index + 1},
        lambda proof: {"plan_head_index": 0},
        lambda proof: {"plan_head_path": proof.plan_head_path[1:]},
    ],
)
def test_a_plan_chained_elsewhere_is_a_fork(shop, change):
    """The entry which the plan named as previous head must stand in this ledger, before the release."""
    shop.run()
    shop.run()
    payload = shop.payload()
    altered = proof_with(payload, **change(ModelRelease.decode(payload).proof))
    assert refused(shop.send(altered)) == "ledger_forked"


def test_a_second_history_is_a_fork(shop, tmp_path):
    """A server that begins its ledger anew, with the same key, is found out by the first host it shows that to."""
    shop.run()
    shop.send()
    (tmp_path / "second").mkdir()
    second = Shop(tmp_path / "second")
    second.hosts, second.key = shop.hosts, shop.key
    second.desk = Transparency("testing", second.ledger, shop.key)
    second.ledger.append("enrolment", {"host_id": "ghost"})
    second.version = 1
    second.run()
    payload = second.desk.release(second.hosts.plan, second.artifact.encode())
    known = open_signed(shop.view().signed_head, LedgerHead, shop.key.public_key().public_bytes_raw())
    linked = proof_with(payload, links=(HeadLink(known.size, second.ledger.consistency(known.size)),))
    assert refused(shop.send(linked)) == "ledger_forked"
    assert (shop.installed(), shop.view().refused) == (1, {"ledger_forked": 1})
    assert shop.desk.hear(shop.view().signed_head) is Held.CURRENT
    assert second.desk.hear(shop.view().signed_head) is Held.AHEAD


def test_a_fork_of_the_same_size_is_found_without_a_link(shop, tmp_path):
    """Two heads of one size with two roots need no proof to contradict each other."""
    shop.run()
    head = open_signed(shop.send(), LedgerHead, shop.key.public_key().public_bytes_raw())
    other = sign(dataclasses.replace(head, root=bytes(32)), shop.key)
    assert refused(shop.send(proof_with(shop.payload(), signed_head=other.encode()))) == "ledger_forked"


def test_a_ledger_cut_back_is_not_followed(shop):
    """A head with fewer entries than the one held is answered with the one held; nothing is installed."""
    shop.run()
    old = shop.payload()
    shop.run()
    held = shop.send()
    assert shop.hosts.ask(A, "released", old) == held
    assert (shop.installed(), shop.view().signed_head) == (1, held)


def test_a_head_of_another_key_is_refused(shop):
    """Only heads which the pinned key signed count."""
    shop.run()
    stranger = Federation().server
    head = Signed.decode(ModelRelease.decode(shop.payload()).proof.signed_head)
    forged = sign(LedgerHead.decode(head.payload), stranger)
    assert refused(shop.send(proof_with(shop.payload(), signed_head=forged.encode()))) == "wrong_signer"


def test_a_plan_that_begins_a_new_ledger_is_refused(shop):
    """Who has seen a head does not agree to a plan chained to nothing."""
    shop.run()
    shop.send()
    plan = dataclasses.replace(shop.hosts.plan, round_number=2, previous_head=bytes(32))
    assert refused(shop.hosts.announce(A, plan)) == "ledger_forked"


def test_a_plan_chained_behind_the_head_that_was_verified_is_a_fork(shop):
    """The next plan may not be chained to an entry before the newest one that this host has verified."""
    shop.run()
    stale = shop.ledger.head
    shop.run()
    shop.send()
    head = type(shop.ledger).head
    try:
        type(shop.ledger).head = property(lambda _ledger: stale)
        shop.run()
    finally:
        type(shop.ledger).head = head
    assert refused(shop.send()) == "ledger_forked"


def test_the_view_survives_the_process(shop):
    """A restarted host still knows the head: the fork is found by the next process as well."""
    shop.run()
    head = open_signed(shop.send(), LedgerHead, shop.key.public_key().public_bytes_raw())
    shop.hosts.restart(A)
    other = sign(dataclasses.replace(head, root=bytes(32)), shop.key)
    assert refused(shop.send(proof_with(shop.payload(), signed_head=other.encode()))) == "ledger_forked"


def test_a_vault_keeps_the_view_sealed(tmp_path):
    """What a host knows of a ledger is encrypted in its vault, is there after a restart, and is told in its status."""
    key = MemoryKey()
    view = LedgerView(verified=3, refused={"ledger_forked": 1})
    for expected in (None, view.to_bytes()):
        with Host.open(tmp_path / "vault.db", keys=key) as host:
            side = VaultRound(host, host_id="a", server_key=bytes(32), policy=ParticipationPolicy())
            assert side.ledger_state("shop") == expected
            side.save_ledger_state("shop", view.to_bytes())
            assert side.ledger_status("shop") == {
                "size": 0,
                "root": "",
                "verified": 3,
                "refused": {"ledger_forked": 1},
                "unlinked": 0,
            }
            assert host.status()["ledgers"] == {"shop": side.ledger_status("shop")}
            assert side.ledger_state("other") is None
    assert b"ledger_forked" not in (tmp_path / "vault.db").read_bytes()


def test_a_split_view_is_found_at_the_next_common_round(shop, tmp_path):
    """Two hosts with two histories agree to one plan: it names an entry that only one of them can be shown."""
    other_host = "host-01"
    other = Ledger(tmp_path / "other.jsonl")
    other.append("genesis", {"federation": "testing"})
    other.append("enrolment", {"host_id": "ghost"})
    desk = Transparency("testing", other, shop.key)

    def show_both():
        other.append("release", json.loads(shop.ledger.line(shop.ledger.size - 1))["body"])
        shop.send()
        return shop.send(desk.release(shop.hosts.plan, shop.artifact.encode()), host=other_host)

    shop.run()
    assert desk.hear(show_both()) is Held.CURRENT
    assert shop.installed() == shop.installed(other_host) == 1
    shop.run()
    other.index_of = lambda _hash: other.size - 2
    assert refused(show_both()) == "ledger_forked"
    assert (shop.installed(), shop.installed(other_host)) == (2, 1)
