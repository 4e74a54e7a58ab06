"""`tactful audit ledger`: did the history change, where, and how?"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tactful_privacy.commands import Json, bad_input_exits_2, print_json
from tactful_privacy.errors import InvalidInput, LedgerBroken
from tactful_privacy.ledger import LedgerForked, Verdict, gather, judge, mend
from tactful_privacy.ledger.heads import parse_head
from tactful_privacy.ledger.proofs import check_proof, prove_between, prove_entry
from tactful_privacy.wire import Signed

File = Annotated[Path | None, typer.Argument(help="The ledger file, or an export of it.", show_default=False)]
Head = Annotated[
    str | None, typer.Option(help="What you remember: the last entry's hash in hex, or a file of signed heads.")
]
Key = Annotated[str | None, typer.Option(help="The server's public key in hex, as devices pin it.")]
Mend = Annotated[
    bool, typer.Option("--mend", help="Set an unfinished last line aside in a file beside the ledger first.")
]
Prove = Annotated[int | None, typer.Option(help="Print a proof that this entry (from 0) is in FILE.")]
Between = Annotated[
    tuple[int, int] | None, typer.Option(help="Print a proof that FILE's larger size begins with the smaller.")
]
VerifyProof = Annotated[Path | None, typer.Option(help="Verify a proof that was printed; needs no FILE.")]


def ledger(
    file: File = None,
    head: Head = None,
    key: Key = None,
    mend_unfinished: Mend = False,
    prove: Prove = None,
    between: Between = None,
    verify_proof: VerifyProof = None,
    as_json: Json = False,
) -> None:
    """Verify that no line of FILE was edited, removed, reordered, inserted or cut off, and that nothing was forked."""
    with bad_input_exits_2():
        _require_one_question(file, prove, between, verify_proof)
        pinned = None if key is None else _hex_of_32(key, "--key", "a key")
        last, heads = _remembered(head)
        try:
            if verify_proof is not None:
                _print_proven(verify_proof, pinned, heads, as_json=as_json)
            if file is None:
                _require(verify_proof is not None)
                return
            if mend_unfinished:
                _mend(file)
            evidence = gather(file)
            verdict = judge(evidence, pinned, heads, last)
            _require_entries(file, verdict.entries)
        except LedgerBroken as error:
            _report_broken(error, as_json=as_json)
            raise typer.Exit(1) from error
        if prove is not None:
            print_json(prove_entry(evidence, verdict, prove))
        if between is not None:
            print_json(prove_between(evidence, verdict, *between))
    if prove is None and between is None:
        _print_verdict(verdict, as_json=as_json)


def _head_from_hex(text: str | None) -> bytes | None:
    return None if text is None else _hex_of_32(text, "--head", "a head")


def _hex_of_32(text: str, option: str, what: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise InvalidInput(f"{text!r} is not {what}", field=option, remedy="give 64 hexadecimal digits")
    return found


def _remembered(head: str | None) -> tuple[bytes | None, tuple[Signed, ...]]:
    """A head is given as the hash of the last entry, or as a file with signed heads, one a line."""
    if head is None or not Path(head).is_file():
        return _head_from_hex(head), ()
    heads = tuple(parse_head(line) for line in Path(head).read_bytes().splitlines())
    if not heads:
        raise InvalidInput(f"{head} is empty", field="--head", remedy="give a file with a signed head in each line")
    return None, heads


def _require_one_question(
    file: Path | None, prove: int | None, between: tuple[int, int] | None, verify_proof: Path | None
) -> None:
    """One command prints one answer, and so one JSON object."""
    asked = {"--prove": prove, "--between": between, "--verify-proof": verify_proof}
    names = [name for name, given in asked.items() if given is not None]
    if verify_proof is not None and file is not None:
        names.append("FILE")
    if len(names) > 1:
        raise InvalidInput("are questions of their own", field=", ".join(names), remedy="ask one at a time")


def _require(holds: bool) -> None:
    if not holds:
        raise InvalidInput("is missing", field="FILE", remedy="give a ledger, an export of one, or --verify-proof")


def _require_entries(file: Path, entries: int) -> None:
    """Nothing was verified where nothing stands: a ledger begins with its genesis."""
    if not entries:
        raise InvalidInput("has no entry", field=str(file), remedy="give a ledger, which has one from the start")


def _mend(file: Path) -> None:
    aside = mend(file)
    if aside is not None:
        typer.echo(f"the unfinished last line is kept in {aside}", err=True)


def _print_verdict(verdict: Verdict, *, as_json: bool) -> None:
    if as_json:
        print_json({"verified": True, **verdict.to_dict()})
        return
    typer.echo(f"verified: {verdict.entries} entries, {verdict.releases} releases, head {verdict.head.hex()}")
    if verdict.signed_entries:
        whose = "the key you gave" if verdict.key_pinned else "the key that the file names"
        typer.echo(f"signed: {verdict.signed_entries} entries by {whose}, {verdict.heads} heads in one history")


def _print_proven(path: Path, key: bytes | None, heads: tuple[Signed, ...], *, as_json: bool) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(str(error), field="--verify-proof", remedy="give a file which --prove printed") from error
    proven = check_proof(text, key, heads)
    if as_json:
        print_json({"verified": True, **proven.to_dict(), "key_pinned": key is not None})
        return
    if proven.index is None:
        typer.echo(f"proven: the ledger of {proven.sizes[1]} entries begins with that of {proven.sizes[0]}")
    else:
        typer.echo(f"proven: entry {proven.index} is in the ledger of {proven.sizes[0]} entries")
    if not proven.signed:
        typer.echo("nobody signed these roots: compare them with a head that you trust", err=True)


def _report_broken(error: LedgerBroken, *, as_json: bool) -> None:
    found: dict[str, Any] = {"verified": False, "fault": error.fault, "line": error.line, "reason": str(error)}
    evidence = error.evidence if isinstance(error, LedgerForked) else None
    if as_json:
        print_json(found if evidence is None else {**found, "evidence": evidence})
    elif evidence is not None:
        typer.echo(json.dumps(evidence, indent=2))
    typer.echo(f"broken: {error}", err=True)
