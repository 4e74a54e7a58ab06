"""A round that values policies, over real vaults: what is opened are the central clipped sums plus the noise stated."""

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import numpy as np
import pytest
from tests.device.vault_world import NOON, open_host, person
from tests.server.test_run_with_vaults import _Still

from tactful import Candidate, PolicySettings
from tactful.evaluation import TASK, EvaluationSpec, Target
from tactful.evaluation_log import decisions
from tactful.evaluation_sums import contributions, device_sums
from tactful.federation import ParticipationPolicy, RoundParticipant
from tactful.federation.flower import client_app
from tactful.federation.vault_round import VaultRound
from tactful.model import Model
from tactful.testing import FrozenClock
from tactful.training import TASKS
from tactful_lab.evaluation.federated import evaluate_sums, read_release, simulated_round
from tactful_privacy.errors import InvalidInput
from tactful_privacy.wire import HostEntry, sign
from tactful_server.evaluation import Evaluating
from tactful_server.federation import Federation
from tactful_server.plans import RoundTerms
from tactful_server.service import ModelSpec

HOSTS, PEOPLE, DAYS = 5, 3, 12
RANDOMISED = PolicySettings(never_push_fraction=0, micro_randomised_fraction=1.0)
SPEC = EvaluationSpec(
    (Target("odds", 0.5), Target("fixed", 0.3)), reward_cap=12.0, gain_cap=12.0, reward_opted_out=-2.0
)


def live(host, clock, random):
    """Twelve days at noon: a candidate for everybody, some opens, some purchases, one opt-out; then two days more."""
    people = [person(host, f"user-{number}") for number in range(PEOPLE)]
    for day in range(DAYS):
        for device in people:
            offer = Candidate(id=f"c{day}", category=f"k{day % 5}", value_minor=2_000)
            decision = device.decide([offer], seed=random.bytes(16))
            if decision.action == "send":
                device.record_outcome(decision.id, "delivered")
                if random.random() < 0.4:
                    device.record_outcome(decision.id, "opened")
                elif device is people[0] and day > 7:
                    device.record_outcome(decision.id, "opted_out")
            if random.random() < 0.2:
                device.track("purchase", category="k1")
        clock.advance(days=1)
    clock.advance(days=2)


@pytest.fixture
def shop(tmp_path):
    """Build a federation of hosts that have lived; returns (federation, hosts, apps)."""
    opened = []

    def build(tasks=(*TASKS, TASK), spec=SPEC, **terms):
        fields = {"epsilon": 8.0, "delta": 1e-6, "participations": 4, "clip_norm": 1.0, "n_min": 4} | terms
        rehearsal = np.isinf(fields["epsilon"])
        modes = ("distributed", "rehearsal-no-noise") if rehearsal else ("distributed",)
        federation = Federation.open(
            tmp_path / "server",
            "shop",
            terms=RoundTerms(**fields, settings=spec.to_settings()),
            model=ModelSpec("slots", Model.layout(), Model.prior().to_parameters(), Model.feature_units()),
            optimiser=Evaluating(_Still(), spec.layout),
        )
        opened.append(federation)
        hosts, apps, random = {}, {}, np.random.default_rng(3)
        for number in range(HOSTS):
            name, clock = f"host-{number}", FrozenClock(NOON - timedelta(days=DAYS + 2))
            (tmp_path / name).mkdir()
            host = open_host(tmp_path / name, clock=clock, settings=RANDOMISED)
            opened.append(host)
            live(host, clock, random)
            policy = ParticipationPolicy(
                epsilon=fields["epsilon"], participations=4, modes=modes, tasks=tasks, rehearsal=bool(rehearsal)
            )
            side = VaultRound(host, host_id=name, server_key=federation.server_key, policy=policy)
            federation.enrol(sign(HostEntry(name, host.public_key, PEOPLE), host.identity_key))
            side.install(federation.signed_model())
            hosts[name] = host
            participant = RoundParticipant(side)
            apps[name] = client_app(lambda _context, participant=participant: participant)
        return federation, hosts, apps

    yield build
    for thing in reversed(opened):
        thing.close()


def central(hosts, spec=SPEC, model=None):
    """Everybody's contributions in [−1, 1], worked out in one place from all vaults."""
    last = NOON.date() - timedelta(days=1)
    tables = [decisions(host, host.vault.device_ids(), last, spec, model) for host in hosts.values()]
    return np.vstack([contributions(spec, device_sums(spec, table)) for table in tables])


def test_the_opened_sums_are_the_central_ones_and_noise(shop):
    """Through vaults, masks, noise and budget: every coordinate within 5.5 of the stated standard deviations of the
    central sum (false alarm 1e-6), and all together as far off as that noise is (chi-square, 1e-6 on either side)."""
    federation, hosts, apps = shop()
    before = np.array(federation.model().values())
    (result,) = federation.run(apps, rounds=1)
    assert result.outcome == "released", (result.reason, result.dropped)
    read = read_release(federation.office)
    exact = simulated_round(SPEC, central(hosts), 0.0, np.random.default_rng(0))
    distance = (read.total - exact.total) / read.noise_std
    assert np.abs(distance).max() < 5.5
    assert 3.88 < distance @ distance < 72.2  # 24 coordinates
    np.testing.assert_array_equal(before, federation.model().values())
    paid = {spend.rho for h in hosts.values() for device in h.vault.device_ids() for spend in h.rounds.spends(device)}
    plan = federation.office.progress.last_plan()
    assert paid == {plan.rho}
    assert plan.rho > 0
    assert plan.task == TASK


