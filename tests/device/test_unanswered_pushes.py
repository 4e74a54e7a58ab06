"""A push that nobody answers is an answer: the personal layer learns from it once, when the day after it is over."""

import numpy as np

from tactful import Candidate, PolicySettings
from tactful.testing import FrozenClock

from .vault_world import NOON, open_host, person

RANDOMISED = PolicySettings(never_push_fraction=0, micro_randomised_fraction=1.0)


def lived(folder, answer, late=""):
    """Push means, precisions and the pushes' number after 60 days, ``answer(device, decision, number)`` recorded."""
    clock, sent = FrozenClock(NOON), []
    with open_host(folder, clock=clock, settings=RANDOMISED) as host:
        device = person(host)
        for day in range(60):
            device.track("browse", category="k1")
            offer = Candidate(id=f"c{day}", category=f"k{day % 5}", value_minor=2_000)
            decision = device.decide([offer], seed=bytes([day]) * 8)
            if decision.action == "send":
                answer(device, decision, len(sent))
                sent.append(decision)
            clock.advance(days=1)
        personal = host.state(device.id).history.personal
        if late:
            before = personal.push_mean.copy(), personal.push_precision.copy()
            device.record_outcome(sent[0].id, late)
            np.testing.assert_array_equal((personal.push_mean, personal.push_precision), before)
        return personal.push_mean[0].copy(), personal.push_precision[0].copy(), len(sent)


def ignored(device, decision, number):
    """The push arrives, and that is all."""
    device.record_outcome(decision.id, "delivered")


def test_ignored_pushes_lower_the_own_response(tmp_path):
    """Without a single answer the person's response falls below the prior's zero, and its variance shrinks."""
    mean, precision, sent = lived(tmp_path, ignored)
    assert sent >= 10
    assert mean[0] < -0.01
    assert precision[0] > 1 / 0.04


def test_one_open_among_ignored_pushes_does_not_make_somebody_eager(tmp_path):
    """One open in many pushes is about the public open rate of 4 %: less remains than the open alone would add."""
    mean, _, _ = lived(tmp_path, lambda d, x, k: d.record_outcome(x.id, "delivered" if k else "opened"))
    assert mean[0] < 0.04 * 0.96 / 2


def test_a_late_dismissal_is_not_counted_again(tmp_path):
    """A push that was settled without an answer teaches nothing more when it is dismissed weeks later."""
    assert lived(tmp_path, ignored, "dismissed")[2] >= 10
