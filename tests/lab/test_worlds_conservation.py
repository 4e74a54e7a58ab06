"""Pushes, opens and permissions add up: nothing is opened, delivered or withdrawn that was not there before."""

import numpy as np
import pytest

from tactful_lab.worlds import KINDS, RandomTimes, World
from tactful_lab.worlds.clock import delay_h, steps_ahead, within_window
from tactful_lab.worlds.transit import InFlight, Outbox
from tactful_privacy.errors import InvalidInput

N, STEPS = 3_000, 49 * 3


@pytest.mark.parametrize("kind", KINDS)
def test_every_push_is_delivered_dropped_or_still_waiting(kind):
    """Sent = delivered + expired + waiting at the end, over a run with a high hazard and many off-line devices."""
    world, policy = World(kind, N, 3, hazard=0.02), RandomTimes(10.0, 1)
    sent = delivered = expired = 0
    for _ in range(STEPS):
        seen = world.step(policy.decide(world.view()))
        sent, delivered, expired = (
            a + int(b.sum())
            for a, b in zip((sent, delivered, expired), (seen.sent, seen.delivered, seen.expired), strict=True)
        )
    assert sent == delivered + expired + world.pushes_waiting
    assert expired > 0 < world.pushes_waiting


def test_an_open_belongs_to_a_push_that_was_sent_to_that_person():
    """Each open names the step of a counted send to the same person, at most once, within ttl plus a day of slots."""
    world, policy = World("main", N, 4), RandomTimes(10.0, 1)
    sends, claimed = [], set()
    for step in range(STEPS):
        seen = world.step(policy.decide(world.view()))
        sends.append(seen.sent)
        assert np.array_equal(seen.opens, seen.opened_step >= 0)
        assert np.array_equal(seen.opens, seen.delay_h > 0)
        for person in np.flatnonzero(seen.opens):
            at = int(seen.opened_step[person])
            assert sends[at][person]
            assert step - 14 <= at <= step
            assert (person, at) not in claimed
            claimed.add((person, at))
    assert len(claimed) > 200


def test_who_opted_out_is_never_sent_to_again():
    """Permissions only fall, by exactly the opt-outs, and sends to the others are not counted."""
    world = World("main", N, 5, hazard=0.05)
    everybody = np.ones(N, np.bool_)
    for _ in range(40):
        before = world.reachable.copy()
        seen = world.step(everybody)
        assert np.array_equal(seen.sent, before)
        assert not np.any(seen.opt_outs & ~before)
        assert np.array_equal(world.reachable, before & ~seen.opt_outs)
    assert world.reachable.sum() < 0.6 * world.people.opted_in.sum()


def test_sessions_orders_and_their_value_agree():
    """An open is a session, an order needs a session, and money needs an order; expectation and mean agree."""
    world, policy = World("main", N, 6), RandomTimes(10.0, 1)
    value, expected, spread = 0.0, 0.0, 0.0
    for _ in range(STEPS):
        seen = world.step(policy.decide(world.view()))
        assert np.all(seen.sessions >= seen.opens)
        assert seen.sessions.max() <= 2
        assert np.all(seen.sessions[seen.conversions] > 0)
        assert np.array_equal(seen.value_minor > 0, seen.conversions)
        value, expected = value + seen.value_minor.sum(), expected + seen.expected_minor.sum()
        spread += float((seen.expected_minor * world.people.margin_minor).sum())
    assert abs(value - expected) < 4 * np.sqrt(spread)  # 4 standard deviations: false alarm 6e-5 (fixed seed)


def test_organic_sessions_are_the_same_unless_an_open_displaces_them():
    """Against the same world without pushes, sessions differ only where opens add or displace; some are displaced."""
    with_pushes, without, policy = World("main", N, 7), World("main", N, 7), RandomTimes(14.0, 1)
    opens = lost = 0
    for _ in range(STEPS):
        pushed, quiet = with_pushes.step(policy.decide(with_pushes.view())), without.step(np.zeros(N, np.bool_))
        gap = quiet.sessions.astype(int) - (pushed.sessions - pushed.opens)
        assert gap.min() >= 0
        opens, lost = opens + int(pushed.opens.sum()), lost + int(gap.sum())
    assert 0 < lost < 0.6 * opens


