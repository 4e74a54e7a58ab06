"""Whole federations in modes local and central: what is added to the sum, what is written down, no silent switch."""

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest

from tactful_privacy.errors import InvalidInput
from tactful_privacy.ledger import verify
from tactful_privacy.mechanisms.banded import RunNoise, strategy_for
from tactful_server.central import CentralNoise
from tactful_server.errors import JournalDamaged, ModeSwitched
from tactful_server.federation import Fault
from tactful_server.journal import RoundId
from tactful_server.plans import RoundTerms, RunTerms

RUN = RunTerms(rounds=16, min_separation=4, participations=3)


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


@pytest.fixture
def modal(make_world):
    """Build a federation with noise in a mode that all its hosts agree to."""

    def build(mode, **terms):
        world = make_world(noise=True, mode=mode, **terms)
        for host in world.hosts.values():
            host.policy = dataclasses.replace(host.policy, modes=("central", "distributed", "local"))
        return world

    return build


def facts(world, number):
    return world.federation.office.store.transitions(RoundId("shop", number, 0))[-1].facts


def exact_sum(world):
    """What fifty devices add up to, in model units; each rounds by less than one grid step."""
    return sum(10 * host.update for host in world.hosts.values())


def noise_of(world, result):
    """The noise in an opened sum, in units of the plan's σ."""
    plan = plan_of(world, result.round_number)
    sigma = math.sqrt(plan.noise_variance_units)
    return (result.total - exact_sum(world) / plan.grid) / sigma


def plan_of(world, number):
    return world.federation.office.progress._plan(RoundId("shop", number, 0))


@pytest.mark.parametrize(("mode", "sources"), [("local", 50), ("central", 1), ("distributed", 5)])
def test_the_opened_sum_has_the_modes_noise(modal, mode, sources):
    """One noise for each device, one for the server, or one for each host, over 5 rounds of 8 numbers.

    The mean square of 40 numbers has relative standard error √(2/40) = 0.22: a factor e either way is beyond 4.5 of
    them above and, by the chi-square tail, as rare below: false alarms under 1e-4.
    """
    world = modal(mode)
    squares = [(noise_of(world, result) ** 2).mean() for result in world.run(5)]
    assert abs(math.log(np.mean(squares) / sources)) < 1
    assert [entry.body["rho"] for entry in world.federation.office.ledger.entries() if entry.kind == "release"]


def test_a_central_round_never_writes_the_exact_sum_down(modal):
    """The journal's total is the noised one, and the model is its mean."""
    world = modal("central")
    (result,) = world.run()
    assert np.array_equal(np.frombuffer(facts(world, 1)["total"], dtype="<i8"), result.total)
    plan = plan_of(world, 1)
    np.testing.assert_allclose(world.parameters(), result.total * plan.grid / 50, rtol=1e-12)
    assert np.abs(noise_of(world, result)).max() > 0.01


@pytest.mark.parametrize("mode", ["local", "central"])
def test_hosts_that_did_not_agree_make_the_round_void(make_world, mode):
    """Under the default policy every host refuses the plan with its own code, and no round takes place."""
    world = make_world(noise=True, mode=mode)
    (result,) = world.run()
    assert result.outcome == "void"
    assert {drop.code for drop in result.dropped.values()} == {"unknown_mode"}
    assert not any(host.spends for host in world.hosts.values())


def test_the_server_does_not_switch_modes_by_accident(modal):
    """Other terms after a round in another mode are refused until they name it; then the ledger says so, in order."""
    world = modal("distributed")
    world.run()
    office = world.federation.office
    office.terms = dataclasses.replace(office.terms, mode="central")
    with pytest.raises(ModeSwitched, match="distributed") as caught:
        office.begin()
    assert (caught.value.field, bool(caught.value.remedy)) == ("mode", True)
    office.terms = dataclasses.replace(office.terms, replaces_mode="distributed")
    (result,) = world.run()
    assert result.outcome == "released"
    switch = next(entry for entry in office.ledger.entries() if entry.kind == "mode")
    assert switch.body == {"from": "distributed", "to": "central", "round_number": 2}
    assert plan_of(world, 2).previous_head == switch.hash
    assert verify(world.federation.ledger_path).releases == 2
    (again,) = world.run()
    assert again.outcome == "released"
    assert sum(entry.kind == "mode" for entry in office.ledger.entries()) == 1


def test_a_run_shares_its_noise_over_a_restart(modal):
    """Six rounds of a run, the process gone between each: every round's noise follows from that of the three before.

    Solved back with C, the errors give independent z with variance σ²: mean square of 48 numbers, relative standard
    error 0.2; a factor e either way is rarer than 1e-4.
    """
    world = modal("central", run=RUN)
    noises = []
    for _ in range(6):
        (result,) = world.run()
        noises.append(noise_of(world, result))
        world.reopen()
    strategy = strategy_for(16, 4)
    c = np.array([[strategy.entry(row, column) for column in range(6)] for row in range(6)]) / 2**16
    fresh = c @ np.array(noises)
    assert abs(math.log((fresh**2).mean())) < 1
    plans = [plan_of(world, number) for number in range(1, 7)]
    assert len({plan.run for plan in plans}) == len({plan.rho for plan in plans}) == 1
    office = world.federation.office
    state = RunNoise.from_bytes(office._central._open(plans[5], plans[5].run, facts(world, 6)["noise"]))
    kept = np.array(state.past) / math.sqrt(plans[5].noise_variance_units)
    np.testing.assert_allclose(kept, noises[:2:-1], atol=1e-4)
    assert plans[0].rho == 3 * office.terms.calibrate(world.federation.directory, 8).rho_per_round


