"""`tactful audit ledger`: did the history change?"""

from pathlib import Path
from typing import Annotated

import typer

from tactful_privacy.commands import Json, bad_input_exits_2, print_json
from tactful_privacy.errors import InvalidInput, LedgerBroken
from tactful_privacy.ledger import mend, verify


def _head_from_hex(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        head = bytes.fromhex(text)
    except ValueError:
        head = b""
    if len(head) != 32:
        raise InvalidInput(f"{text!r} is not a head", field="--head", remedy="give 64 hexadecimal digits")
    return head


def ledger(
    file: Annotated[Path, typer.Argument(help="The ledger file.", show_default=False)],
    head: Annotated[str | None, typer.Option(help="The head you remember, in hex; shows a cut-off end.")] = None,
    mend_unfinished: Annotated[
        bool, typer.Option("--mend", help="Set an unfinished last line aside in a file beside the ledger first.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Verify that no line of FILE was edited, removed or reordered."""
    with bad_input_exits_2():
        expected = _head_from_hex(head)
        try:
            aside = mend(file) if mend_unfinished else None
            report = verify(file, expected)
        except LedgerBroken as error:
            _report_broken(error, as_json=as_json)
            raise typer.Exit(1) from error
    if aside is not None:
        typer.echo(f"the unfinished last line is kept in {aside}", err=True)
    if as_json:
        figures = {"entries": report.entries, "releases": report.releases, "head": report.head.hex()}
        print_json({"verified": True, **figures})
    else:
        typer.echo(f"verified: {report.entries} entries, {report.releases} releases, head {report.head.hex()}")


def _report_broken(error: LedgerBroken, *, as_json: bool) -> None:
    if as_json:
        print_json({"verified": False, "line": error.line, "reason": str(error)})
    typer.echo(f"broken: {error}", err=True)
