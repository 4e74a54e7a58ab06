"""Only what the allow-list names is recorded; everything else is refused by the name of its field."""

from datetime import datetime, timedelta

import pytest

from tactful import ClockProblem, MalformedEvent, UnknownTimeZone
from tactful.events import ALLOWED, StoredEvent
from tactful.testing import FrozenClock

from .vault_world import NOON, look, open_host, person

BAD = {
    "unknown kind": ("stare", {}, "kind"),
    "unknown property": ("browse", {"note": "hello"}, "browse.note"),
    "property of another kind": ("browse", {"quantity": 1}, "browse.quantity"),
    "text for a number": ("browse", {"dwell_s": "34"}, "browse.dwell_s"),
    "boolean for a number": ("browse", {"dwell_s": True}, "browse.dwell_s"),
    "NaN": ("browse", {"dwell_s": float("nan")}, "browse.dwell_s"),
    "infinite": ("purchase", {"value_minor": float("inf")}, "purchase.value_minor"),
    "negative": ("purchase", {"value_minor": -1}, "purchase.value_minor"),
    "fraction for a count": ("add_to_cart", {"quantity": 1.5}, "add_to_cart.quantity"),
    "free text": ("browse", {"category": "I was looking for a present for my dear aunt"}, "browse.category"),
    "two lines": ("browse", {"category": "shoes\nboots"}, "browse.category"),
    "a list": ("search_click", {"item_id": ["a"]}, "search_click.item_id"),
    "element unknown": ("interaction", {"element": "the red thing"}, "interaction.element"),
    "empty query": ("search", {"query": ""}, "search.query"),
}


@pytest.mark.parametrize("case", BAD)
def test_refused_by_field(tmp_path, case):
    """Each sort of malformed event names its field and leaves the vault as it was; a lenient host counts it."""
    kind, properties, field = BAD[case]
    with open_host(tmp_path) as host:
        device = person(host)
        with pytest.raises(MalformedEvent) as caught:
            device.track(kind, **properties)
        assert caught.value.field == field
        assert caught.value.remedy
        host.strict = False
        assert not device.track(kind, **properties)
        assert host.status()["problems"] == {"MalformedEvent": 1}
        assert device.export()["events"] == []


def test_refusal_does_not_repeat_the_value():
    """The message of a refusal holds the type, never the text that must not be written down."""
    from tactful.events import checked

    with pytest.raises(MalformedEvent) as caught:
        checked("browse", {"category": "my secret illness\n"}, b"salt")
    assert "illness" not in str(caught.value)


@pytest.mark.parametrize("kind", sorted(ALLOWED))
def test_every_kind_is_recorded(tmp_path, kind):
    """Each kind without properties is kept, and stands in the export."""
    with open_host(tmp_path) as host:
        device = person(host)
        assert device.track(kind)
        assert [event["kind"] for event in device.export()["events"]] == [kind]


def test_a_search_leaves_a_salted_bucket(tmp_path):
    """The words of a search are not kept: equal words give one bucket, another person's salt gives another."""
    with open_host(tmp_path) as host:
        buckets = {}
        for name in ("ada", "ben", "cem", "dan"):
            device = person(host, name)
            device.track("search", query="Red  Shoes")
            device.track("search", query="shoes red")
            first, second = (event["properties"] for event in device.export()["events"])
            assert first == second
            assert set(first) == {"bucket"}
            buckets[name] = first["bucket"]
        assert len(set(buckets.values())) > 1  # equal in all four with probability 256^-3


def test_stored_form_reads_back():
    """to_bytes and from_bytes undo each other, the mark of a clock that moved back included."""
    for back in (False, True):
        event = StoredEvent("browse", 1_700_000_000_123, -300, {"category": "鞋 & boots", "dwell_s": 1.5}, back)
        assert StoredEvent.from_bytes(event.to_bytes()) == event


def test_a_future_event_is_refused(tmp_path):
    """An event dated more than five minutes ahead is refused; a little skew is not."""
    with open_host(tmp_path) as host:
        device = person(host)
        with pytest.raises(ClockProblem, match="clock"):
            device.track("browse", at=NOON + timedelta(minutes=6))
        assert device.track("browse", at=NOON + timedelta(minutes=4))


def test_a_naive_time_is_refused(tmp_path):
    """A time without a zone is refused, whatever it might have meant."""
    with open_host(tmp_path) as host:
        device = person(host)
        with pytest.raises(MalformedEvent, match="time zone"):
            device.track("browse", at=datetime(2026, 11, 24))  # noqa: DTZ001 - the naive time is the point


def test_a_clock_moved_back_is_marked_and_not_learned_from(tmp_path):
    """An event recorded while the clock stands behind an earlier one is kept, marked, counted, and not learned from."""
    clock = FrozenClock(NOON)
    with open_host(tmp_path, clock=clock) as host:
        device = person(host)
        device.track("purchase")
        clock.set(NOON - timedelta(days=40))
        device.track("purchase")
        assert [event.get("clock_back", False) for event in device.export()["events"]] == [False, True]
        clock.set(NOON + timedelta(days=1))
        assert device.status()["clock_moved_back"] == 1
        [days] = host.activity([device.id], (NOON + timedelta(days=1)).date())
        assert len(days) == 1
    with open_host(tmp_path, clock=clock) as host:
        assert host.find("ada").status()["clock_moved_back"] == 1


def test_a_key_makes_recording_idempotent(tmp_path):
    """A second event with the same key is acknowledged and not stored."""
    with open_host(tmp_path) as host:
        device = person(host)
        assert [device.track("purchase", key="order-7") for _ in range(3)] == [True] * 3
        assert len(device.export()["events"]) == 1
    assert look(tmp_path, "SELECT count(*) FROM rows WHERE kind='event'") == [(1,)]


def test_unknown_time_zone(tmp_path):
    """A zone that is no IANA name is refused at every door, and enrols nobody."""
    with pytest.raises(UnknownTimeZone, match="Europe/Berlin"):
        open_host(tmp_path, timezone="Mars/Olympus")
    with open_host(tmp_path) as host:
        for act in (lambda: host.device("ada", timezone="CEST+2"), lambda: host.enrol_many(["ada"], timezone="x")):
            with pytest.raises(UnknownTimeZone):
                act()
        assert host.devices() == []


def test_local_slot_follows_daylight_saving(tmp_path):
    """The same UTC hour falls into different local slots in summer and in winter."""
    with open_host(tmp_path) as host:
        host.device("ada", timezone="America/New_York")
        device = person(host)
        for moment in ("2026-01-15T22:30+00:00", "2026-07-01T22:30+00:00"):
            device.track("purchase", at=datetime.fromisoformat(moment))
        [pairs] = host.activity([device.id], NOON.date())
        assert [slot for _, slot in pairs.tolist()] == [4, 5]  # 17:30 and 18:30
