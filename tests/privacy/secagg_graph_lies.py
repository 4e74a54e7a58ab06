"""Lies of a server under a neighbour graph: hidden keys, keys of strangers, lists that cut it, a false committee."""

import dataclasses

from tactful_privacy.secagg import errors
from tactful_privacy.wire import EndorsedList, KeyView, SurvivorList, digest, endorse

from .secagg_attack_table import attack
from .secagg_world import RoundWorld

GRAPH = {"neighbours": 6, "share_threshold": 5, "committee": 5, "committee_threshold": 3}


def graph_world(stage, drop=None):
    """Sixteen hosts, n_min = 9, six neighbours each, led up to a stage."""
    return RoundWorld(16, 9, **GRAPH).until(stage, drop)


def member(world, inside):
    """A survivor in the committee, or out of it."""
    return next(h for h in world.aggregator.survivors if (h in world.aggregator._round.committee) is inside)


def endorsed(world, hosts, listed=None):
    """The list with endorsements by the true keys of the given hosts."""
    listed = listed or world.listed(world.aggregator.survivors)
    given = (endorse(digest(listed), host, world.identities[host]) for host in sorted(hosts))
    return EndorsedList(listed, tuple(given)).encode()


def view(world, host, **changes):
    return dataclasses.replace(KeyView.decode(world.requests[host]), **changes).encode()


@attack(errors.WrongProof)
def _neighbour_whose_keys_are_hidden_from_one_host(_world):
    world = graph_world("shares")
    offers = KeyView.decode(world.requests["host-03"]).offers
    own = world.sessions["host-03"].offer()
    hidden = next(offer for offer in offers if offer != own)
    bent = view(world, "host-03", offers=tuple(offer for offer in offers if offer != hidden))
    return lambda: world.sessions["host-03"].shares(bent)


@attack(errors.WrongProof)
def _proof_cut_short(_world):
    world = graph_world("shares")
    proof = KeyView.decode(world.requests["host-03"]).proof
    return lambda: world.sessions["host-03"].shares(view(world, "host-03", proof=proof[:-32]))


@attack(errors.WrongProof)
def _proof_with_a_rest(_world):
    world = graph_world("shares")
    proof = KeyView.decode(world.requests["host-03"]).proof
    return lambda: world.sessions["host-03"].shares(view(world, "host-03", proof=proof + bytes(32)))


@attack(errors.WrongProof)
def _keys_digest_of_other_keys(_world):
    world = graph_world("shares")
    return lambda: world.sessions["host-03"].shares(view(world, "host-03", keys_digest=bytes(32)))


@attack(errors.NotNeighbours)
def _keys_of_a_stranger(_world):
    world = graph_world("shares")
    near = world.aggregator._round.graph.neighbours("host-03")
    stranger = next(host for host in world.hosts if host not in near and host != "host-03")
    offers = KeyView.decode(world.requests["host-03"]).offers
    bent = view(world, "host-03", offers=(*offers, world.sessions[stranger].offer()))
    return lambda: world.sessions["host-03"].shares(bent)


@attack(errors.SurvivorsDisconnected)
def _list_that_cuts_the_ring_in_two(_world):
    world = graph_world("sign")
    ring = world.aggregator._round.graph.ring
    listed = world.listed([host for host in ring if host not in {*ring[1:4], *ring[8:11]}])
    return lambda: world.sessions[ring[0]].sign(listed.encode())


@attack(errors.SurvivorsDisconnected)
def _list_that_isolates_one_host_inside_a_certificate(_world):
    world = graph_world("unmask")
    ring = world.aggregator._round.graph.ring
    listed = world.listed([host for host in ring if host not in {*ring[0:3], *ring[4:7]}])
    world.sessions[ring[3]]._state.replies.pop("sign")  # it missed the signing stage
    bent = endorsed(world, world.aggregator._round.committee, listed)
    return lambda: world.sessions[ring[3]].unmask(bent)


@attack(errors.TooFewEndorsements)
def _too_few_endorsements(_world):
    world = graph_world("unmask")
    few = sorted(world.aggregator._round.committee)[:2]
    return lambda: world.sessions["host-03"].unmask(endorsed(world, few))


@attack(errors.NotInCommittee)
def _endorsement_of_a_host_outside_the_committee(_world):
    world = graph_world("unmask")
    given = {*world.aggregator._round.committee, member(world, inside=False)}
    return lambda: world.sessions["host-03"].unmask(endorsed(world, given))


@attack(errors.NotInCommittee)
def _host_outside_the_committee_asked_to_endorse(_world):
    world = graph_world("endorse")
    certificate = next(iter(world.requests.values()))
    return lambda: world.sessions[member(world, inside=False)].endorse(certificate)


@attack(errors.ForgedSignature)
def _endorsement_by_another_key(_world):
    world = graph_world("unmask")
    message = EndorsedList.decode(world.requests["host-03"])
    false = [endorse(e.list_digest, e.host_id, world.identities["host-03"]) for e in message.endorsements]
    bent = dataclasses.replace(message, endorsements=tuple(false))
    victim = next(e.host_id for e in message.endorsements if e.host_id != "host-03")
    return lambda: world.sessions[victim].unmask(bent.encode())


@attack(errors.SecondSurvivorList)
def _second_list_shown_to_the_committee(_world):
    world = graph_world("endorse")
    inside = member(world, inside=True)
    gone = next(host for host in world.hosts if host != inside)
    second = world.listed([host for host in world.hosts if host != gone])
    bent = world.certificate(second, second.survivors)
    return lambda: world.sessions[inside].endorse(bent)


@attack(errors.SecondSurvivorList)
def _endorsed_second_list(_world):
    world = graph_world("unmask")
    second = world.listed(world.hosts[:-1])
    return lambda: world.sessions["host-03"].unmask(endorsed(world, world.aggregator._round.committee, second))


@attack(errors.TooFewSignatures)
def _certificate_short_of_signatures_shown_to_the_committee(_world):
    world = graph_world("endorse")
    listed: SurvivorList = world.listed(world.aggregator.survivors)
    short = world.certificate(listed, listed.survivors[:8])
    return lambda: world.sessions[member(world, inside=True)].endorse(short)


@attack(errors.WrongKeyRing)
def _split_view_of_the_keys(_world):
    world = graph_world("sign")
    return lambda: world.sessions["host-03"].sign(world.listed(keys_digest=b"x" * 32).encode())
