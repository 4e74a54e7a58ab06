"""A server that tells hosts different things about who sent shares opens no part of the sum, in the complete graph.

The attack: some hosts are given the shares of few others, add no masks with the rest, and are never asked to sign. The
others are given everything, mask with everybody, sign, and give away the self seeds of all who are listed, the cut-out
ones among them. Only how many must share with a host before it contributes stands in the way: two sets of n_min hosts
meet in an honest one.
"""

import itertools
import random

import numpy as np
import pytest

from tactful_privacy.secagg import masks, rules
from tactful_privacy.wire import digest

from .secagg_attacker import Federation

SHAPES = [(5, 4, 1), (6, 4, 1), (7, 5, 1), (7, 5, 2), (8, 6, 3)]
"""(n, n_min, t) with 2·n_min > n + t."""


class SendersAttack(Federation):
    """A federation in which some honest hosts are silent: they contribute and are not asked for anything after that."""

    def __init__(self, dice, shape):
        super().__init__(dice, *shape)
        self.silent = dice.sample(self.honest, len(self.hosts) - self.plan.n_min)
        ring = self.ring()
        for host in self.hosts:
            self.show_ring(host, ring)
        self.keys_digest = digest(ring)
        self.sealed = {host: self.sealed_by(host) for host in self.hosts}

    def give(self, host, senders):
        """Deliver to a host the shares of these senders alone; return whether it contributed."""
        shares = {sender: self.sealed[sender][host] for sender in senders if sender != host}
        self.deliver(host, shares, self.keys_digest)
        return host in self.knows.views

    def finish(self):
        """List everybody, let all but the silent sign and unmask, and return what came out: (allowed, breaches)."""
        listed = self.listed(self.hosts, self.keys_digest)
        for host in self.hosts:
            if host not in self.silent:
                self.sign(host, listed)
        for host in self.honest:
            if host not in self.silent:
                self.unmask(host, self.certificate(listed))
        return self.harvest()

    def cut(self):
        """Everybody else gets everything, the silent ones each other's shares and the traitors' alone."""
        for host in self.hosts:
            self.give(host, self.silent + self.traitors if host in self.silent else self.hosts)
        return self.finish()


@pytest.mark.parametrize("shape", SHAPES)
def test_silent_hosts_that_share_among_themselves_do_not_contribute(shape):
    """They are fewer than n_min with the traitors, and refuse; without them nothing opens."""
    world = SendersAttack(random.Random(str(shape)), shape)
    assert world.cut() == ([], [])
    assert not set(world.silent) & set(world.knows.views)


def test_without_counting_senders_the_silent_part_opens(monkeypatch):
    """Control: where a host contributes whoever shares with it, two hosts' sum comes out exactly."""
    world = SendersAttack(random.Random("control"), (6, 4, 1))
    monkeypatch.setattr(rules.Round, "fewest", 1)
    assert world.cut() == ([], [frozenset(world.silent)])


@pytest.mark.parametrize("shape", SHAPES)
def test_the_fewest_senders_that_a_silent_host_accepts_open_nothing(shape):
    """Traitors and silent hosts come first among the n_min that share with each; some signer is left among them."""
    world = SendersAttack(random.Random(str(shape)), shape)
    near = sorted(world.hosts, key=lambda host: host not in world.silent + world.traitors)
    for host in world.hosts:
        few = [host, *[one for one in near if one != host]][: world.plan.n_min]
        assert world.give(host, few if host in world.silent else world.hosts)
    assert world.finish() == ([], [])


def test_senders_that_one_side_alone_was_told_of_open_nothing():
    """A is told that B sent shares, B is not told of A: A's mask stays on, whoever of them is listed."""
    for pair in itertools.permutations(("host-02", "host-04"), 2):
        world = SendersAttack(random.Random("one side"), (6, 4, 1))
        told, untold = pair
        for host in world.hosts:
            world.give(host, set(world.hosts) - ({told} if host == untold else set()))
        world.silent = [untold] if untold in world.honest else []
        fair, breaches = world.finish()
        assert not breaches
        assert bool(fair) == (told in world.traitors or untold in world.traitors)


def test_all_told_alike_opens_the_whole():
    """The sum over all honest hosts is what the same steps give where nobody is lied to."""
    world = SendersAttack(random.Random("whole"), (6, 4, 1))
    for host in world.hosts:
        assert world.give(host, world.hosts)
    fair, breaches = world.finish()
    assert (fair, breaches) == ([frozenset(world.honest)], [])
    opened = world.knows.opened()[frozenset(world.honest)]
    assert np.array_equal(masks.centre(opened), sum(sum(world.truth[host]) for host in world.honest))
