"""`tactful audit attacks`: what do an outside reader's attacks get?"""

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tactful_privacy.commands import require_writable
from tactful_privacy.errors import TactfulError


def add_commands(app: typer.Typer) -> None:
    """Add this room's commands to `tactful audit`."""
    app.command()(attacks)


def attacks(
    phones: Annotated[int, typer.Option(help="Households whose contribution is reconstructed, each a phone.")] = 300,
    epsilon: Annotated[
        list[float] | None, typer.Option(help="Central epsilon of a membership attack; repeat it. inf: no noise.")
    ] = None,
    households: Annotated[int, typer.Option(help="Pool of the membership attack; half of it is in.")] = 160,
    rounds: Annotated[int, typer.Option(help="Rounds of each federation.")] = 10,
    shadows: Annotated[int, typer.Option(help="Shadow federations.")] = 64,
    targets: Annotated[int, typer.Option(help="Attacked federations, each with vaults and secure aggregation.")] = 6,
    out: Annotated[Path | None, typer.Option(help="Write the figures to this file too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Attack a rehearsed federation: rebuild a household's hours, and tell who was in the training.

    Exit code 1 if an attack gets more than the theory allows.
    """
    try:
        from tactful_lab.audit.attacks import run_attacks  # the server and the shopping data, for this command alone
        from tactful_lab.audit.membership import Scale

        require_writable(out, make_folder=True)
        scale = Scale(households=households, rounds=rounds, shadows=shadows, targets=targets)
        with _progress() as bar:
            task = bar.add_task("", total=None)
            found = run_attacks(
                phones=phones,
                epsilons=tuple(epsilon or (math.inf, 4.0, 1.0)),
                scale=scale,
                progress=lambda text: bar.update(task, description=text),
            )
    except TactfulError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    except ModuleNotFoundError as error:
        typer.echo(f"error: {error.name} is not installed; pip install 'tactful[audit,lab]'", err=True)
        raise typer.Exit(2) from error
    plain = found.to_dict()
    if out is not None:
        out.write_text(json.dumps(plain, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    typer.echo(json.dumps(plain, ensure_ascii=False)) if as_json else _print(plain)
    if not found.within_theory:
        raise typer.Exit(1)


def _progress() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _print(plain: dict[str, Any]) -> None:
    table = Table("attack", "protected by", "figure", box=None)
    for name in ("reached (95 %)", "guessing", "theory allows"):
        table.add_column(name, justify="right")
    for row in plain["rows"]:
        limit = "–" if row["limit"] is None else f"{row['limit']:.3f}"
        reached = f"{row['value']:.3f} ({row['low']:.3f}, {row['high']:.3f})"
        table.add_row(row["attack"], row["condition"], row["figure"], reached, f"{row['chance']:.3f}", limit)
    Console().print(table)