def test_a_newer_push_replaces_a_waiting_one_and_an_old_one_expires():
    """An outbox holds one push a device, drops it when replaced or after its ttl, and delivers the newest."""
    outbox, yes, no = Outbox(1, ttl_slots=2), np.array([True]), np.array([False])
    assert not outbox.exchange(yes, no, no, step=0)[1].any()
    _, expired = outbox.exchange(yes, yes, no, step=1)
    assert expired.all()
    got, expired = outbox.exchange(no, no, yes, step=3)
    assert (got.who.tolist(), got.sent_step.tolist(), got.contextual.tolist()) == ([0], [1], [True])
    assert not expired.any()
    outbox.exchange(yes, no, no, step=4)
    got, expired = outbox.exchange(no, no, yes, step=7)
    assert expired.all()
    assert not len(got.who)


def test_two_opens_in_one_slot_are_one():
    """Of two pushes opened by one person in the same slot the later is credited, and one open is in flight."""
    flying, who = InFlight(2), np.array([1])
    flying.add(0, 0, who, np.array([2.5], np.float32), np.array([0], np.int32))
    flying.add(1, 1, who, np.array([0.5], np.float32), np.array([1], np.int32))
    assert flying.count == 1
    delay, sent = flying.land(1)
    assert (delay.tolist(), sent.tolist()) == ([0.0, 0.5], [-1, 1])
    assert flying.count == 0


@pytest.mark.parametrize(
    ("slot", "hours", "ahead"),
    [(0, 0.8, 0), (0, 2.0, 1), (6, 1.9, 0), (6, 2.0, 1), (6, 11.9, 1), (6, 14.1, 2), (3, 24.0, 7), (0, 24.0, 7)],
)
def test_an_open_lands_in_the_slot_of_its_hour(slot, hours, ahead):
    """From 8:00 two hours a slot; what is opened at night is seen at 8:00; a day is seven steps."""
    assert steps_ahead(slot, np.array([hours], np.float32)).tolist() == [ahead]


def test_the_delay_has_its_median_and_its_window():
    """The log-logistic quantile at 1/2 is the median, and the stated share is within the window of a day."""
    u = (np.arange(100_000) + 0.5) / 100_000
    delays = delay_h(u.astype(np.float32), 0.8, 1.2)
    assert np.median(delays) == pytest.approx(0.8, rel=1e-3)
    assert np.mean(delays <= 24) == pytest.approx(within_window(0.8, 1.2), abs=2e-5)


@pytest.mark.parametrize("send", [[True] * 5, np.ones(5), np.ones(4, np.bool_), np.ones((5, 1), np.bool_)])
def test_a_wrong_send_is_refused(send):
    """Anything but N booleans is an error, and no time passes."""
    world = World("main", 5, 1)
    with pytest.raises(InvalidInput, match="send"):
        world.step(send)
    assert world.step_number == 0


@pytest.mark.parametrize("change", [{"kind": "utopia"}, {"n": 0}, {"seed": -1}, {"hazard": 0.0}, {"hazard": 1.5}])
def test_a_wrong_world_is_refused(change):
    """Unknown kinds and numbers out of range are named when the world is made."""
    with pytest.raises(InvalidInput, match=next(iter(change))):
        World(**{"kind": "main", "n": 5, "seed": 1, **change})


def test_a_view_cannot_be_written_to():
    """A policy cannot change the world through what it sees."""
    view = World("main", 5, 1).view()
    with pytest.raises(ValueError, match="read-only"):
        view.reachable[:] = True


def test_one_open_displaces_at_most_one_session():
    """Persons who would come in every slot lose exactly one organic session to a displacing open, within a day."""
    world, quiet = World("main", N, 8), np.zeros(N, np.bool_)
    world._rates[:] = 1e3
    world._debt[:] = 7
    organic = np.stack([world.step(quiet).sessions for _ in range(6)])
    assert np.array_equal(organic[0], np.zeros(N))
    assert np.array_equal(organic[1:], np.ones((5, N)))


def test_a_displacement_ends_after_a_day():
    """Persons who come only after seven slots lose nothing to an open before."""
    world, quiet = World("main", N, 8), np.zeros(N, np.bool_)
    world._rates[:] = 0
    world._debt[:] = 7
    assert not np.any([world.step(quiet).sessions for _ in range(7)])
    world._rates[:] = 1e3
    assert np.all(world.step(quiet).sessions == 1)


def test_a_push_that_costs_the_permission_is_not_opened():
    """At a hazard near 1 nearly everybody leaves at the first push, and no leaver opens it."""
    world, everybody = World("main", N, 9, hazard=0.9), np.ones(N, np.bool_)
    left, opens = np.zeros(N, np.bool_), np.zeros(N, np.bool_)
    for step in range(14):
        seen = world.step(everybody if step == 0 else np.zeros(N, np.bool_))
        left, opens = left | seen.opt_outs, opens | seen.opens
    assert left.sum() > 500
    assert opens.sum() > 5
    assert not np.any(left & opens)
