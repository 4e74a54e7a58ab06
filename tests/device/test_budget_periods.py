"""A ceiling holds for a numbered period; the next one needs a newer consent; the total over all of them is shown."""

from fractions import Fraction

import pytest

from tactful import InvalidInput
from tactful.errors import RenewalRefused
from tactful.federation import ParticipationPolicy
from tactful.federation.vault_round import VaultRound
from tactful_privacy.accounting.zcdp import epsilon, rho_budget

from .spend_world import plan, side_of
from .test_host_models import PUBLIC, signed
from .vault_world import open_host, person

DELTA = 1e-6
PRICE = Fraction(rho_budget(4.0, DELTA)) / 3


def agree(device, version="2027-01"):
    device.set_consent("federated_learning", granted=True, policy_version=version)


def spend(side, device, *rounds, price=PRICE):
    return [number for number in rounds if side.spend(plan(number, price), [str(device.id)])]


def test_a_period_ends_at_its_ceiling_and_a_renewal_begins_the_next(tmp_path):
    """Three rounds fit, the fourth does not; renewed, three more fit; ε of the period is bounded, ε in all is shown."""
    with open_host(tmp_path) as host:
        device, side = person(host), side_of(host)
        assert spend(side, device, 1, 2, 3, 4) == [1, 2, 3]
        assert device.privacy_budget().exhausted
        agree(device)
        found = device.renew_budget(4.0, DELTA, policy_version="2027-01")
        assert (found.period, found.rho_spent, found.rho_total, found.exhausted) == (2, 0, 3 * PRICE, False)
        assert spend(side, device, 4, 5, 6, 7) == [4, 5, 6]
        found = device.privacy_budget()
        assert found.epsilon_spent <= 4.0
        assert found.epsilon_total == epsilon(6 * PRICE, DELTA)
        assert found.epsilon_total > 5.9
    with open_host(tmp_path) as host:
        assert host.find("ada").privacy_budget() == found


def test_an_exhausted_device_still_receives_models(tmp_path):
    """What a device may have does not depend on what it has left to give."""
    with open_host(tmp_path) as host:
        device = person(host)
        side = VaultRound(host, host_id="north", server_key=PUBLIC, policy=ParticipationPolicy())
        assert spend(side, device, 1, 2, 3) == [1, 2, 3]
        assert side.eligible_devices(plan(4, PRICE)) == []
        before = device.status()["model_version"]
        side.install(signed(4))
        assert device.status()["model_version"] == host.model.version != before


def test_no_renewal_without_a_newer_consent(tmp_path):
    """The consent on which the period rests, an older one, one to another text and a withdrawn one are refused."""
    with open_host(tmp_path) as host:
        device, side = person(host), side_of(host)
        with pytest.raises(RenewalRefused, match="older than period 1"):
            device.renew_budget(1.0, DELTA, policy_version="2026-11")
        agree(device)
        spend(side, device, 1)
        with pytest.raises(RenewalRefused, match="older than period 1"):
            device.renew_budget(4.0, DELTA, policy_version="2027-01")
        agree(device)
        with pytest.raises(RenewalRefused, match="to the text '2027-01'"):
            device.renew_budget(4.0, DELTA, policy_version="2027-02")
        device.set_consent("federated_learning", granted=False, policy_version="2027-01")
        with pytest.raises(RenewalRefused, match="no consent"):
            device.renew_budget(4.0, DELTA, policy_version="2027-01")
        agree(device)
        device.renew_budget(4.0, DELTA, policy_version="2027-01")
        with pytest.raises(RenewalRefused, match="older than period 2"):
            device.renew_budget(4.0, DELTA, policy_version="2027-01")
        assert device.privacy_budget().period == 2


def test_after_does_not_mean_a_clock(tmp_path):
    """A consent recorded later counts as newer when the clock was set back, and an older one never does."""
    with open_host(tmp_path) as host:
        device, side = person(host), side_of(host)
        spend(side, device, 1)
        host.clock.advance(days=-400)
        agree(device)
        assert device.renew_budget(4.0, DELTA, policy_version="2027-01").period == 2
        host.clock.advance(days=4000)
        with pytest.raises(RenewalRefused):
            device.renew_budget(4.0, DELTA, policy_version="2027-01")


