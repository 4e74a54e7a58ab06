"""Degree, thresholds and committee of a round, from a computed probability that they fail.

A plan with a neighbour graph is safe against an active server with t colluding hosts unless one of three things
happens when the graph is drawn. The colluders are fixed before the draw, so all three are tails of hypergeometric
distributions, computed in exact integers and added up (union bound):

1. *Both kinds of share.* An honest host has so many colluding neighbours, c, that its self seed and its mask key could
   both be rebuilt. Of a host's k + 1 shares (its own among them) an honest holder gives one kind, a colluder both: at
   most k + 1 + c come out, and two sets of ``share_threshold`` need 2·share_threshold. Required is hence
   2·share_threshold > k + 1 + c. It also keeps the colluders alone (c of them) below the threshold. This alone rules
   the attack out, even if honest hosts were shown different survivor lists.
2. *The survivors fall apart.* The honest survivors must hang together, or the masks of each part cancel by themselves
   and parts open with too little noise. Which hosts drop out the server chooses, so each host checks the list: at
   least `window_floor` survivors on any k/2 ring places in a row. Falling apart takes two disjoint stretches of k/2
   places without an honest survivor, whose ≥ 2·floor survivors all collude: impossible if floor > t/2. Where t is
   large the floor is one more than the colluders on any stretch, except with the probability counted here.

   Masks count only where both sides added them. A host that *answers* the list checked that it masked with each listed
   neighbour; of one that is listed and never asked nobody knows. Hence the signers too must hold the floor: the honest
   ones, who all answered, hang together by the argument above, and whoever else answers has one of them within k/2
   places. Take a host u that did not answer, but whose self seed comes out: ≥ threshold − c honest neighbours that
   answered gave shares of it, and u masked with ≥ threshold − 1 − c honest neighbours, or it would have refused. Both
   sets lie among k − c, so by the first point they meet: u has a mask in common with a host that answered.
3. *The committee lies.* ``committee_threshold`` members collude. Otherwise an honest member stands behind every
   endorsed list: it saw ≥ n_min signatures. Two such lists would share more than t signers, as 2·n_min > n + t, hence
   an honest one, and an honest host signs one list. So one list at most is endorsed; with the first two points, at
   most one sum opens, over ≥ n_min hosts, of which ≥ n_min − t are honest and added noise.

**Grinding.** The server can draw again: it makes rosters, and ledger heads, which may be any 32 bytes until the
release. It can also hold one draw against many shapes: neighbours, thresholds, committee, n_min and a larger t are
outside the seed. Every pair of draw and shape is a try (a few thousand hashes for a new draw, arithmetic for a new
shape). `GRINDING_LOG2` tries are allowed for; the failure probability of one is multiplied by them. The figure is per
round.

**The complete graph** needs no probability. Both kinds take 2·n_min shares, and n + t come out at most. Hosts that
answered masked with all on the list, hence with each other. A listed host that did not, with ≥ n_min − 1 − t honest
peers, has one among the ≥ n_min − t honest signers, since 2·n_min > n + t. So no part of the honest listed hosts opens
without all of them.

*Correctness* is about luck alone: n − n_min hosts fall silent at random, and the round should still open. A server
that picks the silent ones can always make a round void.

The approach is that of Bell et al. (CCS 2020, IACR ePrint 2020/704): degree and threshold grow with log n. Derivation
and figures are our own, not checked against theirs: the promise differs, one sum over ≥ n_min hosts and no other.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from tactful_privacy.errors import InvalidInput
from tactful_privacy.wire import RoundPlan

TARGET_LOG2 = -40.0
"""log2 of the probability that a round fails in security (or, apart from it, by bad luck), all tries together."""
GRINDING_LOG2 = 40
"""log2 of how many graphs an active server may try, every shape of one draw counted as a graph of its own."""
GRAPH_ABOVE = 100
"""Rosters up to this size keep the complete graph: it needs no probability."""
_SHARE_OF_EVENT = -2.0  # each of three events gets a quarter of the target


@dataclass(frozen=True, slots=True)
class GraphParameters:
    """What a plan says about its graph.

    Attributes:
        neighbours: k, even; 0 is the complete graph.
        share_threshold: shares that rebuild a secret.
        committee: hosts which verify the certificate; 0 without a graph.
        committee_threshold: endorsements that a host asks for.
        security_log2: log2 of the probability that the draw is unsafe; -inf for the complete graph.
        correctness_log2: log2 of the probability that random drop-outs down to n_min void the round.
    """

    neighbours: int
    share_threshold: int
    committee: int
    committee_threshold: int
    security_log2: float
    correctness_log2: float

    @property
    def failure_log2(self) -> float:
        """The worse of the two."""
        return max(self.security_log2, self.correctness_log2)


@lru_cache(maxsize=65_536)
def tail_log2(population: int, marked: int, drawn: int, at_least: int) -> float:
    """Return log2 P[X ≥ at_least] for X marked ones among ``drawn`` of ``population`` without putting back; exact sum.

    Args:
        population: how many there are.
        marked: of them, how many count.
        drawn: how many are drawn.
        at_least: the tail's first value.
    """
    first, last = max(at_least, drawn - (population - marked), 0), min(marked, drawn)
    if first > last:
        return -math.inf
    term = math.comb(marked, first) * math.comb(population - marked, drawn - first)
    total = term
    for value in range(first, last):
        up, down = (marked - value) * (drawn - value), (value + 1) * (population - marked - drawn + value + 1)
        term = term * up // down  # exact: the next term is an integer
        total += term
    return min(math.log2(total) - math.log2(math.comb(population, drawn)), 0.0)


def _any_of(events: Iterable[float]) -> float:
    """Return log2 of the sum of probabilities given as log2."""
    finite = [event for event in events if event > -math.inf]
    if not finite:
        return -math.inf
    top = max(finite)
    return top + math.log2(sum(2.0 ** (event - top) for event in finite))


@lru_cache(maxsize=1_024)
def window_floor(n_hosts: int, colluders: int, neighbours: int) -> int:
    """Return how many survivors any ``neighbours/2`` places in a row must hold before a host signs the list."""
    reach, allowed = neighbours // 2, TARGET_LOG2 + _SHARE_OF_EVENT - GRINDING_LOG2
    most = 0
    while most < colluders // 2 and math.log2(n_hosts) + tail_log2(n_hosts, colluders, reach, most + 1) > allowed:
        most += 1
    return 1 + most


def security_log2(
    n_hosts: int, colluders: int, neighbours: int, share_threshold: int, committee: int, committee_threshold: int
) -> float:
    """Return log2 of the probability, at most, that a drawn graph is unsafe against an active server.

    Args:
        n_hosts: n.
        colluders: t.
        neighbours: k, even and below n.
        share_threshold: shares that rebuild a secret.
        committee: its size; 0 if every host verifies the certificate.
        committee_threshold: endorsements asked for.
    """
    too_many = 2 * share_threshold - neighbours - 1
    both = math.log2(max(n_hosts - colluders, 1)) + tail_log2(n_hosts - 1, colluders, neighbours, too_many)
    floor = window_floor(n_hosts, colluders, neighbours)
    apart = -math.inf
    if 2 * floor <= colluders:
        apart = math.log2(n_hosts) + tail_log2(n_hosts, colluders, neighbours // 2, floor)
    lie = tail_log2(n_hosts, colluders, committee, committee_threshold) if committee else -math.inf
    return min(_any_of((both, apart, lie)) + GRINDING_LOG2, 0.0)


def correctness_log2(
    n_hosts: int, n_min: int, colluders: int, neighbours: int, share_threshold: int, committee: int, threshold: int
) -> float:
    """Return log2 of the probability, at most, that n − n_min hosts falling silent at random void the round.

    Args:
        n_hosts: n.
        n_min: survivors.
        colluders: t, which sets the window floor.
        neighbours: k.
        share_threshold: shares that rebuild a secret.
        committee: its size; 0 if there is none.
        threshold: endorsements asked for.
    """
    gone, reach = n_hosts - n_min, neighbours // 2
    floor = window_floor(n_hosts, colluders, neighbours)
    shares = math.log2(n_hosts) + tail_log2(n_hosts - 1, gone, neighbours, neighbours - share_threshold + 1)
    apart = math.log2(n_hosts) + tail_log2(n_hosts, gone, reach, reach - floor + 1)
    silent = tail_log2(n_hosts, gone, committee, committee - threshold + 1) if committee else -math.inf
    return min(_any_of((shares, apart, silent)), 0.0)


def graph_fault(plan: RoundPlan, colluders: int) -> str | None:
    """Return what is wrong with a plan's graph and committee, or None.

    Args:
        plan: without neighbours it needs no probability, and may have no committee.
        colluders: t, as whoever asks reckons with it.
    """
    degree, members = plan.neighbours, plan.committee
    if degree == 0:
        return f"a committee of {members} without a neighbour graph" if members or plan.committee_threshold else None
    if degree % 2 or not degree < plan.n_hosts:
        return f"{degree} neighbours among {plan.n_hosts} hosts, must be even and fewer"
    if not 1 <= plan.share_threshold <= degree + 1:
        return f"share threshold {plan.share_threshold} of {degree + 1} shares"
    if (members or plan.committee_threshold) and not 1 <= plan.committee_threshold <= members <= plan.n_hosts:
        return f"{plan.committee_threshold} of a committee of {members}"
    failure = security_log2(plan.n_hosts, colluders, degree, plan.share_threshold, members, plan.committee_threshold)
    if failure > TARGET_LOG2:
        return f"fails with probability 2^{failure:.1f} with t = {colluders}, above 2^{TARGET_LOG2:g}"
    return None


@lru_cache(maxsize=256)
def recommended(n_hosts: int, n_min: int, colluders: int) -> GraphParameters:
    """Return the smallest graph and committee that meet `TARGET_LOG2` twice; the complete graph where none is smaller.

    Args:
        n_hosts: n; up to `GRAPH_ABOVE` the complete graph is returned.
        n_min: fewest survivors.
        colluders: t.

    Raises:
        InvalidInput: not 0 ≤ t < n_min ≤ n.
    """
    if not 0 <= colluders < n_min <= n_hosts:
        message = f"{n_min} of {n_hosts} hosts, {colluders} colluding"
        raise InvalidInput(message, field="n_min", remedy="choose t < n_min ≤ n")
    if n_hosts > GRAPH_ABOVE:
        members = _smallest_committee(n_hosts, n_min, colluders)
        for neighbours in range(4, n_hosts - 1, 2):
            threshold = _share_threshold(n_hosts, colluders, neighbours)
            shape = (neighbours, threshold, *members)
            luck = correctness_log2(n_hosts, n_min, colluders, *shape)
            safe = security_log2(n_hosts, colluders, *shape)
            if max(luck, safe) <= TARGET_LOG2:
                return GraphParameters(*shape, safe, luck)
    return GraphParameters(0, n_min, 0, 0, -math.inf, -math.inf)


def _share_threshold(n_hosts: int, colluders: int, neighbours: int) -> int:
    """Return the smallest threshold with which no honest host's two secrets come out; above k if there is none."""
    allowed = TARGET_LOG2 + _SHARE_OF_EVENT - GRINDING_LOG2 - math.log2(n_hosts)
    most = 0
    while most < neighbours and tail_log2(n_hosts - 1, colluders, neighbours, most + 1) > allowed:
        most += 1
    return (neighbours + 1 + most) // 2 + 1


def _smallest_committee(n_hosts: int, n_min: int, colluders: int) -> tuple[int, int]:
    """Return size and threshold of the smallest committee; all hosts, t + 1 of them, if chance does not allow less."""
    safe, luck = TARGET_LOG2 + _SHARE_OF_EVENT - GRINDING_LOG2, TARGET_LOG2 + _SHARE_OF_EVENT
    threshold = 1
    for size in range(1, n_hosts):
        while tail_log2(n_hosts, colluders, size, threshold) > safe:
            threshold += 1
        if threshold <= size and tail_log2(n_hosts, n_hosts - n_min, size, size - threshold + 1) <= luck:
            return size, threshold
    return n_hosts, colluders + 1
