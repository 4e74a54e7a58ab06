"""Nothing without consent: four purposes, each denied until granted, each statement kept."""

import hashlib

import pytest

from tactful import Candidate, InvalidInput
from tactful.consent import PURPOSES
from tactful.errors import UnknownPurpose

from .vault_world import NOON, look, open_host, person


def test_denied_until_granted(tmp_path):
    """A new device consents to nothing, and records no behaviour."""
    with open_host(tmp_path) as host:
        device = host.device("ada")
        assert device.consents == frozenset()
        assert not device.track("browse", category="shoes")
        assert host.track_many([("ada", "purchase", NOON, {})]).without_consent == 1
        assert device.export()["events"] == []


def test_each_statement_is_kept(tmp_path):
    """Granting and withdrawing leave a history with version, time and the digest of the text."""
    with open_host(tmp_path) as host:
        device = host.device("ada")
        device.set_consent("analytics", granted=True, policy_version="1", policy_text="We count.")
        device.set_consent("analytics", granted=False, policy_version="2")
        first, second = device.export()["consents"]
        assert first["policy_sha256"] == hashlib.sha256(b"We count.").hexdigest()
        assert (first["granted"], second["granted"], second["policy_version"]) == (True, False, "2")
        assert first["at"] == NOON.isoformat()
    with open_host(tmp_path) as host:
        assert host.find("ada").consents == frozenset()


def test_withdrawing_stops_recording_at_once(tmp_path):
    """After withdrawal nothing more is recorded; what was recorded stays until it is erased."""
    with open_host(tmp_path) as host:
        device = person(host)
        device.track("browse")
        device.set_consent("on_device_personalisation", granted=False, policy_version="2")
        assert not device.track("browse")
        assert len(device.export()["events"]) == 1


def test_without_personalisation_only_cap_counters_are_kept(tmp_path):
    """Decisions are taken by rules; of a push that was sent only time and cap keys remain."""
    with open_host(tmp_path) as host:
        device = person(host, purposes=("marketing_push",))
        offer = Candidate(id="c1", category="shoes", tags=("red",), embedding=(1.0,), campaign="fall")
        decision = device.decide([offer], now=NOON)
        assert decision.basis == "rules"
        assert decision.action == "send"  # 12:30 lies in the fixed daytime slot
        [push] = device.export()["pushes"]
        assert (push["candidate_id"], push["category"], push["campaign"]) == ("c1", "shoes", "fall")
        assert (push["tags"], push["embedding"]) == ([], None)
        assert device.decide([offer], now=NOON).action != "send"
        assert device.record_outcome(decision.id, "opened")
    assert look(tmp_path, "SELECT DISTINCT kind FROM rows WHERE kind IN ('event', 'decision')") == []


def test_opted_out_until_agreed_again(tmp_path):
    """An opt-out outlives the process; only a later consent to marketing ends it."""
    with open_host(tmp_path) as host:
        person(host).opt_out()
    with open_host(tmp_path) as host:
        device = host.find("ada")
        offer = [Candidate(id="c1", category="shoes")]
        assert device.decide(offer).reasons[0].code == "opted_out"
        device.set_consent("marketing_push", granted=True, policy_version="3")
        assert device.status()["opted_out"] == []
    with open_host(tmp_path) as host:
        assert host.find("ada").status()["opted_out"] == []


def test_bad_statements(tmp_path):
    """Unknown purposes, missing versions and truthy non-booleans are refused by field."""
    with open_host(tmp_path) as host:
        device = host.device("ada")
        with pytest.raises(UnknownPurpose, match=sorted(PURPOSES)[0]):
            device.set_consent("everything", granted=True, policy_version="1")
        for granted, version, field in ((True, "", "policy_version"), (1, "1", "granted")):
            with pytest.raises(InvalidInput) as caught:
                device.set_consent("analytics", granted=granted, policy_version=version)
            assert caught.value.field == field
        assert device.export()["consents"] == []
