"""`tactful audit calibrate`: every direction, the quorum from drop-out, and a warning where nothing can be learned."""

import json
import warnings

import pytest

with warnings.catch_warnings():  # typer's own import names what newer clicks deprecate
    warnings.simplefilter("ignore", DeprecationWarning)
    from typer.testing import CliRunner

from tactful_privacy.cli import app

COMMON = "calibrate --delta 1e-6 --colluders 1 --clip-norm 0.4 --dimension 64 --hosts 5 --n-min 4"


def run(options):
    return CliRunner().invoke(app, f"{COMMON} {options}".split())


def figures(options):
    result = run(f"{options} --json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_the_directions_lead_back_to_each_other():
    """Noise from epsilon and rounds, epsilon from noise and rounds, rounds from epsilon and noise."""
    first = figures("--epsilon 4 --rounds 120 --devices 2297")
    z = first["noise_multiplier"]
    back = figures(f"--solve epsilon --noise-multiplier {z} --rounds 120 --devices 2297")
    assert back["central_epsilon"] == pytest.approx(4, rel=1e-6)
    assert back["central_epsilon"] <= 4
    assert back["noise_variance_units"] == pytest.approx(first["noise_variance_units"], rel=1e-6)
    assert figures(f"--solve rounds --noise-multiplier {z} --epsilon 4 --devices 2297")["rounds"] == 120


@pytest.mark.parametrize("mode", ["distributed", "local", "central"])
def test_the_directions_agree_in_every_mode(mode):
    """The noise multiplier that a promise needs promises it, also where the promise is made under replacement."""
    z = figures(f"--mode {mode} --epsilon 4 --rounds 10 --devices 2297")["noise_multiplier"]
    back = figures(f"--mode {mode} --solve epsilon --noise-multiplier {z} --rounds 10 --devices 2297")
    assert back["central_epsilon"] == pytest.approx(4, rel=1e-5)


@pytest.mark.parametrize("mode", ["distributed", "local", "central"])
def test_the_smallest_cohort_can_learn_and_no_smaller_one(mode):
    """Solving for devices gives a federation that is just large enough."""
    found = figures(f"--mode {mode} --solve devices --epsilon 2 --rounds 120")
    assert found["can_learn"]
    assert found["smallest_cohort"] == pytest.approx(found["devices"], rel=0.01)
    smaller = found["devices"] * 97 // 100
    assert not figures(f"--mode {mode} --epsilon 2 --rounds 120 --devices {smaller}")["can_learn"]


def test_fifty_devices_at_epsilon_2_are_warned_of():
    """The verdict stands on standard error; --require-signal makes it exit 1, and not where the run can learn."""
    options = "--epsilon 2 --rounds 120 --devices 50"
    result = run(options)
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: cannot work: 50 devices for 64 coordinates")
    required = run(f"{options} --require-signal --json")
    assert required.exit_code == 1
    assert json.loads(required.stdout)["can_learn"] is False
    assert run("--epsilon 4 --rounds 120 --devices 2297 --require-signal").exit_code == 0


def test_the_quorum_comes_from_the_drop_out():
    """Without --n-min the largest quorum that 99 rounds of 100 reach is taken, and fewer devices are expected."""
    text = (
        "calibrate --delta 1e-6 --colluders 1 --clip-norm 0.4 --dimension 64 --hosts 20 --drop-out 0.1 --json "
        "--epsilon 4 --rounds 120 --devices 2000"
    )
    result = CliRunner().invoke(app, text.split())
    found = json.loads(result.stdout)
    assert (found["n_min"], found["devices_per_round"]) == (14, 1800)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("--rounds 120 --devices 5", "--epsilon"),
        ("--epsilon 1 --devices 5", "--rounds"),
        ("--epsilon 1 --rounds 5", "--devices"),
        ("--solve epsilon --rounds 5 --devices 5", "--noise-multiplier"),
        ("--epsilon 1 --rounds 5 --devices 5 --noise-multiplier 3", "--noise-multiplier"),
        ("--solve rounds --epsilon 0.1 --noise-multiplier 1 --devices 5", "no round"),
        ("--epsilon inf --rounds 5 --devices 5", "epsilon"),
        ("--epsilon 1 --rounds 5 --devices 5 --drop-out 1", "drop_out"),
        ("--epsilon 1 --rounds 5 --devices 5 --alignment 2", "alignment"),
    ],
)
def test_what_is_missing_or_too_much_exits_2(options, named):
    """One line names the option."""
    result = run(options)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert named in line
