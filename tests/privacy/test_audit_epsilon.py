"""`tactful audit epsilon`: every accountant answers in the same keys, says why, and refuses what it cannot price."""

import json
import warnings

import pytest

with warnings.catch_warnings():  # typer's own import names what newer clicks deprecate
    warnings.simplefilter("ignore", DeprecationWarning)
    from typer.testing import CliRunner

from tactful_privacy.accounting.accountants import ACCOUNTANTS, accountant
from tactful_privacy.accounting.events import ComposedEvent, GaussianEvent, PoissonSampledEvent
from tactful_privacy.cli import app

KEYS = {
    "epsilon",
    "delta",
    "accountant",
    "why_valid",
    "formal",
    "noise_multiplier",
    "rounds",
    "sampling_rate",
    "adjacency",
}


def run(text):
    return CliRunner().invoke(app, ["epsilon", *text.split()])


@pytest.mark.parametrize("name", ACCOUNTANTS)
def test_each_accountant_answers_in_the_same_keys(name):
    """The figure is the accountant's own, with its grounds, and plain Gaussians are formal to all."""
    result = run(f"--accountant {name} --noise-multiplier 13.888 --rounds 120 --delta 1e-6 --json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert set(found) == KEYS
    assert found["epsilon"] == accountant(name).epsilon(ComposedEvent(GaussianEvent(13.888), 120), 1e-6)
    assert (found["accountant"], found["formal"], found["sampling_rate"]) == (name, True, 1.0)


@pytest.mark.parametrize("name", ["rdp", "pld"])
def test_sampling_is_credited_where_it_is_proven(name):
    """With a rate the figure is that of the Poisson-sampled event."""
    result = run(f"--accountant {name} --noise-multiplier 1 --rounds 100 --sampling-rate 0.01 --delta 1e-5 --json")
    event = ComposedEvent(PoissonSampledEvent(GaussianEvent(1.0), 0.01), 100)
    assert json.loads(result.stdout)["epsilon"] == accountant(name).epsilon(event, 1e-5)


def test_zcdp_says_that_it_does_not_credit_sampling():
    """Its figure is the unsampled one, and the line says so."""
    common = "--noise-multiplier 5 --rounds 10 --delta 1e-5"
    assert run(f"{common} --sampling-rate 0.1").stdout.split()[1] == run(common).stdout.split()[1]
    assert "sampling is not credited" in run(f"{common} --sampling-rate 0.1").stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("--accountant gdp --noise-multiplier 1 --rounds 1 --delta 1e-5 --sampling-rate 0.5", "ask pld or rdp"),
        ("--accountant pld --noise-multiplier 1 --rounds 1 --delta 1e-14", "delta"),
        ("--noise-multiplier 1 --rounds 1 --delta 1e-5 --sampling-rate 1.5", "sampling_rate"),
        ("--noise-multiplier 1e-300 --rounds 1 --delta 1e-5", "noise_multiplier"),
    ],
)
def test_what_cannot_be_priced_exits_2(arguments, named):
    """One line on standard error that names the field or the remedy."""
    result = run(arguments)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert named in line
