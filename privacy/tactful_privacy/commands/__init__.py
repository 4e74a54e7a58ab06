"""The commands of `tactful audit`, a module each, and what they share.

Exit codes: 0 done, 1 the thing checked does not hold, 2 wrong use or bad input. With ``--json`` the figures stand on
standard output; errors are one line on standard error with the remedy in it.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from tactful_privacy.errors import InvalidInput, TactfulError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Delta = Annotated[float, typer.Option(help="Delta at which epsilon holds, between 0 and 1.")]


@contextmanager
def bad_input_exits_2() -> Iterator[None]:
    """Turn a typed error, or a package that is not installed, into one line on standard error and exit code 2."""
    try:
        yield
    except TactfulError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    except ModuleNotFoundError as error:
        typer.echo(f"error: {error.name} is not installed; pip install 'tactful[audit]'", err=True)
        raise typer.Exit(2) from error
    except OverflowError as error:
        typer.echo(f"error: a figure is beyond what a computer's numbers hold ({error}); give smaller ones", err=True)
        raise typer.Exit(2) from error


def require_writable(out: Path | None, *, make_folder: bool = False, flag: str = "--out") -> None:
    """Raise `InvalidInput` where no file can be written at ``out``: before the minutes of work, not after them."""
    if out is None:
        return
    try:
        if make_folder:
            out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{out}: {error.strerror}", field=flag, remedy="name a file in a folder") from error
    if out.is_dir() or not out.parent.is_dir():
        raise InvalidInput(f"{out} cannot be written", field=flag, remedy="name a file in a folder that exists")


def write_json(out: Path, figures: Mapping[str, Any]) -> None:
    """Write one JSON object to ``out``; raise `InvalidInput` where the file cannot be written."""
    try:
        out.write_text(json.dumps(figures, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        remedy = "name a file in a folder"
        raise InvalidInput(f"{out} cannot be written: {error.strerror}", field="--out", remedy=remedy) from error


def print_json(figures: Mapping[str, Any]) -> None:
    """Print one JSON object; refuses what JSON cannot say."""
    typer.echo(json.dumps(figures, allow_nan=False))


def print_table(figures: Mapping[str, Any]) -> None:
    """Print figures as a plain table for a person."""
    from rich.console import Console
    from rich.table import Table

    table = Table("figure", "value", box=None)
    for name, value in figures.items():
        table.add_row(name, f"{value:.6g}" if isinstance(value, float) else str(value))
    Console().print(table)
