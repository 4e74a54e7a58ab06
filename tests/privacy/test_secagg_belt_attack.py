"""A server that lets hosts contribute but not sign cannot cut a part out of a neighbour graph and open it alone.

The attack: two stretches of k/2 ring places whose hosts are colluders, and honest hosts that the server never asks to
sign. To each of those the shares of the far side are not delivered, so it adds no masks with the far side, and nobody
who signs can know. Every list names everybody, so counting *listed* hosts on a stretch notices nothing; *signers* must
be counted. The colluders stand where the attack wants them, but no honest host has more of them around it than the
threshold allows for.
"""

import random

import numpy as np
import pytest

from tactful_privacy.secagg import Aggregator, HostSession, errors, masks, rules
from tactful_privacy.secagg.testing import answer, make_plan, make_roster
from tactful_privacy.wire import (
    EndorsedList,
    KeyView,
    ShareBundle,
    Signed,
    SurvivorCertificate,
    digest,
    endorse,
)

from .secagg_attacker import DIMENSION, Federation, Knowledge
from .secagg_world import RoundWorld

HOSTS, N_MIN = 24, 15
GRAPH = {"neighbours": 6, "share_threshold": 5, "committee": 9, "committee_threshold": 5}
INSIDE = range(7, 12)
"""Ring places of the part that is to be cut out: three hosts, and on either side one which is never asked to sign."""
BELTS = (5, 6, 12, 13)
"""Ring places of the colluders: with the unasked hosts at 7 and 11 they fill k/2 = 3 places on either side."""


class BeltAttack(Federation):
    """A federation whose colluders stand in the belts."""

    def __init__(self):
        self.random, self.refused, self.signed = random.Random("belts"), 0, {}
        self.directory, self.identities = make_roster(HOSTS)
        self.hosts = list(self.identities)
        self.plan = make_plan(self.directory, n_min=N_MIN, colluders=len(BELTS), dimension=DIMENSION, **GRAPH)
        self.round = rules.Round(self.plan, self.directory)
        self.places = self.round.graph.ring
        self.traitors = [self.places[at] for at in BELTS]
        self.honest = [host for host in self.hosts if host not in self.traitors]
        self.part = frozenset(self.places[at] for at in INSIDE)
        self.unasked = {self.places[INSIDE[0]], self.places[INSIDE[-1]]}
        self.sessions = {h: HostSession(self.plan, self.directory, h, key) for h, key in self.identities.items()}
        self.knows = Knowledge(self.round, self.honest)
        for host in self.traitors:
            secrets = self.sessions[host]._state.secrets
            self.knows.add_secrets(bytes(secrets.mask_private), bytes(secrets.share_private))
        self.truth = {h: (self._vector(), self._vector()) for h in self.hosts}

    def _vector(self):
        return np.array([self.random.randrange(-(2**20), 2**20) for _ in range(DIMENSION)])

    def contribute(self):
        """Keys and shares as an honest server would; then the unasked hosts get no shares of the far side."""
        aggregator = Aggregator(self.plan, self.directory)
        requests = dict.fromkeys(self.hosts, b"")
        for stage in ("keys", "shares"):
            for host, request in requests.items():
                reply = answer(self.sessions[host], stage, request, self.truth[host])
                aggregator.accept(reply)
                if stage == "shares":
                    assert KeyView.decode(request).offers
                    self.knows.add_bundle(ShareBundle.decode(Signed.decode(reply).payload), self.sessions[host].ring)
            requests = aggregator.close_stage()
        self.keys_digest = aggregator.keys_digest
        sealed = {host: self.sealed_by(host) for host in self.hosts}
        for host in self.hosts:
            near = self.round.graph.neighbours(host)
            if host in self.unasked:
                near = near & (self.part | set(self.traitors))
            self.deliver(host, {sender: sealed[sender][host] for sender in near}, self.keys_digest)

    def open(self):
        """List everybody, collect all signatures but those of the unasked, and every endorsement that comes."""
        listed = self.listed(self.knows.views, self.keys_digest)
        for host in self.knows.views:
            if host not in self.unasked:
                self.sign(host, listed)
        certificate = self.certificate(listed)
        given = {host: endorse(digest(listed), host, self.identities[host]) for host in self.traitors}
        for host in self.honest:
            if host in self.round.committee and host not in self.unasked:
                self.ask(self.sessions[host].endorse, certificate.encode())
                if "endorse" in self.sessions[host]._state.replies:
                    given[host] = endorse(digest(listed), host, self.identities[host])
        members = sorted(given.keys() & self.round.committee)
        endorsed = EndorsedList(listed, tuple(given[host] for host in members))
        for host in self.honest:
            if host not in self.unasked:
                self.unmask(host, endorsed)
        seeds = {host: seed for host in self.part if (seed := self.knows._seed(host)) is not None}
        return self.knows._sum(self.part, seeds) if set(seeds) == self.part else None


@pytest.fixture
def world():
    attack = BeltAttack()
    attack.contribute()
    return attack


def test_the_plan_counts_the_attackers_draw_as_safe(world):
    """No honest host has more colluders around it than 2·threshold > k + 1 + c allows, nor has the committee."""
    most = 2 * world.plan.share_threshold - world.plan.neighbours - 2
    around = [len(world.round.graph.neighbours(host) & set(world.traitors)) for host in world.honest]
    assert max(around) <= most
    assert len(world.part) < world.plan.n_min - world.plan.colluders
    assert world.round.graph.thinnest(world.hosts) == world.plan.neighbours // 2


