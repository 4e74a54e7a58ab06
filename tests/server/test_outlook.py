"""Before a run the operator is told whether the terms and the roster let anything be learned."""

import math
from dataclasses import replace

from tactful_privacy.accounting.signal import outlook_of


def test_the_outlook_is_that_of_the_plan(make_world):
    """Devices and hosts are the roster's, the noise is the plan's, the dimension the model's."""
    world = make_world(noise=True)
    office, directory = world.federation.office, world.federation.directory
    terms = office.terms
    seen = office.outlook(directory)
    found = terms.calibrate(directory, 8)
    assert seen == outlook_of(found, devices=50, survivors=5, dimension=8, clip_norm=terms.clip_norm)
    noise = math.sqrt(8 * 5) * found.sigma_host / 50
    assert math.isclose(seen.noise_norm, noise, rel_tol=1e-12)


def test_canaries_and_audit_hosts_are_not_counted(make_world):
    """Canaries are no coordinates of the model, and an auditor's enrolments teach it nothing."""
    world = make_world(noise=True)
    office, directory = world.federation.office, world.federation.directory
    audited = replace(office.terms, canaries=100, audit_hosts=("host-0",))
    seen = audited.outlook(directory, 8)
    assert (seen.dimension, seen.devices) == (8, 40)


def test_a_run_that_cannot_learn_is_warned_of_before_its_first_round(make_world, caplog):
    """One line in the log, with the cohort that it would take; none where the run can learn."""
    world = make_world(noise=True)
    office = world.federation.office
    office.terms = replace(office.terms, epsilon=0.01)
    rounds = world.federation.run(world.apps, rounds=1)
    assert caplog.messages == []
    next(rounds)
    assert caplog.messages == [office.outlook(world.federation.directory).sentence]
    assert caplog.messages[0].startswith("cannot work: 50 devices for 8 coordinates")


def test_a_rehearsal_without_noise_is_not_warned_of(make_world, caplog):
    """Nothing drowns what there is to learn."""
    world = make_world()
    world.run()
    assert caplog.messages == []


def test_mode_local_reckons_each_devices_noise(make_world):
    """The same promise kept by every device for itself leaves less of the signal."""
    world = make_world(noise=True)
    office, directory = world.federation.office, world.federation.directory
    local = replace(office.terms, mode="local")
    assert local.outlook(directory, 8).signal_to_noise < office.outlook(directory).signal_to_noise / 2
