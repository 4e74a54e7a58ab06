"""A federation whose clip norm follows its devices: next plans, their noise and price, per task, over a restart."""

import dataclasses
import math

import numpy as np
import pytest

from tactful_privacy.mechanisms.adaptive_clip import CLIP_BIT, AdaptiveClip
from tactful_privacy.wire import Block
from tactful_server.federation import Fault
from tactful_server.journal import RoundId
from tactful_server.newton import PrivateNewton


@pytest.fixture
def adaptive(make_world):
    """A federation in which every device's update has length 0.5, and C starts at ``clip``."""

    def build(clip, *, noise=False, **terms):
        world = make_world(noise=noise, adaptive_clip=AdaptiveClip(), **terms)
        office = world.federation.office
        office.terms = dataclasses.replace(office.terms, clip_norm=clip)
        world.options["terms"] = office.terms
        return world

    return build


def plan_of(world, number):
    return world.federation.office.progress._plan(RoundId("shop", number, 0))


def clips(world, rounds):
    return [plan_of(world, number).clip_norm for number in range(1, rounds + 1)]


@pytest.mark.parametrize(("start", "direction"), [(0.005, 1), (50.0, -1)])
def test_the_plans_follow_the_devices(adaptive, start, direction):
    """Without noise every step is exact: e^±0.15 a round while all devices are on one side of C."""
    world = adaptive(start)
    results = world.run(4)
    steps = np.diff(np.log(clips(world, 4)))
    np.testing.assert_allclose(steps, 0.15 * direction, atol=1e-4)
    share = world.federation.office.terms.adaptive_clip.half_range_share
    bits = [result.statistics[CLIP_BIT] / (share * clip) for result, clip in zip(results, clips(world, 4), strict=True)]
    np.testing.assert_allclose(bits, -direction, atol=1e-3)


def test_the_trainer_is_not_asked_for_the_bit(adaptive):
    """The host's trainer sees the plan without it, other statistics in place; their half-ranges move with C."""
    world = adaptive(2.0, statistics=(("loss", 0.5),))
    seen = []
    for host in world.hosts.values():
        trained = host.local_updates

        def updates(plan, devices, trained=trained):
            seen.append([statistic.name for statistic in plan.statistics])
            return trained(plan, devices)

        host.local_updates = updates
    results = world.run(3)
    assert all(names == ["loss"] for names in seen)
    assert [statistic.name for statistic in plan_of(world, 3).statistics] == ["loss", CLIP_BIT]
    halves = [plan_of(world, n).statistics[0].half_range_units * plan_of(world, n).grid for n in (1, 2, 3)]
    np.testing.assert_allclose(halves, [0.5, 0.5 * math.exp(-0.15), 0.5 * math.exp(-0.3)], rtol=1e-3)
    # The tiny host always reports 0.5, the end of the first half-range: in the first one's units it stays 0.5.
    np.testing.assert_allclose([result.statistics["loss"] for result in results], 0.5, rtol=1e-3)


def test_noise_is_calibrated_to_the_current_clip_at_one_price(adaptive):
    """σ over C and ρ stay what they were while C moves, to the rounding; every plan passes the hosts' own check."""
    world = adaptive(0.05, noise=True)
    results = world.run(4)
    assert [result.outcome for result in results] == ["released"] * 4
    plans = [plan_of(world, number) for number in (1, 2, 3, 4)]
    relative = [math.sqrt(plan.noise_variance_units) / plan.clip_units for plan in plans]
    np.testing.assert_allclose(relative, relative[0], rtol=1e-4)
    np.testing.assert_allclose([float(plan.rho) for plan in plans], float(plans[0].rho), rtol=1e-6)
    assert len({plan.clip_units * plan.grid for plan in plans}) == 4


def test_the_clip_survives_a_restart(adaptive):
    """C is in the journal with the release it came from: a restart goes on where the last one was."""
    world, whole = adaptive(0.005), adaptive(0.005)
    whole.run(4)
    for _ in range(4):
        world.run()
        world.reopen()
    assert clips(world, 4) == clips(whole, 4)


def test_a_void_round_moves_nothing(adaptive):
    """Only a release says anything about the devices."""
    world = adaptive(0.005)
    (void,) = world.run(faults=lambda exchange: Fault.LOSE_REQUEST if exchange.stage == "sign" else None)
    assert void.outcome == "void"
    world.run(2)
    assert clips(world, 3) == pytest.approx([0.005, 0.005, 0.005 * math.exp(0.15)], rel=1e-3)


def test_each_task_has_its_own_clip(adaptive):
    """Curvature and gradient differ in length by orders: what one learned of C does not touch the other."""
    world = adaptive(1.0)
    office = world.federation.office
    layout = (Block("theta", 8),)
    office.optimiser = PrivateNewton(model=layout, block="theta", curvature_rounds=2)
    world.options["optimiser"] = office.optimiser
    for host in world.hosts.values():
        small = {"curvature": np.full(36, 0.01), "gradient": np.full(8, 10.0)}
        host.local_updates = lambda plan, devices, small=small: np.tile(small[plan.task], (len(devices), 1))
    world.run(4)
    assert [plan_of(world, number).task for number in range(1, 5)] == ["curvature", "curvature", "gradient", "gradient"]
    wanted = [1.0, math.exp(-0.15), 1.0, math.exp(0.15)]
    np.testing.assert_allclose(clips(world, 4), wanted, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("start", [0.005, 50.0])
def test_sixty_real_rounds_reach_the_devices_length(adaptive, start):
    """Fifty devices of length 0.5, ε = 8 over 60 rounds, from 1/100 and 100 times: real plans, masks and noise.

    The share's noise, z √(1 + r²) √(5/3) / (2 r N) = 0.28, is cut to [0, 1], which leaves a drift of 0.3 · 0.39 = 0.117
    a round: 40 rounds for a factor 100. At rest ln C is pulled back by about 0.1 a round against steps of deviation
    0.08: 0.03 around the length. 0.5 in ln C is far beyond what is left of either: false alarms below 1e-6.
    """
    world = adaptive(start, noise=True)
    office = world.federation.office
    office.terms = dataclasses.replace(office.terms, participations=60)
    for host in world.hosts.values():
        host.policy = dataclasses.replace(host.policy, participations=60)
    assert [result.outcome for result in world.run(60)] == ["released"] * 60
    found = clips(world, 60)
    assert abs(math.log(found[-1] / 0.5)) < 0.5
    price = {float(plan_of(world, number).rho) for number in (1, 30, 60)}
    assert max(price) == pytest.approx(min(price), rel=1e-6)
