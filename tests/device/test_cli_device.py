"""``tactful device``: stable JSON, one-line errors, exit codes; it never enrols anybody."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tactful import Candidate
from tactful.cli import commands, main

from .vault_world import alter, look, open_host, person


@pytest.fixture
def vault(tmp_path):
    with open_host(tmp_path) as host:
        device = person(host)
        device.track("browse", category="shoes")
        device.decide([Candidate(id="c1", category="shoes")])
    return tmp_path


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_figures_as_json(vault, capsys):
    """show, budget, export, explain and doctor print one JSON object with stable keys."""
    path = vault / "vaults.db"
    keys = {
        ("show", path, "ada"): {"events", "consents", "clock_moved_back", "interests"},
        ("budget", path, "ada"): {"epsilon_spent", "epsilon_ceiling", "delta", "rho_spent", "rounds_joined"},
        ("export", path, "ada"): {"events", "decisions", "consents", "spends", "profile"},
        ("doctor", path): {"rows", "devices", "clock_moved_back", "self_test_failed"},
    }
    for arguments, wanted in keys.items():
        code, out, err = run(capsys, "device", *arguments, "--json")
        assert (code, err) == (0, "")
        assert wanted <= set(json.loads(out))
    code, out, _ = run(capsys, "device", "export", path, "ada", "--json")
    decision = json.loads(out)["decisions"][0]["id"]
    code, out, _ = run(capsys, "device", "explain", path, "ada", decision, "--json")
    assert (code, set(json.loads(out)["text"])) == (0, {"en", "zh"})


def test_text_for_people(vault, capsys):
    """Without --json the same figures come as lines."""
    code, out, _ = run(capsys, "device", "show", vault / "vaults.db", "ada")
    assert code == 0
    assert "events: 1" in out


def test_erase_asks_to_be_meant(vault, capsys):
    """Without --yes nothing is erased; with it the signed receipt is printed."""
    path = vault / "vaults.db"
    code, _, err = run(capsys, "device", "erase", path, "ada")
    assert (code, err.count("\n")) == (2, 1)
    assert look(vault, "SELECT count(*) FROM devices") == [(1,)]
    code, out, _ = run(capsys, "device", "erase", path, "ada", "--yes", "--json")
    assert code == 0
    assert json.loads(out)["signature"]
    assert look(vault, "SELECT count(*) FROM devices") == [(0,)]


def test_wrong_use_is_one_line(vault, capsys):
    """Unknown people, missing vaults and missing keys: exit code 2, one line with the remedy, nothing created."""
    path = vault / "vaults.db"
    cases = [("show", path, "nobody"), ("show", vault / "none.db", "ada"), ("show", path, "ada", "--keys", "file:x")]
    for arguments in cases:
        code, out, err = run(capsys, "device", *arguments, "--json")
        assert (code, out, err.count("\n")) == (2, "", 1), arguments
    assert sorted(file.name for file in vault.iterdir()) == ["host.key", "vaults.db"]
    assert look(vault, "SELECT count(*) FROM devices") == [(1,)]


def test_doctor_finds_damage(vault, capsys):
    """A row that was changed makes doctor exit with 1."""
    alter(vault, "UPDATE rows SET blob=zeroblob(60) WHERE kind='decision'")
    code, _, err = run(capsys, "device", "doctor", vault / "vaults.db")
    assert code == 1
    assert "does not open" in err


def test_doctor_names_what_fails_in_the_self_test(vault, capsys, monkeypatch):
    """A host that draws no noise is told so, and doctor exits with 1."""
    monkeypatch.setattr("tactful.federation.participant._noise", lambda plan, entropy: np.zeros(plan.dimension, int))
    code, out, err = run(capsys, "device", "doctor", vault / "vaults.db", "--json")
    assert code == 1
    assert "noise_scale" in json.loads(out)["self_test_failed"]
    assert "the self-test fails" in err


def test_every_room_is_found(capsys):
    """The top command lists each room's sub-commands, and names them for an unknown one."""
    assert {"audit", "device", "lab", "server"} <= set(commands())
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert all(name in out for name in commands())
    code, _, err = run(capsys, "vault")
    assert code == 2
    assert "audit" in err
    assert run(capsys, "--version")[1].startswith("tactful ")
    assert run(capsys)[0] == 2


def test_the_module_is_the_command():
    """``python -m tactful.cli`` does what the script does, and hands its exit code on."""
    command = [sys.executable, "-m", "tactful.cli"]
    said = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout.split()[0]) == (0, "tactful")
    assert subprocess.run([*command, "nothing"], capture_output=True, check=False).returncode == 2


def test_a_missing_extra_is_named(monkeypatch, capsys):
    """When a room's optional part is not installed the error is one line with the command that installs it."""

    class Broken:
        name = "lab"

        def load(self):
            raise ModuleNotFoundError("No module named 'pandas'", name="pandas")

    monkeypatch.setattr("tactful.cli.commands", lambda: {"lab": Broken()})
    code, _, err = run(capsys, "lab")
    assert (code, err) == (2, "tactful lab needs pandas: pip install 'tactful[lab]'\n")
    monkeypatch.setitem(__import__("sys").modules, "typer", None)
    code, _, err = run(capsys, "lab")
    assert code == 2
    assert "pip install 'tactful[lab]'" in err
