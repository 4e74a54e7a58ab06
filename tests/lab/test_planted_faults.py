"""Each fault planted in the product's own code is caught by the check that must, and a sound system by none."""

import json
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tactful.federation.participant import host_path
from tactful_lab.audit.target import open_target
from tactful_privacy.audit.faults import Check, Trial, most_alarms, run_faults, summarise
from tactful_privacy.cli import app
from tactful_privacy.errors import InvalidInput
from tactful_privacy.selftest import inspect

BY_REFUSAL = {
    "nan_update": "row_zeroed",
    "plan_noise_halved": "wrong_price",
    "plan_noise_halved_priced": "too_little_noise",
    "plan_statistic_outside": "wrong_bound",
    "mask_key_reused": "mask_key_reused",
    "both_shares": "wrong_shape",
    "second_list_asked": "second_survivor_list",
    "both_shares_asked": "second_survivor_list",
    "entropy_stuck": "entropy_failure",
    "noise_off": "self_test_failed",
    "one_noise_missing": "self_test_failed",
}
BY_SELF_TEST = {
    "noise_off": "noise_scale",
    "noise_halved": "noise_scale",
    "noise_repeated": "noise_fresh",
    "noise_float": "sampler_known_answer",
    "noise_biased": "sampler_small_sigma",
    "one_noise_missing": "noise_scale",
    "local_noise_once": "local_noise_scale",
    "clip_off": "clip",
    "norm_check_skipped": "norm_check",
    "clip_off_and_norm_check_skipped": "clip",
    "clip_tripled": "clip",
    "weighted": "weight_one",
    "statistic_unbounded": "statistic_bounded",
    "mask_off": "mask_uniform",
    "mask_key_reused": "key_fresh",
    "both_shares": "one_share",
    "second_list_answered": "one_list",
}
# At 1,000 canaries the bound catches halved noise in at least 85 of 100 audits, the others practically always.
BY_AUDIT = ["noise_off", "noise_repeated", "clip_off_and_norm_check_skipped", "clip_tripled", "weighted"]
NOT_BY_AUDIT = ["noise_float", "noise_biased", "clip_off", "norm_check_skipped"]


@pytest.fixture(scope="module")
def target():
    with closing(open_target(canaries=1000, rounds=1)) as opened:
        yield opened


@pytest.fixture(scope="module")
def results(target):
    """Every fault, tried once."""
    return {result.name: result for result in run_faults(target, runs=1).faults}


def test_the_table_has_every_fault(results):
    """What was planted is what is expected of someone, and one row each for the sound system and the claim's slack."""
    assert set(results) == {"none", "one_noise_missing_within_slack", *BY_REFUSAL, *BY_SELF_TEST, *BY_AUDIT}


@pytest.mark.parametrize(("name", "code"), BY_REFUSAL.items())
def test_refusals(results, name, code):
    """These faults meet a typed refusal in every trial, with this code and no other."""
    assert results[name].catches["refusal"] == 1
    assert results[name].refusal_codes == (code,)


@pytest.mark.parametrize(("name", "check"), BY_SELF_TEST.items())
def test_self_test(results, name, check):
    """These faults fail the host's self-test in every trial, by this check among others."""
    assert results[name].catches["self_test"] == 1
    assert check in results[name].self_test_checks


@pytest.mark.parametrize("name", BY_AUDIT)
def test_audit(results, name):
    """These faults contradict the theory in every audit, by the bound and by the estimate."""
    assert results[name].catches["audit"] == 1
    assert results[name].catches["audit_estimate"] == 1


@pytest.mark.parametrize("name", NOT_BY_AUDIT)
def test_what_no_audit_can_see_is_not_called_caught_by_it(results, name):
    """These leave the sum's distribution as it was: an audit may alarm by chance, which is expected of no row."""
    assert results[name].expected == ("self_test",)
    assert results[name].caught_by == "self_test"


def test_the_page_has_every_fault_and_every_check(results):
    """docs/faults.md says where each fault is planted, and what each check of the self-test looks at."""
    page = (Path(__file__).parents[2] / "docs" / "faults.md").read_text(encoding="utf-8")
    named = page.replace("`…_within_slack`", "`one_noise_missing_within_slack`")
    assert not [name for name in results if name != "none" and f"`{name}`" not in named]
    checks = {finding.check for finding in inspect(host_path()).findings}
    assert not [check for check in checks if f"`{check}`" not in page]