def test_a_part_kept_from_the_rest_does_not_open(world):
    """The committee sees that a stretch of the ring did not sign; no host unmasks, and the part stays shut."""
    assert world.open() is None
    assert not world.knows.seed_shares.keys() - {
        owner for owner, shares in world.knows.seed_shares.items() if len(shares) <= len(world.traitors)
    }


def test_the_committee_names_the_reason(world):
    """Its members refuse the certificate as one under which the survivors are disconnected."""
    listed = world.listed(world.hosts, world.keys_digest)
    for host in world.hosts:
        if host not in world.unasked:
            world.sign(host, listed)
    member = next(h for h in world.honest if h in world.round.committee and h not in world.unasked)
    with pytest.raises(errors.SurvivorsDisconnected) as refused:
        world.sessions[member].endorse(world.certificate(listed).encode())
    assert refused.value.field == "SurvivorCertificate.signatures"


def test_without_counting_signers_the_part_opens(world, monkeypatch):
    """Control: with listed hosts alone counted, the sum of five honest hosts comes out exactly."""
    monkeypatch.setattr(rules, "check_connected", lambda *_: None)
    opened = world.open()
    assert (masks.centre(opened) == sum(sum(world.truth[host]) for host in world.part)).all()


def test_an_honest_server_voids_a_round_whose_signers_leave_a_gap():
    """Three neighbouring survivors that do not sign, though n_min others do."""
    world = RoundWorld(16, 9, **dict(GRAPH, committee=5, committee_threshold=3))
    gap = world.aggregator._round.graph.ring[3:6]
    with pytest.raises(errors.SurvivorsDisconnected):
        world.until("endorse", drop=dict.fromkeys(gap, "sign"))
    assert world.aggregator.stage == "void"


def test_the_committee_is_sent_more_signatures_where_the_first_leave_a_gap():
    """n_min signatures are sent only if they leave no stretch thin; else all are, and the round opens."""
    world = RoundWorld(16, 9, **dict(GRAPH, committee=5, committee_threshold=3)).until("endorse")
    certificate = SurvivorCertificate.decode(next(iter(world.requests.values())))
    signers = [signature.host_id for signature in certificate.signatures]
    assert len(signers) == (9 if rules.connected(world.aggregator._round, world.hosts[:9]) else 16)
    world.until("unmask")
    for host, request in world.requests.items():
        world.aggregator.accept(world.answer(host, "unmask", request))
    assert (world.aggregator.open() == sum(sum(world.vectors[host]) for host in world.hosts)).all()


class RandomCut(BeltAttack):
    """A random stretch of the ring is cut out as well as random colluders, drop-outs and refusals allow."""

    def __init__(self, dice):
        super().__init__()
        self.random = dice
        size, first, length = len(self.places), dice.randrange(HOSTS), dice.randint(4, 9)
        stretch = [self.places[(first + at) % size] for at in range(length)]
        belts = [self.places[(first + at) % size] for at in (-2, -1, length, length + 1)]
        self._choose(belts if dice.random() < 0.7 else dice.sample(self.hosts, len(BELTS)))
        self.part = frozenset(stretch) - set(self.traitors)
        edges = {stretch[0], stretch[-1]} | {h for h in stretch if dice.random() < 0.1}
        self.unasked = edges - set(self.traitors)

    def _choose(self, traitors):
        most = 2 * self.plan.share_threshold - self.plan.neighbours - 2
        graph, rest = self.round.graph, [host for host in self.hosts if host not in traitors]
        if max(len(graph.neighbours(host) & set(traitors)) for host in rest) > most:
            return  # a draw that the thresholds call unsafe: keep the belts
        self.traitors, self.honest = list(traitors), rest
        self.knows = Knowledge(self.round, rest)
        for host in traitors:
            secrets = self.sessions[host]._state.secrets
            self.knows.add_secrets(bytes(secrets.mask_private), bytes(secrets.share_private))

    def breaches(self):
        """Play it, and return the sums with too little noise, each checked against the truth."""
        self.contribute()
        self.open()
        parts = self.knows.parts()
        for hosts, vector in parts.items():
            assert (masks.centre(vector) == sum(sum(self.truth[host]) for host in hosts)).all()
        return [hosts for hosts in parts if len(hosts) < self.plan.n_min - self.plan.colluders]


def count(attempts, seed):
    """How many random cuts breach."""
    return sum(bool(RandomCut(random.Random(f"{seed} {attempt}")).breaches()) for attempt in range(attempts))


def test_random_cuts_open_nothing():
    """20 attempts."""
    assert count(20, "cuts") == 0


@pytest.mark.slow
def test_a_thousand_random_cuts_open_nothing():
    """1,000 attempts."""
    assert count(1_000, "cuts, long") == 0


def test_without_counting_signers_random_cuts_open(monkeypatch):
    """Control: the same attempts open parts where listed hosts alone are counted."""
    monkeypatch.setattr(rules, "check_connected", lambda *_: None)
    assert count(10, "cuts") > 0
