"""Rounds on a neighbour graph: exact sums, voids by rule, a committee between signing and unmasking, and restarts."""

import dataclasses
import os
import random

import numpy as np
import pytest

from tactful_privacy.secagg import WITH_COMMITTEE, Aggregator, HostSession, errors, keytree
from tactful_privacy.secagg.testing import drive, make_plan, make_roster
from tactful_privacy.wire import Endorsement, KeyOffer, KeyView, Signed, UnmaskShares, digest, endorse, sign

from .secagg_graph_lies import GRAPH, graph_world
from .secagg_world import RoundWorld

N, N_MIN = 16, 9


def graph_round(plan_changes=None):
    directory, identities = make_roster(N)
    plan = make_plan(directory, n_min=N_MIN, dimension=4, **(GRAPH | (plan_changes or {})))
    sessions = {host: HostSession(plan, directory, host, key) for host, key in identities.items()}
    vectors = {host: (np.arange(4) * number, np.full(4, -number)) for number, host in enumerate(identities)}
    return Aggregator(plan, directory), sessions, vectors


def opened_exactly(aggregator, vectors, opened):
    return (opened == sum(sum(vectors[host]) for host in aggregator.survivors)).all()


@pytest.mark.parametrize("seed", range(25))
def test_random_drop_outs_open_exactly_or_void(seed):
    """Up to seven hosts fall silent at any stage: the exact sum of those that contributed, or a typed void."""
    rng = random.Random(seed)
    aggregator, sessions, vectors = graph_round()
    gone = {host: rng.choice(WITH_COMMITTEE) for host in rng.sample(sorted(sessions), rng.randint(0, 7))}
    try:
        opened = drive(aggregator, sessions, vectors, gone)
    except (errors.TooFewSurvivors, errors.TooFewEndorsements, errors.SurvivorsDisconnected, errors.TooFewHosts):
        assert aggregator.stage != "opened"
        return
    assert opened_exactly(aggregator, vectors, opened)
    contributed = {host for host in sessions if gone.get(host) not in WITH_COMMITTEE[:3]}
    assert set(aggregator.survivors) == contributed


@pytest.mark.parametrize("changes", [{}, {"committee": 0, "committee_threshold": 0}])
def test_a_quiet_round_opens_with_and_without_a_committee(changes):
    """Nobody drops out: the sum of all sixteen, whether a committee verifies the certificate or every host does."""
    aggregator, sessions, vectors = graph_round(changes)
    assert ("endorse" in aggregator.stages) is not bool(changes)
    opened = drive(aggregator, sessions, vectors, {"host-04": "contribution", "host-11": "unmask"})
    assert opened_exactly(aggregator, vectors, opened)
    assert len(aggregator.survivors) == N - 1


def test_a_host_is_shown_and_gives_what_concerns_its_neighbours_alone():
    """Keys, shares and unmasking name at most k + 1 hosts, all of them neighbours or the host itself."""
    world = graph_world("unmask", {"host-02": "contribution"})
    for host in world.aggregator.survivors:
        circle = {*world.aggregator._round.graph.neighbours(host), host}
        session = world.sessions[host]
        assert set(session.ring.offers) <= circle
        answer = UnmaskShares.decode(Signed.decode(world.answer(host, "unmask", world.requests[host])).payload)
        seeds, keys = dict(answer.self_seed_shares), dict(answer.mask_key_shares)
        assert seeds.keys() | keys.keys() == circle
        assert keys.keys() == circle & {"host-02"}


def test_thin_survivors_void_the_round():
    """Three neighbours in a row and three more elsewhere fall silent: the server itself gives the round up."""
    world = graph_world("contribution")
    ring = world.aggregator._round.graph.ring
    silent = {*ring[0:3], *ring[8:11]}
    for host, request in world.requests.items():
        if host not in silent:
            world.aggregator.accept(world.answer(host, "contribution", request))
    with pytest.raises(errors.SurvivorsDisconnected):
        world.aggregator.close_stage()
    assert world.aggregator.stage == "void"


def test_a_silent_committee_voids_the_round():
    """Fewer endorsements than the threshold: void, and nothing is opened."""
    world = graph_world("endorse")
    for host in sorted(world.requests)[:2]:
        world.aggregator.accept(world.answer(host, "endorse", world.requests[host]))
    with pytest.raises(errors.TooFewEndorsements):
        world.aggregator.close_stage()
    assert world.aggregator.stage == "void"


def test_the_server_takes_true_endorsements_of_the_one_list_from_members_alone():
    """Another list, another key or a host outside the committee: each its own error, and the round goes on."""
    world = graph_world("endorse")
    member = sorted(world.requests)[0]
    outside = next(host for host in world.hosts if host not in world.requests)
    honest = Endorsement.decode(world.answer(member, "endorse", world.requests[member]))
    lies = {
        errors.SecondSurvivorList: endorse(bytes(32), member, world.identities[member]),
        errors.ForgedSignature: endorse(honest.list_digest, member, world.identities[outside]),
        errors.NotAnswering: endorse(honest.list_digest, outside, world.identities[outside]),
    }
    for error, lie in lies.items():
        with pytest.raises(error):
            world.aggregator.accept(lie.encode())
    assert world.aggregator.accept(honest.encode()) == member
    with pytest.raises(errors.SecondSurvivorList):
        world.sessions[member].sign(world.listed(world.hosts[:-1]).encode())


