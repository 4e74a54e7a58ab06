"""Text that the vault cannot spell, and codes that are no text, are refused by name."""

import pytest

from tactful import Candidate
from tactful.errors import InvalidInput, MalformedEvent

from .vault_world import open_host, person


def test_half_a_surrogate_pair_is_refused_by_field(tmp_path):
    """As a name or as a key: a typed error naming the field, and nothing is stored."""
    with open_host(tmp_path) as host:
        with pytest.raises(InvalidInput, match="user_id"):
            host.device("\ud800")
        assert host.devices() == []
        device = person(host)
        with pytest.raises(MalformedEvent, match="app's own id"):
            device.track("browse", key="\udfff")
        assert device.export()["events"] == []


def test_a_reason_of_another_type_is_refused(tmp_path):
    """A number given as the reason of a feedback is bad input, and no feedback is kept."""
    with open_host(tmp_path) as host:
        device = person(host)
        decision = device.decide([Candidate(id="c", category="shoes")])
        with pytest.raises(InvalidInput, match="reason"):
            device.feedback(decision.id, "complaint", 5)
        assert device.export()["feedback"] == []
