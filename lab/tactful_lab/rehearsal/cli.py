"""``tactful lab rehearse``: rehearse policies in a simulated world before one of them meets people."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from tactful_lab.rehearsal import page, push_log, report, sweeps
from tactful_lab.rehearsal.options import Options, require_known
from tactful_lab.rehearsal.policies import NEVER
from tactful_lab.rehearsal.run import Progress as Told
from tactful_lab.rehearsal.run import Rehearsal, require_makeable, run
from tactful_lab.rehearsal.sweeps import Cell, Point
from tactful_privacy.commands import require_writable
from tactful_privacy.errors import InvalidInput, TactfulError

_WIDTH = 118


@dataclass(frozen=True, slots=True)
class _Wishes:
    """What is wanted beside the table."""

    frontier: bool
    curve: bool
    curve_n: tuple[int, ...]
    curve_epsilon: tuple[float, ...]
    html: Path | None
    log: Path | None
    log_policy: str | None

    def logged(self, options: Options) -> str:
        """The policy to be logged: by default the last that was named."""
        return self.log_policy or options.policies[-1]


def rehearse(
    world: Annotated[str, typer.Option(help="Kind of world.")] = "main",
    policy: Annotated[list[str] | None, typer.Option(help="Policy to rehearse; repeat it.")] = None,
    epsilon: Annotated[float, typer.Option(help="Central ε, at δ = 1e-6, of policies that learn under one.")] = 4.0,
    n: Annotated[int, typer.Option("--n", help="People in each world.")] = 2_000,
    weeks: Annotated[int, typer.Option(help="Weeks that count.")] = 8,
    warmup_weeks: Annotated[int, typer.Option(help="Weeks without a push before them.")] = 4,
    seeds: Annotated[int, typer.Option(help="Worlds, the same for all policies.")] = 5,
    first_seed: Annotated[int | None, typer.Option(help="First seed; by default the first for tuning.")] = None,
    hazard: Annotated[float | None, typer.Option(help="Opt-out hazard per push; by default the world's.")] = None,
    fleet_price: Annotated[float, typer.Option(help="ν, minor units, of policies that have a price.")] = 0.0,
    opt_out_cost: Annotated[float | None, typer.Option(help="C_out, minor units; by default the world's.")] = None,
    baseline: Annotated[str | None, typer.Option(help="Differences are to it; by default the first plain one.")] = None,
    frontier: Annotated[bool, typer.Option("--frontier", help="Sweep frequency and price.")] = False,
    curve: Annotated[bool, typer.Option("--curve", help="Sweep ε and the number of people; says how long.")] = False,
    curve_n: Annotated[list[int] | None, typer.Option(help="People of the curve; repeat it.")] = None,
    curve_epsilon: Annotated[list[float] | None, typer.Option(help="ε of the curve; repeat it.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a report of one file.")] = None,
    log: Annotated[Path | None, typer.Option(help="Write the push log (CSV) of one policy and the first seed.")] = None,
    log_policy: Annotated[str | None, typer.Option(help="The policy to log; by default the last named.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Rehearse policies of how often and when to push, on the same simulated people. Exit code 2 for wrong use."""
    began = time.monotonic()
    try:
        sizes = tuple(curve_n or sweeps.CURVE_N), tuple(curve_epsilon or sweeps.CURVE_EPSILON)
        wishes = _Wishes(frontier, curve, *sizes, html, log, log_policy)
        asked = tuple(policy or ["histogram_three", "random_3"])
        budget = (epsilon, n, weeks, warmup_weeks, seeds, first_seed, hazard, fleet_price, opt_out_cost, baseline)
        options = Options(world, asked, *budget)
        _check(options, wishes)
        found = _perform(options, wishes)
    except TactfulError as error:
        typer.echo("error: " + " ".join(str(error).split()), err=True)
        raise typer.Exit(2) from error
    except OSError as error:
        typer.echo(f"error: {error.filename}: {error.strerror}; name a file in a folder that takes it", err=True)
        raise typer.Exit(2) from error
    plain = report.as_dict(*found, time.monotonic() - began)
    if as_json:
        typer.echo(json.dumps(plain, ensure_ascii=False, allow_nan=False))
    else:
        _print(found[0], wishes, plain)


Found = tuple[Rehearsal, list[Point] | None, list[Cell] | None, dict[str, Any] | None]


