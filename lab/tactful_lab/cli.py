"""``tactful lab``: the data's facts and the slot task's baselines, for people and, with ``--json``, for programs."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tactful_lab.cases.cli import case
from tactful_lab.datasets import completejourney
from tactful_lab.evaluation.cli import evaluate as evaluate_log
from tactful_lab.evaluation.export_log import export_log
from tactful_lab.rehearsal.cli import rehearse
from tactful_lab.slots import baselines, task
from tactful_lab.slots.evaluate import evaluate
from tactful_lab.slots.settings import load as load_settings
from tactful_privacy.errors import TactfulError

app = typer.Typer(
    pretty_exceptions_show_locals=False,
    no_args_is_help=True,
    help="Rehearsals on real data, before a policy meets people.",
)
AsJson = Annotated[bool, typer.Option("--json", help="Print stable JSON instead of text.")]


def _fail(error: TactfulError) -> typer.Exit:
    typer.echo(str(error), err=True)
    return typer.Exit(2)


app.command(name="evaluate")(evaluate_log)
app.command()(rehearse)
app.command()(case)
app.command(name="export-log")(export_log)


@app.command()
def data(as_json: AsJson = False) -> None:
    """What the shopping data are, what was left out, how large they are and on whose terms they may be used."""
    try:
        _, dropped = completejourney.load()
        terms = completejourney.terms()
    except TactfulError as error:
        raise _fail(error) from error
    if as_json:
        facts = {"package": terms.package, "version": terms.version, "package_license": terms.package_license}
        facts |= {"data_terms": terms.data_terms, "provider": terms.provider, "caveat": terms.caveat}
        typer.echo(
            json.dumps({**facts, "installed_bytes": terms.installed_bytes, **dropped.as_dict()}, ensure_ascii=False)
        )
        return
    for line in (*terms.lines(), "", *dropped.lines()):
        typer.echo(line)


@app.command()
def slots(as_json: AsJson = False) -> None:
    """The baselines of the slot task, tuned and measured on November, so that December is not looked at."""
    try:
        rows = _november()
    except TactfulError as error:
        raise _fail(error) from error
    if as_json:
        typer.echo(json.dumps({"split": "tune", "rows": rows}, ensure_ascii=False))
        return
    table = Table(title="November 2017: does a basket start in the slot?", title_justify="left")
    for column in ("method", "log-loss (95 %)", "AUC", "precision, top 5 %", "top-slot hit rate"):
        table.add_column(column, justify="left" if column == "method" else "right")
    for row in rows:
        bounds = f"{row['log_loss']:.4f} ({row['log_loss_low']:.4f}–{row['log_loss_high']:.4f})"
        rest = (row["auc"], row["precision_top_5_percent"], row["top_slot_hit_rate"])
        table.add_row(row["name"], bounds, *(f"{value:.3f}" for value in rest))
    Console().print(table)


def _november() -> list[dict[str, Any]]:
    settings = load_settings()
    built = task.build(completejourney.load()[0])
    made = (
        baselines.global_rate(built),
        baselines.histogram(built, settings),
        baselines.day_rate_times_share(built, settings),
    )
    rows = []
    for baseline in made:
        found = evaluate(built, "tune", baseline.scores("tune"), name=baseline.name, settings=settings)
        bounds = {"log_loss_low": found.log_loss.low, "log_loss_high": found.log_loss.high}
        rows.append({"name": baseline.name, **found.metrics.as_dict(), **bounds, "choice": baseline.choice})
    return rows
