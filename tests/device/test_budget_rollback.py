"""A vault put back from a backup is known for it by a counter, spends nothing, and learns from the ledger."""

import shutil
from fractions import Fraction

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tactful import Host, InvalidInput
from tactful.errors import KeyMalformed, VaultRolledBack
from tactful.federation import ParticipationPolicy
from tactful.federation.vault_round import VaultRound
from tactful.testing import MemoryKey
from tactful_privacy.errors import LedgerBroken
from tactful_privacy.ledger import HeadBook, Ledger, Release, export
from tactful_privacy.wire import digest

from .spend_world import plan, side_of
from .vault_world import open_host, person

PRICE = Fraction(1, 100)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = KEY.public_key().public_bytes_raw()


def answer(side, round_number, *, ledger=None, price=PRICE, survivors=("north", "south")):
    """Answer a round with everybody who can, and enter it into the ledger as released."""
    a_plan = plan(round_number, price)
    paid = side.spend(a_plan, side.eligible_devices(a_plan))
    if ledger is not None:
        release(ledger, a_plan, survivors)
    return paid


def release(ledger, a_plan, survivors=("north", "south")):
    roster = (("north", 2), ("south", 2), ("west", 2))
    body = Release(digest(a_plan), a_plan.round_number, roster, survivors, a_plan.rho, bytes(32), bytes(32)).to_body()
    ledger.append("release", body)


def begun(folder, host):
    ledger = Ledger(folder / "ledger.jsonl")
    ledger.append("genesis", {"federation": "shop", "server_key": PUBLIC})
    ledger.append("enrolment", {"host_id": "north", "identity_key": host.public_key, "devices": 2})
    return ledger


def back_up(folder):
    """Copy the vault as a backup would: the file with its log, and not what lies beside the key."""
    kept = folder.with_name(folder.name + "-backup")
    kept.mkdir(exist_ok=True)
    for file in folder.glob("vaults.db*"):
        shutil.copy2(file, kept)
    return kept


def put_back(folder, kept):
    for file in folder.glob("vaults.db*"):
        file.unlink()
    for file in kept.iterdir():
        shutil.copy2(file, folder)


@pytest.fixture
def rolled_back(tmp_path):
    """Two devices which spent on round 1, were backed up, spent on rounds 2 and 3, and were put back."""
    folder = tmp_path / "host"
    folder.mkdir()
    with open_host(folder) as host:
        ledger = begun(tmp_path, host)
        person(host, "ada"), person(host, "ben")
        side = side_of(host)
        answer(side, 1, ledger=ledger)
        host.vault.checkpoint()
        kept = back_up(folder)
        for number in (2, 3):
            answer(side, number, ledger=ledger)
    put_back(folder, kept)
    return folder, ledger


def test_a_rolled_back_vault_spends_nothing(rolled_back):
    """Frozen: nobody is eligible, a spend raises, the host answers with noise alone, and status says why."""
    folder, _ = rolled_back
    with open_host(folder) as host:
        side = side_of(host)
        assert host.status()["rolled_back"]
        assert host.find("ada").privacy_budget().frozen
        assert side.eligible_devices(plan(4)) == []
        with pytest.raises(VaultRolledBack, match="2 changes are missing"):
            side.spend(plan(4), ["1"])
        assert side.spend(plan(4), []) == []
        assert host.find("ada").track("browse")
        assert host.find("ben").erase().rows


def test_a_replay_charges_everybody_and_thaws(rolled_back):
    """Rounds 2 and 3 are found and charged to both devices; then nothing is left unexplained and rounds go on."""
    folder, ledger = rolled_back
    with open_host(folder) as host:
        report = host.replay_ledger(ledger.path)
        assert (report.rounds_missing, report.devices_charged, report.rho_added) == ((2, 3), 2, 2 * PRICE)
        assert (report.rounds_answered, report.unexplained, report.frozen) == (3, 0, False)
        assert report.head == ledger.head
        assert [device.privacy_budget().rho_spent for device in host.devices()] == [3 * PRICE] * 2
        assert [spend.source for spend in host.rounds.spends(1)] == ["", "replay", "replay"]
        again = host.replay_ledger(ledger.entries(), host_id="north")
        assert (again.rounds_missing, again.rho_added, again.devices_charged) == ((), 0, 0)
        assert len(answer(side_of(host), 4)) == 2
    with open_host(folder) as host:
        assert not host.status()["rolled_back"]
        host.check()


