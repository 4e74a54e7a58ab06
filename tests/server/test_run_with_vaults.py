"""Real vaults behind a federation in mode central: a run of correlated noise, paid once, joined at its distance."""

from fractions import Fraction

import pytest
from tests.device.vault_world import open_host, person

from tactful import Host
from tactful.federation import ParticipationPolicy, RoundParticipant
from tactful.federation.flower import client_app
from tactful.federation.vault_round import VaultRound
from tactful.model import Model
from tactful.training import task_layout
from tactful_privacy.mechanisms.adaptive_clip import CLIP_BIT, AdaptiveClip
from tactful_privacy.wire import HostEntry, sign
from tactful_server.federation import Federation
from tactful_server.plans import RoundTerms, RunTerms
from tactful_server.service import ModelSpec

HOSTS, PEOPLE = 5, 2


@pytest.fixture
def shop(tmp_path):
    """Open a federation of five hosts with two people each; returns (federation, hosts, apps)."""
    opened = []

    def build(modes, **terms):
        prior = Model.prior().to_parameters()
        fields = {"epsilon": 8.0, "delta": 1e-6, "participations": 12, "clip_norm": 1.0, "n_min": 4} | terms
        federation = Federation.open(
            tmp_path / "server",
            "shop",
            terms=RoundTerms(**fields),
            model=ModelSpec("slots", Model.layout(), prior, Model.feature_units()),
            optimiser=_Still(),
        )
        opened.append(federation)
        hosts, apps = {}, {}
        for number in range(HOSTS):
            name = f"host-{number}"
            (tmp_path / name).mkdir()
            host = open_host(tmp_path / name)
            opened.append(host)
            for user in range(PEOPLE):
                person(host, f"user-{user}")
            policy = ParticipationPolicy(epsilon=8.0, participations=12, modes=modes)
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


class _Still:
    """Asks for gradients and leaves the model alone: what is tested here is who takes part and what it costs."""

    task = "gradient"

    def contribution_layout(self, model):
        return task_layout("gradient")

    def step(self, parameters, mean_update, plan, noise_std=0.0):
        return parameters

    def dump(self):
        return b""

    def load(self, state):
        pass


def spends(host: Host) -> list[list[tuple[int, Fraction]]]:
    devices = host.vault.device_ids()
    return [[(spend.round_number, spend.rho) for spend in host.rounds.spends(device)] for device in devices]


def test_a_run_is_joined_at_its_distance_and_paid_once(shop):
    """Nine rounds of a run of 16, distance 4, three times: every person is in rounds 1, 5 and 9 and pays at the first.

    In the other rounds the hosts answer without their people: the rounds go on, and nobody can tell from outside.
    """
    run = RunTerms(rounds=16, min_separation=4, participations=3)
    federation, hosts, apps = shop(("central",), mode="central", run=run)
    results = list(federation.run(apps, rounds=9))
    assert [result.outcome for result in results] == ["released"] * 9
    price = federation.office.progress.last_plan().rho
    for host in hosts.values():
        assert spends(host) == [[(1, price), (5, 0), (9, 0)]] * PEOPLE
    per_round = federation.office.terms.calibrate(federation.directory, 53).rho_per_round
    assert price == 3 * per_round
    assert federation.model().card.rho == pytest.approx(price)


@pytest.mark.parametrize("mode", ["local", "central", "distributed"])
def test_every_mode_over_real_vaults(shop, mode):
    """Two rounds with adaptive clipping and the SDK's own trainer: released, the bit reported, each price written."""
    statistics = (("log_loss", 0.2),)
    federation, hosts, apps = shop((mode,), mode=mode, adaptive_clip=AdaptiveClip(), statistics=statistics)
    results = list(federation.run(apps, rounds=2))
    assert [result.outcome for result in results] == ["released", "released"]
    assert set(results[0].statistics) == {"log_loss", CLIP_BIT}
    for host in hosts.values():
        for paid in spends(host):
            assert [number for number, _ in paid] == [1, 2]
            assert [float(rho) for _, rho in paid] == pytest.approx([result.rho for result in results])
