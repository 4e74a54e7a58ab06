"""Plans carry the exact price, and only hosts that hold their key get onto the roster."""

from fractions import Fraction

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tactful.federation.policy import check_plan
from tactful_privacy.errors import InvalidInput
from tactful_privacy.wire import HostEntry, digest, sign
from tactful_server.errors import EnrolmentRefused
from tactful_server.plans import REHEARSAL_MODE, RoundTerms


def test_a_plan_stands_the_check_of_a_host_with_the_same_terms(make_world):
    """What the server plans, an honest host accepts; the price is B²/(2(n_min - t)σ²), exactly."""
    world = make_world(noise=True, statistics=(("loss", 0.5),))
    directory = world.federation.directory
    plan = world.federation.office.next_plan(directory)
    check_plan(plan, directory, world.hosts["host-0"].policy, plan.deadline_unix_s, None)
    assert plan.rho == Fraction(plan.norm_bound_squared, 2 * 3 * plan.noise_variance_units)
    assert plan.roster_digest == digest(directory)
    assert plan.previous_head == world.federation.office.ledger.head
    assert plan.model_digest == world.federation.model().digest


def test_without_noise_the_plan_says_so(make_world):
    """Infinite ε is a rehearsal by name, with price and variance zero."""
    plan = make_world().federation.office.next_plan(make_world().federation.directory)
    assert (plan.mode, plan.rho, plan.noise_variance_units) == (REHEARSAL_MODE, 0, 0)


@pytest.mark.parametrize(("n_min", "colluders", "field"), [(3, 1, "n_min"), (6, 1, "n_min"), (4, 4, "n_min")])
def test_a_threshold_that_the_roster_cannot_carry_is_refused(make_world, n_min, colluders, field):
    """2·n_min > n + t, and n_min ≤ n."""
    directory = make_world().federation.directory
    with pytest.raises(InvalidInput, match=field):
        RoundTerms(1.0, 1e-6, 1, 1.0, n_min, colluders).calibrate(directory, 8)


def test_enrolment_needs_the_key_that_it_names(make_world):
    """A forged, re-keyed or doubled host is refused; the same again is nothing; the ledger tells who joined."""
    federation = make_world().federation
    mine, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    public = mine.public_key().public_bytes_raw()
    entry = HostEntry("new", public, 3)
    for bad in (
        sign(entry, other),
        b"junk",
        sign(HostEntry("host-0", public, 3), mine),
        sign(federation.directory.entries[0], mine),
    ):
        with pytest.raises(EnrolmentRefused):
            federation.enrol(bad)
    head = federation.enrol(sign(entry, mine)) and federation.office.ledger.head
    federation.enrol(sign(entry, mine).encode())
    assert federation.office.ledger.head == head
    with pytest.raises(EnrolmentRefused):
        federation.enrol(sign(HostEntry("alias", public, 3), mine))
    assert federation.directory.entry("new") == entry
    federation.office.enrolment.leave("new")
    assert federation.directory.entry("new") is None