def test_an_export_serves_as_well_as_the_ledger(rolled_back, tmp_path):
    """The one file that a server exports is read as the ledger itself, and held to the server's key."""
    folder, ledger = rolled_back
    HeadBook(ledger).sign("shop", KEY)
    export(ledger, tmp_path / "export.jsonl")
    with open_host(folder) as host:
        with pytest.raises(LedgerBroken, match="forged"):
            host.replay_ledger(tmp_path / "export.jsonl", server_key=b"k" * 32)
        assert host.replay_ledger(tmp_path / "export.jsonl", server_key=PUBLIC).rounds_missing == (2, 3)


def test_a_participant_replays_before_it_agrees_to_a_plan(rolled_back):
    """Given the ledger at its start, a host's part in rounds begins with what the vault had lost."""
    folder, ledger = rolled_back
    with open_host(folder) as host:
        HeadBook(ledger).sign("shop", KEY)
        side = VaultRound(host, host_id="north", server_key=PUBLIC, policy=ParticipationPolicy(), ledger=ledger.path)
        assert len(side.eligible_devices(plan(4))) == 2
        assert side.spend(plan(3), ["1"]) == []
        assert host.find("ada").privacy_budget().rho_spent == 3 * PRICE


def test_a_round_that_was_replayed_is_not_paid_again(rolled_back):
    """The plan of a missing round, asked again after the replay, finds nobody who would contribute twice."""
    folder, ledger = rolled_back
    with open_host(folder) as host:
        host.replay_ledger(ledger.path)
        side = side_of(host)
        assert side.spend(plan(2, attempt=1), ["1", "2"]) == []


def test_what_the_ledger_does_not_explain_keeps_the_budgets_frozen(rolled_back, tmp_path):
    """A contribution that is in no release is counted by the keeper alone: frozen until the operator decides."""
    folder, _ = rolled_back
    with open_host(folder) as host:
        short = Ledger(tmp_path / "short.jsonl")
        short.append("genesis", {"federation": "shop", "server_key": bytes(32)})
        short.append("enrolment", {"host_id": "north", "identity_key": host.public_key, "devices": 2})
        release(short, plan(1)), release(short, plan(2))
        report = host.replay_ledger(short.path)
        assert (report.rounds_missing, report.unexplained, report.frozen) == ((2,), 1, True)
        assert side_of(host).eligible_devices(plan(5)) == []
        host.accept_vault()
        assert not host.status()["rolled_back"]
        assert len(answer(side_of(host), 5)) == 2


def test_the_erased_and_those_who_enrol_later_are_charged_too(tmp_path):
    """Nobody knows who was enrolled meanwhile: a tombstone and a new enrolment start from what is missing."""
    folder = tmp_path / "host"
    folder.mkdir()
    with open_host(folder) as host:
        ledger = begun(tmp_path, host)
        person(host, "ada")
        answer(side_of(host), 1, ledger=ledger)
        host.find("ada").erase()
        host.vault.checkpoint()
        kept = back_up(folder)
        person(host, "ada"), person(host, "ben")
        answer(side_of(host), 2, ledger=ledger)
    put_back(folder, kept)
    with open_host(folder) as host:
        assert host.replay_ledger(ledger.path).rounds_missing == (2,)
        assert person(host, "ada").privacy_budget().rho_spent == 2 * PRICE
        assert person(host, "cleo").privacy_budget().rho_spent == PRICE


def test_without_a_counter_the_replay_still_finds_the_rounds(tmp_path):
    """A key provider without a counter: the roll-back goes unnoticed, the ledger shows what it cost."""
    folder, key = tmp_path / "host", MemoryKey()
    folder.mkdir()
    with open_host(folder, keys=key) as host:
        ledger = begun(tmp_path, host)
        person(host)
        host.vault.checkpoint()
        kept = back_up(folder)
        answer(side_of(host), 1, ledger=ledger)
    put_back(folder, kept)
    with open_host(folder, keys=key) as host:
        assert not host.status()["rolled_back"]
        assert host.find("ada").privacy_budget().rho_spent == 0
        assert host.replay_ledger(ledger.path).rounds_missing == (1,)
        assert host.find("ada").privacy_budget().rho_spent == PRICE


def test_a_void_round_counts_where_the_contribution_arrived(tmp_path):
    """Nothing was opened, and who sent has paid; hosts that had not sent, and entries that do not say, are left out."""
    with open_host(tmp_path) as host:
        ledger = begun(tmp_path, host)
        person(host)
        for number, hosts in ((1, ["north", "south"]), (2, ["south"]), (3, None)):
            said = {} if hosts is None else {"contributed": hosts, "rho": PRICE}
            ledger.append("void", {"plan_digest": digest(plan(number)), "round_number": number, **said})
        assert host.replay_ledger(ledger.path).rounds_missing == (1,)
        assert host.find("ada").privacy_budget().rho_spent == PRICE
        ledger.append("void", {"plan_digest": "?", "round_number": 4, "contributed": ["north"], "rho": "1/0"})
        with pytest.raises(LedgerBroken, match="not a void round"):
            host.replay_ledger(ledger.path)


