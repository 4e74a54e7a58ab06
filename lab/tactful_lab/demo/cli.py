"""``tactful demo``: runs the story, shows it, and writes the report."""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tactful_lab.demo import figures, page
from tactful_lab.demo.story import Options, RoundRow, Story, Teller
from tactful_lab.demo.table import DAY_RATE, GLOBAL, HISTOGRAM, DecemberTable
from tactful_lab.slots import learning, trainers
from tactful_privacy.errors import TactfulError

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="See the whole idea work on shopping households, in about two minutes.",
)
console = Console(highlight=False)


@app.callback(invoke_without_command=True)
def demo(
    epsilon: Annotated[float, typer.Option(help="Central ε over all rounds, at δ = 1e-6.")] = 4.0,
    rounds: Annotated[int, typer.Option(help="Rounds of learning.")] = 30,
    hosts: Annotated[int, typer.Option(help="App backends that hold the households.")] = 5,
    dropout: Annotated[float, typer.Option(help="Share of rounds in which a host falls silent.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Of splits and drop-outs; privacy noise has no seed.")] = 0,
    trainer: Annotated[str, typer.Option(help="numpy, torch or opacus; the last two need the extra train.")] = "numpy",
    event_level: Annotated[float, typer.Option(help="Noise multiplier of event-level noise (opacus); 0: none.")] = 0.0,
    out: Annotated[Path, typer.Option(help="Folder for vaults, ledger and report.")] = Path("out/demo"),
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every figure to this file.")] = None,
) -> None:
    """Learn when households shop, privately, and decide one household's week."""
    started = time.monotonic()
    try:
        options = Options(epsilon, rounds, hosts, dropout, seed, out, trainer=trainer, event_noise=event_level)
        story, table, report = _perform(options)
    except TactfulError as error:
        typer.echo(f"tactful demo: {error}", err=True)
        raise typer.Exit(2) from error
    except OSError as error:
        typer.echo(f"tactful demo: {error}; choose a folder that can be written with --out", err=True)
        raise typer.Exit(2) from error
    duration = time.monotonic() - started
    if json_file is not None:
        text = json.dumps(figures.as_dict(story, table, duration), indent=2, ensure_ascii=False)
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(text + "\n", encoding="utf-8")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "linux" else 1024**3)
    console.print(f"\nReport: [bold]{report}[/]   ({duration:.0f} s, {peak:.2f} GiB at most)")


def _perform(options: Options) -> tuple[Story, DecemberTable, Path]:
    from tactful_lab.datasets import completejourney
    from tactful_lab.slots.task import build

    trainers.build(options.trainer, options.event_noise)  # says what is missing before anything is written
    options.out.mkdir(parents=True, exist_ok=True)
    baskets, dropped = completejourney.load()
    terms = completejourney.terms()
    console.print("[bold]1  The data[/]")
    for line in (*terms.lines(), *dropped.lines()):
        console.print(f"   {line}", style="dim")
    teller = Teller(options, baskets, learning.load())
    _vaults(teller)
    _rounds(teller)
    teller.week()
    teller.close()
    table = _december(DecemberTable(build(baskets), options.epsilon, options.trainer), teller)
    _tell(teller.story)
    return teller.story, table, page.write(options.out / "report.html", teller.story, table, terms.caveat)


