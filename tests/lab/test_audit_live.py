"""A live federation is audited from its public ledger and the auditor's coins file: vaults, spends and training."""

import dataclasses
import json
import math
import warnings
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tactful import Host
from tactful.errors import InvalidInput
from tactful.federation import ParticipationPolicy, RoundParticipant
from tactful.federation.canary_host import CanaryHost, recorder
from tactful.federation.flower import client_app
from tactful.federation.host_round import HostRound
from tactful.federation.vault_round import VaultRound
from tactful.model import Model
from tactful.testing import FrozenClock
from tactful.training import TASKS
from tactful_lab.slots import learning
from tactful_privacy.audit.coins import CoinsFile
from tactful_privacy.audit.session import judge_ledger
from tactful_privacy.wire import HostEntry, sign
from tactful_server.federation import Exchange, Fault, Federation
from tactful_server.service import ModelSpec

with warnings.catch_warnings():  # typer's own import names what newer clicks deprecate
    warnings.simplefilter("ignore", DeprecationWarning)
    from typer.testing import CliRunner

from tactful_privacy.cli import app

CANARIES = 150
ROUNDS = 3
NOW = datetime(2026, 11, 2, 5, tzinfo=UTC)
PURPOSES = ("on_device_personalisation", "federated_learning", "marketing_push")
AUDITOR = "zz-auditor"


class Live:
    """Four shops and an auditor, each with a vault of its own, in one federation."""

    def __init__(self, root):
        self.root = root
        setting = learning.load()
        terms = setting.terms(epsilon=4.0, delta=1e-6, rounds=ROUNDS, n_min=4, colluders=1)
        self.server = Federation.open(
            root / "server",
            "shop",
            terms=dataclasses.replace(terms, canaries=CANARIES, audit_hosts=(AUDITOR,)),
            model=ModelSpec("slots", Model.layout(), Model.prior().to_parameters(), Model.feature_units()),
            optimiser=setting.optimiser(ROUNDS),
        )
        self.vaults, self.participants = {}, {}
        for name in ("shop-1", "shop-2", "shop-3", "shop-4"):
            side = self.join(name, devices=4)
            self.participants[name] = RoundParticipant(side)
        self.coins = CoinsFile.create(root / "coins.json", AUDITOR, CANARIES)
        side = self.join(AUDITOR, devices=CANARIES)
        devices = [str(device) for device in self.vaults[AUDITOR].vault.device_ids()]
        self.auditor = CanaryHost(side, devices, self.coins.inserted)
        self.participants[AUDITOR] = RoundParticipant(self.auditor, recorder(self.coins))

    def join(self, name, devices):
        home = self.root / name
        home.mkdir()
        host = Host.open(
            home / "vault.db",
            keys="file:host.key",
            clock=FrozenClock(NOW),
            timezone="Europe/London",
            privacy_budget=(4.0, 1e-6),
        )
        users = [f"{name}-user-{number}" for number in range(devices)]
        host.enrol_many(users, timezone="Europe/London", consents=PURPOSES, policy_version="2026-11")
        if name != AUDITOR:
            moments = [NOW - timedelta(days=day, hours=3 + day % 5) for day in range(2, 25)]
            host.track_many((user, "purchase", moment, {}) for user in users for moment in moments)
        policy = ParticipationPolicy(
            epsilon=4.0, delta=1e-6, participations=ROUNDS, tasks=TASKS, federation="shop", max_canaries=CANARIES
        )
        side = VaultRound(host, host_id=name, server_key=self.server.server_key, policy=policy)
        side.install(self.server.signed_model())
        public = side.identity_key.public_key().public_bytes_raw()
        self.server.enrol(sign(HostEntry(name, public, devices), side.identity_key))
        self.vaults[name] = host
        return side

    def run(self, rounds, away="shop-4"):
        """Run rounds in which one shop never contributes: n_min hosts are left, the claim's worst case."""

        def weather(exchange: Exchange) -> Fault | None:
            lost = exchange.host_id == away and exchange.stage in ("contribution", "sign", "unmask")
            return Fault.LOSE_REQUEST if lost else None

        apps = {name: client_app(lambda _, part=part: part) for name, part in self.participants.items()}
        return list(self.server.run(apps, rounds=rounds, faults=weather))

    def spent(self, name):
        host = self.vaults[name]
        return [host.rounds.account(device).spent for device in host.vault.device_ids()]

    def close(self):
        for host in self.vaults.values():
            host.close()
        self.server.close()


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    world = Live(tmp_path_factory.mktemp("live"))
    world.results = world.run(ROUNDS)
    yield world
    world.close()


