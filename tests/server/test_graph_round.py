"""Beyond a hundred hosts a round runs on a neighbour graph with a committee: over the whole path, through crashes."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tactful.federation.policy import ParticipationPolicy, check_plan
from tactful.federation.refusals import GraphUnsafe, ThresholdTooLow
from tactful_privacy.secagg import HostSession
from tactful_privacy.secagg.testing import answer, graph_fields, make_plan, make_roster
from tactful_privacy.secagg.thresholds import recommended
from tactful_privacy.wire import Block, RoundReply, RoundRequest, digest, sign
from tactful_server.journal import Phase
from tactful_server.plans import RoundStart, RoundTerms, build_plan
from tactful_server.rounds import RoundMachine
from tactful_server.secure_sum import AggregatedSum

N, N_MIN = 120, 100
KEY = Ed25519PrivateKey.generate()
START = RoundStart(1, bytes(32), bytes(32), 0)


def settle(plan, total, summed):
    return {"artifact": b"model"}


def test_a_round_of_120_hosts_resumes_from_its_journal_at_every_phase():
    """Keys to release with one host lost at each stage and a server that dies after each transition: an exact sum."""
    directory, identities = make_roster(N)
    plan = make_plan(directory, n_min=N_MIN, dimension=3, **graph_fields(N, N_MIN))
    assert 0 < plan.neighbours < N // 2
    sessions = {host: HostSession(plan, directory, host, key) for host, key in identities.items()}
    vectors = {host: (np.arange(3) + number, np.full(3, 7)) for number, host in enumerate(identities)}
    journal, phases = [], []
    machine = RoundMachine.announce(sign(plan, KEY), directory, AggregatedSum, journal.append, settle)
    silent = iter(sorted(identities)[::7])
    gone = set()
    while not machine.over:
        phases.append(machine.phase)
        gone.add(next(silent))
        for host, data in machine.requests().items():
            if host not in gone:
                request = RoundRequest.decode(data)
                payload = answer(sessions[host], request.stage, request.payload, vectors[host])
                machine.receive(RoundReply(digest(plan), request.stage, 0, host, payload).encode())
        machine.close()
        if machine.phase not in (Phase.KEYS, Phase.RELEASED):
            resumed = RoundMachine.resume(journal, AggregatedSum, journal.append, settle)
            assert resumed.requests() == machine.requests()
            machine = resumed
    assert phases == [phase for phase in Phase if phase not in (Phase.RELEASED, Phase.VOID)]
    inside = machine.sum.survivors
    assert N_MIN <= len(inside) < N
    np.testing.assert_array_equal(machine.total, sum(sum(vectors[host]) for host in inside))


@pytest.mark.slow
def test_120_participants_learn_the_mean_of_those_that_stayed(make_world):
    """The server plans the graph by itself; with six hosts away the released model holds the survivors' mean update."""
    world = make_world(N, n_min=N_MIN)
    away = sorted(world.hosts)[:6]
    apps = {name: app for name, app in world.apps.items() if name not in away}
    (result,) = world.federation.run(apps, rounds=1)
    assert result.outcome == "released", result.reason
    assert set(result.survivors) == set(world.hosts) - set(away)
    kept = sum(world.hosts[name].update for name in result.survivors) / len(result.survivors)
    np.testing.assert_allclose(world.parameters(), kept, atol=1e-4)


def plan_of(n_hosts, n_min, colluders=1):
    directory, _ = make_roster(n_hosts, planned_devices=2)
    terms = RoundTerms(8.0, 1e-6, 5, 1.0, n_min, colluders)
    return build_plan(terms, directory, "gradient", (Block("theta", 8),), START), directory


def test_plans_get_a_graph_beyond_a_hundred_hosts():
    """A hundred hosts pair all with all; one more, and the plan carries the recommended graph and committee."""
    small, _ = plan_of(100, 80)
    assert (small.neighbours, small.committee, small.share_threshold) == (0, 0, 80)
    large, _ = plan_of(101, 80)
    wanted = recommended(101, 80, 1)
    assert (large.neighbours, large.share_threshold) == (wanted.neighbours, wanted.share_threshold)
    assert (large.committee, large.committee_threshold) == (wanted.committee, wanted.committee_threshold)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({}, None),
        ({"neighbours": 41}, GraphUnsafe),
        ({"neighbours": 300}, GraphUnsafe),
        ({"share_threshold": 12}, GraphUnsafe),
        ({"share_threshold": 200}, GraphUnsafe),
        ({"committee_threshold": 1}, GraphUnsafe),
        ({"committee_threshold": 200}, GraphUnsafe),
        ({"committee": 0, "committee_threshold": 0}, None),  # every host verifies the certificate itself
        ({"neighbours": 0}, ThresholdTooLow),
        ({"neighbours": 0, "share_threshold": 180}, GraphUnsafe),  # a committee without a graph
    ],
)
def test_a_host_reckons_the_graph_out_for_itself(changes, error):
    """A plan whose graph, threshold or committee fails with more than 2^-40 is refused, whatever the server says."""
    plan, directory = plan_of(200, 180, 3)
    changed = make_changed(plan, changes)
    policy = ParticipationPolicy(n_min=100, colluders=3, epsilon=8.0, participations=5)
    if error is None:
        check_plan(changed, directory, policy, 0, None)
        return
    with pytest.raises(error):
        check_plan(changed, directory, policy, 0, None)


def make_changed(plan, changes):
    return type(plan)(**({name: getattr(plan, name) for name, _ in plan._FIELDS} | changes))
