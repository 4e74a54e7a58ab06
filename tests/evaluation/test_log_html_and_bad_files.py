"""A report is one file with its problems first; a bad log or option ends in exit code 2 and one line with a remedy."""

import gzip
import json
import re
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

MAP = "user: person\ntime: at\naction: action\npropensity: p\noutcomes: {bought: y}\nslot: slot\ntime_unit: s\n"


def table(users=150):
    log = push_world.stateless_log(21, users=users)
    frame = pd.DataFrame({"person": log.user, "at": log.time_s, "action": np.where(log.sent, "send", "wait")})
    y = (log.outcomes["y"] > 0).astype(int)
    return frame.assign(p=log.propensity, y=y, slot=log.slot, seen=np.arange(log.n) % 5)


def run(folder, frame, *flags, mapping=MAP, name="log.csv"):
    path = folder / name
    if isinstance(frame, bytes):
        path.write_bytes(frame)
    else:
        frame.to_csv(path, index=False)
    (folder / "map.yaml").write_text(mapping)
    words = ["evaluate", str(path), "--map", str(folder / "map.yaml"), "--resamples", "30", "--json"]
    return CliRunner().invoke(app, [*words, *flags])


def test_the_report_is_one_file_problems_first_and_refusals_said(tmp_path):
    """No address to load from, no id twice, a picture for each analysis; a refused policy is told in words."""
    frame = table()
    frame.loc[frame["slot"] == "noon", "p"], frame.loc[frame["slot"] == "noon", "action"] = 1.0, "wait"
    frame.loc[3, "p"] = 0.0
    flags = ("--certain-decisions", "keep", "--policy", "always", "--policy", "never")
    result = run(tmp_path, frame, "--html", str(tmp_path / "r.html"), *flags)
    assert result.exit_code == 1, result.output
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert (
        text.index("Data problems") < text.index("The log") < text.index("Effects of a push") < text.index("Policies")
    )
    assert text.index("impossible_propensity") < text.index("<svg")
    assert "always: no conclusion: at " in text
    assert not re.findall(r"(?:src|href)=\"(?!#)", text)
    ids = re.findall(r"\bid=\"([^\"]+)\"", text)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("as_key", [True, False])
def test_a_column_of_dosage_takes_the_place_of_the_computed_ones(tmp_path, as_key):
    """As a flag or a key of the mapping; the options in the JSON tell of it, of the scale and of the correction."""
    flags, mapping = ((), MAP + "dosage: seen\n") if as_key else (("--dosage", "seen"), MAP)
    plain = json.loads(run(tmp_path, table(), "--scale", "log-rr", *flags, mapping=mapping).stdout)
    by = [each for each in plain["effects"] if each["analysis"] == "by_dosage"]
    assert [each["fit"]["effects"][1]["name"] for each in by] == ["seen"]
    told = {name: plain["options"][name] for name in ("dosage", "small_sample", "scale")}
    assert told == {"dosage": "seen", "small_sample": True, "scale": "log-rr"}


BAD = {
    "empty": b"",
    "header": b"person,at,action,p,y,slot\n",
    "utf-16": "person,at\n".encode("utf-16"),
    "zeros": b"\0" * 300,
    "columns": b"person,at\n1,2\n",
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_refused_in_one_line(tmp_path, kind):
    """Exit code 2, nothing on standard output."""
    refused(run(tmp_path, BAD[kind]))


def refused(result):
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert ";" in result.stderr


def test_a_zipped_log_is_read_and_a_torn_one_refused(tmp_path):
    """Torn, or not zipped at all, or zipped under a plain name."""
    raw = table().to_csv(index=False).encode()
    packed = gzip.compress(raw)
    assert run(tmp_path, packed, name="log.csv.gz").exit_code == 0
    for data, name in ((packed[:500], "log.csv.gz"), (raw, "log.csv.gz"), (packed, "log.csv")):
        refused(run(tmp_path, data, name=name))


@pytest.mark.parametrize(("column", "value"), [("p", 0), ("p", -0.2), ("p", ""), ("at", 1e300), ("at", "2026-01-01")])
def test_a_column_of_which_nothing_can_be_used_is_refused(tmp_path, column, value):
    """It is the mapping that is wrong then."""
    refused(run(tmp_path, table().assign(**{column: value})))


@pytest.mark.parametrize("more", ["frog: 1", "encoding: zip", "time_zone: ../x", "controls: [a", "user: b"])
def test_a_wrong_mapping_is_refused(tmp_path, more):
    """Unknown keys, codings that are not of text, broken lists, keys twice."""
    refused(run(tmp_path, table(), mapping=MAP + more + "\n"))


@pytest.mark.parametrize("flags", [("--seed", "-1"), ("--level", "2"), ("--scale", "odds")])
def test_a_wrong_option_is_refused(tmp_path, flags):
    """As a bad file is."""
    refused(run(tmp_path, table(), *flags))


@pytest.mark.parametrize("change", [{"action": "send"}, {"y": "red"}, {"y": 1}, {"person": 1}])
def test_a_log_that_tells_nothing_ends_in_refusals(tmp_path, change):
    """All sent, no outcome, one outcome or one person: exit code 1, and a report all the same."""
    frame = table().assign(**change)
    result = run(tmp_path, frame.assign(at=np.arange(len(frame))), "--html", str(tmp_path / "r.html"))
    assert result.exit_code == 1, result.output
    assert json.loads(result.stdout)["concluded"] is False
    assert "no conclusion" in (tmp_path / "r.html").read_text(encoding="utf-8")
