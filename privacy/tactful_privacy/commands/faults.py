"""`tactful audit faults`: would the checks notice if the software were wrong?"""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tactful_privacy.commands import Json, bad_input_exits_2, print_json, require_writable, write_json
from tactful_privacy.errors import InvalidInput

if TYPE_CHECKING:
    from tactful_privacy.audit.faults import FaultResult, FaultTable

OUT = Path("audit-faults.json")


def faults(
    target: Annotated[str, typer.Option(help="The federation into which faults are planted.")] = "rehearsal",
    runs: Annotated[int, typer.Option(help="Trials of each fault.")] = 20,
    only: Annotated[list[str] | None, typer.Option(help="Plant this fault alone; may be repeated.")] = None,
    canaries: Annotated[int, typer.Option(help="Canaries in each audit round.")] = 1000,
    out: Annotated[Path | None, typer.Option(help=f"Also write the figures here; the report reads {OUT}.")] = None,
    as_json: Json = False,
) -> None:
    """Plant each fault in the product's own code, and count which checks notice."""
    with bad_input_exits_2():
        require_writable(out)
        table = _planted(target, runs, tuple(only or ()), canaries, quiet=as_json)
        if out is not None:
            write_json(out, table.to_dict())
    if as_json:
        print_json(table.to_dict())
    else:
        _print(table)
    if not table.as_expected:
        names = ", ".join(result.name for result in table.faults if not result.as_expected)
        typer.echo(f"not as expected: {names}", err=True)
        raise typer.Exit(1)


def _planted(target: str, runs: int, only: tuple[str, ...], canaries: int, *, quiet: bool) -> "FaultTable":
    from rich.console import Console
    from rich.progress import Progress

    from tactful_privacy.audit.faults import can_plant, run_faults
    from tactful_privacy.audit.target import open_target

    opened = open_target(target, canaries=canaries, rounds=1)
    with closing(opened), _quiet_log(), Progress(console=Console(stderr=True), disable=quiet) as progress:
        if not can_plant(opened):
            remedy = "use --target rehearsal, or one whose adapter has faults()"
            raise InvalidInput(f"{target!r} cannot plant faults", field="target", remedy=remedy)
        count = sum(not only or fault.name in only for fault in opened.faults())
        task = progress.add_task("faults", total=count * runs)
        return run_faults(
            opened,
            runs=runs,
            only=only,
            progress=lambda fault, _done: progress.update(task, advance=1, description=f"{fault.name:32}"),
        )


@contextmanager
def _quiet_log() -> Iterator[None]:
    """Keep the hosts' log still: it would report every planted fault as the fault it is."""
    logs = [logging.getLogger(name) for name in ("tactful", "tactful_server")]
    before = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for log, level in zip(logs, before, strict=True):
            log.setLevel(level)


_COLUMNS = ("refusal", "self_test", "audit", "audit_estimate")


def _print(table: "FaultTable") -> None:
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=None, pad_edge=False)
    shown.add_column("fault, where it was planted")
    for name in ("refusal", "self-test", "audit", "estimate", "verdict"):
        shown.add_column(name, justify="right", no_wrap=True)
    for result in table.faults:
        about = "".join(f"\n[dim]{line}[/]" for line in (result.where, result.remark) if line)
        shown.add_row(result.title + about, *(_count(result, check) for check in _COLUMNS), _verdict(result))
    console = Console()
    console.print(shown)
    console.print(f"in how many of {table.runs} trials each check caught the fault; – where it has nothing to look at")
    console.print(f"{table.seconds:.0f} s: " + ("all as expected" if table.as_expected else "NOT all as expected"))


def _count(result: "FaultResult", check: str) -> str:
    return str(result.catches[check]) if check in result.catches else "–"


def _verdict(result: "FaultResult") -> str:
    if not result.as_expected:
        return "[bold red]ESCAPES[/]" if result.caught_by == "none" else "[bold red]NOT AS EXPECTED[/]"
    return "no violation" if result.caught_by == "no_violation" else "caught"
