"""A host agrees to a mode of privacy only if its policy names it, and prices a plan in that mode from its own terms."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from tactful.federation import ParticipationPolicy, check_plan, refusals
from tactful.federation.participant import RoundParticipant
from tactful_privacy.accounting.modes import price_in_mode
from tactful_privacy.mechanisms.banded import strategy_for
from tactful_privacy.wire import Block, CorrelatedRun, Statistic

from .round_world import CEILING, NOW_UNIX_S, PARAMETERS, Federation, refused

POLICY = ParticipationPolicy(max_rho_per_round=CEILING, modes=("central", "distributed", "local"))
RUN = CorrelatedRun("run-1", 1, 16, 4, 3, strategy_for(16, 4).digest)
BOUND = 400_000**2 + 2**36  # clip and statistic of round_world


def plan(mode, variance=10**14, **changes):
    run = changes.get("run")
    rho = price_in_mode(mode, BOUND, variance, 3, run.participations if run else 1)
    return Federation(**({"mode": mode, "noise_variance_units": variance, "rho": rho} | changes))


def check(federation, policy=POLICY):
    check_plan(federation.plan, federation.roster, policy, NOW_UNIX_S, None)


@pytest.mark.parametrize("mode", ["central", "local"])
def test_the_default_policy_refuses_every_other_mode(mode):
    """Only distributed noise is agreed to unasked; the refusal names the mode and has its own code."""
    with pytest.raises(refusals.UnknownMode, match=mode) as caught:
        check(plan(mode), ParticipationPolicy(max_rho_per_round=CEILING))
    assert (caught.value.field, caught.value.code) == ("mode", "unknown_mode")
    check(plan(mode))


def test_a_switch_of_mode_is_never_silent():
    """A host that answered a distributed round refuses the next one in another mode, and spends nothing."""
    federation = Federation()
    federation.until("opened")
    before = {host_id: dict(host.spends) for host_id, host in federation.hosts.items()}
    for mode in ("central", "local"):
        federation.next_plan(mode=mode, rho=price_in_mode(mode, BOUND, 10**13, 3))
        for host_id in federation.hosts:
            assert refused(federation.announce(host_id)) == "unknown_mode"
    assert before == {host_id: host.spends for host_id, host in federation.hosts.items()}


def test_a_host_that_names_two_modes_hears_of_a_switch(caplog):
    """Its policy allows both; the change from one to the other still stands in its log, once."""
    federation = plan("distributed")
    for host in federation.hosts.values():
        host.policy = POLICY
    host_id = next(iter(federation.hosts))
    for mode in ("distributed", "distributed", "local", "local"):
        federation.announce(host_id)
        federation.next_plan(mode=mode, rho=price_in_mode(mode, BOUND, 10**14, 3))
    said = [record.getMessage() for record in caplog.records]
    assert said == ["the mode of privacy changes from 'distributed' to 'local'; the policy names both"]


@pytest.mark.parametrize("mode", ["central", "distributed", "local"])
def test_a_price_that_is_not_the_modes_is_refused(mode):
    """The price is computed from bound and noise in the plan's own mode, and compared."""
    check(plan(mode))
    honest = plan(mode).plan.rho
    for wrong in (honest * 2, honest / 2, Fraction(0)):
        with pytest.raises(refusals.WrongPrice):
            check(plan(mode, rho=wrong))


def test_other_hosts_noise_does_not_count_in_local_and_central():
    """In distributed mode three honest hosts share the noise; in the other two one variance stands for itself."""
    assert plan("local").plan.rho == plan("central").plan.rho == 3 * plan("distributed").plan.rho


def test_the_promise_of_local_is_held_to_under_replacement():
    """Its price under zero-out may be no more than a quarter of the ceiling: any two contents must look alike."""
    ceiling = plan("local").plan.rho
    for mode in ("central", "distributed"):
        check(plan(mode), dataclasses.replace(POLICY, max_rho_per_round=ceiling))
    with pytest.raises(refusals.TooLittleNoise, match="ceiling"):
        check(plan("local"), dataclasses.replace(POLICY, max_rho_per_round=ceiling * 3))
    check(plan("local"), dataclasses.replace(POLICY, max_rho_per_round=ceiling * 4))


def test_local_noise_needs_room_for_every_device():
    """The sum modulo 2^32 holds one noise for each planned device, not one for each host."""
    variance = 4 * 10**14  # two thousand of them do not fit the modulus, five do
    assert plan("distributed", variance, devices=400).plan
    check(plan("distributed", variance, devices=400))
    with pytest.raises(refusals.WrongModulus):
        check(plan("local", variance, devices=400))
    check(plan("central", variance, devices=400))


