"""Many devices at once: the same as one by one, all or nothing, and quick."""

import time
from datetime import timedelta

import numpy as np
import pytest

from tactful import MalformedEvent, UnknownDevice

from .vault_world import NOON, PURPOSES, open_host, person


def test_bulk_equals_one_by_one(tmp_path):
    """Events recorded in bulk are those recorded singly."""
    moments = [NOON - timedelta(hours=5 * index) for index in range(50)]
    with open_host(tmp_path) as host:
        one = person(host, "ada")
        assert host.enrol_many(["ada", "ben"], consents=PURPOSES, policy_version="1") == 1
        for moment in moments:
            one.track("purchase", at=moment, category="shoes")
        report = host.track_many(("ben", "purchase", moment, {"category": "shoes"}) for moment in moments)
        assert (report.recorded, report.without_consent) == (50, 0)
        first, second = (host.find(name) for name in ("ada", "ben"))
        assert first.export()["events"] == second.export()["events"]
        np.testing.assert_array_equal(first.view().phi, second.view().phi)
        pairs = host.activity([first.id, second.id], NOON.date())
        np.testing.assert_array_equal(*pairs)
        assert len(host.activity([first.id], (NOON - timedelta(days=3)).date())[0]) < len(pairs[0])


@pytest.mark.parametrize(
    ("bad", "error"),
    [(("ada", "stare", NOON, {}), MalformedEvent), (("nobody", "browse", NOON, {}), UnknownDevice)],
)
def test_all_or_nothing(tmp_path, bad, error):
    """One unfit event, and none of the batch is kept."""
    with open_host(tmp_path) as host:
        device = person(host)
        with pytest.raises(error):
            host.track_many([("ada", "browse", NOON, {}), bad])
        assert device.export()["events"] == []


def test_quick_enough(tmp_path):
    """14,000 events are written within 0.8 s and read within 0.4 s of processor time: a tenth of a large rehearsal."""
    with open_host(tmp_path) as host:
        host.enrol_many((f"u{index}" for index in range(230)), consents=PURPOSES, policy_version="1")
        events = [(f"u{i % 230}", "purchase", NOON - timedelta(minutes=31 * (i // 230)), {}) for i in range(14_000)]
        start = time.process_time()
        host.track_many(events)
        written = time.process_time()
        activity = host.activity(host.vault.device_ids(), NOON.date())
        read = time.process_time()
        assert sum(map(len, activity)) > 1000
        assert written - start < 0.8
        assert read - written < 0.4
