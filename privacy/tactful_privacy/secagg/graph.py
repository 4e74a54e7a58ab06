"""Who shares masks and secrets with whom, beyond about a hundred hosts: a ring of hosts in an order nobody chose.

Every host stands at one place of a ring, in the order of a hash, and is a neighbour of the ``k/2`` hosts on either
side: a Harary graph on a random permutation (the idea of Bell, Bonawitz, Gascón, Lepoint and Raykova, CCS 2020, IACR
ePrint 2020/704). The order is fixed before any key is drawn, and every host works it out by itself.

**What the order is drawn from.** Roster digest, federation, round number, attempt and previous ledger head; no other
field of the plan, since the server could try deadlines or settings until it likes the graph. It can still try rosters
(the keys of its own hosts) and ledger heads (any 32 bytes: where they stand is proved with the release), offline. And
it can hold one order against many shapes: ``neighbours``, thresholds, ``committee``, ``n_min`` and a larger
``colluders`` are outside the seed, as in it they would be no harder to try. `thresholds` allows for 2^40 tries, and
each pair of order and shape is one.

**Which drop-outs are too many.** The server may claim that any n − n_min hosts fell silent, after it has seen the
graph; so no bound on *random* drop-outs protects anybody, and each host checks the list it is asked to sign. Two
hosts that follow each other in the ring, gone ones left out, are neighbours unless ``k/2`` or more places in a row
lie between them. Hence the honest survivors fall apart only if two separate runs of ``k/2`` places hold none of them,
and `Graph.thinnest`, the fewest survivors on any ``k/2`` places in a row, is all that has to be looked at.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from tactful_privacy.wire import KeyDirectory, RoundPlan

_GRAPH = b"tactful/v1/secagg/graph"
_COMMITTEE = b"tactful/v1/secagg/committee"


def round_seed(plan: RoundPlan, label: bytes) -> bytes:
    """Return 32 bytes that follow from what the server cannot set freely in a plan."""
    name = plan.federation.encode()
    position = plan.round_number.to_bytes(4, "big") + plan.attempt.to_bytes(2, "big")
    parts = (label, b"\0", plan.roster_digest, plan.previous_head, position, len(name).to_bytes(4, "big"), name)
    return hashlib.sha256(b"".join(parts)).digest()


def _drawn(plan: RoundPlan, directory: KeyDirectory, label: bytes) -> tuple[str, ...]:
    """Return all hosts in the order of a hash of the seed and their names."""
    seed = round_seed(plan, label)
    return tuple(sorted(directory.host_ids, key=lambda host_id: hashlib.sha256(seed + host_id.encode()).digest()))


def committee_of(plan: RoundPlan, directory: KeyDirectory) -> frozenset[str]:
    """Return the ``plan.committee`` hosts that verify the whole certificate for the others."""
    return frozenset(_drawn(plan, directory, _COMMITTEE)[: plan.committee])


@dataclass(frozen=True)
class Graph:
    """The neighbours of every host.

    Attributes:
        ring: all hosts of the roster, in ring order.
        reach: neighbours on either side, ``k/2``.
    """

    ring: tuple[str, ...]
    reach: int

    @classmethod
    def of(cls, plan: RoundPlan, directory: KeyDirectory) -> "Graph":
        """Return the graph of a plan with ``plan.neighbours`` > 0."""
        return cls(_drawn(plan, directory, _GRAPH), plan.neighbours // 2)

    @cached_property
    def positions(self) -> dict[str, int]:
        """Each host's place in the ring, from 0."""
        return {host_id: position for position, host_id in enumerate(self.ring)}

    def neighbours(self, host_id: str) -> frozenset[str]:
        """Return the hosts with which a host exchanges keys and shares; never itself."""
        here, size = self.positions[host_id], len(self.ring)
        steps = (step for distance in range(1, self.reach + 1) for step in (-distance, distance))
        return frozenset(self.ring[(here + step) % size] for step in steps) - {host_id}

    def thinnest(self, survivors: Collection[str]) -> int:
        """Return the fewest survivors on any ``reach`` places in a row: 0 if the survivors may have fallen apart."""
        present = frozenset(survivors)
        alive = [host_id in present for host_id in self.ring]
        reach = min(self.reach, len(alive))
        count = fewest = sum(alive[:reach])
        for leaving, entering in zip(alive, islice([*alive, *alive], reach, None), strict=False):
            count += entering - leaving
            fewest = min(fewest, count)
        return fewest
