"""`tactful audit bound`: the agreed keys, exit codes, and one line for a wrong count."""

import json
import sys
import warnings

import pytest

with warnings.catch_warnings():  # typer's own import names what newer clicks deprecate
    warnings.simplefilter("ignore", DeprecationWarning)
    from typer.testing import CliRunner

from tactful_privacy.accounting.gaussian import epsilon_of_mu
from tactful_privacy.audit import f_dp, one_run
from tactful_privacy.cli import app

FOUND = ["bound", "--canaries", "1000", "--guesses", "266", "--correct", "219", "--delta", "1e-6"]


def test_json_has_exactly_the_agreed_keys():
    """The three figures, as the functions have them."""
    result = CliRunner().invoke(app, [*FOUND, "--json"])
    assert result.exit_code == 0
    mu = f_dp.mu_lower_bound(1000, 266, 219)
    assert json.loads(result.stdout) == {
        "one_run_epsilon": one_run.epsilon_lower_bound(1000, 266, 219, 1e-6),
        "f_dp_mu": mu,
        "f_dp_epsilon": epsilon_of_mu(mu, 1e-6),
    }


def test_a_person_gets_a_table():
    """Without --json, names and values."""
    result = CliRunner().invoke(app, FOUND)
    assert result.exit_code == 0
    assert "f_dp_mu" in result.stdout


@pytest.mark.parametrize("wrong", [["--correct", "267"], ["--delta", "0"], ["--canaries", "0"], ["--confidence", "1"]])
def test_wrong_use_exits_2_with_one_line(wrong):
    """The field and its remedy, on standard error."""
    result = CliRunner().invoke(app, [*FOUND, *wrong])
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "give" in line or "plant" in line


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch):
    """Without scipy: exit 2, and one line that says what to install; no traceback."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "scipy"]:
        monkeypatch.setitem(sys.modules, name, None)
    result = CliRunner().invoke(app, FOUND)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "pip install 'tactful[audit]'" in line