def test_a_run_costs_the_model_once(modal):
    """Card and ledger count the price at the run's first release; a new run starts after its end and is paid anew."""
    short = RunTerms(rounds=2, min_separation=4, participations=1)
    world = modal("central", run=short)
    spent = []
    for _ in range(3):
        world.run()
        spent.append(world.federation.model().card.rho)
    assert spent[0] == spent[1] == pytest.approx(spent[2] / 2)
    price = plan_of(world, 1).rho
    stated = [entry.body["rho"] for entry in world.federation.office.ledger.entries() if entry.kind == "release"]
    assert [Fraction(rho) for rho in stated] == [price, 0, price]
    assert [plan_of(world, number).run.run_id for number in (1, 2, 3)] == ["run-1", "run-1", "run-3"]


def test_the_runs_state_is_sealed(modal):
    """The journal does not tell the noise: its state opens with the server's key, in its own run, unaltered."""
    world = modal("central", run=RUN)
    (result,) = world.run()
    office, plan, sealed = world.federation.office, plan_of(world, 1), facts(world, 1)["noise"]
    state = RunNoise.from_bytes(office._central._open(plan, plan.run, sealed))
    noise = (result.total - exact_sum(world) / plan.grid) - state.past[0]
    assert np.abs(noise).max() < 50
    assert state.past[0].astype(">i8").tobytes() not in sealed
    later = dataclasses.replace(plan, round_number=2)
    for bad in (sealed[:-1] + bytes([sealed[-1] ^ 1]), b"x" * 40):
        with pytest.raises(JournalDamaged):
            office._central.add(later, result.total, bad)
    stranger = dataclasses.replace(later, run=dataclasses.replace(plan.run, run_id="other"))
    with pytest.raises(JournalDamaged):
        office._central.add(stranger, result.total, sealed)
    with pytest.raises(JournalDamaged):
        CentralNoise(next(iter(world.hosts.values())).identity_key).add(later, result.total, sealed)


def test_a_void_round_leaves_a_gap_in_the_run(modal):
    """A round that nothing was opened in takes its place in the run: the next one goes on behind it."""
    world = modal("central", run=RUN)
    world.run()
    (void,) = world.run(faults=lambda exchange: Fault.LOSE_REQUEST if exchange.stage == "sign" else None)
    assert void.outcome == "void"
    (result,) = world.run()
    assert (result.round_number, result.outcome) == (3, "released")
    office, plan = world.federation.office, plan_of(world, 3)
    assert RunNoise.from_bytes(office._central._open(plan, plan.run, facts(world, 3)["noise"])).next_index == 3


@pytest.mark.parametrize("before", [True, False])
def test_killed_around_a_central_release(modal, before):
    """Killed just before or after the noised sum is journalled: one release, one noise, whoever asks again."""
    world = modal("central", run=RUN)
    office = world.federation.office
    append, seen = office.store.append, []

    def dying(transition):
        if transition.sequence == 6:
            seen.append(transition.facts["total"])
            if before:
                raise Killed
        append(transition)
        if transition.sequence == 6:
            raise Killed

    office.store.append = dying
    with pytest.raises(Killed):
        world.run()
    world.reopen()
    world.run()
    kept = facts(world, 1)["total"]
    assert (kept == seen[0]) is not before
    total = np.frombuffer(kept, dtype="<i8")
    assert np.abs(total - exact_sum(world) / plan_of(world, 1).grid).max() > 50
    releases = [e.body["round_number"] for e in world.federation.office.ledger.entries() if e.kind == "release"]
    assert releases == sorted(set(releases))


def test_a_run_keeps_its_terms(modal):
    """A host that enrols within a run, or another clip norm, would change bound and noise: refused until it is over."""
    world = modal("central", run=RUN)
    world.run()
    office = world.federation.office
    terms = office.terms
    for changed in ({"clip_norm": 2.0}, {"epsilon": 4.0}, {"run": RunTerms(16, 4, 2)}):
        office.terms = dataclasses.replace(terms, **changed)
        with pytest.raises(InvalidInput, match="run"):
            office.begin()
    office.terms = terms
    (result,) = world.run()
    assert result.outcome == "released"


def test_a_run_can_be_given_up(modal):
    """One round without a run ends it; the next run is another one, with noise and price of its own."""
    world = modal("central", run=RUN)
    world.run()
    office = world.federation.office
    terms = office.terms
    office.terms = dataclasses.replace(terms, run=None)
    world.run()
    office.terms = dataclasses.replace(terms, clip_norm=2.0)
    (result,) = world.run()
    assert result.outcome == "released"
    runs = [plan_of(world, number).run for number in (1, 2, 3)]
    assert [run.run_id if run else None for run in runs] == ["run-1", None, "run-3"]
    opened = [office._central._open(plan_of(world, n), plan_of(world, n).run, facts(world, n)["noise"]) for n in (1, 3)]
    assert [RunNoise.from_bytes(state).next_index for state in opened] == [1, 1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "both"},
        {"run": RUN},
        {"run": RUN, "mode": "local"},
        {"run": RUN, "mode": "central", "epsilon": math.inf},
        {"run": dataclasses.replace(RUN, participations=9), "mode": "central"},
    ],
)
def test_terms_without_sense_are_refused(wrong):
    """Unknown modes, and runs where no trusted server adds noise."""
    fields = {"epsilon": 4.0, "delta": 1e-6, "participations": 5, "clip_norm": 1.0, "n_min": 4} | wrong
    with pytest.raises(InvalidInput):
        RoundTerms(**fields)


def test_no_run_is_longer_than_its_coefficients():
    """Refused where the terms are written: separation below the fewest bands, or too many rounds."""
    for rounds, separation in ((16, 3), (129, 8)):
        with pytest.raises(InvalidInput):
            RunTerms(rounds, separation, 2)