def _bar() -> Progress:
    columns = (TextColumn("   {task.description}"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)


def _vaults(teller: Teller) -> None:
    console.print("\n[bold]2  Each household's events into an encrypted vault[/]")
    with _bar() as bar:
        task = bar.add_task("filling vaults", total=teller.options.hosts)
        teller.build(lambda _host, _events: bar.advance(task))
    story = teller.story
    console.print(f"   {story.events:,} baskets of {story.households:,} households in {teller.options.hosts} vaults")


def _rounds(teller: Teller) -> None:
    options = teller.options
    n_min = options.setting().n_min
    console.print(
        f"\n[bold]3  {options.rounds} rounds of private learning[/] (n_min = {n_min}, t = 1, {options.trainer})"
    )
    with _bar() as bar:
        task = bar.add_task("learning", total=options.rounds)
        for row in teller.run():
            bar.advance(task)
            _notice(row, teller)


def _notice(row: RoundRow, teller: Teller) -> None:
    result, story = row.result, teller.story
    for host, drop in result.dropped.items():
        fate = f"the sum of {len(result.survivors)} opened" if result.outcome == "released" else "void, nothing opened"
        console.print(f"   round {result.round_number}: {host} fell silent ({drop.stage}); {fate}")
    if story.erased_after == result.round_number and story.receipt is not None:
        rows = story.receipt.rows
        console.print(f"   round {result.round_number}: {story.erased_user} erased itself: {rows} rows, key destroyed")


def _december(table: DecemberTable, teller: Teller) -> DecemberTable:
    console.print("\n[bold]4  December, unseen[/]: does a basket start in the slot?")
    with _bar() as bar:
        task = bar.add_task("evaluating", total=6)
        for row in table.fill(teller.story.alpha):
            bar.update(task, advance=1, description=f"evaluated {row.name}")
    shown = Table(box=None, padding=(0, 1), header_style="dim")
    for column in ("  method", "log-loss", "AUC", "Brier", "cal.err", "top 5%", "top slot"):
        shown.add_column(column, justify="left" if "method" in column else "right", no_wrap=True)
    for row in table.rows:
        m, bold = row.metrics, "[bold]" if row.name == table.ours else ""
        tail = (f"{m.precision_top_5_percent:.3f}", f"{m.top_slot_hit_rate:.3f}")
        cells = (f"{m.log_loss:.5f}", f"{m.auc:.3f}", f"{m.brier:.4f}", f"{m.calibration_error:.4f}", *tail)
        # Two short lines instead of a name that eighty columns cannot hold.
        shown.add_row(f"  {bold}{'  and the personal layer' if bold else row.name}", *cells)
    console.print(shown)
    for name in (HISTOGRAM, DAY_RATE):
        gap = table.against(name)
        console.print(f"   ours − {name}: {gap.value:+.5f} (95 %: {gap.low:+.5f} to {gap.high:+.5f})")
    top = {name: table.precision[name]["top 5 %"] for name in (GLOBAL, HISTOGRAM, table.ours)}
    console.print("   precision in the top 5 %: " + ", ".join(f"{name} {value:.3f}" for name, value in top.items()))
    return table


def _tell(story: Story) -> None:
    least, median, most = story.epsilon
    ledger = story.ledger
    console.print("\n[bold]5  What it cost[/]")
    console.print(f"   ε spent per device: least {least:.2f}, median {median:.2f}, most {most:.2f} (δ = 1e-6)")
    if story.event_epsilon is not None:
        console.print(
            f"   and of one row of a device, by event: ε ≤ {story.event_epsilon:.2f} (δ = 1e-6), never added to it"
        )
    console.print(
        f"   {story.lower_user}: own ceiling ε = {story.lower_epsilon:g}; in {story.lower_rounds} rounds, then refused"
    )
    console.print(f"   bytes sent per household: {story.bytes_up_per_device:.0f}")
    if ledger is not None:
        console.print(
            f"   ledger verifies: {ledger.entries} entries, {ledger.releases} releases, head {ledger.head.hex()[:8]}…"
        )
    console.print("\n[bold]6  One household's coming week[/]")
    plan = story.week
    if plan is not None:
        console.print(f"   {story.week_user}: {plan.budget} pushes planned, basis: {plan.basis}")
        for slot in plan.chosen:
            console.print(f"   · {slot.text('en')}\n     {slot.text('zh')}")
    console.print(f"   now: {story.decision_text['en']}\n        {story.decision_text['zh']}")