def test_a_run_is_priced_for_all_its_participations():
    """k rounds cost k times; the ceiling holds for each of them."""
    federation = plan("central", run=RUN)
    assert federation.plan.rho == 3 * plan("central").plan.rho
    check(federation, dataclasses.replace(POLICY, max_rho_per_round=federation.plan.rho / 3))
    with pytest.raises(refusals.TooLittleNoise):
        check(federation, dataclasses.replace(POLICY, max_rho_per_round=federation.plan.rho / 4))
    with pytest.raises(refusals.WrongPrice):
        check(plan("central", run=RUN, rho=plan("central").plan.rho))


@pytest.mark.parametrize(
    "changes",
    [
        {"strategy": bytes(32)},
        {"rounds": 17},
        {"min_separation": 3},
        {"first_round": 2},
        {"first_round": 0, "rounds": 1},
    ],
)
def test_a_run_must_suit_its_coefficients_and_its_round(changes):
    """Unknown coefficients, too long a run, participations within one band, or a round outside: refused."""
    with pytest.raises(refusals.WrongRun) as caught:
        check(plan("central", run=dataclasses.replace(RUN, **changes)))
    assert (caught.value.field, caught.value.code) == ("run", "wrong_run")


def views_of(federation):
    """Run a round; return each host's contribution in its three states, and the opened sum."""
    seen = []
    for host_id, host in federation.hosts.items():
        host.policy = POLICY
        federation.participants[host_id] = RoundParticipant(host, seen.append)
    aggregator, _ = federation.until("opened")
    return seen, aggregator.open()


def test_each_device_adds_its_own_noise_in_local():
    """Three devices a host: three times the variance of a plan. A host without devices adds none.

    400 coordinates × 4 hosts: relative standard error √(2/1600) = 0.035; 5 of them, false alarms below 1e-6.
    """
    federation = plan("local", layout=(Block("alpha", 399),))
    idle = next(iter(federation.hosts.values()))
    idle.budget = dict.fromkeys(idle.devices, Fraction(0))
    seen, opened = views_of(federation)
    assert (sum(view.noised for view in seen) == opened).all()
    noise = np.array([view.noised - view.total for view in seen if view.devices]).astype(np.float64)
    assert len(noise) == 4
    assert abs((noise**2).mean() / (3 * 10**14) - 1) < 5 * 0.035
    assert not any((view.noised - view.total).any() for view in seen if not view.devices)


def test_no_host_adds_noise_in_central():
    """The opened sum is the exact one: the server adds the noise, which is what it is trusted for."""
    seen, opened = views_of(plan("central"))
    assert all((view.total == view.noised).all() for view in seen)
    assert np.abs(opened * 2.0**-20 - 0.15).max() < 15 * 2.0**-20


def test_clip_bits_are_worked_out_from_the_unclipped_update():
    """A trainer that knows nothing of the bit: +h below C, -h above, 0 for a device with nothing to say, 0 for NaN."""
    half = 2**17
    statistics = (Statistic("loss", 2**16), Statistic("clip_bit", half))
    bound = 400_000**2 + 2**32 + 2**34
    rho = Fraction(bound, 2 * 3 * 10**13)
    federation = Federation(statistics=statistics, norm_bound_squared=bound, rho=rho, devices=6, canaries=2)
    clip = federation.plan.clip_norm
    lengths = (0.5 * clip, 0.9 * clip, 1.1 * clip, 1e300, 0.0, np.nan)

    def updates(plan, devices):
        assert [s.name for s in plan.statistics] == ["loss"]
        rows = np.zeros((len(devices), PARAMETERS + 1))
        rows[:, 1], rows[:, -1] = lengths, 0.01
        return rows

    for host in federation.hosts.values():
        host.updates = updates
    seen, _ = views_of(federation)
    for view in seen:
        assert view.total[PARAMETERS + 1] == 2 * half - 2 * half
        assert view.total[PARAMETERS] == pytest.approx(5 * 0.01 * 2**20, abs=5)
        assert not view.total[-2:].any()
    assert lengths[0] < clip < lengths[2]


def test_the_clip_bit_leans_the_right_way():
    """All below C: +h each. All above: -h each."""
    bound = 400_000**2 + 2**34
    fields = {"norm_bound_squared": bound, "rho": Fraction(bound, 2 * 3 * 10**13)}
    for length, sign in ((0.01, 1), (10.0, -1)):
        federation = Federation(statistics=(Statistic("clip_bit", 2**17),), **fields)
        for host in federation.hosts.values():
            host.updates = lambda plan, devices, length=length: np.full((len(devices), PARAMETERS), length)
        seen, _ = views_of(federation)
        assert {int(view.total[-1]) for view in seen} == {sign * 3 * 2**17}
