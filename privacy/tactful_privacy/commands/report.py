"""`tactful audit report`: all answers on one page."""

import contextlib
import io
import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tactful_privacy.commands import Json, bad_input_exits_2, print_json, require_writable
from tactful_privacy.errors import InvalidInput, LedgerBroken

if TYPE_CHECKING:
    from tactful_privacy.audit.report import Findings

_PARTS = ("tactful", "numpy", "scipy", "cryptography", "dp-accounting")

File = Annotated[Path | None, typer.Option(help="Figures printed before by the command of this name with --json.")]


def report(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("report.html"),
    run: File = None,
    faults: File = None,
    attacks: File = None,
    wire: File = None,
    ledger: Annotated[Path | None, typer.Option(help="A ledger file; without one its section says so.")] = None,
    head: Annotated[str | None, typer.Option(help="The ledger's head that you remember, in hex.")] = None,
    only_given: Annotated[
        bool, typer.Option("--only-given", help="Leave out what no file is given for, instead of rehearsing it now.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write one self-contained page, English and Chinese, with everything that the other commands find.

    What no file is given for is rehearsed now, which takes some minutes; exit code 1 if anything does not hold.
    """
    from tactful_privacy.audit.report import Findings, load_json, write_report

    with bad_input_exits_2():
        files = {"run": run, "faults": faults, "attacks": attacks, "wire": wire}
        _require_something(files, ledger, head, only_given=only_given)
        require_writable(out, make_folder=True)
        parts: dict[str, Any] = {}
        for part, path in files.items():
            if path is not None:
                parts[part] = load_json(path, part)
            elif not only_given:
                parts[part] = _made_now(context, part)
        checked, prices = _ledger(ledger, head)
        found = Findings(**parts, ledger=checked, prices=prices, versions=_versions())
        write_report(out, found)
    _say(out, found, as_json=as_json)
    if not found.holds:
        raise typer.Exit(1)


def _require_something(
    files: Mapping[str, Path | None], ledger: Path | None, head: str | None, *, only_given: bool
) -> None:
    """A page about nothing would say that everything which was checked holds."""
    if only_given and ledger is None and not any(files.values()):
        remedy = "give --run, --faults, --attacks, --wire or --ledger, or leave it out"
        raise InvalidInput("is there, and nothing is given", field="--only-given", remedy=remedy)
    if head is not None and ledger is None:
        raise InvalidInput("belongs to a ledger", field="--head", remedy="give --ledger FILE too")


def _say(out: Path, found: "Findings", *, as_json: bool) -> None:
    names = ("run", "faults", "attacks", "wire", "ledger")
    checked = [name for name in names if getattr(found, name) is not None]
    if as_json:
        print_json({"holds": found.holds, "checked": checked, "path": str(out)})
        return
    verdict = "holds" if found.holds else "DOES NOT HOLD"
    typer.echo(f"{out}: what was checked ({', '.join(checked) or 'nothing'}) {verdict}")


def _made_now(context: typer.Context, part: str) -> Mapping[str, Any]:
    """Run another command of `tactful audit` and return the JSON that it prints."""
    typer.echo(f"rehearsing: tactful audit {part}", err=True)
    group = context.parent.command if context.parent is not None else None
    command = getattr(group, "commands", {}).get(part)
    if command is None:
        remedy = f"install the extra that brings it, or give --{part} FILE or --only-given"
        raise InvalidInput(f"no command tactful audit {part} is installed", field=f"--{part}", remedy=remedy)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        command.main(args=["--json"], prog_name=f"tactful audit {part}", standalone_mode=False)
    try:
        found: Mapping[str, Any] = json.loads(said.getvalue())
    except ValueError as error:
        remedy = f"run tactful audit {part} by itself and see"
        raise InvalidInput("printed no figures", field=f"--{part}", remedy=remedy) from error
    return found


def _ledger(path: Path | None, head: str | None) -> tuple[Mapping[str, Any] | None, Sequence[float]]:
    from tactful_privacy.commands.ledger import _head_from_hex, _require_entries
    from tactful_privacy.ledger import Release, history

    if path is None:
        return None, ()
    try:
        verdict, entries = history(path, last=_head_from_hex(head))
        _require_entries(path, verdict.entries)
        prices = [float(Release.from_entry(entry).rho) for entry in entries if entry.kind == "release"]
    except LedgerBroken as error:
        return {"verified": False, "fault": error.fault, "line": error.line, "reason": str(error)}, ()
    return {"verified": True, **verdict.to_dict()}, prices


def _versions() -> list[tuple[str, str]]:
    found = []
    for part in _PARTS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found.append((part, metadata.version(part)))
    return [*found, ("python", platform.python_version()), ("system", f"{platform.system()} {platform.machine()}")]
