"""A device pays for a run of correlated noise once, and keeps distance and number of its rounds from its own record."""

import dataclasses
from fractions import Fraction

import pytest

from tactful.federation import ParticipationPolicy
from tactful.federation.vault_round import VaultRound
from tactful_privacy.accounting.zcdp import rho_budget
from tactful_privacy.mechanisms.banded import strategy_for
from tactful_privacy.wire import CorrelatedRun

from . import spend_world
from .vault_world import look, open_host, person

RUN = CorrelatedRun("run-10", 10, 16, 4, 3, strategy_for(16, 4).digest)
PRICE = Fraction(3, 100)


def plan(round_number, rho=PRICE, run=RUN, **changes):
    return spend_world.plan(round_number, rho, mode="central", run=run, **changes)


def side_of(host):
    return VaultRound(host, host_id="north", server_key=bytes(32), policy=ParticipationPolicy(modes=("central",)))


def joins(side, device, plan):
    """Whether the device takes part: eligible and paid for agree."""
    eligible = side.eligible_devices(plan) == [device]
    assert (side.spend(plan, [device]) == [device]) == eligible
    return eligible


def test_a_run_is_paid_at_the_first_round_and_free_after(tmp_path):
    """The whole price is written down before the first contribution; each later round is a spend of 0."""
    with open_host(tmp_path) as host:
        device, side = str(person(host).id), side_of(host)
        assert [joins(side, device, plan(number)) for number in (12, 16, 20)] == [True] * 3
        assert look(tmp_path, "SELECT round, rho FROM spends") == [(12, "3/100"), (16, "0"), (20, "0")]
        assert host.rounds.account(int(device)).spent == PRICE


@pytest.mark.parametrize("second", [11, 12, 13])
def test_the_distance_is_kept(tmp_path, second):
    """Closer than min_separation the columns of the factorisation overlap: the device stays out."""
    with open_host(tmp_path) as host:
        device, side = str(person(host).id), side_of(host)
        assert joins(side, device, plan(10))
        assert not joins(side, device, plan(second))
        assert joins(side, device, plan(14))
        assert not joins(side, device, plan(17))


def test_the_number_is_kept(tmp_path):
    """No more than `participations` rounds of the run, though there would be room in it."""
    with open_host(tmp_path) as host:
        device, side = str(person(host).id), side_of(host)
        assert [joins(side, device, plan(number)) for number in (10, 14, 18, 22)] == [True, True, True, False]
        following = dataclasses.replace(RUN, run_id="run-26", first_round=26)
        assert joins(side, device, plan(26, run=following))
        assert host.rounds.account(int(device)).spent == 2 * PRICE


@pytest.mark.parametrize(
    "changes",
    [
        {"noise_variance_units": 999_999},
        {"norm_bound_squared": 1_000_001},
        {"rho": Fraction(2, 100)},
        {"grid_exponent": 21},
        {"run": dataclasses.replace(RUN, participations=4)},
        {"run": dataclasses.replace(RUN, rounds=12)},
        {"run": dataclasses.replace(RUN, min_separation=5)},
    ],
)
def test_the_terms_of_a_paid_run_do_not_change(tmp_path, changes):
    """Another bound, noise, price or shape of the run under its name: what was paid does not cover it."""
    with open_host(tmp_path) as host:
        device, side = str(person(host).id), side_of(host)
        assert joins(side, device, plan(10))
        fields = {"round_number": 15} | changes
        assert not joins(side, device, plan(**fields))
        assert joins(side, device, plan(16, deadline_unix_s=2_000_000_001, model_digest=b"m" * 32))


def test_a_run_is_not_joined_twice_under_two_names(tmp_path):
    """A second run over rounds of the first: the device's noise would be counted on twice, so it stays out."""
    with open_host(tmp_path) as host:
        device, side = str(person(host).id), side_of(host)
        assert joins(side, device, plan(10))
        assert not joins(side, device, plan(14, run=dataclasses.replace(RUN, run_id="another")))


def test_who_enrols_again_waits_for_the_next_run(tmp_path):
    """The tombstone keeps the last round, not the count: no way back into the run, and the price stays spent."""
    with open_host(tmp_path) as host:
        first, side = person(host), side_of(host)
        assert joins(side, str(first.id), plan(10))
        first.erase()
        again = str(person(host).id)
        assert not joins(side, again, plan(18))
        assert host.rounds.account(int(again)).spent == PRICE
        assert joins(side, again, plan(26, run=dataclasses.replace(RUN, run_id="run-26", first_round=26)))


def test_a_run_beyond_the_budget_is_not_begun(tmp_path):
    """The whole price must fit at the first round; half of a run is no use. A paid run goes on when nothing is left."""
    with open_host(tmp_path) as host:
        careful, side = person(host), side_of(host)
        careful.set_privacy_budget(0.5, 1e-6)
        device, all_of_it = str(careful.id), Fraction(rho_budget(0.5, 1e-6))
        assert not joins(side, device, plan(10, rho=all_of_it * 2))
        assert joins(side, device, plan(10, rho=all_of_it))
        assert joins(side, device, plan(14, rho=all_of_it))
        assert not joins(side, device, spend_world.plan(30, Fraction(1, 10**6)))


def test_killed_between_spend_and_sending(tmp_path):
    """Asked again for the very same plan after a restart, the device is in, and nothing is spent twice."""
    with open_host(tmp_path) as host:
        device = str(person(host).id)
        assert joins(side_of(host), device, plan(10))
    with open_host(tmp_path) as host:
        side = side_of(host)
        assert joins(side, device, plan(10))
        assert not joins(side, device, plan(10, attempt=1))
        assert not joins(side, device, plan(12))
        assert joins(side, device, plan(14))
        assert joins(side, device, plan(14))
    assert look(tmp_path, "SELECT round, rho FROM spends") == [(10, "3/100"), (14, "0")]
