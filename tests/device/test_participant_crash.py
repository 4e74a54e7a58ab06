"""Kill the host between any two of its calls: no bytes leave without a spend, and one input never gets two noises."""

import pytest

from tactful_privacy.wire import RoundReply, RoundRequest, digest

from .round_world import Federation, Killed, refused

A = "host-00"
STEPS = ("load_round", "now_unix_s", "has_model", "eligible_devices", "local_updates", "spend", "save_round")


def contribution(federation, request):
    """Ask for the contribution; None if the process died."""
    message = RoundRequest(digest(federation.plan), "contribution", 0, request)
    try:
        return RoundReply.decode(federation.participants[A].handle(message.encode())).payload
    except Killed:
        return None


@pytest.mark.parametrize("when", ["die_before", "die_after"])
@pytest.mark.parametrize("step", STEPS)
def test_nothing_leaves_without_a_spend(step, when):
    """Killed before or after any call, then restarted: released bytes always have every spend on disk."""
    federation = Federation()
    _, requests = federation.until("contribution")
    host = federation.hosts[A]
    setattr(host, when, step)
    assert contribution(federation, requests[A]) is None
    federation.restart(A)
    first = contribution(federation, requests[A])
    assert len(host.spends) == 3
    assert set(host.spends.values()) == {digest(federation.plan)}
    federation.restart(A)
    assert contribution(federation, requests[A]) == first


def test_the_order_of_the_calls_is_the_guarantee():
    """Train, then spend, then store, and nothing after the store but the answer."""
    federation = Federation()
    _, requests = federation.until("contribution")
    federation.hosts[A].calls.clear()
    contribution(federation, requests[A])
    wanted = ["load_round", "now_unix_s", "has_model", "eligible_devices", "local_updates", "spend", "save_round"]
    assert federation.hosts[A].calls == wanted


def test_killed_before_the_spend_nothing_is_spent():
    """A round that becomes void before the contribution drains nothing."""
    for step in ("local_updates", "spend"):
        federation = Federation()
        _, requests = federation.until("contribution")
        federation.hosts[A].die_before = step
        assert contribution(federation, requests[A]) is None
        assert not federation.hosts[A].spends


def test_what_was_stored_is_what_leaves():
    """Killed after the store, before the answer: the retry sends the stored bytes, without training again."""
    federation = Federation()
    _, requests = federation.until("contribution")
    federation.hosts[A].die_after = "save_round"
    assert contribution(federation, requests[A]) is None
    federation.restart(A)
    federation.hosts[A].calls.clear()
    assert contribution(federation, requests[A]) == contribution(federation, requests[A])
    assert set(federation.hosts[A].calls) == {"load_round"}


@pytest.mark.parametrize("when", ["die_before", "die_after"])
@pytest.mark.parametrize(
    ("stage", "step"), [("sign", "save_round"), ("unmask", "save_round"), ("shares", "save_round")]
)
def test_one_answer_per_stage_across_kills(stage, step, when):
    """Killed while answering, the host repeats its answer or gives the first one; never two different ones."""
    federation = Federation()
    _, requests = federation.until(stage)
    host = federation.hosts[A]
    setattr(host, when, step)
    with pytest.raises(Killed):
        federation.ask(A, stage, requests[A])
    federation.restart(A)
    first = federation.ask(A, stage, requests[A])
    federation.restart(A)
    assert federation.ask(A, stage, requests[A]) == first


def test_a_second_list_is_refused_after_a_kill():
    """The list was written down before the kill: another one is refused for good."""
    federation = Federation()
    aggregator, requests = federation.until("sign")
    host = federation.hosts[A]
    host.die_after = "save_round"
    with pytest.raises(Killed):
        federation.ask(A, "sign", requests[A])
    federation.restart(A)
    other = aggregator._list()
    object.__setattr__(other, "survivors", other.survivors[:4])
    assert refused(federation.ask(A, "sign", other.encode())) == "second_survivor_list"


def test_the_agreement_is_stored_before_the_offer_leaves():
    """Killed while storing, the host makes a fresh offer; killed after, it repeats the one it stored."""
    federation = Federation()
    host = federation.hosts[A]
    host.die_after = "save_round"
    with pytest.raises(Killed):
        federation.announce(A)
    federation.restart(A)
    assert federation.announce(A) == federation.announce(A)


def test_mask_keys_are_remembered_before_shares_leave():
    """No answer to a ring whose keys were not written down."""
    federation = Federation()
    _, requests = federation.until("shares")
    host = federation.hosts[A]
    host.die_before = "remember_mask_keys"
    with pytest.raises(Killed):
        federation.ask(A, "shares", requests[A])
    assert not host.mask_keys
    federation.restart(A)
    federation.ask(A, "shares", requests[A])
    assert len(host.mask_keys) == 5
