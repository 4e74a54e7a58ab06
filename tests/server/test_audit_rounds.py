"""Audit rounds of a whole federation: canaries are opened into the ledger, and touch neither model nor divisor."""

import numpy as np
import pytest

from tactful_privacy.ledger import Ledger
from tactful_server.aggregation import mean_of

CANARIES = 12


@pytest.fixture
def world(make_world):
    """Five hosts of known updates in rounds with audit coordinates; `TinyHost` knows only the model's own."""
    world = make_world(5, canaries=CANARIES)
    for host in world.hosts.values():
        plain = host.local_updates
        host.local_updates = lambda plan, devices, p=plain: np.pad(p(plan, devices), ((0, 0), (0, plan.canaries)))
    return world


def test_the_model_learns_as_if_there_were_no_canaries(world):
    """The mean update is that of the model's coordinates; the canaries of a round without an auditor are zero."""
    (result,) = world.run()
    assert result.outcome == "released"
    assert world.parameters() == pytest.approx(world.mean(world.hosts), abs=1e-5)
    assert not result.total[-CANARIES:].any()


def test_canary_coordinates_change_nothing_in_the_released_artifact(world):
    """Settling one opened sum with any canaries at all gives the same artifact, byte for byte."""
    world.run()
    machine = world.federation.office.last_release()
    office, total = world.federation.office, machine.total.copy()
    plain = office.settle(machine.plan, total, machine.sum)
    total[-CANARIES:] = np.arange(1, CANARIES + 1) * 10**6
    planted = office.settle(machine.plan, total, machine.sum)
    assert planted == plain


def test_opened_canaries_stand_in_the_ledger_before_the_release(world):
    """One audit entry per released round, with the very integers that were opened; finishing again adds nothing."""
    (result,) = world.run()
    world.federation.office.finish(world.federation.office.last_release())
    entries = list(Ledger(world.federation.ledger_path).entries())
    assert [entry.kind for entry in entries[-2:]] == ["audit", "release"]
    assert sum(entry.kind == "audit" for entry in entries) == 1
    assert entries[-2].body["canaries"] == [int(value) for value in result.total[-CANARIES:]]
    assert entries[-2].body["plan_digest"] == entries[-1].body["plan_digest"] == result.plan_digest.hex()


def test_rounds_without_canaries_write_no_audit_entry(make_world):
    """An ordinary round leaves an ordinary ledger."""
    world = make_world(5)
    world.run()
    assert all(entry.kind != "audit" for entry in Ledger(world.federation.ledger_path).entries())


def test_an_auditors_host_is_not_divided_by(world):
    """Its planned enrolments contribute zero to the model, so counting them would dilute everybody else."""
    world.run()
    machine = world.federation.office.last_release()
    everyone = tuple(world.hosts)
    counted = mean_of(machine.total, machine.plan, machine.directory, everyone, audit_hosts=everyone[:1])
    whole = mean_of(machine.total, machine.plan, machine.directory, everyone)
    assert whole.planned_devices - counted.planned_devices == machine.directory.entries[0].planned_devices
    assert counted.update * counted.planned_devices == pytest.approx(whole.update * whole.planned_devices)