def test_rounds_without_this_host_are_none_of_its_business(tmp_path):
    """Releases in which the host is not among those who answered charge nothing."""
    with open_host(tmp_path) as host:
        ledger = begun(tmp_path, host)
        person(host)
        release(ledger, plan(1), survivors=("south", "west"))
        report = host.replay_ledger(ledger.path)
        assert (report.rounds_answered, report.rounds_missing) == (0, ())
        assert host.find("ada").privacy_budget().rho_spent == 0


def test_a_name_counts_for_the_time_that_it_was_this_hosts(tmp_path):
    """Releases before this host took over a name, or after it gave it up, are another's."""
    with open_host(tmp_path) as host:
        ledger = Ledger(tmp_path / "ledger.jsonl")
        ledger.append("genesis", {"federation": "shop", "server_key": bytes(32)})
        ledger.append("enrolment", {"host_id": "north", "identity_key": bytes(32), "devices": 2})
        release(ledger, plan(1))
        ledger.append("enrolment", {"host_id": "north", "identity_key": host.public_key, "devices": 2})
        release(ledger, plan(2))
        ledger.append("enrolment", {"host_id": "north", "identity_key": bytes(32), "devices": 2})
        release(ledger, plan(3))
        person(host)
        assert host.replay_ledger(ledger.path).rounds_missing == (2,)


def test_a_ledger_that_cannot_be_used_says_so(tmp_path):
    """Missing, edited, or of a federation that does not know this host: typed, and nothing is charged."""
    with open_host(tmp_path) as host:
        person(host)
        with pytest.raises(InvalidInput, match="no ledger at"):
            host.replay_ledger(tmp_path / "none.jsonl")
        ledger = Ledger(tmp_path / "ledger.jsonl")
        ledger.append("genesis", {"federation": "shop", "server_key": bytes(32)})
        release(ledger, plan(1))
        with pytest.raises(InvalidInput, match="does not name this host"):
            host.replay_ledger(ledger.path)
        for nonsense in (None, 3, [1]):
            with pytest.raises(InvalidInput, match="neither a path nor entries"):
                host.replay_ledger(nonsense)
        ledger.path.write_bytes(ledger.path.read_bytes().replace(b"shop", b"shot"))
        with pytest.raises(LedgerBroken):
            host.replay_ledger(ledger.path)
        assert host.find("ada").privacy_budget().rho_spent == 0


def test_the_counter_is_a_private_file_that_only_rises(tmp_path):
    """One file beside the key, mode 0600, one number a change; without any change there is none."""
    with open_host(tmp_path) as host:
        person(host)
        assert not list(tmp_path.glob("host.key.counter-*"))
        for number in (1, 2, 2):
            answer(side_of(host), number)
        [file] = tmp_path.glob("host.key.counter-*")
        assert (file.read_text(), file.stat().st_mode & 0o777) == ("2\n", 0o600)
        host.find("ada").erase()
        assert file.read_text() == "3\n"


def test_a_counter_that_is_gone_or_damaged_freezes(tmp_path):
    """A vault that has counted does not believe that nothing was ever kept; a damaged file is named."""
    with open_host(tmp_path) as host:
        person(host)
        answer(side_of(host), 1)
        [file] = tmp_path.glob("host.key.counter-*")
        file.unlink()
        with pytest.raises(VaultRolledBack, match="counter is gone"):
            side_of(host).spend(plan(2), ["1"])
        host.accept_vault()
        assert answer(side_of(host), 2) == ["1"]
        file.write_text("many\n")
        with pytest.raises(KeyMalformed, match="no counter"):
            side_of(host).spend(plan(3), ["1"])


def test_a_cloned_vault_is_found_by_its_counter(tmp_path):
    """Two hosts on copies of one vault, with one key beside them: the one that is behind is frozen."""
    with open_host(tmp_path) as host:
        person(host)
        answer(side_of(host), 1)
        host.vault.checkpoint()
    clone = tmp_path / "clone.db"
    shutil.copy2(tmp_path / "vaults.db", clone)
    with open_host(tmp_path) as one, Host.open(clone, strict=True, clock=one.clock) as other:
        assert answer(side_of(one), 2) == ["1"]
        with pytest.raises(VaultRolledBack):
            side_of(other).spend(plan(3), ["1"])