def _check(options: Options, wishes: _Wishes) -> None:
    """Refuse before the minutes of work what could not be done after them."""
    require_makeable(options)
    require_writable(wishes.html, make_folder=True, flag="--html")
    require_writable(wishes.log, make_folder=True, flag="--log")
    if wishes.log is not None:
        if wishes.log.suffix.lower() != ".csv":
            raise InvalidInput(f"{wishes.log} must end in .csv", field="--log", remedy="name a file such as pushes.csv")
        require_known(wishes.logged(options), "--log-policy")
        push_log.require_loggable(options, wishes.logged(options))
    if wishes.curve:
        sweeps.curve_policies(options)
        if min(wishes.curve_n) < 1 or min(wishes.curve_epsilon) <= 0:
            raise InvalidInput("must be above 0", field="--curve-n, --curve-epsilon", remedy="e.g. 500, and 0.5")


def _perform(options: Options, wishes: _Wishes) -> Found:
    if options.seed_kind == "reporting":
        text = "These seeds are those from which the project's own figures are reported: look, and tune on others."
        typer.echo(text, err=True)
    with _bar(len(options.to_run) * options.seeds * options.weeks) as told:
        rehearsal = run(options, told)
    points = cells = log = None
    if wishes.frontier:
        with _bar(len(sweeps.frontier_plan(options)) * options.seeds * options.weeks) as told:
            points = sweeps.frontier(options, rehearsal.rows[NEVER], told)
    if wishes.curve:
        cells = _curve(rehearsal, wishes)
    if wishes.log is not None:
        log = _log(options, wishes.logged(options), wishes.log)
    if wishes.html is not None:
        page.write(wishes.html, rehearsal, points, cells)
    return rehearsal, points, cells, log


def _curve(rehearsal: Rehearsal, wishes: _Wishes) -> list[Cell]:
    options = rehearsal.options
    took = sweeps.curve_seconds(options, rehearsal.rows, wishes.curve_n, wishes.curve_epsilon)
    typer.echo(f"The ε-utility curve will take about {_minutes(took)}, by what the rehearsal took.", err=True)
    runs = len(wishes.curve_n) * (1 + len(sweeps.curve_policies(options)) * len(wishes.curve_epsilon))
    with _bar(runs * options.seeds * options.weeks) as told:
        return sweeps.curve(options, wishes.curve_n, wishes.curve_epsilon, told)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _log(options: Options, name: str, path: Path) -> dict[str, Any]:
    log = push_log.record(options, name)
    files = push_log.write(log, path)
    facts = {"policy": name, "seed": options.seed_range[0], "rows": len(log), "users": int(log["user"].nunique())}
    return {**facts, "sends": int((log["action"] == "send").sum()), "log": str(files[0]), "mapping": str(files[1])}


@contextmanager
def _bar(weeks: int) -> Iterator[Told]:
    """A progress bar with the time left, on standard error; nothing of it in a pipe."""
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("", total=weeks)
        yield lambda text, done: bar.update(task, advance=done, description=text)


def _frontier_line(row: dict[str, Any]) -> str:
    gain, opt_out = row["gain_over_never_minor_per_user_week"]["value"], row["opt_out_share"]["value"]
    value = f"{row['setting_value']:g}"
    where = f"{value} a week" if row["setting"] == "pushes_per_week" else f"ν {value}"
    return f"frontier: {row['family']}, {where}: gain {gain:+.2f}, withdrew {100 * opt_out:.2f} %"


def _print(rehearsal: Rehearsal, wishes: _Wishes, plain: dict[str, Any]) -> None:
    options = rehearsal.options
    console = Console(highlight=False, width=max(Console().width, _WIDTH))
    title = f"{options.world}: {options.n:,} simulated people, {options.weeks} weeks, minor units per person and week"
    table = Table(title=title, title_justify="left", box=None)
    for column in (*page.COLUMNS, f"difference to {options.against}"):
        table.add_column(column, justify="left" if column == "policy" else "right", no_wrap=True)
    for row in page.cells_of(rehearsal):
        table.add_row(*row)
    console.print(table)
    first, last = options.seed_range[0], options.seed_range[-1]
    console.print(f"Seeds {first} to {last} ({options.seed_kind}); 95 % intervals, paired by seed.", style="dim")
    for row in plain["frontier"] or ():
        console.print(_frontier_line(row), markup=False)
    for row in plain["curve"] or ():
        gain = row["gain_over_never_minor_per_user_week"]
        where = f"{row['policy']}, N = {row['n']:,}, ε = {row['central_epsilon']:g}"
        console.print(f"curve: {where}: gain {gain['value']:+.2f} ({gain['low_95']:+.2f} to {gain['high_95']:+.2f})")
    if plain["log"]:
        console.print(f"Log: {plain['log']['rows']:,} decisions of {plain['log']['policy']} in {plain['log']['log']}")
        console.print(f"Next: tactful lab evaluate {plain['log']['log']} --map {plain['log']['mapping']}")
    if wishes.html is not None:
        console.print(f"Report: {wishes.html}")
    console.print("Simulated people: compare policies by it, and forecast nothing.", style="dim")
