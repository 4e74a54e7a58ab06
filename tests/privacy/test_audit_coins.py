"""The auditor's coins file survives, keeps its secrets to its owner, and together with a ledger gives the scores."""

import dataclasses
import json
import stat
from fractions import Fraction

import numpy as np
import pytest

from tactful_privacy.audit.coins import CoinsFile
from tactful_privacy.audit.live import scores_from_ledger
from tactful_privacy.audit.session import judge_ledger
from tactful_privacy.audit.target import TargetFacts
from tactful_privacy.errors import InvalidInput, LedgerBroken
from tactful_privacy.ledger import Ledger, Release
from tactful_privacy.secagg.testing import make_plan, make_roster
from tactful_privacy.wire import digest

CANARIES = 20
AUDITOR = "host-00"


@pytest.fixture
def coins(tmp_path):
    return CoinsFile.create(tmp_path / "coins.json", AUDITOR, CANARIES)


@pytest.fixture(scope="module")
def plan():
    roster, _ = make_roster(5)
    return make_plan(roster, n_min=4, canaries=CANARIES)


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append("genesis", {})
    return ledger


def release(ledger, plan, opened, survivors=("host-00", "host-01", "host-02", "host-03"), rho=None):
    name = digest(plan)
    ledger.append("audit", {"plan_digest": name, "round_number": plan.round_number, "canaries": list(opened)})
    facts = Release(name, plan.round_number, (("host-00", 10),), survivors, rho or plan.rho, bytes(32), bytes(32))
    ledger.append("release", facts.to_body())


def test_what_was_written_is_read(coins, plan):
    """Coins and rounds come back as they were; the file is its owner's alone; the first record of a plan stays."""
    noise = np.arange(CANARIES, dtype=np.int64) - 7
    coins.record(plan, noise)
    coins.record(plan, noise + 1)
    read = CoinsFile.load(coins.path)
    assert np.array_equal(read.inserted, coins.inserted)
    assert read.host_id == AUDITOR
    (own,) = read.rounds.values()
    assert own.plan == plan
    assert np.array_equal(own.noise, noise)
    assert stat.S_IMODE(coins.path.stat().st_mode) == 0o600


def test_rounds_that_are_no_audit_of_this_size_are_left_out(coins, plan):
    """A plan without canaries, or with another number of them, is not recorded."""
    coins.record(dataclasses.replace(plan, canaries=0), np.zeros(0, dtype=np.int64))
    coins.record(dataclasses.replace(plan, canaries=3), np.zeros(3, dtype=np.int64))
    assert CoinsFile.load(coins.path).rounds == {}


def test_coins_are_not_tossed_again(coins):
    """An existing file is not overwritten."""
    with pytest.raises(InvalidInput, match="exists"):
        CoinsFile.create(coins.path, AUDITOR, CANARIES)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.pop("format"),
        lambda data: data.update(format="something else"),
        lambda data: data.update(coins="01012"),
        lambda data: data.update(coins=""),
        lambda data: data.update(rounds=[{"plan": "00", "noise": []}]),
        lambda data: data.update(rounds=[{"plan": "zz", "noise": []}]),
        lambda data: data.update(rounds=7),
    ],
)
def test_other_files_are_refused(coins, damage):
    """A file that is damaged, or of another kind, is named with its remedy."""
    data = json.loads(coins.path.read_text())
    damage(data)
    coins.path.write_text(json.dumps(data))
    with pytest.raises(InvalidInput, match="no coins file"):
        CoinsFile.load(coins.path)
    coins.path.write_text("{")
    with pytest.raises(InvalidInput, match="no coins file"):
        CoinsFile.load(coins.path)


def test_scores_add_up_over_rounds_less_the_auditors_own_noise(coins, plan, ledger):
    """Two rounds: (opened − own noise)/C on average, μ² summed, and n − 1 hosts of unknown noise."""
    second = dataclasses.replace(plan, round_number=2)
    rng = np.random.default_rng(0)
    opened = rng.integers(-(10**6), 10**6, size=(2, CANARIES))
    noise = rng.integers(-1000, 1000, size=(2, CANARIES))
    for number, each in enumerate((plan, second)):
        coins.record(each, noise[number])
        release(ledger, each, [int(value) for value in opened[number]])
    live = scores_from_ledger(ledger.path, coins)
    assert live.scores == pytest.approx((opened - noise).mean(axis=0) / plan.clip_units, rel=1e-12)
    assert live.theory_mu == pytest.approx(2**0.5 * TargetFacts.of_plan(plan).mu_round)
    assert (live.rounds, live.noisy_hosts) == (2, 3)


def test_rounds_of_more_noise_weigh_less(coins, plan, ledger):
    """A round of four times the variance has a quarter of the weight: μ is then √(μ₁² + μ₂²), the most there is."""
    noisy = dataclasses.replace(plan, round_number=2, noise_variance_units=4 * plan.noise_variance_units)
    for each, opened in ((plan, 5 * plan.clip_units), (noisy, 0)):
        coins.record(each, np.zeros(CANARIES, dtype=np.int64))
        release(ledger, each, [opened] * CANARIES)
    live = scores_from_ledger(ledger.path, coins)
    assert live.scores.tolist() == [4.0] * CANARIES
    assert live.theory_mu == pytest.approx(1.25**0.5 * TargetFacts.of_plan(plan).mu_round)


