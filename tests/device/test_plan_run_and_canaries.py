"""Of a plan's newer fields a host agrees only to what it can keep: audit coordinates up to a limit, runs in central."""

import dataclasses

import numpy as np
import pytest

from tactful.federation import ParticipationPolicy, check_plan, refusals
from tactful_privacy.errors import InvalidInput
from tactful_privacy.wire import Block, CorrelatedRun

from .round_world import CEILING, NOW_UNIX_S, PARAMETERS, Federation, silence

POLICY = ParticipationPolicy(max_rho_per_round=CEILING)
RUN = CorrelatedRun("run-1", 1, 16, 4, 4, bytes(32))


def check(federation, /, policy=POLICY, **changes):
    plan = dataclasses.replace(federation.plan, **changes)
    check_plan(plan, federation.roster, policy, NOW_UNIX_S, None)


def test_a_run_outside_central_is_refused():
    """Correlated noise is added by a trusted server; a plan which distributes its noise cannot have it."""
    federation = Federation()
    with pytest.raises(refusals.WrongRun, match="distributed") as caught:
        check(federation, run=RUN)
    assert (caught.value.field, caught.value.code) == ("run", "wrong_run")


def test_audit_coordinates_have_a_limit_of_their_own():
    """They do not count against the model's coordinates, but have their own ceiling, which may be 0."""
    federation = Federation(layout=(Block("alpha", 511),))
    check(federation, canaries=1024)
    for policy, canaries in ((POLICY, 1025), (dataclasses.replace(POLICY, max_canaries=0), 1)):
        with pytest.raises(refusals.TooLarge) as caught:
            check(federation, policy, canaries=canaries)
        assert caught.value.field == "canaries"
    with pytest.raises(InvalidInput):
        ParticipationPolicy(max_canaries=-1)


def test_ordinary_hosts_are_zero_in_the_audit_coordinates(monkeypatch):
    """A host that knows nothing of canaries sends zeros there, and its parameters and statistics as ever."""
    silence(monkeypatch)
    federation = Federation(canaries=5)
    width = PARAMETERS + 1
    for host in federation.hosts.values():
        host.updates = lambda plan, devices: np.full((len(devices), width), 0.01)
    aggregator, _ = federation.until("opened")
    total = aggregator.open() * 2.0**-20
    assert np.abs(total[:width] - 0.15).max() < 15 * 2.0**-20
    assert not total[width:].any()


def test_a_canary_is_bound_together_with_the_parameters(monkeypatch):
    """A host that plants one returns all columns; parameters and canaries share one clip norm, the statistic not."""
    silence(monkeypatch)
    federation = Federation(canaries=2, devices=1)
    for host in federation.hosts.values():
        host.updates = lambda plan, devices: np.tile([100.0] + [0.0] * PARAMETERS + [0.0, 100.0], (len(devices), 1))
    aggregator, _ = federation.until("opened")
    mean = aggregator.open() / 5
    assert np.linalg.norm(mean) <= federation.plan.clip_units
    assert mean[0] == pytest.approx(mean[-1], abs=1)
    assert mean[0] == pytest.approx(federation.plan.clip_units / np.sqrt(2), rel=1e-4)
