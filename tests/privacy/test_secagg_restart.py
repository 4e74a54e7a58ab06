"""Kill −9 between any two steps: the same bytes or a refusal, never a second list, and no predictable randomness."""

import json
import random
import time

import numpy as np
import pytest

from tactful_privacy.secagg import COLLECTING, Aggregator, HostSession, errors
from tactful_privacy.secagg.testing import drive, make_plan, make_roster

from .secagg_world import RoundWorld

A, B, C, D, E = (f"host-{number:02}" for number in range(5))


def test_every_stage_answers_the_same_bytes_after_a_restart():
    """At every point of the round a session re-made from bytes repeats each earlier answer byte for byte."""
    world = RoundWorld()
    asked = []
    for stage in COLLECTING:
        world.until(stage)
        asked.append((stage, world.requests[A], world.answer(A, stage, world.requests[A])))
        world.sessions[A] = HostSession.from_bytes(world.sessions[A].to_bytes(), world.identities[A])
        for earlier, request, reply in asked:
            fresh_vectors = (world.vectors[A][0], world.vectors[A][1] + 1)
            world.vectors[A] = fresh_vectors
            assert world.answer(A, earlier, request) == reply


def test_a_restart_before_persisting_repeats_shares_and_keys():
    """Keys, shares and signatures follow from the persisted secrets: lost answers come out the same again."""
    world = RoundWorld().until("shares")
    before = world.sessions[A].to_bytes()
    first = world.answer(A, "shares", world.requests[A])
    again = HostSession.from_bytes(before, world.identities[A])
    assert again.shares(world.requests[A]) == first


def test_a_restarted_round_opens_exactly():
    """Every host killed after every stage: the sum is still exact."""
    world = RoundWorld()
    for stage in COLLECTING[1:]:
        world.until(stage, drop={E: "contribution"})
        for host, key in world.identities.items():
            world.sessions[host] = HostSession.from_bytes(world.sessions[host].to_bytes(), key)
    for host in (A, B, C, D):
        world.aggregator.accept(world.answer(host, "unmask", world.requests[host]))
    assert (world.aggregator.open() == sum(sum(world.vectors[host]) for host in (A, B, C, D))).all()


@pytest.mark.parametrize("field", ["format", "plan", "secrets", "replies", "host_id"])
def test_damaged_state_is_refused(field):
    """Missing fields, other formats and cut bytes are one typed error."""
    world = RoundWorld()
    data = world.sessions[A].to_bytes()
    values = json.loads(data)
    del values[field]
    for bad in (json.dumps(values).encode(), data[:-1], b"", b"[]", data.replace(b'"format": 2', b'"format": 3')):
        with pytest.raises(errors.StateUnreadable):
            HostSession.from_bytes(bad, world.identities[A])


def test_no_predictable_generator_is_touched(monkeypatch):
    """With `random` and `numpy.random` booby-trapped, a whole round with a drop-out still runs."""

    def trap(*_, **__):
        raise AssertionError("predictable randomness was reached")

    for module in (random, np.random):
        for name in dir(module):
            if callable(getattr(module, name)) and name.islower() and not name.startswith("_"):
                monkeypatch.setattr(module, name, trap)
    directory, identities = make_roster(4)
    plan = make_plan(directory, n_min=3, dimension=4)
    sessions = {host: HostSession(plan, directory, host, key) for host, key in identities.items()}
    one = np.ones(4, dtype=np.int64)
    opened = drive(Aggregator(plan, directory), sessions, dict.fromkeys(identities, (one, one)), {A: "contribution"})
    assert opened.tolist() == [6] * 4


def test_a_round_of_five_hosts_is_quick():
    """Five hosts with 600 coordinates: all their cryptography together under 100 ms of processor time, best of five."""
    directory, identities = make_roster(5)
    plan = make_plan(directory, n_min=4, dimension=600)
    zero = np.zeros(600, dtype=np.int64)
    took_s = []
    for _ in range(5):
        sessions = {host: HostSession(plan, directory, host, key) for host, key in identities.items()}
        start = time.process_time()
        drive(Aggregator(plan, directory), sessions, dict.fromkeys(identities, (zero, zero)), {E: "contribution"})
        took_s.append(time.process_time() - start)
    assert min(took_s) < 0.1