def test_a_fault_below_the_slack_is_no_violation(results):
    """With n_min − t shares of noise left, nothing is caught, and nothing is claimed to be."""
    result = results["one_noise_missing_within_slack"]
    assert result.caught_by == "no_violation"
    assert result.expected == ()


def test_a_planted_fault_is_taken_out_again(target, results):
    """After every fault the federation is sound: a round opens, the self-test passes."""
    (again,) = run_faults(target, runs=1, only=["none"]).faults
    assert again.catches["self_test"] == again.catches["refusal"] == 0
    assert target.last.total is not None


@pytest.mark.slow
def test_the_whole_table(target):
    """Twenty trials of each fault: all as expected, and halved noise is caught by the bound in at least 16.

    At a power of 0.94 fewer than 16 of 20 come about with probability 0.0005.
    """
    table = run_faults(target, runs=20)
    assert table.as_expected, [result.to_dict() for result in table.faults if not result.as_expected]
    assert {result.name: result for result in table.faults}["noise_halved"].catches["audit"] >= 16


@pytest.mark.slow
def test_a_sound_federation_alarms_no_more_than_it_may(target):
    """In 60 audits at 95 % at most 11 alarm (binomial, exceeded with probability below 1e-4), and no host refuses."""
    (result,) = run_faults(target, runs=60, only=["none"]).faults
    assert most_alarms(60, 0.95) == 11
    assert result.as_expected
    assert result.catches["refusal"] == result.catches["self_test"] == 0


class Scripted:
    """A fault whose trials are given."""

    name, title, where, remark, tolerated = "scripted", "", "", "", ()

    def __init__(self, expected=(), signs=()):
        self.expected, self.signs = expected, signs


def test_a_fault_that_nothing_catches_escapes():
    """If the expected check is silent, the fault is named as escaped, whatever else was refused."""
    trials = [Trial(self_test=(), refusals=("other",), bound=False, estimate=False)] * 20
    result = summarise(Scripted((Check.SELF_TEST, Check.REFUSAL), ("wanted",)), trials)
    assert (result.caught_by, result.as_expected) == ("none", False)


def test_a_catch_by_a_check_that_was_not_expected_is_no_excuse():
    """Caught by the audit alone where the self-test should have: not as expected."""
    trials = [Trial(self_test=(), bound=True, estimate=True)] * 20
    result = summarise(Scripted((Check.SELF_TEST,)), trials)
    assert (result.caught_by, result.as_expected) == ("audit", False)


def test_a_sound_system_that_is_accused_is_not_as_expected():
    """Ten alarms of twenty without a fault, or one failed self-test, are themselves a finding."""
    noisy = [Trial(self_test=(), bound=number % 2 == 0, estimate=False) for number in range(20)]
    assert not summarise(Scripted(), noisy).as_expected
    assert not summarise(Scripted(), [Trial(self_test=("clip",), bound=False)] * 20).as_expected
    assert summarise(Scripted(), [Trial(self_test=(), bound=False)] * 20).as_expected


def test_the_command(tmp_path):
    """The command prints one JSON object, writes the same to a file, and leaves with 0; an unknown fault is exit 2."""
    out = tmp_path / "faults.json"
    options = ["faults", "--runs", "1", "--canaries", "200", "--only", "clip_off", "--only", "plan_noise_halved"]
    done = CliRunner().invoke(app, [*options, "--json", "--out", str(out)])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told == json.loads(out.read_text())
    assert [row["caught_by"] for row in told["faults"]] == ["self_test", "refusal"]
    plain = CliRunner().invoke(app, options, env={"COLUMNS": "80"})
    assert "clip off" in plain.stdout
    assert "all as expected" in plain.stdout
    unknown = CliRunner().invoke(app, ["faults", "--only", "nonsense"])
    assert unknown.exit_code == 2
    assert "known are" in unknown.stderr


def test_the_command_leaves_with_1_when_a_fault_escapes(monkeypatch):
    """With the self-test blind, a fault which it alone can see escapes: exit code 1, and it is named."""
    from tactful_lab.audit.faults import kinds
    from tactful_privacy.selftest import SelfTestReport

    monkeypatch.setattr(kinds, "inspect", lambda path: SelfTestReport((), 0.0))
    done = CliRunner().invoke(app, ["faults", "--runs", "1", "--canaries", "200", "--only", "second_list_answered"])
    assert done.exit_code == 1
    assert "second_list_answered" in done.stderr


def test_runs_must_be_positive(target):
    """Zero runs are wrong use."""
    with pytest.raises(InvalidInput):
        run_faults(target, runs=0)
