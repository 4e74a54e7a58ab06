"""A plan is checked against the host's own terms, and each fault has its own error with a remedy."""

import dataclasses
from fractions import Fraction

import pytest

from tactful.federation import ParticipationPolicy, check_plan, refusals
from tactful.federation.policy import MIN_NOISE_VARIANCE_UNITS, open_plan
from tactful_privacy.errors import InvalidInput
from tactful_privacy.secagg.testing import make_roster
from tactful_privacy.wire import Block, KeyDirectory, digest, sign

from .round_world import CEILING, NOW_UNIX_S, Federation

POLICY = ParticipationPolicy(max_rho_per_round=CEILING)


@pytest.fixture(scope="module")
def federation():
    return Federation()


def check(federation, /, policy=POLICY, roster=None, last=None, now=NOW_UNIX_S, **changes):
    plan = dataclasses.replace(federation.plan, **changes)
    check_plan(plan, roster or federation.roster, policy, now, last)


def test_a_fair_plan_is_accepted(federation):
    """The plan that all other tests bend passes, at its deadline's last second and after an earlier attempt."""
    check(federation)
    check(federation, now=federation.plan.deadline_unix_s, last=(0, 7))
    check(federation, last=(1, 0), attempt=1)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"deadline_unix_s": NOW_UNIX_S - 1}, refusals.PlanExpired),
        ({"mode": "central"}, refusals.UnknownMode),
        ({"mode": "rehearsal-no-noise"}, refusals.NotARehearsal),
        ({"task": "run-this"}, refusals.UnknownTask),
        ({"layout": (Block("alpha", 1024),)}, refusals.TooLarge),
        ({"roster_digest": b"x" * 32}, refusals.WrongRoster),
        ({"n_hosts": 4}, refusals.WrongRoster),
        ({"federation": "elsewhere"}, refusals.WrongRoster),
        ({"n_min": 3, "share_threshold": 3}, refusals.ThresholdTooLow),
        ({"n_min": 6, "share_threshold": 6}, refusals.ThresholdTooLow),
        ({"share_threshold": 3}, refusals.ThresholdTooLow),
        ({"colluders": 3}, refusals.ThresholdTooLow),
        ({"colluders": 0}, refusals.CollusionUnderstated),
        ({"rho": Fraction(1, 10**6)}, refusals.WrongPrice),
        ({"rho": Fraction(1, 2)}, refusals.WrongPrice),
        ({"noise_variance_units": 0, "rho": Fraction(0)}, refusals.TooLittleNoise),
        ({"noise_variance_units": MIN_NOISE_VARIANCE_UNITS - 1}, refusals.TooLittleNoise),
        ({"norm_bound_squared": 400_000**2}, refusals.WrongBound),
        ({"clip_units": 2, "norm_bound_squared": 2**36 + 4}, refusals.WrongBound),
        ({"modulus_bits": 31}, refusals.WrongModulus),
    ],
)
def test_each_fault_has_its_own_error(federation, changes, error):
    """One bent field, one error, which names the field and a remedy and has a code."""
    with pytest.raises(error) as caught:
        check(federation, **changes)
    assert caught.value.field
    assert caught.value.remedy
    assert caught.value.code != refusals.PlanRefused.code


@pytest.mark.parametrize("last", [(1, 0), (1, 5), (2, 0)])
def test_a_replayed_plan_is_refused(federation, last):
    """A (round, attempt) not above the last one answered."""
    with pytest.raises(refusals.PlanReplayed):
        check(federation, last=last)


def test_too_little_noise_is_measured_by_the_host_itself(federation):
    """A true price above the host's ceiling is refused, whatever made it so: less noise or a higher bound."""
    for name in ("noise_variance_units", "norm_bound_squared"):
        value = getattr(federation.plan, name)
        bent = {name: value // 10 if name.startswith("noise") else value * 10}
        plan = dataclasses.replace(federation.plan, **bent)
        honest_price = Fraction(plan.norm_bound_squared, 2 * 3 * plan.noise_variance_units)
        with pytest.raises(refusals.TooLittleNoise, match="ceiling"):
            check(federation, rho=honest_price, **bent)


def test_no_two_lists_could_be_signed():
    """2·n_min ≤ n + t is refused even by a host whose own floor is lower."""
    federation = Federation(n_hosts=6, n_min=4)
    lax = dataclasses.replace(POLICY, n_min=2)
    check(federation, lax)
    bad = Federation(n_hosts=7, n_min=4)
    with pytest.raises(refusals.ThresholdTooLow, match="two survivor lists"):
        check(bad, lax)


def test_the_ceiling_follows_from_epsilon():
    """Without a ceiling of its own, a host divides the total of (ε, δ) by its participations."""
    policy = ParticipationPolicy(epsilon=4.0, delta=1e-6, participations=120)
    assert float(policy.rho_ceiling) * 120 == pytest.approx(0.311065, rel=1e-4)


def test_a_wrapping_modulus_is_refused(federation):
    """A plan whose devices could wrap the sum is refused."""
    entries = tuple(dataclasses.replace(entry, planned_devices=10_000) for entry in federation.roster.entries)
    roster = KeyDirectory(federation.roster.federation, entries)
    with pytest.raises(refusals.WrongModulus):
        check(federation, roster=roster, roster_digest=digest(roster))


def test_two_names_for_one_key_are_refused(federation):
    """A roster in which one identity key stands twice."""
    first, second, *rest = federation.roster.entries
    twice = KeyDirectory("testing", (first, dataclasses.replace(second, identity_key=first.identity_key), *rest))
    with pytest.raises(refusals.WrongRoster, match="share one"):
        check(federation, roster=twice, roster_digest=digest(twice))


def test_another_federation_is_refused(federation):
    """A host that serves one federation refuses the plans of others."""
    with pytest.raises(refusals.WrongFederation):
        check(federation, dataclasses.replace(POLICY, federation="mine"))


def test_a_rehearsal_must_say_so_on_both_sides(federation):
    """No noise passes only under a rehearsal policy, with variance and price 0."""
    rehearsal = dataclasses.replace(POLICY, rehearsal=True, epsilon=float("inf"), max_rho_per_round=None)
    none = {"mode": "rehearsal-no-noise", "noise_variance_units": 0, "rho": Fraction(0)}
    check(federation, rehearsal, **none)
    with pytest.raises(refusals.WrongPrice):
        check(federation, rehearsal, **(none | {"rho": Fraction(1, 3)}))
    with pytest.raises(refusals.NotARehearsal):
        check(federation, **none)


def test_a_plan_must_carry_the_pinned_signature(federation):
    """Another key's signature, or no plan at all, is one error; the right one opens."""
    pinned = federation.server.public_key().public_bytes_raw()
    assert open_plan(sign(federation.plan, federation.server), pinned) == federation.plan
    _, others = make_roster(1)
    for bad in (sign(federation.plan, *others.values()), b"", sign(federation.roster, federation.server)):
        with pytest.raises(refusals.PlanUnsigned):
            open_plan(bad, pinned)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_min": 1},
        {"colluders": -1},
        {"epsilon": 0.0},
        {"epsilon": float("inf")},
        {"delta": 1.0},
        {"participations": 0},
        {"max_rho_per_round": Fraction(0)},
        {"max_dimension": 0},
    ],
)
def test_a_policy_without_sense_is_refused(wrong):
    """Out-of-range terms are refused where they are written."""
    with pytest.raises(InvalidInput):
        ParticipationPolicy(**wrong)
