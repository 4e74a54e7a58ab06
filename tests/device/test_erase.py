"""Erasure: rows, key and every readable trace are gone; the spent budget is not forgotten."""

import json
from dataclasses import replace
from fractions import Fraction

import pytest

from tactful import UnknownDevice
from tactful.federation import ParticipationPolicy
from tactful.federation.vault_round import VaultRound

from .spend_world import plan
from .vault_world import look, open_host, person


def fill(device):
    for index in range(40):
        device.track("browse", category=f"category-{index}", item_id="a-very-telling-item")


def test_nothing_readable_and_nothing_sealed_remains(tmp_path):
    """No file of the vault holds the person's rows, their wrapped key, or any word of theirs, sealed or not."""
    with open_host(tmp_path) as host:
        device = person(host, "ada")
        fill(device)
        fill(person(host, "ben"))
        sealed = [row[0] for row in look(tmp_path, "SELECT blob FROM rows WHERE device=1")]
        sealed += [row[0] for row in look(tmp_path, "SELECT key FROM devices WHERE id=1")]
        assert len(sealed) > 40
        receipt = device.erase()
        assert receipt.log_truncated
        files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert not [blob for blob in sealed if blob in files or blob[12:40] in files]
        assert b"telling" not in files
        assert look(tmp_path, "SELECT count(*) FROM rows WHERE device=1") == [(0,)]
        assert len(host.find("ben").export()["events"]) == 40
        assert host.check() > 40


def test_the_receipt_is_signed_and_says_what_it_cannot_undo(tmp_path):
    """The receipt verifies under the host's key, fails when altered, and is plain JSON."""
    with open_host(tmp_path) as host:
        device = person(host)
        fill(device)
        receipt = device.erase()
        assert receipt.verify(host.public_key)
        assert not replace(receipt, rows=receipt.rows + 1).verify(host.public_key)
        assert not receipt.verify(bytes(32))
        assert "already summed" in receipt.cannot_undo
        assert json.loads(json.dumps(receipt.to_dict()))["rows"] == receipt.rows


def test_an_erased_device_is_unknown(tmp_path):
    """Every call on an erased device says so; the hot path of a lenient host stays quiet."""
    with open_host(tmp_path) as host:
        device = person(host)
        device.erase()
        for act in (device.export, device.status, device.erase, lambda: device.track("browse")):
            with pytest.raises(UnknownDevice):
                act()
        with pytest.raises(UnknownDevice):
            host.find("ada")
        host.strict = False
        assert device.decide([]).reasons[0].code == "internal_error"


def test_an_empty_device_can_be_erased(tmp_path):
    """Somebody who only enrolled can leave."""
    with open_host(tmp_path) as host:
        assert host.device("ada").erase().rows == 1  # the profile


def test_a_new_enrolment_goes_on_from_the_budget_spent(tmp_path):
    """Erasing does not refill the budget, nor open a round that was paid for already."""
    with open_host(tmp_path) as host:
        device = person(host)
        side = VaultRound(host, host_id="north", server_key=bytes(32), policy=ParticipationPolicy())
        assert side.spend(plan(3, Fraction(1, 10)), [str(device.id)]) == [str(device.id)]
        assert device.erase().spent_rho == "1/10"
        again = person(host)
        assert again.id != device.id
        assert again.privacy_budget().rho_spent == Fraction(1, 10)
        assert side.spend(plan(3, Fraction(1, 10)), [str(again.id)]) == []
        assert side.spend(plan(4, Fraction(1, 10)), [str(again.id)]) == [str(again.id)]
        again.erase()
        assert person(host).privacy_budget().rho_spent == Fraction(1, 5)
    with open_host(tmp_path) as host:
        assert host.find("ada").privacy_budget().rho_spent == Fraction(1, 5)
