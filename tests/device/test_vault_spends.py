"""A device pays once for a round, within its own ceiling, and the payment is on disk before the contribution leaves."""

import sqlite3
from fractions import Fraction

import pytest

from tactful import InvalidInput
from tactful.federation import HostRound, ParticipationPolicy
from tactful.federation.vault_round import VaultRound
from tactful_privacy.accounting.modes import REHEARSAL
from tactful_privacy.accounting.zcdp import rho_budget

from .spend_world import plan
from .vault_world import look, open_host, person


def side_of(host, **changes):
    return VaultRound(host, host_id="north", server_key=bytes(32), policy=ParticipationPolicy(**changes))


def test_it_is_a_host_round(tmp_path):
    """The vault's side has everything that the participant asks for."""
    with open_host(tmp_path) as host:
        assert isinstance(side_of(host), HostRound)
        with pytest.raises(InvalidInput, match="32 bytes"):
            VaultRound(host, host_id="north", server_key=b"short", policy=ParticipationPolicy())


def test_once_for_a_round(tmp_path):
    """The same plan again is paid for already; another plan of the same or an earlier round is refused."""
    with open_host(tmp_path) as host:
        device = str(person(host).id)
        side = side_of(host)
        assert side.spend(plan(5), [device]) == [device]
        assert side.spend(plan(5), [device]) == [device]
        assert side.spend(plan(5, attempt=1), [device]) == []
        assert side.spend(plan(4), [device]) == []
        assert side.spend(plan(6), [device]) == [device]
        assert look(tmp_path, "SELECT round, rho FROM spends") == [(5, "1/100"), (6, "1/100")]


def test_the_file_itself_refuses_a_second_spend(tmp_path):
    """Uniqueness of (device, round) is the table's, not only the code's."""
    with open_host(tmp_path) as host:
        device = person(host)
        side_of(host).spend(plan(5), [str(device.id)])
        row = look(tmp_path, "SELECT * FROM spends")[0]
        with pytest.raises(sqlite3.IntegrityError):
            host.vault.connection.execute("INSERT INTO spends VALUES (?,?,?,?,?,?,?)", row)


def test_consent_gates_rounds(tmp_path):
    """Without consent to federated learning a device is not eligible, and cannot be made to pay."""
    with open_host(tmp_path) as host:
        device = person(host)
        side = side_of(host)
        assert side.eligible_devices(plan(1)) == [str(device.id)]
        device.set_consent("federated_learning", granted=False, policy_version="2")
        assert side.eligible_devices(plan(1)) == []
        assert side.spend(plan(1), [str(device.id)]) == []


def test_own_ceiling_prevails(tmp_path):
    """A device that lowered its ceiling sits out when the price no longer fits; the others go on."""
    with open_host(tmp_path) as host:
        careful, other = person(host, "ada"), person(host, "ben")
        careful.set_privacy_budget(0.5, 1e-6)
        price = Fraction(rho_budget(0.5, 1e-6)) / 2
        side = side_of(host)
        both = [str(careful.id), str(other.id)]
        assert [side.spend(plan(n, price), both) for n in (1, 2, 3)] == [both, both, both[1:]]
        assert side.eligible_devices(plan(4, price)) == both[1:]
        assert careful.privacy_budget().exhausted
        assert careful.privacy_budget().epsilon_spent == pytest.approx(0.5, abs=1e-6)
        assert careful.privacy_budget().rounds_joined == 2


def test_the_promise_of_local_lasts_as_long_as_it_says(tmp_path):
    """(ε, δ) is promised under replacement there, which costs four times the zero-out price that is written down."""
    rho = Fraction(rho_budget(4.0, 1e-6)) / 12
    with open_host(tmp_path) as host:
        person(host)
        side = side_of(host, modes=("local", "distributed"), participations=12)
        paid = [side.spend(plan(number, rho / 4, mode="local"), ["1"]) for number in range(1, 14)]
        assert paid == [["1"]] * 12 + [[]]
        assert side.eligible_devices(plan(14, rho / 4, mode="local")) == []
        assert side.spend(plan(14, rho), ["1"]) == ["1"]  # under zero-out three quarters are left