@pytest.mark.parametrize("stage", WITH_COMMITTEE)
def test_sessions_and_server_resume_at_every_stage(stage):
    """All hosts and the server re-made from their bytes before a stage: the same requests, and an exact sum."""
    world = graph_world(stage, {"host-05": "contribution"} if WITH_COMMITTEE.index(stage) > 2 else None)
    for host, key in world.identities.items():
        world.sessions[host] = HostSession.from_bytes(world.sessions[host].to_bytes(), key)
    world.aggregator = Aggregator.from_bytes(world.aggregator.to_bytes(), world.plan, world.directory)
    assert world.aggregator.stage == stage
    world.until("unmask")
    for host, request in world.requests.items():
        world.aggregator.accept(world.answer(host, "unmask", request))
    assert opened_exactly(world.aggregator, world.vectors, world.aggregator.open())


def test_a_member_and_a_host_repeat_their_answers():
    """A retried endorsement or unmasking gets identical bytes, also after a restart."""
    world = graph_world("endorse")
    member = sorted(world.requests)[0]
    for stage in ("endorse", "unmask"):
        world.until(stage)
        first = world.answer(member, stage, world.requests[member])
        resumed = HostSession.from_bytes(world.sessions[member].to_bytes(), world.identities[member])
        assert world.answer(member, stage, world.requests[member]) == first
        assert getattr(resumed, stage)(world.requests[member]) == first


def test_a_host_that_missed_signing_still_unmasks_the_endorsed_list():
    """The endorsed list becomes its one list; a second one is refused afterwards."""
    world = graph_world("endorse", {"host-07": "sign"})
    world.until("unmask", {"host-07": "sign"})
    session = world.sessions["host-07"]
    assert session.unmask(world.requests["host-07"])
    with pytest.raises(errors.SecondSurvivorList):
        session.sign(world.listed(world.hosts[:-1]).encode())


def test_one_wrong_share_in_a_neighbourhood_is_got_around():
    """A neighbour that gives a wrong share does not spoil the round: other sets of share-givers rebuild the secret."""
    world = graph_world("unmask")
    for host, request in world.requests.items():
        data = world.answer(host, "unmask", request)
        if host == "host-00":
            shares = UnmaskShares.decode(Signed.decode(data).payload).self_seed_shares
            data = world.resigned(host, UnmaskShares, data, self_seed_shares=tuple((n, b"\0" * 33) for n, _ in shares))
        world.aggregator.accept(data)
    assert opened_exactly(world.aggregator, world.vectors, world.aggregator.open())


def test_a_member_that_equivocates_on_its_keys_splits_no_view():
    """A host that signs two offers has one leaf: the neighbour shown the other one sees a wrong proof."""
    world = graph_world("shares")
    victim = "host-03"
    near = sorted(world.aggregator._round.graph.neighbours(victim))[0]
    second = world.resigned(near, KeyOffer, world.sessions[near].offer(), mask_key=b"k" * 32)
    honest = KeyView.decode(world.requests[victim])
    offers = tuple(second if offer == world.sessions[near].offer() else offer for offer in honest.offers)
    with pytest.raises(errors.WrongProof):
        world.sessions[victim].shares(dataclasses.replace(honest, offers=offers).encode())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 33])
def test_key_proofs_hold_for_exactly_their_leaves(size):
    """Any set of places is proven against the root; a changed, hidden, moved or invented leaf is refused."""
    rng = random.Random(size)
    offers = {place: os.urandom(40) for place in range(size) if rng.random() < 0.8 or place == 0}
    tree = keytree.KeyTree(b"p" * 32, size, offers)
    for _ in range(20):
        places = sorted({0, *(place for place in range(size) if rng.random() < 0.4)})
        proof = tree.proof(places)
        known = {place: offers[place] for place in places if place in offers}
        absent = [place for place in places if place not in offers]
        keytree.check(tree.root, b"p" * 32, size, known, absent, proof)
        hidden = {place: offer for place, offer in known.items() if place != 0}
        wrong = [
            (b"p" * 32, size, known | {0: b"x" * 40}, absent, proof),
            (b"p" * 32, size, hidden, [*absent, 0], proof),
            (b"q" * 32, size, known, absent, proof),
            (b"p" * 32, size, known, absent, proof + bytes(32)),
            (b"p" * 32, size, known, absent, proof + b"x"),
        ]
        if absent:
            wrong.append((b"p" * 32, size, known | {absent[0]: b"y" * 40}, absent[1:], proof))
        for bent in wrong:
            with pytest.raises(errors.WrongProof):
                keytree.check(tree.root, *bent)


def test_a_plan_with_another_graph_is_another_round():
    """Degree and committee stand in the plan, so their change changes its digest: messages do not carry over."""
    world = RoundWorld(N, N_MIN, **GRAPH)
    other = dataclasses.replace(world.plan, neighbours=8)
    assert digest(other) != digest(world.plan)
    assert sign(other, world.identities["host-00"]).payload != sign(world.plan, world.identities["host-00"]).payload
    with pytest.raises(errors.WrongPlan):
        Aggregator(other, world.directory).accept(world.sessions["host-00"].offer())
