"""Over random drop-outs under a neighbour graph, the opened sum is exactly that of the survivors, or the round is void.

When it is void is reckoned here a second time, from the rule alone: sets of names and the ring, no messages.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tactful_privacy.secagg import WITH_COMMITTEE, Aggregator, HostSession, rules
from tactful_privacy.secagg.errors import SecaggError, TooFewHosts
from tactful_privacy.secagg.testing import answer, make_plan, make_roster
from tactful_privacy.secagg.thresholds import window_floor

ALWAYS = "none"
DIMENSION = 2


@lru_cache(maxsize=64)
def roster(n_hosts):
    return make_roster(n_hosts)


@dataclass(frozen=True)
class Case:
    """A graph, and per host the stage at which it falls silent."""

    n_min: int
    fields: tuple[tuple[str, int], ...]
    stops: tuple[str, ...]
    seed: int


@st.composite
def cases(draw, least, most):
    """Graphs of degree 4 to 10 with a threshold above half; t up to 3."""
    n_hosts = draw(st.integers(least, most))
    neighbours = 2 * draw(st.integers(2, min(5, n_hosts // 2 - 1)))
    colluders = draw(st.integers(0, 3))
    committee = draw(st.integers(1, n_hosts // 2))
    fields = {
        "neighbours": neighbours,
        "share_threshold": draw(st.integers(neighbours // 2 + 1, neighbours)),
        "committee": committee,
        "committee_threshold": draw(st.integers(1, committee)),
        "colluders": colluders,
    }
    n_min = draw(st.integers((n_hosts + colluders) // 2 + 1, n_hosts - 1))
    stages = [*WITH_COMMITTEE, *[ALWAYS] * draw(st.sampled_from([10, 40, 100]))]
    stops = tuple(draw(st.lists(st.sampled_from(stages), min_size=n_hosts, max_size=n_hosts)))
    return Case(n_min, tuple(fields.items()), stops, draw(st.integers(0, 2**32 - 1)))


def survivors_by_the_rule(plan, round_, stops):
    """The hosts in the sum, or None if the round must be void."""
    ring, reach, least = round_.graph.ring, plan.neighbours // 2, plan.share_threshold
    size = len(ring)
    circles = {host: {ring[(at + d) % size] for d in range(-reach, reach + 1)} for at, host in enumerate(ring)}

    def present(stage, hosts):
        at = WITH_COMMITTEE.index(stage)
        return {h for h in hosts if stops[h] == ALWAYS or WITH_COMMITTEE.index(stops[h]) > at}

    def close(hosts):
        floor = window_floor(size, plan.colluders, plan.neighbours)
        return all(sum(ring[(at + d) % size] in hosts for d in range(reach)) >= floor for at in range(size))

    keys = present("keys", ring)
    shares = {h for h in present("shares", keys) if len(circles[h] & keys) >= least}
    inside = {h for h in present("contribution", shares) if len(circles[h] & shares) >= least}
    signers, unmasking = present("sign", inside), present("unmask", inside)
    endorsing = present("endorse", inside & round_.committee)
    enough = all(len(hosts) >= plan.n_min for hosts in (keys, shares, inside, signers, unmasking))
    rebuilt = all(len(circles[owner] & unmasking) >= least for owner in shares)
    if enough and close(inside) and close(signers) and len(endorsing) >= plan.committee_threshold and rebuilt:
        return inside
    return None


def play(aggregator, sessions, vectors, stops):
    """Play a round; a host that finds too few others falls silent."""
    requests = dict.fromkeys(sessions, b"")
    silent = set()
    for stage in WITH_COMMITTEE:
        silent |= {host for host, stop in stops.items() if stop == stage}
        for host, request in requests.items():
            if host not in silent:
                try:
                    aggregator.accept(answer(sessions[host], stage, request, vectors[host]))
                except TooFewHosts:
                    silent.add(host)
        if stage != "unmask":
            requests = aggregator.close_stage()
    return aggregator.open()


def check(case):
    """Compare the round with the rule."""
    directory, identities = roster(len(case.stops))
    plan = make_plan(directory, n_min=case.n_min, dimension=DIMENSION, **dict(case.fields))
    hosts = list(identities)
    sessions = {host: HostSession(plan, directory, host, key) for host, key in identities.items()}
    dice = np.random.default_rng(case.seed)
    vectors = {h: tuple(dice.integers(-(2**31), 2**31, DIMENSION, dtype=np.int64) for _ in range(2)) for h in hosts}
    stops = dict(zip(hosts, case.stops, strict=True))
    inside = survivors_by_the_rule(plan, rules.Round(plan, directory), stops)
    aggregator = Aggregator(plan, directory)
    if inside is None:
        with pytest.raises(SecaggError):
            play(aggregator, sessions, vectors, stops)
        assert aggregator.stage != "opened"
        return
    opened = play(aggregator, sessions, vectors, stops)
    assert set(aggregator.survivors) == inside
    assert ((opened - sum(sum(vectors[host]) for host in inside)) % 2**32 == 0).all()


FAST = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


@FAST
@given(cases(8, 24))
def test_a_graph_opens_exactly_or_not_at_all(case):
    """8 to 24 hosts."""
    check(case)


@pytest.mark.slow
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases(8, 40))
def test_a_graph_of_any_size_opens_exactly_or_not_at_all(case):
    """8 to 40 hosts, afresh at each run."""
    check(case)


def test_the_examples_hold_all_three_outcomes():
    """Rounds that open whole, that open with drop-outs, and that are void: the property test is never idle."""
    seen = set()

    @settings(FAST, max_examples=300)
    @given(cases(8, 24))
    def note(case):
        directory, identities = roster(len(case.stops))
        plan = make_plan(directory, n_min=case.n_min, dimension=DIMENSION, **dict(case.fields))
        stops = dict(zip(identities, case.stops, strict=True))
        inside = survivors_by_the_rule(plan, rules.Round(plan, directory), stops)
        seen.add("void" if inside is None else "whole" if len(inside) == len(stops) else "with drop-outs")

    note()
    assert seen == {"void", "whole", "with drop-outs"}
