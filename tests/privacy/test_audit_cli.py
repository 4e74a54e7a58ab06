"""`tactful audit`: exit codes, JSON keys, and one-line errors with their remedy."""

import json
import warnings
from pathlib import Path

import pytest

with warnings.catch_warnings():  # typer's own import names what newer clicks deprecate
    warnings.simplefilter("ignore", DeprecationWarning)
    from typer.testing import CliRunner, Result

from tactful_privacy.cli import app
from tactful_privacy.ledger import Ledger, verify

CALIBRATE = (
    "calibrate --epsilon 4 --delta 1e-6 --rounds 120 --n-min 4 --colluders 1 --clip-norm 0.4 --devices 2297 "
    "--dimension 50 --hosts 5"
)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def error_line(result: Result) -> str:
    """The only line on standard error."""
    (line,) = result.stderr.splitlines()
    return line


@pytest.fixture
def path(tmp_path: Path) -> Path:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append("genesis", {})
    ledger.append("release", {"round_number": 1})
    return ledger.path


def test_a_whole_ledger_exits_0(path: Path) -> None:
    """A ledger that verifies prints its entries and head, as text and as JSON."""
    head = verify(path).head.hex()
    assert run("ledger", path).stdout == f"verified: 2 entries, 1 releases, head {head}\n"
    result = run("ledger", path, "--head", head, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert {name: found[name] for name in ("verified", "entries", "releases", "head")} == {
        "verified": True,
        "entries": 2,
        "releases": 1,
        "head": head,
    }
    assert (found["signed_heads"], found["signed_entries"], found["key_pinned"]) == (0, 0, False)


def test_a_removed_line_exits_1(path: Path) -> None:
    """A broken ledger exits 1, names the line on standard error and in the JSON."""
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[1])
    result = run("ledger", path, "--json")
    assert result.exit_code == 1
    assert error_line(result).startswith("broken: ledger line 1: removed: 1 entries are missing")
    found = json.loads(result.stdout)
    assert (found["verified"], found["line"], found["fault"]) == (False, 1, "removed")


def test_a_cut_end_exits_1_against_its_head(path: Path) -> None:
    """A missing last line is found when the head is given."""
    head = verify(path).head.hex()
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    assert run("ledger", path).exit_code == 0
    result = run("ledger", path, "--head", head)
    assert result.exit_code == 1
    assert "truncated or replaced" in error_line(result)


def test_the_remedy_for_an_unfinished_line_works(path: Path) -> None:
    """`--mend`, which the error names, sets the unfinished line aside and then verifies."""
    with path.open("ab") as file:
        file.write(b'{"body":')
    broken = run("ledger", path)
    assert broken.exit_code == 1
    assert "--mend" in error_line(broken)
    mended = run("ledger", path, "--mend")
    assert mended.exit_code == 0
    assert "is kept in" in error_line(mended)
    assert next(path.parent.glob("*.unfinished-*")).read_bytes() == b'{"body":'


@pytest.mark.parametrize("head", ["12", "zz" * 32])
def test_a_malformed_head_exits_2(path: Path, head: str) -> None:
    """A head which is not 32 bytes of hex is wrong use."""
    result = run("ledger", path, "--head", head)
    assert result.exit_code == 2
    assert "--head" in error_line(result)


def test_a_missing_file_exits_2(tmp_path: Path) -> None:
    """A file that is not there is bad input, not a broken ledger."""
    result = run("ledger", tmp_path / "none.jsonl")
    assert result.exit_code == 2
    assert "check the ledger's path" in error_line(result)


def test_epsilon_of_the_checked_example() -> None:
    """120 rounds at z = 13.888 cost epsilon 4 at delta 1e-6, to four digits."""
    arguments = [
        "epsilon",
        "--accountant",
        "zcdp",
        "--noise-multiplier",
        "13.888",
        "--rounds",
        "120",
        "--delta",
        "1e-6",
    ]
    result = run(*arguments, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["epsilon"] == pytest.approx(4, rel=1e-4)
    assert run(*arguments).stdout.startswith("epsilon 4")


@pytest.mark.parametrize(
    ("noise", "rounds", "delta", "named"),
    [
        ("0", "1", "1e-6", "noise_multiplier"),
        ("nan", "1", "1e-6", "noise_multiplier"),
        ("1", "0", "1e-6", "rounds"),
        ("1", "1", "1", "delta"),
        ("1e-300", "1", "1e-6", "noise_multiplier"),
        ("1e300", "1", "1e-6", "noise_multiplier"),
    ],
)
def test_epsilon_refuses_bad_numbers(noise: str, rounds: str, delta: str, named: str) -> None:
    """Out-of-range numbers exit 2 with one line that names the option."""
    result = run("epsilon", "--noise-multiplier", noise, "--rounds", rounds, "--delta", delta)
    assert result.exit_code == 2
    assert named in error_line(result)


def test_calibrate_reproduces_the_checked_example() -> None:
    """Five hosts, n_min 4, t 1, C 0.4, 120 rounds, epsilon 4: z, sigma, grid and usage as designed."""
    result = run(*CALIBRATE.split(), "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["rho_total"] == pytest.approx(0.311065, rel=1e-4)
    assert found["noise_multiplier"] == pytest.approx(13.888, rel=1e-4)
    assert found["sigma_host"] == pytest.approx(3.2074, rel=1e-4)
    assert (found["grid_exponent"], round(found["modulus_usage"], 2)) == (20, 0.48)


def test_calibrate_prints_a_table() -> None:
    """Without --json each figure stands on a line of its own."""
    result = run(*CALIBRATE.split())
    assert result.exit_code == 0
    assert any(line.split() == ["grid_exponent", "20"] for line in result.stdout.splitlines())


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("--n-min 4", "--n-min 1", "n_min"),
        ("n 4", "n inf", "epsilon"),
        ("--clip-norm 0.4", "--clip-norm 1e300", "beyond"),
    ],
)
def test_calibrate_refuses_what_cannot_be_promised(old: str, new: str, named: str) -> None:
    """Too few honest hosts, or no noise at all, exit 2 with one line."""
    result = run(*CALIBRATE.replace(old, new, 1).split())
    assert result.exit_code == 2
    assert named in error_line(result)


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--canaries", "60", "--rounds", "1", "--delta", "nan"),
        ("run", "--canaries", "60", "--rounds", "1", "--guesses", "61"),
        ("run", "--canaries", "60", "--rounds", "1", "--out", "{folder}"),
        ("run", "--canaries", "60", "--rounds", "1", "--out", "{folder}/none/run.json"),
        ("faults", "--runs", "1", "--out", "{folder}"),
        ("report", "--out", "{folder}"),
        ("report", "--out", "{folder}/file/report.html"),
        ("report", "--only-given", "--out", "{folder}/report.html"),
        ("report", "--head", "11", "--out", "{folder}/report.html"),
    ],
)
def test_wrong_use_is_refused_before_the_work(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """What cannot be done exits 2 at once, with one line and nothing on standard output."""
    (tmp_path / "file").touch()
    result = run(*(argument.format(folder=tmp_path) for argument in arguments), "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert error_line(result).startswith("error: ")
