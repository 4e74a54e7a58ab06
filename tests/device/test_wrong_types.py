"""What an app passes by mistake is a typed error on a strict host, naming the field and the remedy."""

from datetime import UTC, datetime

import pytest

from tactful.errors import InvalidInput, TactfulError, UnknownDecision
from tactful.testing import FrozenClock, memory_host
from tactful.types import Candidate

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SHOES = Candidate(id="c", category="shoes")


@pytest.fixture
def device():
    with memory_host(clock=FrozenClock(NOON)) as host:
        yield host.device("somebody")


@pytest.mark.parametrize(
    ("field", "candidates", "options"),
    [
        ("candidates", None, {}),
        ("candidates", [3], {}),
        ("candidates", "shoes", {}),
        ("seed", [SHOES], {"seed": "text"}),
        ("now", [SHOES], {"now": datetime.max.replace(tzinfo=UTC)}),
        ("now", [SHOES], {"now": "tomorrow"}),
        ("now", [SHOES], {"now": NOON.replace(tzinfo=None)}),
    ],
)
def test_a_decision_from_wrong_types_is_refused_by_field(device, field, candidates, options):
    """Nothing is logged, and the next decision is made as ever."""
    with pytest.raises(InvalidInput) as refused:
        device.decide(candidates, **options)
    assert refused.value.field == field
    assert refused.value.remedy
    assert device.export()["decisions"] == []
    assert device.decide([SHOES]).action in ("send", "wait", "quiet")


@pytest.mark.parametrize("name", [[], 5, None, {"id": 1}])
def test_an_id_that_is_no_text_is_an_unknown_decision(device, name):
    """For outcomes and for feedback alike."""
    for act in (lambda: device.record_outcome(name, "opened"), lambda: device.feedback(name, "complaint")):
        with pytest.raises(UnknownDecision) as refused:
            act()
        assert refused.value.remedy


def test_a_name_that_cannot_be_written_is_refused_when_it_is_looked_for(device):
    """Half a surrogate pair is no text for a vault."""
    with memory_host(clock=FrozenClock(NOON)) as host, pytest.raises(TactfulError):
        host.find("\ud800")
