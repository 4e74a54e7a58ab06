"""All heads in real rounds over vaults of logged pushes: towards the truth under noise, the central fit without."""

import math
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import numpy as np
import pytest
from tests.device.head_world import decisions, truth
from tests.device.head_world import logits as forms
from tests.device.vault_world import open_host
from tests.server.heads_world import FIRST, People

from tactful.federation import ParticipationPolicy, RoundParticipant
from tactful.federation.flower import client_app
from tactful.federation.vault_round import VaultRound
from tactful.model import Model
from tactful.push_log import push_table, unasked
from tactful.testing import FrozenClock
from tactful.training import TASKS, NumpyTrainer, heads
from tactful_privacy.wire import HostEntry, sign
from tactful_server.federation import Federation
from tactful_server.heads_schedule import HeadsSchedule
from tactful_server.plans import RoundTerms
from tactful_server.recursive import RecursiveNewton
from tactful_server.service import ModelSpec

HOSTS, CYCLE = 5, ("activity", "effect", "hazard", "value")
DAYS_APART, FIRST_ROUND_D = 4, 50
WINDOW_D = DAYS_APART * len(CYCLE)
SCALES = {"effect": (2.0, 0.5), "hazard": (2.0, 2.0), "value": (3.0, 0.5), "activity": (12.0, 0.3)}
PRECISION = {"activity": 30.0, "effect": 20.0, "hazard": 30.0, "value": 60.0}
START = replace(Model.warm_start(), hazard=Model.warm_start().hazard + 2.0 * np.eye(1, 31)[0], version="prior")
TRUTH = truth()


def settings():
    found = {"window_d": Fraction(WINDOW_D)}
    for head, (rows, curvature) in SCALES.items():
        found |= {f"{head}.rows_scale": Fraction(rows), f"{head}.curvature_scale": Fraction(curvature)}
    return tuple(sorted(found.items()))


def schedule(devices):
    def one(head):
        prior = np.concatenate([getattr(START, block) for block in heads.HEADS[head]])
        rows, curvature = SCALES[head]
        return RecursiveNewton(
            Model.layout(),
            head,
            heads.HEADS[head],
            devices,
            prior,
            np.full(prior.size, PRECISION[head]),
            heads.head_units(head),
            curvature_scale=curvature,
            rows_scale=rows,
            non_negative=3 if head == "hazard" else 0,
        )

    return HeadsSchedule(tuple(one(head) for head in heads.HEADS), CYCLE)


@pytest.fixture
def shop(tmp_path):
    """Build (federation, hosts, apps, clocks) of people who lived until the last round."""
    opened = []

    def build(people, rounds, tasks=None, **terms):
        fields = {"epsilon": 8.0, "delta": 1e-6, "participations": rounds, "clip_norm": 1.0, "n_min": 4} | terms
        rehearsal = math.isinf(fields["epsilon"])
        modes = ("distributed", "rehearsal-no-noise") if rehearsal else ("distributed",)
        federation = Federation.open(
            tmp_path / "server",
            "shop",
            terms=RoundTerms(**fields, settings=settings()),
            model=ModelSpec("slots", Model.layout(), START.to_parameters(), Model.feature_units()),
            optimiser=schedule(HOSTS * people),
        )
        opened.append(federation)
        hosts, apps, clocks = {}, {}, []
        for number in range(HOSTS):
            name, clock = f"host-{number}", FrozenClock(FIRST + timedelta(days=FIRST_ROUND_D))
            (tmp_path / name).mkdir()
            budget = (min(fields["epsilon"], 8.0), fields["delta"])
            host = open_host(tmp_path / name, clock=clock, privacy_budget=budget)
            opened.append(host)
            People(host, people, TRUTH, seed=number).live(FIRST_ROUND_D + DAYS_APART * (rounds - 1))
            asked = {} if tasks is None else {"tasks": tasks}
            policy = ParticipationPolicy(
                epsilon=fields["epsilon"], participations=rounds, modes=modes, rehearsal=rehearsal, **asked
            )
            side = VaultRound(host, host_id=name, server_key=federation.server_key, policy=policy)
            federation.enrol(sign(HostEntry(name, host.public_key, people), host.identity_key))
            side.install(federation.signed_model())
            participant = RoundParticipant(side)
            hosts[name], apps[name] = (host, side), client_app(lambda _context, participant=participant: participant)
            clocks.append(clock)
        return federation, hosts, apps, clocks

    yield build
    for thing in reversed(opened):
        thing.close()


def run(federation, apps, clocks, rounds, before=None):
    """Rounds four days apart; ``before`` is called ahead of each. Returns the tasks in order."""
    tasks = []
    for _ in range(rounds):
        if before is not None:
            before()
        (result,) = federation.run(apps, rounds=1)
        assert result.outcome == "released", (result.reason, result.dropped)
        tasks.append(federation.office.progress.last_plan().task)
        for clock in clocks:
            clock.advance(days=DAYS_APART)
    return tasks