def test_a_ceiling_is_never_raised_silently(tmp_path):
    """Neither by the device itself, nor by opening the host with a higher default; only by a renewal."""
    with open_host(tmp_path, privacy_budget=(2.0, DELTA)) as host:
        device = person(host)
        spend(side_of(host), device, 1, price=Fraction(1, 1000))
        device.set_privacy_budget(1.0, DELTA)
        with pytest.raises(InvalidInput, match="renew_budget"):
            device.set_privacy_budget(1.5, DELTA)
    with open_host(tmp_path, privacy_budget=(8.0, DELTA)) as host:
        device, other = host.find("ada"), person(host, "ben")
        spend(side_of(host, epsilon=3.0), other, 2, price=Fraction(1, 1000))
        assert device.privacy_budget().epsilon_ceiling == 1.0
        assert other.privacy_budget().epsilon_ceiling == 3.0
        agree(device)
        assert device.renew_budget(5.0, DELTA, policy_version="2027-01").epsilon_ceiling == 5.0
        with pytest.raises(InvalidInput, match="above the host's"):
            device.renew_budget(9.0, DELTA, policy_version="2027-01")


def test_the_default_of_the_host_binds_whatever_the_policy_says(tmp_path):
    """The ceiling that is shown is the one that is enforced."""
    with open_host(tmp_path, privacy_budget=(1.0, DELTA)) as host:
        device, side = person(host), side_of(host, epsilon=8.0)
        price = Fraction(rho_budget(1.0, DELTA)) / 2
        assert spend(side, device, 1, 2, 3, price=price) == [1, 2]
        assert device.privacy_budget().epsilon_spent <= 1.0


def test_a_horizon_in_rounds(tmp_path):
    """A renewal may end after so many participations, whatever is left; the next needs a newer consent again."""
    with open_host(tmp_path) as host:
        device, side = person(host), side_of(host)
        agree(device)
        device.renew_budget(4.0, DELTA, policy_version="2027-01", rounds=2)
        assert spend(side, device, 1, 2, 3, price=Fraction(1, 1000)) == [1, 2]
        assert (device.privacy_budget().rounds_left, device.privacy_budget().exhausted) == (0, True)
        for wrong in (0, -1, 1.5, "3", True):
            with pytest.raises(InvalidInput, match="rounds"):
                device.renew_budget(4.0, DELTA, policy_version="2027-01", rounds=wrong)
        for wrong in ("4", None, True, float("nan"), 0):
            with pytest.raises(InvalidInput, match="epsilon"):
                device.renew_budget(wrong, DELTA, policy_version="2027-01")
            with pytest.raises(InvalidInput, match="epsilon"):
                device.set_privacy_budget(wrong, DELTA)


def test_the_period_outlives_an_erasure(tmp_path):
    """Erased and enrolled again, a person is in the same period, with the same ceiling, horizon and total."""
    with open_host(tmp_path) as host:
        device, side = person(host), side_of(host)
        spend(side, device, 1, 2, 3)
        agree(device)
        device.renew_budget(3.0, DELTA, policy_version="2027-01", rounds=5)
        spend(side, device, 4)
        before = device.privacy_budget()
        device.erase()
        after = person(host).privacy_budget()
        assert (after.period, after.rho_spent, after.rho_total) == (2, PRICE, 4 * PRICE)
        assert (after.epsilon_ceiling, after.rounds_left) == (before.epsilon_ceiling, 4)


def test_a_lowered_ceiling_outlives_an_erasure(tmp_path):
    """Whoever lowered it does not find it raised when they come back."""
    with open_host(tmp_path) as host:
        device = person(host)
        device.set_privacy_budget(0.5, DELTA)
        device.erase()
        assert person(host).privacy_budget().epsilon_ceiling == 0.5


def test_a_renewal_that_fails_leaves_no_trace(tmp_path, monkeypatch):
    """A full disk in the middle of it: the old period goes on, in memory and on disk."""
    with open_host(tmp_path) as host:
        device, side = person(host), side_of(host)
        spend(side, device, 1, 2, 3)
        agree(device)
        monkeypatch.setattr(host.guard, "count", lambda: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            device.renew_budget(4.0, DELTA, policy_version="2027-01")
        monkeypatch.undo()
        assert device.privacy_budget().period == 1
        assert spend(side, device, 4) == []


def test_export_and_plain_values(tmp_path):
    """The portable copy names period, total and share."""
    with open_host(tmp_path) as host:
        plain = person(host).export()["privacy_budget"]
        wanted = {"period": 1, "epsilon_total": 0.0, "rho_total": "0", "share": "1", "frozen": False}
        assert wanted.items() <= plain.items()
