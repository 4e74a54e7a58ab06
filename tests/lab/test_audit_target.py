"""A rehearsed audit round is a real round in the claim's worst case, and its canaries never touch the model."""

import math

import numpy as np
import pytest

from tactful_lab.audit.target import AUDITOR, CLIP_NORM, MODEL_DIMENSION, RehearsedTarget, open_target
from tactful_privacy.accounting.zcdp import epsilon
from tactful_privacy.audit.session import run_audit
from tactful_privacy.audit.target import AuditRoundVoid, RoundTarget
from tactful_privacy.errors import InvalidInput
from tactful_privacy.ledger import verify

CANARIES = 600


@pytest.fixture(scope="module")
def target():
    opened = open_target(canaries=CANARIES)
    yield opened
    opened.close()


def noise_of(target, inserted):
    """One round's scores less the canaries themselves."""
    return target.run_round(inserted) - inserted


def expected_deviation(target, hosts):
    return math.sqrt(hosts * target.facts.noise_variance_units) / target.facts.clip_units


def test_it_is_a_round_target(target):
    """It has what the audit asks for, and its facts are the claim's: five hosts, n_min = 4, t = 1, ε = 4."""
    assert isinstance(target, RoundTarget)
    facts = target.facts
    assert (facts.n_hosts, facts.n_min, facts.colluders, facts.honest_hosts) == (5, 4, 1, 3)
    assert facts.sensitivity == pytest.approx(CLIP_NORM, rel=1e-5)
    assert facts.mu_round**2 == pytest.approx(2 * float(facts.rho), rel=1e-12)
    assert facts.epsilon(1, 1e-6) == pytest.approx(4.0, abs=1e-6)
    assert epsilon(facts.mu(1) ** 2 / 2, 1e-6) == pytest.approx(4.0, abs=1e-6)


def test_exactly_three_hosts_of_noise_lie_over_the_canaries(target):
    """The deviation is that of n_min − t hosts, neither of two nor of four: 5 deviations of 600 scores are 14 %."""
    inserted = np.arange(CANARIES) % 2 == 0
    spread = noise_of(target, inserted).std()
    assert abs(spread / expected_deviation(target, 3) - 1) < 0.14
    assert target.last.survivors == (AUDITOR, "host-001", "host-002", "host-003")
    assert target.last.dropped["host-004"].stage == "contribution"


def test_a_canary_adds_the_whole_clip_norm_and_no_more(target):
    """It asks for eight times C; the mean of 300 scores that are in is 1, those that are out 0 (5 deviations)."""
    inserted = np.arange(CANARIES) % 2 == 0
    scores = target.run_round(inserted)
    slack = 5 * expected_deviation(target, 3) / math.sqrt(CANARIES / 2)
    assert scores[inserted].mean() == pytest.approx(1.0, abs=slack)
    assert scores[~inserted].mean() == pytest.approx(0.0, abs=slack)


def test_the_model_learns_from_the_products_devices_alone(target):
    """A round moves the model by the devices' mean, whether all canaries are in or none, but for its own noise."""
    steps = []
    for inserted in (np.zeros(CANARIES, dtype=bool), np.ones(CANARIES, dtype=bool)):
        before = np.array(target.server.model().values())
        target.run_round(inserted)
        steps.append(np.array(target.server.model().values()) - before)
        assert target.last.planned_devices == 3 * target.setting.devices
        assert target.model_before != target.model_after == target.server.model().digest
    devices = np.where(np.arange(MODEL_DIMENSION) % 2, -1.0, 1.0) * CLIP_NORM / math.sqrt(MODEL_DIMENSION)
    # Four hosts' noise in a mean over the devices of three; the largest of 53 coordinates is within 6 deviations.
    total = 2 * math.sqrt(target.facts.noise_variance_units) * 2.0**-target.facts.grid_exponent
    noise = total / (3 * target.setting.devices)
    for step in steps:
        assert np.abs(step - devices).max() < 6 * noise


def test_settling_again_with_other_canaries_gives_the_same_model(target):
    """The opened sum with every canary coordinate overwritten settles to the same artifact, bit by bit."""
    target.run_round(np.ones(CANARIES, dtype=bool))
    office = target.server.office
    machine = office.last_release()
    total = machine.total.copy()
    genuine = office.settle(machine.plan, total, machine.sum)
    total[-CANARIES:] = 12_345
    assert office.settle(machine.plan, total, machine.sum) == genuine


def test_its_ledger_verifies(target):
    """The rehearsal writes the same chain as any federation, with one audit entry a round."""
    target.run_round(np.zeros(CANARIES, dtype=bool))
    report = verify(target.server.ledger_path)
    audits = [entry for entry in target.server.office.ledger.entries() if entry.kind == "audit"]
    assert len(audits) == report.releases > 0


@pytest.mark.parametrize(("hosts", "colluders", "honest"), [(5, 0, 3), (6, 2, 3)])
def test_other_thresholds_keep_the_worst_case(hosts, colluders, honest):
    """Without colluders the auditor's own noise counts; with two, a second host's noise is known and taken off."""
    opened = open_target(canaries=CANARIES, hosts=hosts, colluders=colluders)
    try:
        assert opened.facts.honest_hosts == honest
        spread = noise_of(opened, np.zeros(CANARIES, dtype=bool)).std()
        assert abs(spread / expected_deviation(opened, honest) - 1) < 0.14
    finally:
        opened.close()


def test_the_promise_may_be_spread_over_rounds():
    """Three rounds of a third of the price: the same μ in all, scores add up, and each round has its place."""
    opened = open_target(canaries=CANARIES, rounds=3)
    seen = []
    try:
        done = run_audit(opened, on_round=lambda number, result: seen.append((number, result.theory_mu)))
    finally:
        opened.close()
    assert [number for number, _ in seen] == [1, 2, 3]
    assert seen[0][1] * math.sqrt(3) == pytest.approx(seen[2][1])
    assert done.result.theory_mu == pytest.approx(0.78875, abs=1e-4)
    assert done.result.theory_epsilon == pytest.approx(4.0, abs=1e-6)
    # 600 canaries locate μ to 0.085; six deviations.
    assert done.result.gaussian_mu_estimate == pytest.approx(done.result.theory_mu, abs=0.51)
    assert done.to_dict()["after_each"][2]["theory_mu"] == done.result.theory_mu


def test_a_void_round_is_no_verdict(target):
    """When the hosts refuse, the error says why, and nothing is judged."""
    kept = dict(target.participants)
    target.participants["host-001"] = type("Silent", (), {"handle": lambda self, request: b""})()
    try:
        with pytest.raises(AuditRoundVoid, match="n_min is 4"):
            target.run_round(np.zeros(CANARIES, dtype=bool))
    finally:
        target.participants.update(kept)


def test_wrong_use_is_named(target):
    """Other shapes and hosts which cannot carry the threshold."""
    with pytest.raises(InvalidInput, match="inserted"):
        target.run_round(np.zeros(3, dtype=bool))
    with pytest.raises(InvalidInput, match="hosts"):
        open_target(hosts=2, colluders=2)
    assert isinstance(target, RehearsedTarget)
