"""What a device concludes is a fold over its events: the same whether cached, read from a snapshot, or built anew."""

from datetime import timedelta

import numpy as np
import pytest

from tactful import Candidate
from tactful._state import History, slot_of_hour
from tactful.features import SLOTS, FeatureBlock, slot_of
from tactful.model import Model
from tactful.testing import FrozenClock

from .vault_world import NOON, alter, look, open_host, person

LATE = NOON + timedelta(hours=11)  # quiet hours: nothing is sent, so a decision does not change the next one
OFFER = [Candidate(id="c1", category="shoes", value_minor=1200)]


def shop(device, days=60):
    for back in range(days, 0, -3):
        device.track("purchase", at=NOON - timedelta(days=back, hours=back % 5), category="shoes")


def test_features_are_those_of_the_block(tmp_path):
    """A device's φ equals a feature block that is fed the same days by hand."""
    with open_host(tmp_path) as host:
        device = person(host)
        shop(device)
        view = device.view()
        [pairs] = host.activity([device.id], NOON.date())
        block, today = FeatureBlock.empty(1), NOON.date().toordinal()
        for day in range(int(pairs[0, 0]), today):
            used = np.zeros((1, SLOTS), np.uint8)
            used[0, pairs[pairs[:, 0] == day, 1]] = 1
            block.close_day(day, used)
        wanted = np.concatenate([block.design(today + ahead) for ahead in range(8)])
        np.testing.assert_array_equal(view.phi, wanted)


def test_a_snapshot_gives_the_same_decision(tmp_path):
    """Cached, reopened from the snapshot, and rebuilt without it: view and decision agree to the bit."""
    with open_host(tmp_path) as host:
        device = person(host)
        shop(device)
        device.weekly_budget()
        device.track("browse", category="boots")
        first = device.view()
        decisions = [device.decide(OFFER, now=LATE, seed=b"seed")]
    assert look(tmp_path, "SELECT count(*) FROM rows WHERE kind='snapshot'") == [(1,)]
    views = []
    for again in range(2):
        with open_host(tmp_path) as host:
            views.append(host.find("ada").view())
            decisions.append(host.find("ada").decide(OFFER, now=LATE, seed=b"seed"))
        if not again:
            alter(tmp_path, "DELETE FROM rows WHERE kind='snapshot'")
    for view in views:
        np.testing.assert_array_equal(view.phi, first.phi)
        assert view.interests == first.interests
        np.testing.assert_array_equal(view.personal.activity_slots, first.personal.activity_slots)
    assert decisions[0].to_json() == decisions[1].to_json() == decisions[2].to_json()


def test_a_late_event_counts_as_if_it_had_come_in_time(tmp_path):
    """An event for a day that is closed already makes the device learn it all again."""
    late = NOON - timedelta(days=10)
    with open_host(tmp_path) as host:
        one, two = person(host, "ada"), person(host, "ben")
        shop(one)
        one.weekly_budget()
        one.track("purchase", at=late)
        shop(two)
        two.track("purchase", at=late)
        np.testing.assert_array_equal(one.view().phi, two.view().phi)
    with open_host(tmp_path) as host:
        np.testing.assert_array_equal(host.find("ada").view().phi, host.find("ben").view().phi)


def test_days_close_as_time_goes_on(tmp_path):
    """Today's event changes tomorrow's features, not today's."""
    clock = FrozenClock(NOON)
    with open_host(tmp_path, clock=clock) as host:
        device = person(host)
        shop(device)
        before = device.view().phi
        device.track("purchase")
        np.testing.assert_array_equal(device.view().phi, before)
        clock.advance(days=1)
        assert (device.view().phi[0] != before[1]).any()


@pytest.mark.parametrize("events", [0, 1])
def test_hardly_any_history(tmp_path, events):
    """A device with no event or a single one decides, plans, explains and exports like any other."""
    with open_host(tmp_path) as host:
        device = person(host)
        for _ in range(events):
            device.track("browse", category="shoes")
        decision = device.decide(OFFER)
        assert decision.reasons
        assert device.explain(decision.id)["text"]["en"]
        assert device.weekly_budget() >= 0
        assert len(device.export()["events"]) == events
        [pairs] = host.activity([device.id], NOON.date())
        assert pairs.shape == (events, 2)


def test_interests_rise_with_use_and_fade(tmp_path):
    """A category never met stands at one half, one bought often above one seen once; all fade with a half-life."""
    clock = FrozenClock(NOON)
    with open_host(tmp_path, clock=clock) as host:
        device = person(host)
        device.track("browse", category="boots")
        shop(device)
        now = device.profile()["interests"]
        assert 0.5 < now["boots"] < now["shoes"] < 1
        clock.advance(days=300)
        later = device.profile()["interests"]
        assert 0.5 < later["shoes"] < now["shoes"]


def test_slots_agree_with_the_features():
    """The bulk rule of hours to slots is the feature pipeline's."""
    for hour in range(24):
        assert slot_of_hour(hour) == slot_of(NOON.replace(hour=hour))


def test_history_snapshot_reads_back():
    """A history's bytes give it back, open days and interests included."""
    history = History()
    history.open_days[5] = np.eye(1, SLOTS, 3, dtype=np.uint8)[0]
    history.interests["shoes"] = (1.5, 12345)
    history.close_before(9, Model.prior())
    again = History.from_bytes(history.to_bytes())
    assert again.to_bytes() == history.to_bytes()
    assert again.features.next_day == 9
