"""Bad training data through a vault and the real participant: the host answers, and nobody else is affected."""

from datetime import timedelta
from fractions import Fraction

import numpy as np
import pytest

from tactful.federation import ParticipationPolicy, RoundParticipant
from tactful.federation.vault_round import VaultRound
from tactful.training import NumpyTrainer, task_layout

from .round_world import CEILING, NOW_UNIX_S, Federation, silence
from .test_host_models import PUBLIC, artifact, signed
from .vault_world import NOON, PURPOSES, open_host

CLIP_UNITS, VARIANCE = 400_000, 10**13


class Poisoned(NumpyTrainer):
    """Trains, then replaces the first device's row by numbers that are not finite."""

    def contributions(self, plan, model, table):
        rows = np.array(super().contributions(plan, model, table))
        rows[0] = np.nan
        self.rows = rows
        return rows


def federation_with(host, trainer=None):
    world = Federation()
    public = world.server.public_key().public_bytes_raw()
    world.plan = world.make_plan(
        task="gradient",
        layout=task_layout("gradient"),
        statistics=(),
        model_digest=artifact(0).digest,
        norm_bound_squared=CLIP_UNITS**2,
        rho=Fraction(CLIP_UNITS**2, 6 * VARIANCE),
    )
    name = next(iter(world.hosts))
    for other in world.hosts.values():
        other.models.add(artifact(0).digest)
        other.updates = lambda plan, devices: np.zeros((len(devices), plan.dimension))
    host.install_model(signed(0), PUBLIC)
    side = VaultRound(
        host,
        host_id=name,
        server_key=public,
        policy=ParticipationPolicy(max_rho_per_round=CEILING),
        trainer=trainer,
        now_unix_s=lambda: NOW_UNIX_S,
    )
    side.identity_key = world.identities[name]
    seen = []
    world.participants[name] = RoundParticipant(side, observe=seen.append)
    return world, seen


def opened(world):
    aggregator, _ = world.until("opened")
    return aggregator.open()


@pytest.fixture(autouse=True)
def without_noise(monkeypatch):
    silence(monkeypatch)


def test_a_host_without_households_still_answers(tmp_path):
    """An empty host contributes zero and the round opens."""
    with open_host(tmp_path) as host:
        world, seen = federation_with(host)
        assert not opened(world).any()
        assert seen[0].devices == 0
        assert not seen[0].total.any()


@pytest.mark.parametrize("back_days", [None, 0, 1, 40])
def test_a_household_with_no_or_one_event_takes_part(tmp_path, back_days):
    """The round opens, the household pays once, and its one event is still there."""
    with open_host(tmp_path) as host:
        host.enrol_many(["ada"], consents=PURPOSES, policy_version="1")
        if back_days is not None:
            host.track_many([("ada", "purchase", NOON - timedelta(days=back_days), {})])
        world, _ = federation_with(host)
        total = opened(world)
        assert (total**2).sum() <= CLIP_UNITS**2
        assert back_days is not None or not total.any()
        assert host.find("ada").privacy_budget().rounds_joined == 1
        assert len(host.find("ada").export()["events"]) == (back_days is not None)


def test_not_a_number_counts_as_zero_and_poisons_nobody(tmp_path):
    """The sum is that of the other household alone; both pay, so that absence does not depend on data."""
    with open_host(tmp_path) as host:
        host.enrol_many(["ada", "ben"], consents=PURPOSES, policy_version="1")
        host.track_many(("ben", "purchase", NOON - timedelta(days=day), {}) for day in range(1, 60, 2))
        trainer = Poisoned()
        world, _ = federation_with(host, trainer)
        total, wanted = opened(world), trainer.rows[1] * 2**world.plan.grid_exponent
        room = CLIP_UNITS - np.sqrt(len(wanted))  # rounding up may not leave the bound
        wanted *= min(1, room / np.linalg.norm(wanted))
        assert wanted.any()
        np.testing.assert_allclose(total, wanted, atol=1.001, rtol=0)  # stochastic rounding: one step of the grid
        assert [device.privacy_budget().rounds_joined for device in host.devices()] == [1, 1]


@pytest.mark.parametrize("leave", ["erase", "withdraw"])
def test_who_leaves_while_training_runs_is_not_in_the_sum(tmp_path, leave):
    """Erasure, or consent withdrawn, between eligibility and spend: nothing is paid and nothing is contributed."""
    with open_host(tmp_path) as host:
        host.enrol_many(["ada"], consents=PURPOSES, policy_version="1")
        host.track_many(("ada", "purchase", NOON - timedelta(days=day), {}) for day in range(1, 60, 2))

        class Leaving(NumpyTrainer):
            def contributions(self, plan, model, table):
                rows = super().contributions(plan, model, table)
                assert rows.any()
                if leave == "erase":
                    host.find("ada").erase()
                else:
                    host.find("ada").set_consent("federated_learning", granted=False, policy_version="1")
                return rows

        world, seen = federation_with(host, Leaving())
        assert not opened(world).any()
        assert seen[0].devices == 0
        assert all(device.privacy_budget().rounds_joined == 0 for device in host.devices())
