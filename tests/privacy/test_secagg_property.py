"""Over random drop-outs at up to 40 hosts, the opened sum is exactly that of the survivors, or the round is void."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tactful_privacy.secagg import COLLECTING, Aggregator, HostSession
from tactful_privacy.secagg.errors import TooFewSurvivors
from tactful_privacy.secagg.testing import drive, make_plan, make_roster

ALWAYS = "none"
INSIDE = COLLECTING.index("contribution") + 1
"""A host that falls silent at this stage or later is in the sum."""


@lru_cache(maxsize=64)
def roster(n_hosts):
    return make_roster(n_hosts)


@dataclass(frozen=True)
class Case:
    """A round: its shape, per host the stage at which it falls silent, and a seed of the vectors."""

    n_min: int
    colluders: int
    stops: tuple[str, ...]
    dimension: int
    seed: int


@st.composite
def cases(draw, least, most):
    """Shapes with 2·n_min > n + t; three in four hosts stay, and one draw in three is harsher."""
    n_hosts = draw(st.integers(least, most))
    colluders = draw(st.integers(0, max(0, n_hosts // 4)))
    lowest = (n_hosts + colluders) // 2 + 1
    n_min = draw(st.integers(min(lowest, n_hosts), n_hosts))
    stays = draw(st.sampled_from([3, 20, 40]))
    stages = [*COLLECTING, *[ALWAYS] * stays]
    stops = tuple(draw(st.lists(st.sampled_from(stages), min_size=n_hosts, max_size=n_hosts)))
    return Case(n_min, colluders, stops, draw(st.integers(1, 5)), draw(st.integers(0, 2**32 - 1)))


def vectors_of(case, hosts):
    """Encoded sums and noise over all of int32, so that sums wrap modulo 2^32."""
    dice = np.random.default_rng(case.seed)
    return {
        host: tuple(dice.integers(-(2**31), 2**31, case.dimension, dtype=np.int64) for _ in range(2)) for host in hosts
    }


def check(case):
    """Play the round and compare it with the rule: void if any stage has fewer than n_min answers."""
    directory, identities = roster(len(case.stops))
    plan = make_plan(directory, n_min=case.n_min, colluders=case.colluders, dimension=case.dimension)
    hosts = list(identities)
    sessions = {host: HostSession(plan, directory, host, key) for host, key in identities.items()}
    vectors = vectors_of(case, hosts)
    stops = {host: stage for host, stage in zip(hosts, case.stops, strict=True) if stage != ALWAYS}
    aggregator = Aggregator(plan, directory)
    if sum(stage == ALWAYS for stage in case.stops) < case.n_min:
        with pytest.raises(TooFewSurvivors):
            drive(aggregator, sessions, vectors, stops)
        assert aggregator.stage == "void"
        return
    opened = drive(aggregator, sessions, vectors, stops)
    inside = [host for host in hosts if host not in stops or COLLECTING.index(stops[host]) >= INSIDE]
    true = sum(sum(vectors[host]) for host in inside)
    assert aggregator.survivors == tuple(inside)
    assert ((opened - true) % 2**32 == 0).all()
    assert (opened >= -(2**31)).all()
    assert (opened < 2**31).all()


FEW = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
MANY = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FEW
@given(cases(2, 12))
def test_few_hosts_open_exactly_or_not_at_all(case):
    """Up to 12 hosts."""
    check(case)


@settings(FEW, max_examples=4, phases=[Phase.generate])
@given(cases(25, 40))
def test_many_hosts_open_exactly_or_not_at_all(case):
    """25 to 40 hosts."""
    check(case)


@pytest.mark.slow
@MANY
@given(cases(2, 40))
def test_any_number_of_hosts_opens_exactly_or_not_at_all(case):
    """2 to 40 hosts, afresh at each run."""
    check(case)