def test_a_ledger_that_tells_of_another_round_is_broken(coins, plan, ledger):
    """Another price than the plan's, or fewer canaries than it has, under the digest that the host agreed to."""
    coins.record(plan, np.zeros(CANARIES, dtype=np.int64))
    release(ledger, plan, [0] * CANARIES, rho=plan.rho / 2)
    with pytest.raises(LedgerBroken, match=r"line 3.*price"):
        scores_from_ledger(ledger.path, coins)
    other = Ledger(ledger.path.with_name("short.jsonl"))
    other.append("genesis", {})
    release(other, plan, [0] * (CANARIES - 1))
    with pytest.raises(LedgerBroken, match=r"line 3.*19 of 20"):
        scores_from_ledger(other.path, coins)


def test_a_round_whose_canaries_are_withheld_is_not_passed_over(coins, plan, ledger):
    """Of two rounds the operator opens one: a verdict over the rounds that he chose would be worth nothing."""
    second = dataclasses.replace(plan, round_number=2)
    for each in (plan, second):
        coins.record(each, np.zeros(CANARIES, dtype=np.int64))
    release(ledger, plan, [0] * CANARIES)
    roster = (("host-00", 1),)
    body = Release(digest(second), 2, roster, (AUDITOR,), second.rho, bytes(32), bytes(32)).to_body()
    ledger.append("release", body)
    with pytest.raises(LedgerBroken, match=r"line 4.*0 of 20"):
        scores_from_ledger(ledger.path, coins)


def test_without_colluders_the_auditors_noise_stays_in(coins, ledger):
    """A claim with t = 0 counts every host's noise, so none is taken off."""
    roster, _ = make_roster(5)
    plan = make_plan(roster, n_min=4, colluders=0, canaries=CANARIES)
    coins.record(plan, np.full(CANARIES, 1000, dtype=np.int64))
    release(ledger, plan, [plan.clip_units] * CANARIES)
    live = scores_from_ledger(ledger.path, coins)
    assert live.scores.tolist() == [1.0] * CANARIES
    assert live.noisy_hosts == 4


def test_rounds_without_the_auditor_do_not_count(coins, plan, ledger):
    """A round that his host dropped out of, one of a plan that he never saw, and a void one say nothing."""
    coins.record(plan, np.zeros(CANARIES, dtype=np.int64))
    release(ledger, plan, [0] * CANARIES, survivors=("host-01", "host-02", "host-03", "host-04"))
    release(ledger, dataclasses.replace(plan, round_number=2), [0] * CANARIES)
    with pytest.raises(InvalidInput, match="no audit round"):
        scores_from_ledger(ledger.path, coins)


def test_a_plans_facts_are_the_claims():
    """μ of a round is B/(σ√(n_min − t)), infinite without noise."""
    roster, _ = make_roster(5)
    plan = make_plan(roster, n_min=4, norm_bound_squared=9 * 10**12, noise_variance_units=10**12)
    facts = TargetFacts.of_plan(plan)
    assert facts.mu_round == pytest.approx(3**0.5)
    assert facts.mu(4) == pytest.approx(2 * 3**0.5)
    assert facts.sensitivity == pytest.approx(3 * 10**6 / 2**20)
    silent = dataclasses.replace(plan, noise_variance_units=0, rho=Fraction(0))
    assert TargetFacts.of_plan(silent).mu_round == float("inf")


@pytest.mark.parametrize("mode", ["local", "central"])
def test_other_modes_are_not_audited(mode):
    """Their noise is not that of n_min − t hosts, so the figures would mean nothing."""
    roster, _ = make_roster(5)
    with pytest.raises(InvalidInput, match="mode"):
        TargetFacts.of_plan(make_plan(roster, n_min=4, mode=mode))


def test_the_number_of_guesses_is_fixed_with_the_coins(tmp_path, ledger, plan):
    """Another r than the one written down before the rounds is refused; one that cannot be is never written."""
    chosen = CoinsFile.create(tmp_path / "chosen.json", AUDITOR, CANARIES, guesses=12)
    assert CoinsFile.load(chosen.path).guesses == 12
    with pytest.raises(InvalidInput, match="the coins file has 12"):
        judge_ledger(ledger.path, chosen.path, guesses=10)
    default = CoinsFile.create(tmp_path / "default.json", AUDITOR, CANARIES)
    with pytest.raises(InvalidInput, match="before anything is seen"):
        judge_ledger(ledger.path, default.path, guesses=10)
    with pytest.raises(InvalidInput, match="1 to 20"):
        CoinsFile.create(tmp_path / "many.json", AUDITOR, CANARIES, guesses=21)
    assert not (tmp_path / "many.json").exists()