def test_erasures_while_frozen_do_not_catch_up_with_the_counter(rolled_back):
    """What is changed on a rolled-back vault is not counted, so that it cannot pass for current."""
    folder, _ = rolled_back
    with open_host(folder) as host:
        for name in ("ada", "ben"):
            host.find(name).erase()
        for _ in range(3):
            person(host, "dora").erase()
        assert host.status()["rolled_back"]


def test_a_key_in_a_folder_without_permission_keeps_no_counter(tmp_path, monkeypatch):
    """A read-only mounted key: rounds go on as before, and a roll-back is not noticed."""

    def refuse(path, number):
        raise KeyMalformed("read-only", field="keys", remedy="none")

    monkeypatch.setattr("tactful._kept_number._replace", refuse)
    with open_host(tmp_path) as host:
        person(host)
        assert answer(side_of(host), 1) == ["1"]
        assert not host.guard.kept
    with open_host(tmp_path) as host:
        assert not host.status()["rolled_back"]
        assert answer(side_of(host), 2) == ["1"]


class Chip(MemoryKey):
    """A key store with a monotonic counter, as a KMS or a secure element offers it."""

    def __init__(self):
        super().__init__()
        self.numbers, self.raised = {}, []

    def counter(self, vault):
        return self.numbers.get(vault)

    def advance(self, vault, to):
        self.raised.append(to)
        self.numbers[vault] = max(to, self.numbers.get(vault, 0))


def test_a_key_store_with_a_counter_of_its_own(tmp_path):
    """Any provider with the two methods is asked: the counter rises by one a change, after the spend is on disk."""
    chip, folder = Chip(), tmp_path / "host"
    folder.mkdir()
    with open_host(folder, keys=chip) as host:
        person(host)
        host.vault.checkpoint()
        kept = back_up(folder)
        for number in (1, 2):
            answer(side_of(host), number)
    assert chip.raised == [0, 1, 2]
    put_back(folder, kept)
    with open_host(folder, keys=chip) as host, pytest.raises(VaultRolledBack, match="2 changes"):
        host.guard.require_current()


def test_the_operating_systems_key_store_keeps_the_counter(tmp_path, monkeypatch):
    """Through the package keyring the counter is an entry of its own beside the key's, and only rises."""
    entries = {}

    class Ring:
        get_password = staticmethod(lambda service, name: entries.get((service, name)))
        set_password = staticmethod(lambda service, name, value: entries.update({(service, name): value}))

    monkeypatch.setattr("tactful.keys.KeyringKey._keyring", lambda self: Ring)
    with open_host(tmp_path, keys="keyring:shop") as host:
        person(host)
        for number in (1, 2):
            answer(side_of(host), number)
        [name] = [name for _, name in entries if name.startswith("counter-")]
        assert entries["shop", name] == "2"
        host.vault.provider.advance(name.removeprefix("counter-"), 1)
        assert entries["shop", name] == "2"
        entries["shop", name] = "-1"
        with pytest.raises(KeyMalformed):
            host.status()


def test_a_run_is_charged_once_at_its_whole_price(tmp_path):
    """Later releases of a run state no price: who has not paid since the stated one is charged it, once."""
    folder, whole = tmp_path / "host", Fraction(1, 5)
    folder.mkdir()
    with open_host(folder) as host:
        ledger = begun(tmp_path, host)
        paid, other = person(host, "ada"), person(host, "ben")
        side_of(host).spend(plan(1, whole), [str(paid.id)])
        release(ledger, plan(1, whole))
        for number in (2, 3):
            release(ledger, plan(number, Fraction(0)))
        report = host.replay_ledger(ledger.path)
        assert (report.rounds_missing, report.rho_added) == ((2, 3), whole)
        assert paid.privacy_budget().rho_spent == whole
        assert other.privacy_budget().rho_spent == whole
        assert host.rounds.account(other.id).last_rounds == {"shop": 3}


def test_a_plan_written_twice_explains_one_change(tmp_path):
    """Two changes are missing and the ledger names one round twice: one is explained, and budgets stay frozen."""
    folder = tmp_path / "host"
    folder.mkdir()
    with open_host(folder) as host:
        ledger = begun(tmp_path, host)
        person(host)
        answer(side_of(host), 1, ledger=ledger)
        host.vault.checkpoint()
        kept = back_up(folder)
        answer(side_of(host), 2)
        answer(side_of(host), 3)
        release(ledger, plan(2, PRICE))
        release(ledger, plan(2, PRICE))
    put_back(folder, kept)
    with open_host(folder) as host:
        report = host.replay_ledger(ledger.path)
        assert report.rounds_missing == (2,)
        assert report.unexplained == 1
        assert report.frozen