def test_without_noise_the_sums_are_exact(shop):
    """A rehearsal: equal to the grid's rounding, so values are those of all vaults' logs put together."""
    federation, hosts, apps = shop(epsilon=float("inf"))
    (result,) = federation.run(apps, rounds=1)
    assert result.outcome == "released", (result.reason, result.dropped)
    read = read_release(federation.office)
    rows = central(hosts)
    exact = simulated_round(SPEC, rows, 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(read.total / SPEC.units, exact.total / SPEC.units, atol=1e-3)
    assert len(rows) == HOSTS * PEOPLE
    assert read.of("decisions")[0] == pytest.approx(exact.of("decisions")[0], abs=0.1)
    assert exact.of("decisions")[0] > 100  # else there is no value to compare
    found, wanted = evaluate_sums(read), evaluate_sums(exact)
    assert found.estimate("logged", "logged").value == pytest.approx(
        wanted.estimate("logged", "logged").value, abs=1e-3
    )
    assert found.estimate("fixed:0.3", "snips").value == pytest.approx(
        wanted.estimate("fixed:0.3", "snips").value, abs=1e-3
    )


def test_a_price_on_the_models_score(shop):
    """A fleet price is valued with the released model's scores, and its predictions make the estimate robust."""
    spec = replace(SPEC, targets=(Target("price", 5.0),), model_predicts=1, value_minor=2_000.0)
    federation, hosts, apps = shop(spec=spec, epsilon=float("inf"))
    (result,) = federation.run(apps, rounds=1)
    assert result.outcome == "released", (result.reason, result.dropped)
    exact = simulated_round(spec, central(hosts, spec, Model.prior()), 0.0, np.random.default_rng(0))
    assert exact.of("weight.0")[0] > 50
    np.testing.assert_allclose(read_release(federation.office).total / spec.units, exact.total / spec.units, atol=1e-3)


def test_a_host_that_does_not_know_the_task_refuses(shop):
    """By default a host trains and does not evaluate: the round is void, nobody pays."""
    federation, hosts, apps = shop(tasks=TASKS)
    (result,) = federation.run(apps, rounds=1)
    assert result.outcome == "void"
    assert {drop.code for drop in result.dropped.values()} == {"unknown_task"}
    assert not any(h.rounds.spends(device) for h in hosts.values() for device in h.vault.device_ids())
    with pytest.raises(InvalidInput, match="evaluat"):
        read_release(federation.office)


def test_decisions_are_read_from_the_vault(tmp_path):
    """Engaged: the app was used in the slot, or the push opened within a day. Decisions by rule, those whose day of
    grace is not over and those from before the horizon are left out."""
    clock = FrozenClock(NOON)
    with open_host(tmp_path, clock=clock, settings=RANDOMISED) as host:
        ada, ben = person(host, "ada"), person(host, "ben")
        log = []
        for day in range(8):
            decision = ada.decide(
                [Candidate(id=f"c{day}", category=f"k{day}", value_minor=2_000)], seed=bytes([day]) * 16
            )
            log.append(decision)
            if decision.action == "send" and day < 4:
                clock.advance(hours=2 if day < 3 else 25)
                ada.record_outcome(decision.id, "opened")
                clock.advance(hours=-2 if day < 3 else -25)
            if decision.action != "send" and day % 2:
                ada.track("browse", category="k1")
            clock.advance(days=1)
        chance = [d for d in log if d.evaluable]
        last = (NOON + timedelta(days=6)).date()
        table = decisions(host, [ada.id, ben.id], last, SPEC)
        wanted = [d for d in chance if d.created_at.date() < last]
        assert table.bounds.tolist() == [0, len(wanted), len(wanted)]
        assert 0 < len(wanted) < len(chance)
        assert table.sent.tolist() == [float(d.action == "send") for d in wanted]
        assert table.propensity.tolist() == [d.send_probability for d in wanted]
        days = [(d.created_at - NOON).days for d in wanted]
        engaged = [k < 3 if d.action == "send" else k % 2 == 1 for k, d in zip(days, wanted, strict=True)]
        assert table.engaged.astype(bool).tolist() == engaged
        assert any(engaged)
        assert not all(engaged)
        few = decisions(host, [ada.id], last, replace(SPEC, history_d=3))
        assert len(few.sent) == sum(d.created_at.date() >= last - timedelta(days=3) for d in wanted)


def test_the_inner_optimisers_state_goes_through():
    """Training goes on after an evaluation as if it had not been."""

    class Counting(_Still):
        state = b""

        def dump(self):
            return self.state + b"!"

        def load(self, state):
            self.state = state

    both = Evaluating(Counting(), SPEC.layout)
    both.load(b"so far")
    assert both.dump() == b"so far!"
    assert both.step(np.arange(3.0), np.zeros(24), None).tolist() == [0, 1, 2]
    with pytest.raises(InvalidInput):
        both.step(np.arange(3.0), np.zeros(23), None)


@pytest.mark.parametrize("change", [{"settings": (("target.00.fixed", Fraction(1, 2)),)}, {"statistics": True}])
def test_a_plan_of_another_shape_is_refused(shop, change):
    """The layout must be that of the settings, and there are no statistics beside it: else the round is void."""
    federation, _, apps = shop()
    terms = federation.office.terms
    extra = {"statistics": (("log_loss", 0.2),)} if "statistics" in change else change
    federation.office.terms = replace(terms, **extra)
    (result,) = federation.run(apps, rounds=1)
    assert result.outcome == "void"
    assert {drop.code for drop in result.dropped.values()} == {"unknown_task"}
