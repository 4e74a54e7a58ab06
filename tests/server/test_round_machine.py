"""The state machine under every kind of weather, and restarted from its journal at every transition."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tactful_privacy.secagg import HostSession
from tactful_privacy.secagg.testing import make_plan, make_roster
from tactful_privacy.wire import (
    Refusal,
    RoundReply,
    RoundRequest,
    SurvivorList,
    digest,
    sign,
)
from tactful_server.errors import JournalDamaged, OutOfPhase
from tactful_server.journal import Phase
from tactful_server.rounds import Receipt, RoundMachine
from tactful_server.secure_sum import AggregatedSum

N, N_MIN, D = 4, 3, 3
KEY = Ed25519PrivateKey.generate()
STAGES = ("keys", "shares", "contribution", "sign", "unmask")


class CountingSum(AggregatedSum):
    """Counts how often anything is opened."""

    opened = 0

    def open(self):
        total = super().open()
        CountingSum.opened += 1
        return total


@dataclass
class Table:
    """Hosts, a journal, and a server that may die at any transition."""

    journal: list = field(default_factory=list)
    lists: set = field(default_factory=set)
    settled: int = 0

    def __post_init__(self):
        self.directory, self.identities = make_roster(N)
        self.plan = make_plan(self.directory, n_min=N_MIN, dimension=D)
        self.sessions = {h: HostSession(self.plan, self.directory, h, key) for h, key in self.identities.items()}
        self.vectors = {h: np.arange(D, dtype=np.int64) + 10 * i for i, h in enumerate(self.sessions)}
        CountingSum.opened = 0

    def settle(self, plan, total, summed):
        self.settled += 1
        return {"artifact": b"model", "survivors": "\n".join(summed.survivors).encode()}

    def announce(self):
        return RoundMachine.announce(
            sign(self.plan, KEY), self.directory, CountingSum, self.journal.append, self.settle
        )

    def resume(self):
        return RoundMachine.resume(list(self.journal), CountingSum, self.journal.append, self.settle)

    def answer(self, host, data):
        request = RoundRequest.decode(data)
        session, payload = self.sessions[host], request.payload
        kept = None if request.stage == "keys" else session.answered(request.stage, payload)
        if request.stage == "sign":
            self.lists.add(digest(SurvivorList.decode(payload)))
        if kept is None:
            kept = {
                "keys": lambda: session.offer(),
                "shares": lambda: session.shares(payload),
                "contribution": lambda: session.contribution(payload, self.vectors[host], np.ones(D, dtype=np.int64)),
                "sign": lambda: session.sign(payload),
                "unmask": lambda: session.unmask(payload),
                "released": lambda: b"",
            }[request.stage]()
        return RoundReply(request.plan_digest, request.stage, request.attempt, host, kept).encode()

    def expected(self, survivors):
        return sum(self.vectors[h] + 1 for h in survivors)


def survivors_of(machine):
    return machine.facts["survivors"].decode().split("\n")


drops = st.dictionaries(st.sampled_from([f"host-{i:02}" for i in range(N)]), st.sampled_from(STAGES))


@given(lost=drops, order=st.randoms(use_true_random=False), twice=st.booleans())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_weather_ends_in_the_right_sum_or_in_void(lost, order, twice):
    """Random drops, duplicates, late and reordered replies: the exact sum of the survivors, or nothing."""
    table = Table()
    machine, old = table.announce(), []
    machine.close()
    while not machine.over:
        stage = RoundRequest.decode(next(iter(machine.requests().values()))).stage
        late = STAGES.index(stage)
        here = {h: r for h, r in machine.requests().items() if h not in lost or STAGES.index(lost[h]) > late}
        replies = [table.answer(host, request) for host, request in here.items()]
        order.shuffle(replies)
        for reply in old:  # yesterday's answers arrive again, late
            assert machine.receive(reply) is Receipt.LATE
        for reply in replies:
            assert machine.receive(reply) is Receipt.ACCEPTED
            if twice:
                assert machine.receive(reply) is Receipt.DUPLICATE
        old += replies
        machine.close()
    if machine.phase is Phase.RELEASED:
        assert len(survivors_of(machine)) >= N_MIN
        np.testing.assert_array_equal(machine.total, table.expected(survivors_of(machine)))
        assert CountingSum.opened == table.settled == 1
    else:
        assert machine.reason
        assert CountingSum.opened == table.settled == 0
        assert len(lost) > N - N_MIN
    assert (machine.phase is Phase.VOID) == (len(lost) > N - N_MIN)


def test_restarted_at_every_transition_it_opens_and_releases_once():
    """The server dies after each transition and resumes: one survivor list, one opening, the same bytes asked."""
    table = Table()
    table.announce()
    phases = []
    while True:
        machine = table.resume()
        phases.append(machine.phase)
        if machine.over:
            break
        for host, request in machine.requests().items():
            machine.receive(table.answer(host, request))
        # Died before closing: answers are forgotten, the hosts repeat them byte for byte.
        again = table.resume()
        assert again.requests().keys() >= machine.requests().keys()
        for host, request in again.requests().items():
            assert again.receive(table.answer(host, request)) is Receipt.ACCEPTED
        again.close()
    assert phases == [phase for phase in Phase if phase not in (Phase.ENDORSING, Phase.VOID)]
    assert len(table.lists) == CountingSum.opened == table.settled == 1
    for _ in range(3):  # replaying a finished round opens nothing
        np.testing.assert_array_equal(table.resume().total, table.expected(table.sessions))
    assert CountingSum.opened == 1


@pytest.mark.parametrize("fatal", range(1, 7))
def test_a_journal_that_fails_leaves_the_round_resumable(fatal):
    """If a transition cannot be written, nothing rests on it: the round resumes from the one before."""
    table = Table()
    journal = table.journal

    def fails_once(transition):
        nonlocal fatal
        if transition.sequence == fatal:
            fatal = -1
            raise OSError("disk full")
        journal.append(transition)

    machine = RoundMachine.announce(sign(table.plan, KEY), table.directory, CountingSum, fails_once, table.settle)
    while not machine.over:
        for host, request in machine.requests().items():
            machine.receive(table.answer(host, request))
        try:
            machine.close()
        except OSError:
            machine = RoundMachine.resume(list(journal), CountingSum, fails_once, table.settle)
    np.testing.assert_array_equal(machine.total, table.expected(table.sessions))
    assert len(table.lists) == 1
    assert [t.sequence for t in journal] == list(range(7))


def test_a_refusal_is_an_answer_and_drops_the_host_with_its_code():
    """Nobody waits for a host that said no."""
    table = Table()
    machine = table.announce()
    machine.close()
    refusal = Refusal(machine.plan_digest, "host-00", "keys", "too_little_noise", "no").encode()
    reply = RoundReply(machine.plan_digest, "keys", 0, "host-00", refusal).encode()
    assert machine.receive(reply) is Receipt.REFUSED
    assert "host-00" not in machine.waiting_for
    for host, request in machine.requests().items():
        machine.receive(table.answer(host, request))
    machine.close()
    assert machine.drops["host-00"].code == "too_little_noise"
    assert table.resume().drops == machine.drops


def test_nobody_speaks_for_another_host():
    """A reply under another's name is rejected and does not stand in that host's way."""
    table = Table()
    machine = table.announce()
    machine.close()
    good = {host: table.answer(host, request) for host, request in machine.requests().items()}
    forged = RoundReply.decode(good["host-01"])
    forged = RoundReply(forged.plan_digest, forged.stage, forged.attempt, "host-00", forged.payload).encode()
    assert machine.receive(forged) is Receipt.REJECTED
    assert machine.receive(good["host-00"]) is Receipt.ACCEPTED
    assert machine.receive(b"junk") is Receipt.REJECTED
    foreign = RoundReply(bytes(32), "keys", 0, "host-01", b"").encode()
    assert machine.receive(foreign) is Receipt.FOREIGN


def test_a_damaged_journal_does_not_replay():
    """A transition that is missing or out of order is refused with a remedy."""
    table = Table()
    table.announce().close()
    for broken in (table.journal[1:], table.journal[::-1], [table.journal[0], table.journal[0]], []):
        with pytest.raises(JournalDamaged, match="restore the store"):
            RoundMachine.resume(broken, CountingSum, table.journal.append, table.settle)


def test_a_void_round_has_no_sum_and_cannot_go_on():
    """Void is final."""
    table = Table()
    machine = table.announce()
    machine.close()
    machine.close()
    assert machine.phase is Phase.VOID
    assert machine.requests() == {}
    with pytest.raises(OutOfPhase):
        machine.close()
    with pytest.raises(OutOfPhase):
        _ = machine.total