def test_canaries_take_part_as_enrolments_do(live):
    """Every round was released, by n_min hosts; canaries that are in have paid for each, the others for none."""
    assert [result.outcome for result in live.results] == ["released"] * ROUNDS
    assert all(len(result.survivors) == 4 for result in live.results)
    assert isinstance(live.auditor, HostRound)
    paid = np.array([spent > 0 for spent in live.spent(AUDITOR)])
    assert np.array_equal(paid, live.coins.inserted)
    # The very first shop's people paid the same.
    assert set(live.spent("shop-1")) == {max(live.spent(AUDITOR))}


def test_an_auditors_enrolments_are_not_divided_by(live):
    """The divisor counts the people of the shops that answered."""
    assert all(result.planned_devices == 12 for result in live.results)


def test_the_ledger_and_the_coins_give_the_verdict(live):
    """The bound holds; three hosts' noise lay over the canaries; the estimate is near √3 rounds' μ (5 deviations)."""
    done = judge_ledger(live.server.ledger_path, live.coins.path)
    assert (done.target, done.rounds, done.noisy_hosts) == ("ledger", ROUNDS, 3)
    assert done.result.theory_epsilon == pytest.approx(4.0, abs=1e-5)
    assert done.result.holds
    # The statistic's share of B² is not the canary's: it has C of B, so a little less μ than the theory allows.
    plan = next(iter(live.coins.rounds.values())).plan
    reachable = done.result.theory_mu * plan.clip_units / math.sqrt(plan.norm_bound_squared)
    assert done.result.gaussian_mu_estimate == pytest.approx(reachable, abs=5 * 2.1 / math.sqrt(CANARIES))


def test_the_auditors_own_noise_is_taken_off(live):
    """His noise is in the coins file, differs from round to round, and has the planned deviation (5 deviations)."""
    noises = [own.noise for own in live.coins.rounds.values()]
    plan = next(iter(live.coins.rounds.values())).plan
    assert len(noises) == ROUNDS
    assert not np.array_equal(noises[0], noises[1])
    spread = np.concatenate(noises).std() / math.sqrt(plan.noise_variance_units)
    assert spread == pytest.approx(1, abs=5 / math.sqrt(2 * ROUNDS * CANARIES))


def test_the_command_judges_a_live_federation(live, tmp_path):
    """`tactful audit run --ledger FILE --coins FILE --json` exits 0 and writes the same figures to a file."""
    out = tmp_path / "audit-run.json"
    arguments = ["run", "--ledger", str(live.server.ledger_path), "--coins", str(live.coins.path), "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["target"] == "ledger"
    assert told["holds"] is True
    assert json.loads(out.read_text()) == told
    table = CliRunner().invoke(app, arguments)
    assert table.exit_code == 0
    assert "the claim stands" in table.stdout


def test_an_edited_audit_entry_is_found(live, tmp_path):
    """A copy of the ledger with one opened canary changed does not verify: exit 1, and the line is named."""
    copy = tmp_path / "ledger.jsonl"
    lines = live.server.ledger_path.read_text().splitlines(keepends=True)
    number = next(index for index, line in enumerate(lines) if json.loads(line)["kind"] == "audit")
    first = str(json.loads(lines[number])["body"]["canaries"][0])
    lines[number] = lines[number].replace(first, str(int(first) + 1), 1)
    copy.write_text("".join(lines))
    result = CliRunner().invoke(app, ["run", "--ledger", str(copy), "--coins", str(live.coins.path)])
    assert result.exit_code == 1
    assert f"line {number + 1}" in result.stderr


@pytest.mark.parametrize("arguments", [["--ledger", "x"], ["--coins", "x"], ["--ledger", "x", "--coins", "y"]])
def test_half_a_pair_of_files_is_wrong_use(arguments):
    """Ledger and coins belong together, and have to be there: exit 2 and one line."""
    result = CliRunner().invoke(app, ["run", *arguments])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_a_foreign_coins_file_judges_nothing(live, tmp_path):
    """Coins that were in no round of this ledger are refused, with the remedy."""
    other = CoinsFile.create(tmp_path / "other.json", AUDITOR, CANARIES)
    result = CliRunner().invoke(app, ["run", "--ledger", str(live.server.ledger_path), "--coins", str(other.path)])
    assert result.exit_code == 2
    assert "no audit round of these coins" in result.stderr


def test_one_enrolment_per_coin():
    """A canary host with too few devices is refused."""
    with pytest.raises(InvalidInput, match="devices"):
        CanaryHost(None, ["1", "2"], np.zeros(3, dtype=bool))
