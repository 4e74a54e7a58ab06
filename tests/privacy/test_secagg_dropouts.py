"""The opened sum is exact for every pattern of drop-outs, and a round is void exactly when the rule says so."""

import itertools
import os

import numpy as np
import pytest

from tactful_privacy.secagg import COLLECTING, Aggregator, HostSession
from tactful_privacy.secagg.errors import TooFewSurvivors
from tactful_privacy.secagg.testing import drive, make_plan, make_roster

DIMENSION = 4
ALWAYS = "none"
STAGES = (*COLLECTING, ALWAYS)
N_MIN = {2: 2, 3: 3, 4: 3, 5: 4, 6: 4}  # the least that 2·n_min > n + t allows for t = 1


def some_vector():
    """Any int64 vector below 2^28: six of them, with noise, do not wrap."""
    return np.frombuffer(os.urandom(4 * DIMENSION), dtype="<i4").astype(np.int64) >> 4


class World:
    """A roster and plan whose hosts run fresh sessions."""

    def __init__(self, n_hosts):
        self.directory, self.identities = make_roster(n_hosts)
        self.plan = make_plan(self.directory, n_min=N_MIN[n_hosts], dimension=DIMENSION)

    def check(self, pattern):
        """Run one round in which host i stops answering at stage pattern[i]; check sum or void."""
        hosts = list(self.identities)
        sessions = {host: HostSession(self.plan, self.directory, host, key) for host, key in self.identities.items()}
        vectors = {host: (some_vector(), some_vector()) for host in hosts}
        stops = {host: stage for host, stage in zip(hosts, pattern, strict=True) if stage != ALWAYS}
        aggregator = Aggregator(self.plan, self.directory)
        answering = sum(stage == ALWAYS for stage in pattern)
        if answering < self.plan.n_min:
            with pytest.raises(TooFewSurvivors):
                drive(aggregator, sessions, vectors, stops)
            assert aggregator.stage == "void"
            return
        opened = drive(aggregator, sessions, vectors, stops)
        inside = [host for host in hosts if stops.get(host) not in COLLECTING[:3]]
        expected = sum(encoded + noise for encoded, noise in (vectors[host] for host in inside))
        assert aggregator.survivors == tuple(inside)
        assert opened.tolist() == expected.tolist()


@pytest.mark.parametrize("n_hosts", [2, 3, 4])
def test_every_pattern_of_few_hosts(n_hosts):
    """All 6^n patterns of n ≤ 4 hosts: exact integer equality, or void below n_min."""
    world = World(n_hosts)
    for pattern in itertools.product(STAGES, repeat=n_hosts):
        world.check(pattern)


@pytest.mark.parametrize("n_hosts", [5, 6])
def test_every_pattern_up_to_permutation(n_hosts):
    """All multisets of stages for 5 and 6 hosts, with the hosts in a random order."""
    world = World(n_hosts)
    for pattern in itertools.combinations_with_replacement(STAGES, n_hosts):
        order = sorted(range(n_hosts), key=lambda _: os.urandom(4))
        world.check([pattern[at] for at in order])


@pytest.mark.slow
@pytest.mark.parametrize("first", STAGES)
@pytest.mark.parametrize("n_hosts", [5, 6])
def test_every_pattern_in_every_order(n_hosts, first):
    """All 6^5 and 6^6 patterns, in parts by the first host's stage."""
    world = World(n_hosts)
    for rest in itertools.product(STAGES, repeat=n_hosts - 1):
        world.check((first, *rest))


def test_extreme_values_open_exactly():
    """A sum at either end of the modulus comes out as it went in."""
    directory, identities = make_roster(3)
    plan = make_plan(directory, n_min=3, dimension=2)
    sessions = {host: HostSession(plan, directory, host, key) for host, key in identities.items()}
    ends = np.array([2**31 - 1, -(2**31)], dtype=np.int64)
    zero = np.zeros(2, dtype=np.int64)
    vectors = dict.fromkeys(identities, (zero, zero)) | {"host-01": (ends, zero)}
    assert drive(Aggregator(plan, directory), sessions, vectors).tolist() == ends.tolist()
