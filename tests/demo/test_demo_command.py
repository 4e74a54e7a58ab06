"""The command itself: one-line errors, and (slow) the whole demonstration with the figures that it must reach."""

import json
import sys

import pytest
from typer.testing import CliRunner

from tactful_lab.demo.cli import app


def test_a_wrong_value_is_one_line_and_exit_code_2(tmp_path):
    """The line names the option's field and the remedy."""
    result = CliRunner().invoke(app, ["--hosts", "2", "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "hosts" in result.stderr
    assert "give 3 to 50" in result.stderr


def test_a_folder_that_cannot_be_made_is_one_line_and_exit_code_2(tmp_path):
    """A file stands where the folder should be."""
    (tmp_path / "out").write_text("")
    result = CliRunner().invoke(app, ["--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "--out" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [(["--trainer", "jax"], "numpy, torch, opacus"), (["--event-level", "2"], "add --trainer opacus")],
)
def test_a_trainer_that_cannot_be_is_one_line_and_exit_code_2(arguments, remedy, tmp_path):
    """A name that is not known, and event-level noise without the trainer that adds it."""
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert remedy in result.stderr
    assert not (tmp_path / "out").exists()


def test_without_torch_the_error_names_the_extra(tmp_path, monkeypatch):
    """The trainer is asked for before a vault is filled; nothing falls back to numpy."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("torch", "opacus")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "tactful.training.opacus_trainer", raising=False)
    result = CliRunner().invoke(app, ["--trainer", "opacus", "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "pip install 'tactful[train]'" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_whole_demonstration_reaches_its_bars(tmp_path):
    """All households at ε = 4: December log-loss, both intervals below 0, the gap to the pooled model, the ledger."""
    file = tmp_path / "figures.json"
    result = CliRunner().invoke(app, ["--out", str(tmp_path), "--json", str(file)])
    assert result.exit_code == 0, result.output
    shown = json.loads(file.read_text(encoding="utf-8"))
    rows = {row["name"]: row for row in shown["december"]}
    ours = rows["federated, ε = 4 + personal layer"]
    assert ours["log_loss"] <= 0.0922
    assert all(gap["high_95"] < 0 for gap in shown["log_loss_difference"].values())
    assert rows["federated, ε = 4"]["log_loss"] - rows["centralised logistic"]["log_loss"] <= 0.0002
    assert ours["precision_top_5_percent"] > rows["household histogram"]["precision_top_5_percent"]
    assert shown["ledger"]["verified"]
    assert (tmp_path / "report.html").stat().st_size > 50_000
