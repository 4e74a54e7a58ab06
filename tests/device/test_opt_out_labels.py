"""An opt-out that names no push is the newest push's of the day before it, and nobody's where there was none."""

from datetime import timedelta

import pytest

from tactful import Candidate, PolicySettings
from tactful.push_log import push_table
from tactful.testing import FrozenClock

from .vault_world import NOON, open_host, person

RANDOMISED = PolicySettings(never_push_fraction=0, micro_randomised_fraction=1.0)


def labels(folder, leave, after_h):
    """Labels of the pushes sent until somebody leaves ``after_h`` hours after the last one, in order of time."""
    clock, sent = FrozenClock(NOON), []
    with open_host(folder, clock=clock, settings=RANDOMISED) as host:
        device = person(host)
        while len(sent) < 3:
            device.track("browse", category="k1")
            day = (clock() - NOON).days
            decision = device.decide([Candidate(id=f"c{day}", category=f"k{day % 5}", value_minor=2_000)])
            if decision.action == "send":
                sent.append(decision.id)
            clock.advance(seconds=3_600 * (after_h if len(sent) == 3 else 24))
        leave(device, sent)
        clock.advance(days=5)
        table = push_table(host, [device.id], clock().date() - timedelta(days=1))
        return table.opted_out[table.sent > 0].tolist()


@pytest.mark.parametrize(("after_h", "wanted"), [(2, [0, 0, 1]), (30, [0, 0, 0])])
def test_leaving_in_the_settings(tmp_path, after_h, wanted):
    """`opt_out` within a day of a push is that push's; later it is nobody's."""
    assert labels(tmp_path, lambda device, sent: device.opt_out(), after_h) == wanted


def test_an_outcome_is_counted_once(tmp_path):
    """An opt-out recorded as a push's outcome labels that push alone."""
    assert labels(tmp_path, lambda device, sent: device.record_outcome(sent[-1], "opted_out"), 2) == [0, 0, 1]
