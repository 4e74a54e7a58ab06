"""`tactful lab evaluate` prints data problems first, then policies with intervals and effective sample sizes."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from tests.evaluation import push_world

with warnings.catch_warnings():
    # typer's own import of a name that click has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from typer.testing import CliRunner

    from tactful_lab.cli import app

runner = CliRunner()
MAP = """\
user: person
time: at
action: action
propensity: p
outcomes: {bought: y}
slot: slot
context: [trait]
time_unit: s
"""


@pytest.fixture
def folder(tmp_path):
    log = push_world.stateless_log(21, users=300)
    frame = pd.DataFrame({"person": log.user, "at": log.time_s, "action": np.where(log.sent, "send", "wait")})
    frame = frame.assign(p=log.propensity, y=log.outcomes["y"], slot=log.slot, trait=log.context[:, 0])
    frame = frame.assign(tilted=log.columns["tilted"])
    frame.to_csv(tmp_path / "clean.csv", index=False)
    frame.loc[3, "p"], frame.loc[7, "y"], frame.loc[9, "action"] = 0.0, np.nan, "pushed"
    pd.concat([frame, frame.iloc[[5]]]).to_csv(tmp_path / "log.csv", index=False)
    (tmp_path / "map.yaml").write_text(MAP)
    return tmp_path


def run(folder, *flags, log="log.csv"):
    return runner.invoke(app, ["evaluate", str(folder / log), "--map", str(folder / "map.yaml"), *flags])


def test_json_has_problems_policies_intervals_and_effective_sizes(folder):
    """Stable keys; the interval of each policy holds the world's truth (seed fixed; DR, a 95 % interval of one log)."""
    words = ["always", "never", "fixed:0.5", "slot:evening=1", "column:tilted"]
    result = run(folder, "--json", *(flag for word in words for flag in ("--policy", word)), "--resamples", "300")
    assert result.exit_code == 0, result.output
    plain = json.loads(result.stdout)
    assert list(plain) == ["data_problems", "log", "options", "effects", "multiplicity", "policies", "concluded"]
    problems = {problem["kind"]: (problem["count"], problem["rows"]) for problem in plain["data_problems"]}
    last = plain["log"]["rows_read"]
    assert problems == {
        "impossible_propensity": (1, [4]),
        "missing_outcome": (1, [8]),
        "unknown_action": (1, [10]),
        "duplicate_decision": (1, [last]),
    }
    assert plain["log"]["rows_left_out"] == 3
    assert plain["log"]["decisions_evaluated"] == last - 3
    truths = dict(zip(words, (1.0, 0.0, 0.5, [0, 0, 1.0], np.array([[0.1], [0.8]])), strict=True))
    rows = {(row["policy"], row["estimator"]): row for row in plain["policies"]}
    assert set(rows) == {(p, e) for p in ("logged", *words) for e in ("ips", "snips", "dr", "switch_dr")}
    for word, send in truths.items():
        row = rows[word, "dr"]
        assert row["value"]["low"] <= push_world.stateless_truth(send) <= row["value"]["high"]
        assert row["outcome"] == "bought"
        assert row["effective_decisions"] > 100 < row["effective_users"]
        assert row["concluded"] is True
        assert row["refusal"] is None
        assert set(row["difference"]) == {"estimate", "low", "high", "level"}


def test_text_prints_problems_before_policies(folder):
    """And the JSON goes to a file beside it."""
    result = run(folder, "--out", str(folder / "found" / "figures.json"), "--resamples", "50", "--window-days", "3.5")
    assert result.exit_code == 0, result.output
    places = [
        result.output.index(word) for word in ("impossible_propensity", "rows left out: 3", "bought: mean", "always")
    ]
    assert places == sorted(places)
    found = json.loads((folder / "found" / "figures.json").read_text())
    assert {row["estimator"] for row in found["policies"]} >= {"window_ips", "window_snips"}
    assert "Data problems: none found" in run(folder, "--resamples", "50", log="clean.csv").output


def test_flags_are_enough_without_a_mapping_file(folder):
    """The same figures as with the file."""
    flags = ["--user", "person", "--time", "at", "--action", "action", "--propensity", "p", "--outcome", "bought=y"]
    flags += ["--slot", "slot", "--context", "trait", "--json", "--resamples", "50"]
    frame = pd.read_csv(folder / "clean.csv")
    frame.assign(at=pd.to_datetime(frame["at"], unit="s", utc=True)).to_parquet(folder / "log.parquet")
    by_flags = runner.invoke(app, ["evaluate", str(folder / "log.parquet"), *flags])
    by_file = run(folder, "--json", "--resamples", "50", log="clean.csv")
    assert json.loads(by_flags.stdout) == json.loads(by_file.stdout)


def test_it_refuses_to_conclude_with_exit_code_1(folder):
    """A limit above the log's size: no value is printed, the reason is."""
    result = run(folder, "--json", "--min-effective-users", "1000")
    assert result.exit_code == 1
    plain = json.loads(result.stdout)
    assert plain["concluded"] is False
    assert {row["refusal"]["reason"] for row in plain["policies"]} == {"effective_sample_too_small"}
    assert {row["value"] for row in plain["policies"]} == {None}
    text = run(folder, "--min-effective-users", "1000")
    assert text.exit_code == 1
    assert "no conclusion: the effective sample is" in text.output


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--policy", "sometimes"], "policy"),
        (["--policy", "slot:night=1"], "night"),
        (["--policy", "column:absent"], "absent"),
        (["--window-days", "8"], "7 days"),
        (["--propensity", "none"], "none"),
        (["--missing-outcomes", "guess"], "missing_outcomes"),
        (["--level", "2"], "level"),
        (["--resamples", "0"], "resamples"),
        (["--switch-threshold", "0"], "switch_threshold"),
        (["--min-effective-users", "0"], "effective_users"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(folder, flags, word):
    """The line names what is wrong."""
    result = run(folder, "--json", *flags)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.strip().count("\n") == 0
    assert word in result.stderr


def test_a_missing_log_or_map_is_bad_input(folder):
    """Exit code 2 for either."""
    assert run(folder, log="absent.csv").exit_code == 2
    assert (
        runner.invoke(app, ["evaluate", str(folder / "log.csv"), "--map", str(folder / "absent.toml")]).exit_code == 2
    )
    assert runner.invoke(app, ["evaluate", str(folder / "log.csv")]).exit_code == 2
