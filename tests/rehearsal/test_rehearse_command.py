"""`tactful lab rehearse` compares policies on paired seeds, and its log is what `tactful lab evaluate` reads."""

import json
import warnings
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from tactful_lab.rehearsal import words
from tactful_lab.worlds import KINDS, Never, RandomTimes, World, rehearse, tuning_seeds

with warnings.catch_warnings():
    # typer's own import of a name that click has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from typer.testing import CliRunner

    from tactful_lab.cli import app

runner = CliRunner()
TINY = ("--n", "120", "--weeks", "2", "--warmup-weeks", "1", "--seeds", "2")


def run(*flags, tiny=TINY):
    return runner.invoke(app, ["rehearse", *tiny, *map(str, flags)])


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """One run with all that the command can write."""
    folder = tmp_path_factory.mktemp("rehearsal")
    flags = ("--policy", "histogram_three", "--policy", "random_7", "--frontier", "--json")
    result = run(*flags, "--html", folder / "r.html", "--log", folder / "pushes.csv")
    assert result.exit_code == 0, result.stderr
    return folder, json.loads(result.stdout)


def test_json_names_seeds_and_figures_with_units(everything):
    """Keys are stable; seeds are named and are those for tuning; `never` and the oracle are always there."""
    _, plain = everything
    assert plain["seeds"] == list(tuning_seeds(2))
    assert plain["seed_range"] == "tuning"
    names = [row["policy"] for row in plain["policies"]]
    assert names == ["never", "histogram_three", "random_7", "greedy_oracle"]
    for row in plain["policies"]:
        gain = row["gain_over_never_minor_per_user_week"]
        assert gain["low_95"] <= gain["value"] <= gain["high_95"]
        assert len(row["weekly_pushes_per_user"]) == len(row["weekly_regret_minor_per_user"]) == 2
    assert plain["options"]["baseline"] == "histogram_three"
    assert plain["policies"][1]["difference_minor_per_user_week"]["value"] == 0


def test_figures_are_those_of_two_plain_runs(everything):
    """Oracle: the gain of random_7 is what two loops over worlds find, each written out here."""
    _, plain = everything
    gains = []
    for seed in tuning_seeds(2):
        ours, none = World("main", 120, seed), World("main", 120, seed)
        sent = rehearse(ours, RandomTimes(7.0, seed), 2, warmup_weeks=1)
        quiet = rehearse(none, Never(), 2, warmup_weeks=1)
        gains.append((sent.weekly_expected_minor.sum() - quiet.weekly_expected_minor.sum()) / (120 * 2))
    row = next(row for row in plain["policies"] if row["policy"] == "random_7")
    assert np.isclose(row["gain_over_never_minor_per_user_week"]["value"], np.mean(gains), rtol=1e-9)
    half = 12.7062047 * abs(gains[0] - gains[1]) / 2  # Student's 97.5 % with one degree of freedom; sd/√2 = |a−b|/2
    assert np.isclose(row["gain_over_never_minor_per_user_week"]["high_95"] - np.mean(gains), half, rtol=1e-6)


def test_rehearse_log_evaluate_is_a_loop(everything):
    """The log goes into `tactful lab evaluate` with the mapping beside it; only the horizon's outcomes are missing."""
    folder, plain = everything
    log = pd.read_csv(folder / "pushes.csv")
    assert len(log) == plain["log"]["rows"]
    assert (log["action"] == "send").sum() == plain["log"]["sends"]
    flags = ("--map", str(folder / "pushes.map.yaml"), "--policy", "fixed:0.1", "--json", "--resamples", "60")
    found = runner.invoke(app, ["evaluate", str(folder / "pushes.csv"), *flags])
    assert found.exit_code in (0, 1), found.output  # 1: a rare outcome is refused in so small a log
    read = json.loads(found.stdout)
    assert {problem["kind"] for problem in read["data_problems"]} == {"missing_outcome"}
    assert read["log"]["rows_left_out"] == 0
    value = next(
        r for r in read["policies"] if (r["policy"], r["outcome"], r["estimator"]) == ("logged", "session_24h", "ips")
    )
    assert np.isclose(value["value"]["estimate"], log["session_24h"].mean(), atol=0.02)


def test_html_report_is_one_file_with_labelled_figures(everything):
    """Inline SVG with captions; nothing is loaded from anywhere; the frontier is in it, and the world's own words."""
    folder, plain = everything
    text = (folder / "r.html").read_text(encoding="utf-8")
    assert text.count("<svg") == 3
    assert text.count("aria-label=") == 3
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "src=" not in text
    for sentence in ("pushes per person", "withdrew by the end", "The oracle knows what nobody can know"):
        assert sentence in text
    svg = text[text.index("<svg") : text.index("</svg>") + 6]
    assert ET.fromstring(svg) is not None
    families = {point["family"] for point in plain["frontier"]}
    assert families == {"random times", "fixed cap", "histogram send time", "greedy_oracle"}


def test_text_says_that_it_is_simulated():
    """A person sees the table, the seeds, and that nothing may be forecast from it."""
    result = run("--policy", "fixed_three", "--hazard", "0.002", "--opt-out-cost", "40")
    assert result.exit_code == 0, result.stderr
    for words_ in ("fixed_three", "Seeds 1000 to 1001 (tuning)", "forecast nothing"):
        assert words_ in result.stdout


@pytest.mark.parametrize(
    ("flags", "needle"),
    [
        (("--world", "moon"), "main, no_fatigue"),
        (("--policy", "hourly"), "histogram_three"),
        (("--seeds", "1"), "2 or more"),
        (("--epsilon", "0"), "epsilon"),
        (("--hazard", "2"), "hazard"),
        (("--n", "0"), "n"),
        (("--n", "100000000"), "fewer people"),
        (("--policy", "fixed_three", "--log", "x.csv"), "random_3"),
        (("--policy", "random_3", "--log", "x.parquet"), ".csv"),
        (("--policy", "fixed_three", "--curve"), "tactful"),
        (("--policy", "never", "--policy", "never"), "each once"),
        (("--baseline", "hourly"), "--baseline: is not a known policy"),
        (("--log", "x.csv", "--log-policy", "hourly"), "--log-policy: is not a known policy"),
        (("--html", "/proc/no/such.html"), "--html: /proc/no/such.html: No such file"),
    ],
)
def test_wrong_use_is_one_line_with_a_remedy(flags, needle, tmp_path, monkeypatch):
    """Exit code 2, one line on standard error which names the remedy, nothing on standard output."""
    monkeypatch.chdir(tmp_path)
    result = run(*flags)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
    assert needle in result.stderr


def test_a_file_that_cannot_be_written_after_all_is_one_line(tmp_path, monkeypatch):
    """As when the disk is full: its name, the reason and the remedy; exit code 2."""

    def full(path, *_):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("tactful_lab.rehearsal.page.write", full)
    result = run("--policy", "random_3", "--html", tmp_path / "r.html")
    assert result.exit_code == 2
    assert result.stderr.strip().endswith("r.html: No space left on device; name a file in a folder that takes it")


def test_seeds_of_reports_are_named_as_such():
    """Who asks for the seeds from which the project reports is told so."""
    first = World("main", 1, 0).parameters.seeds.reporting_first
    result = run("--policy", "random_3", "--first-seed", first, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["seed_range"] == "reporting"
    assert "look, and tune on others" in result.stderr


def test_every_world_is_described():
    """The report says what each kind of world is."""
    assert set(words.WORLDS) == set(KINDS)