def current(federation):
    return Model.from_parameters(np.array(federation.model().values()))


def errors(model, probe):
    """Mean absolute distance from the truth of each head's linear form over the probe's rows."""
    own, wanted = forms(model, probe), forms(TRUTH, probe)
    found = [float(np.abs(a - b).mean()) for a, b in zip(own, wanted, strict=True)]
    value = float(np.abs(probe.phi @ (model.value - TRUTH.value)).mean())
    return dict(zip(("activity", "effect", "hazard"), found, strict=True)) | {"value": value}


def test_all_heads_move_towards_the_truth_under_noise(shop):
    """Eight rounds at ε = 8 (δ = 1e-6) over 250 people: every head's linear form ends at most two thirds as far from
    the truth as it began.

    In twelve trials at most 0.21, 0.28, 0.35 and 0.21 of the way were left (activity, effect, hazard, value), with a
    standard deviation below 0.05: a false alarm is a matter of more than 6 (below 1e-6 if normal).
    """
    rounds, people = 8, 50
    federation, hosts, apps, clocks = shop(people, rounds)
    assert run(federation, apps, clocks, rounds) == list(CYCLE) * 2
    host = hosts["host-0"][0]
    probe = push_table(host, host.vault.device_ids(), (FIRST + timedelta(days=80)).date(), 40)
    before, after = errors(START, probe), errors(current(federation), probe)
    assert all(after[head] < before[head] * 2 / 3 for head in heads.HEADS), (before, after)
    assert (current(federation).hazard_dosage >= 0).all()
    price = federation.office.progress.last_plan().rho
    assert price > 0
    for device in host.vault.device_ids():
        assert [spend.rho for spend in host.rounds.spends(device)] == [price] * rounds


def test_without_noise_it_is_the_central_fit(shop):
    """A rehearsal of eight rounds equals the same steps over all vaults' rows put together, within 1e-4."""
    rounds, people = 8, 6
    federation, hosts, apps, clocks = shop(people, rounds, epsilon=float("inf"))
    server, model = schedule(HOSTS * people), [START]

    def central():
        rows = []
        task, now = server.task, clocks[0]()
        last = now.date() - timedelta(days=1)
        plan = _Plan(task, settings(), server.contribution_layout(Model.layout()))
        for host, side in hosts.values():
            devices = tuple(host.vault.device_ids())
            if task in heads.PUSH_ROWS:
                table = push_table(host, devices, last, WINDOW_D)
            else:
                table = unasked(host, devices, last, side._rows(devices), WINDOW_D)
            rows.append(NumpyTrainer().contributions(plan, model[0], table))
        each = np.concatenate(rows)
        each *= np.minimum(1.0, 1.0 / np.maximum(np.linalg.norm(each, axis=1, keepdims=True), 1e-12))
        moved = server.step(model[0].to_parameters(), each.mean(axis=0), plan)
        model[0] = Model.from_parameters(moved)

    run(federation, apps, clocks, rounds, before=central)
    found, wanted = current(federation).to_parameters(), model[0].to_parameters()
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert np.abs(wanted - START.to_parameters()).max() > 0.1


class _Plan:
    """What trainers and optimisers read of a plan."""

    def __init__(self, task, given, layout):
        self.task, self.settings, self.layout, self.statistics = task, given, layout, ()
        self.dimension = sum(block.length for block in layout)


def test_a_host_that_does_not_train_heads_refuses(shop):
    """Under a policy of the older tasks the round is void, nobody pays, and the same head is asked for again."""
    federation, hosts, apps, _ = shop(2, 2, tasks=TASKS)
    (result,) = federation.run(apps, rounds=1)
    assert result.outcome == "void"
    assert {drop.code for drop in result.dropped.values()} == {"unknown_task"}
    assert federation.office.optimiser.task == "activity"
    assert not any(host.rounds.spends(d) for host, _ in hosts.values() for d in host.vault.device_ids())


def test_rows_are_those_of_the_log(shop):
    """A vault's table holds each decision of the window once, with its coin, message, dosage and value."""
    _, hosts, _, _ = shop(3, 1)
    host = hosts["host-0"][0]
    devices, last = host.vault.device_ids(), (FIRST + timedelta(days=40)).date()
    first, second = (push_table(host, devices, last - timedelta(days=back), 10) for back in (10, 0))
    both = push_table(host, devices, last, 20)
    assert len(first.sent) + len(second.sent) == len(both.sent) > 30
    assert set(np.unique(both.propensity).round(3)) == {np.float32(p).round(3) for p in (0.3, 0.5, 0.7)}
    assert 0.2 < both.message[:, 0].mean() < 0.8
    engaged_pushes = (both.sent > 0) & (both.engaged > 0)
    assert np.isfinite(both.value[engaged_pushes]).all()
    assert np.isnan(both.value[~engaged_pushes]).all()
    assert (both.doses >= 0).all()
    assert both.doses.max() > 1
    assert decisions(TRUTH, [1]).phi.shape[1] == both.phi.shape[1]