def test_a_policy_without_a_limit_leaves_a_device_its_own(tmp_path):
    """A host that rehearses takes part in plans with a price too: those stay within what the person allowed."""
    own = Fraction(rho_budget(0.5, 1e-6))
    with open_host(tmp_path) as host:
        person(host).set_privacy_budget(0.5, 1e-6)
        side = side_of(host, epsilon=float("inf"), rehearsal=True)
        paid = [side.spend(plan(number, own / 2), ["1"]) for number in (1, 2, 3)]
        assert paid == [["1"], ["1"], []]
        assert side.spend(plan(4, Fraction(0), mode=REHEARSAL), ["1"]) == ["1"]


def test_a_ceiling_can_only_be_lowered(tmp_path):
    """More than the host's default, or nonsense, is refused and changes nothing."""
    with open_host(tmp_path, privacy_budget=(2.0, 1e-6)) as host:
        device = person(host)
        for epsilon, delta in ((2.1, 1e-6), (0.0, 1e-6), (1.0, 1.0), (float("nan"), 1e-6)):
            with pytest.raises(InvalidInput):
                device.set_privacy_budget(epsilon, delta)
        assert device.privacy_budget().epsilon_ceiling == 2.0


def test_gone_devices_pay_nothing(tmp_path):
    """A device erased between eligibility and payment is left out."""
    with open_host(tmp_path) as host:
        device = person(host)
        side = side_of(host)
        [reference] = side.eligible_devices(plan(1))
        device.erase()
        assert side.spend(plan(1), [reference]) == []


def test_a_failed_transaction_leaves_no_trace(tmp_path, monkeypatch):
    """When the write of one of several spends fails, none is written and none is counted."""
    with open_host(tmp_path) as host:
        one, two = person(host, "ada"), person(host, "ben")
        side = side_of(host)
        real = host.rounds.spend

        def failing(a_plan, digest, device, ceiling):
            if device == two.id:
                raise OSError("disk full")
            return real(a_plan, digest, device, ceiling)

        monkeypatch.setattr(host.rounds, "spend", failing)
        with pytest.raises(OSError, match="disk full"):
            side.spend(plan(1), [str(one.id), str(two.id)])
        monkeypatch.undo()
        assert one.privacy_budget().rho_spent == 0
        assert look(tmp_path, "SELECT count(*) FROM spends") == [(0,)]


def test_round_state_is_sealed_and_positions_rise(tmp_path):
    """A round's state reads back after reopening, is not readable in the file, and moves the position."""
    with open_host(tmp_path) as host:
        side = side_of(host)
        assert side.last_position("shop") is None
        side.save_round(b"p" * 32, "shop", (3, 1), b"very secret seed")
        side.save_round(b"q" * 32, "shop", (2, 9), b"older")
        side.remember_mask_keys(b"p" * 32, [b"k" * 32])
    assert b"very secret" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())
    with open_host(tmp_path) as host:
        side = side_of(host)
        assert side.load_round(b"p" * 32) == b"very secret seed"
        assert side.load_round(b"x" * 32) is None
        assert side.last_position("shop") == (3, 1)
        assert list(side.seen_mask_keys(b"p" * 32, [b"k" * 32])) == []
        assert list(side.seen_mask_keys(b"q" * 32, [b"k" * 32, b"n" * 32])) == [b"k" * 32]


def test_spends_and_states_wait_for_the_disk(tmp_path):
    """Both are committed with synchronous=FULL, everything else with NORMAL."""
    with open_host(tmp_path) as host:
        device = person(host)
        seen = []
        host.vault.connection.set_trace_callback(seen.append)
        side_of(host).spend(plan(1), [str(device.id)])
        side_of(host).save_round(b"p" * 32, "shop", (1, 0), b"state")
        device.track("browse")
        host.vault.connection.set_trace_callback(None)
    wanted = ("PRAGMA synchronous=FULL", "COMMIT", "PRAGMA synchronous=NORMAL")
    order = [statement for statement in seen if statement in wanted]
    counter = "COMMIT"  # the keeper's counter is raised under the write lock, once the spend is on disk
    assert order == [*wanted, counter, *wanted, "COMMIT"]
