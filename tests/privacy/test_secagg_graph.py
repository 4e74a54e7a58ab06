"""The neighbour graph follows from the round alone, and thin survivor lists are told apart from safe ones."""

import dataclasses
import itertools
import random

import pytest

from tactful_privacy.secagg.graph import Graph, committee_of
from tactful_privacy.secagg.testing import make_plan, make_roster
from tactful_privacy.secagg.thresholds import window_floor

DIRECTORY, _ = make_roster(40)


def plan(**changes):
    return make_plan(DIRECTORY, n_min=30, **({"neighbours": 8, "committee": 7} | changes))


def parts(graph, alive):
    """Connected components of the graph on `alive`, by search."""
    left, found = set(alive), []
    while left:
        part, edge = set(), {left.pop()}
        while edge:
            here = edge.pop()
            part.add(here)
            edge |= (graph.neighbours(here) & left) - part
        left -= part
        found.append(part)
    return found


def test_every_host_has_k_neighbours_and_is_theirs():
    """Each host has exactly k neighbours, never itself, and neighbourhood is mutual."""
    graph = Graph.of(plan(), DIRECTORY)
    for host_id in DIRECTORY.host_ids:
        near = graph.neighbours(host_id)
        assert len(near) == 8
        assert host_id not in near
        assert all(host_id in graph.neighbours(other) for other in near)


def test_a_server_cannot_steer_the_graph_by_what_it_sets_freely():
    """Deadline, settings, model, clip and threshold do not move a host; roster, head, round and attempt do."""
    at_first = Graph.of(plan(), DIRECTORY).ring, committee_of(plan(), DIRECTORY)
    for free in (
        {"deadline_unix_s": 5},
        {"model_digest": b"m" * 32},
        {"share_threshold": 6},
        {"committee_threshold": 3},
    ):
        assert (Graph.of(plan(**free), DIRECTORY).ring, committee_of(plan(**free), DIRECTORY)) == at_first
    for bound in ({"round_number": 2}, {"attempt": 1}, {"previous_head": b"h" * 32}, {"roster_digest": b"r" * 32}):
        assert Graph.of(plan(**bound), DIRECTORY).ring != at_first[0]
        assert committee_of(plan(**bound), DIRECTORY) != at_first[1]


def test_ring_and_committee_are_drawn_apart():
    """The committee is not a stretch of the ring."""
    graph, members = Graph.of(plan(), DIRECTORY), committee_of(plan(), DIRECTORY)
    assert len(members) == 7
    assert set(graph.ring[:7]) != set(members)


@pytest.mark.parametrize("seed", range(60))
def test_thinnest_is_what_a_slow_count_gives(seed):
    """The sliding window agrees with counting every stretch of k/2 places."""
    rng = random.Random(seed)
    size = rng.randint(3, 30)
    graph = Graph(tuple(f"h{number:02}" for number in range(size)), rng.randint(1, size))
    alive = {host_id for host_id in graph.ring if rng.random() < 0.6}
    reach = min(graph.reach, size)
    slow = min(sum(graph.ring[(at + step) % size] in alive for step in range(reach)) for at in range(size))
    assert graph.thinnest(alive) == slow


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("colluders", [0, 1, 2, 3])
def test_no_set_of_colluders_can_take_a_passing_list_apart(seed, colluders):
    """Whenever the thinnest stretch holds the floor, the survivors hang together without any t of them."""
    rng = random.Random(seed)
    graph = Graph(tuple(f"h{number:02}" for number in range(16)), 3)
    alive = {host_id for host_id in graph.ring if rng.random() < 0.9}
    if graph.thinnest(alive) < window_floor(16, colluders, 6):
        return
    for corrupt in itertools.combinations(sorted(alive), colluders):
        assert len(parts(graph, alive - set(corrupt))) == 1


def test_a_list_that_cuts_the_ring_is_seen():
    """Leaving out k/2 hosts on both sides of a stretch splits the survivors, and `thinnest` says 0."""
    graph = Graph.of(plan(), DIRECTORY)
    gone = {*graph.ring[3:7], *graph.ring[12:16]}
    alive = set(graph.ring) - gone
    assert len(parts(graph, alive)) == 2
    assert graph.thinnest(alive) == 0


def test_a_graph_as_wide_as_the_roster_is_complete():
    """With k ≥ n − 1 everybody is a neighbour of everybody."""
    wide = Graph.of(dataclasses.replace(plan(), neighbours=40), DIRECTORY)
    assert all(len(wide.neighbours(host_id)) == 39 for host_id in DIRECTORY.host_ids)
