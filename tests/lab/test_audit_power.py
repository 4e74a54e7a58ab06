"""Over the whole path of a round: the correct mechanism passes, halved noise is caught, and the command says so."""

import json
import warnings

import numpy as np
import pytest

from tactful.federation import participant as device
from tactful_lab.audit.target import open_target
from tactful_privacy.audit.session import run_audit
from tactful_privacy.mechanisms.discrete_gaussian import sample

with warnings.catch_warnings():  # typer's own import names what newer clicks deprecate
    warnings.simplefilter("ignore", DeprecationWarning)
    from typer.testing import CliRunner

from tactful_privacy.cli import app

SMALL = ["run", "--canaries", "400", "--rounds", "2"]


def audits(runs):
    target = open_target()
    try:
        return [run_audit(target).result for _ in range(runs)]
    finally:
        target.close()


@pytest.fixture
def halved(monkeypatch):
    """Every host's noise at half its deviation, and a self-test that does not see it, so that the audit has to."""
    monkeypatch.setattr(device, "_noise", lambda plan, *_: sample(plan.noise_variance_units // 4, plan.dimension))
    monkeypatch.setattr(device.RoundParticipant, "_require_sound", lambda self: None)


def test_the_correct_path_passes():
    """Six audits of 1,000 canaries: none refuted (the bound's own rate is below 1e-3)."""
    assert all(result.holds for result in audits(6))


@pytest.mark.usefixtures("halved")
def test_halved_noise_is_caught_over_the_whole_path():
    """Six audits: at least five refuted (true power 0.99: four or fewer once in 70,000), all seen by the estimate."""
    results = audits(6)
    assert sum(not result.holds for result in results) >= 5
    assert not any(result.estimate_holds for result in results)
    assert np.mean([result.gaussian_mu_estimate for result in results]) == pytest.approx(2 * 0.78875, abs=0.18)


@pytest.mark.slow
def test_false_alarms_of_200_audits_over_the_whole_path():
    """At 95 %: at most 8 % of 200 real audits refute the correct mechanism."""
    assert sum(not result.holds for result in audits(200)) <= 16


def test_the_command_runs_a_rehearsal(tmp_path):
    """`tactful audit run` exits 0, prints the bounds with the theory beside them, and writes the same to a file."""
    out = tmp_path / "audit-run.json"
    result = CliRunner().invoke(app, [*SMALL, "--out", str(out), "--json"])
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told == json.loads(out.read_text())
    assert (told["target"], told["rounds"], told["canaries"], told["noisy_hosts"]) == ("rehearsal", 2, 400, 3)
    assert told["theory_epsilon"] == pytest.approx(4.0, abs=1e-6)
    assert told["f_dp_mu"] < told["theory_mu"]
    assert [each["rounds"] for each in told["after_each"]] == [1, 2]


def test_several_planned_audits_each_ask_for_more():
    """`--looks 5` judges at 99 %, by Bonferroni; fewer than one look is wrong use."""
    result = CliRunner().invoke(app, ["run", "--canaries", "50", "--rounds", "1", "--looks", "5", "--json"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["confidence"] == pytest.approx(0.99)
    assert CliRunner().invoke(app, [*SMALL, "--looks", "0"]).exit_code == 2


@pytest.mark.usefixtures("halved")
def test_the_command_exits_1_when_the_theory_is_contradicted():
    """With 1,000 canaries at half the noise; a table and a plain sentence (power 0.99)."""
    result = CliRunner().invoke(app, ["run", "--rounds", "1"])
    assert result.exit_code == 1
    assert "the theory is contradicted" in result.stderr
    assert "the claim is refuted" in result.stdout


@pytest.mark.parametrize(
    "wrong",
    [["--target", "nobody"], ["--hosts", "2", "--colluders", "2"], ["--guesses", "401"], ["--out", "/nowhere/x"]],
)
def test_wrong_use_exits_2(wrong):
    """An unknown target, hosts that cannot carry the threshold, too many guesses, no place for the file."""
    result = CliRunner().invoke(app, [*SMALL, *wrong, "--json"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
