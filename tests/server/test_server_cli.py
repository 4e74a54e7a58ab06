"""`tactful server models|rounds|ledger` reads what a federation wrote."""

import json
import warnings

import pytest

with warnings.catch_warnings():  # typer's own import names what newer clicks deprecate
    warnings.simplefilter("ignore", DeprecationWarning)
    from typer.testing import CliRunner

from tactful_server.cli import app
from tactful_server.federation import Fault


@pytest.fixture
def home(make_world):
    world = make_world()
    world.run(faults=lambda e: Fault.LOSE_REQUEST if e.host_id == "host-1" and e.stage == "keys" else None)
    world.run(faults=lambda _e: Fault.LOSE_REQUEST)
    return world.home


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_json_has_documented_keys(home):
    """Standard output is one JSON object per command."""
    models = json.loads(run("models", "--store", home / "server.db", "--json").stdout)["models"]
    assert [(m["version"], m["round_number"]) for m in models] == [(0, 0), (1, 1)]
    assert models[1]["parent"] == models[0]["digest"]
    released, void = json.loads(run("rounds", "--store", f"sqlite:///{home / 'server.db'}", "--json").stdout)["rounds"]
    assert released["dropped"] == ["host-1"]
    assert len(released["survivors"]) == 4
    assert (void["phase"], void["survivors"]) == ("void", [])
    assert "n_min" in void["reason"]
    entries = json.loads(run("ledger", "--store", home / "server.db", "--json").stdout)["entries"]
    assert [e["kind"] for e in entries] == ["genesis"] + ["enrolment"] * 5 + ["release", "void"]


def test_tables_are_printed_without_json(home):
    """For people."""
    for command in ("models", "rounds", "ledger"):
        result = run(command, "--store", home / "server.db")
        assert result.exit_code == 0
        assert len(result.stdout.splitlines()) > 4


def test_a_missing_store_is_wrong_use(tmp_path):
    """One line, exit code 2, and no file appears."""
    result = run("rounds", "--store", tmp_path / "none.db")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "--store" in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_release_without_a_ledger_entry_is_reported(home):
    """Exit code 1 names the rounds, and so does a broken ledger."""
    path = home / "ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))
    result = run("ledger", "--store", home / "server.db", "--json")
    assert (result.exit_code, "[1]" in result.stderr) == (1, True)
    path.write_bytes(b"".join(lines[1:]))
    result = run("ledger", "--store", home / "server.db")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
