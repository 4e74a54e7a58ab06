"""``tactful lab case``: a worked case study, for people and, with ``--json``, for programs."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tactful_lab.cases import report, study, words
from tactful_lab.cases.study import Study
from tactful_lab.rehearsal import page
from tactful_lab.rehearsal.options import Options
from tactful_privacy.commands import require_writable
from tactful_privacy.errors import InvalidInput, TactfulError

CASES = {"marketplace": study.marketplace, "fashion": study.fashion}
_WIDTH = 146


def case(
    name: Annotated[str, typer.Argument(help="marketplace or fashion.")],
    n: Annotated[int, typer.Option("--n", help="People of the rehearsal.")] = 1_000,
    weeks: Annotated[int, typer.Option(help="Weeks of the rehearsal that count.")] = 8,
    seeds: Annotated[int, typer.Option(help="Worlds of the rehearsal.")] = 5,
    epsilon: Annotated[float, typer.Option(help="Central ε, at δ = 1e-6, of the rehearsal's learner.")] = 4.0,
    html: Annotated[Path | None, typer.Option(help="Write a report of one file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Work a case from content choice on real purchases to a decision on a device; about a minute."""
    began = time.monotonic()
    try:
        if name not in CASES:
            raise InvalidInput(f"is not a known case: {name!r}", field="NAME", remedy=f"one of {', '.join(CASES)}")
        require_writable(html, make_folder=True, flag="--html")
        size = Options(n=n, weeks=weeks, seeds=seeds, epsilon=epsilon)
        with Console(stderr=True).status("starting") as status:
            found = CASES[name](size, lambda text: status.update(text), lambda text, _: status.update(text))
        if html is not None:
            report.write(html, found)
    except TactfulError as error:
        typer.echo("error: " + " ".join(str(error).split()), err=True)
        raise typer.Exit(2) from error
    except OSError as error:
        typer.echo(f"error: {error.filename}: {error.strerror}; name a file in a folder that takes it", err=True)
        raise typer.Exit(2) from error
    plain = report.as_dict(found, time.monotonic() - began)
    typer.echo(json.dumps(plain, ensure_ascii=False, allow_nan=False)) if as_json else _print(found, html)


def _table(columns: list[str], rows: list[Any], title: str) -> Table:
    table = Table(title=title, title_justify="left", box=None)
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _print(found: Study, html: Path | None) -> None:
    console = Console(highlight=False, width=max(Console().width, _WIDTH))
    console.print(words.DATA[found.name])
    console.print(_table(*report.offer_cells(found), title="What to offer, 95 % intervals over households"))
    if found.values:
        columns = ["guess", "RMSE, log(1 + dollars)", "squared error − overall mean's"]
        console.print(_table(columns, report.value_cells(found), title="What the next basket is worth"))
    columns = [*page.COLUMNS, f"difference to {found.frequency.options.against}"]
    console.print(_table(columns, page.cells_of(found.frequency), title=f"How often. {words.FREQUENCY[found.name]}"))
    told = found.told
    offers = "; ".join(f"{item} ({fit:.2f})" for item, fit in told.offers)
    console.print(f"On the device, with their fit to the person's vector: {offers}", markup=False)
    console.print(f"  {told.action}, basis {told.basis}: {told.en}\n  {told.zh}", markup=False)
    if html is not None:
        console.print(f"Report: {html}")
    console.print(words.NOT_TO_CONCLUDE, style="dim")
