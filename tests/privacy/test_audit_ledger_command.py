"""`tactful audit ledger` over exports, heads and proofs: exit codes, words and JSON."""

import json
import warnings
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

with warnings.catch_warnings():  # typer's own import names what newer clicks deprecate
    warnings.simplefilter("ignore", DeprecationWarning)
    import typer
    from typer.testing import CliRunner, Result

    from tactful_privacy.commands.ledger import ledger as ledger_command

from tactful_privacy.ledger import HeadBook, Ledger, export

KEY = Ed25519PrivateKey.from_private_bytes(b"server".ljust(32, b"."))
PUBLIC = KEY.public_key().public_bytes_raw()
app = typer.Typer()
app.command()(ledger_command)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def make(path: Path, word: str) -> Ledger:
    ledger = Ledger(path)
    ledger.append("genesis", {"federation": "shop", "server_key": PUBLIC})
    for number in range(4):
        ledger.append("void", {"word": word, "n": number})
        HeadBook(ledger).sign("shop", KEY)
    return ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "export.jsonl"
    export(make(tmp_path / "ledger.jsonl", "true"), target)
    return target


def test_a_whole_export_exits_0(path: Path) -> None:
    """Figures, and whose key it was."""
    done = run(path, "--key", PUBLIC.hex(), "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert (found["verified"], found["entries"], found["signed_heads"], found["signed_entries"]) == (True, 5, 4, 5)
    assert (found["key_pinned"], found["server_key"]) == (True, PUBLIC.hex())
    assert "signed: 5 entries by the key that the file names, 4 heads in one history" in run(path).stdout


def test_a_fault_has_a_word_and_a_line(path: Path) -> None:
    """Exit 1, with the fault, the line of the file and the reason."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:6], lines[7], lines[6], *lines[8:]]))
    done = run(path, "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["fault"], found["line"], found["verified"]) == (1, "reordered", 7, False)
    assert done.stderr.startswith("broken: ledger line 7: reordered")


def test_a_fork_comes_with_its_evidence(path: Path, tmp_path: Path) -> None:
    """The heads file of another history convicts the server; the evidence is in the JSON and in the text."""
    other = make(tmp_path / "other.jsonl", "lies")
    heads = HeadBook(other).path
    done = run(path, "--head", heads, "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["fault"]) == (1, "forked")
    assert [head["size"] for head in found["evidence"]["heads"]] == [2, 2]
    assert '"heads"' in run(path, "--head", heads).stdout


def test_remembered_heads_that_hold_change_nothing(path: Path, tmp_path: Path) -> None:
    """The ledger's own heads, or its last hash, given from outside."""
    assert run(path, "--head", HeadBook(Ledger(tmp_path / "ledger.jsonl")).path).exit_code == 0
    last = Ledger(tmp_path / "ledger.jsonl").head.hex()
    assert run(path, "--head", last).exit_code == 0
    cut = run(path, "--head", "11" * 32, "--json")
    assert (cut.exit_code, json.loads(cut.stdout)["fault"]) == (1, "truncated")


@pytest.mark.parametrize("ask", [("--prove", 2), ("--between", 2, 5)])
def test_a_printed_proof_verifies_without_the_file(path: Path, tmp_path: Path, ask: tuple[object, ...]) -> None:
    """What --prove and --between print is what --verify-proof accepts, under the key; and nothing else."""
    proof = tmp_path / "proof.json"
    proof.write_text(run(path, *ask).stdout)
    done = run("--verify-proof", proof, "--key", PUBLIC.hex(), "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert (found["verified"], found["signed"], found["key_pinned"]) == (True, True, True)
    assert run("--verify-proof", proof).stdout.startswith("proven: ")
    document = json.loads(proof.read_text())
    document["path"] = document["path"][1:]
    proof.write_text(json.dumps(document))
    broken = run("--verify-proof", proof, "--json")
    assert (broken.exit_code, json.loads(broken.stdout)["fault"]) == (1, "edited")


def test_an_unsigned_proof_says_so(tmp_path: Path) -> None:
    """A proof from a ledger without heads holds, with the warning that nobody signed the root."""
    ledger = Ledger(tmp_path / "bare.jsonl")
    ledger.append("genesis", {})
    proof = tmp_path / "proof.json"
    proof.write_text(run(ledger.path, "--prove", 0).stdout)
    done = run("--verify-proof", proof)
    assert (done.exit_code, "nobody signed" in done.stderr) == (0, True)


def test_an_empty_file_is_no_ledger(tmp_path: Path) -> None:
    """Of a file without an entry nothing is verified, so it exits 2, and not 0."""
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    done = run(empty, "--json")
    assert (done.exit_code, done.stdout, "has no entry" in done.stderr) == (2, "", True)


def test_an_empty_file_of_heads_is_nothing_remembered(path: Path, tmp_path: Path) -> None:
    """A file without any head exits 2: whoever gives it believes that something is compared."""
    heads = tmp_path / "heads.jsonl"
    heads.touch()
    done = run(path, "--head", heads)
    assert (done.exit_code, "is empty" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--key", "zz"),
        ("{path}", "--key", "12"),
        ("{path}", "--head", "12"),
        ("{path}", "--prove", "5"),
        ("{path}", "--prove", "-1"),
        ("{path}", "--between", "4", "2"),
        ("--verify-proof", "{path}"),
        ("--verify-proof", "{path}.none"),
        ("{path}.none",),
        ("{path}", "--head", "{path}"),
        ("{path}", "--prove", "1", "--between", "2", "4"),
        ("{path}", "--verify-proof", "{path}"),
    ],
)
def test_wrong_use_exits_2(path: Path, arguments: tuple[str, ...]) -> None:
    """One line on standard error with the remedy in it, and nothing on standard output."""
    done = run(*(argument.format(path=path) for argument in arguments))
    assert (done.exit_code, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
