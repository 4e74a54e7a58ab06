"""`tactful audit run`: does an attack get more than the theory allows?"""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tactful_privacy.commands import Json, bad_input_exits_2, print_json, require_writable, write_json
from tactful_privacy.errors import InvalidInput, LedgerBroken

if TYPE_CHECKING:
    from tactful_privacy.audit.session import AuditRun

OUT = Path("audit-run.json")


def run(
    target: Annotated[str, typer.Option(help="The federation to audit.")] = "rehearsal",
    ledger: Annotated[Path | None, typer.Option(help="A live federation's ledger, with --coins.")] = None,
    coins: Annotated[Path | None, typer.Option(help="The coins file of the auditor's host in it.")] = None,
    canaries: Annotated[int, typer.Option(help="Canaries planted in each round.")] = 1000,
    guesses: Annotated[int | None, typer.Option(help="Coins guessed; a documented default of the claim.")] = None,
    rounds: Annotated[int, typer.Option(help="Rounds over which the promise is spread and audited.")] = 10,
    epsilon: Annotated[float, typer.Option(help="Central epsilon of the rehearsed promise.")] = 4.0,
    delta: Annotated[float, typer.Option(help="Delta beside every epsilon.")] = 1e-6,
    hosts: Annotated[int, typer.Option(help="Hosts of the rehearsal, the auditor's included.")] = 5,
    colluders: Annotated[int, typer.Option(help="Hosts which side with the server, the auditor's included.")] = 1,
    confidence: Annotated[float, typer.Option(help="Of each bound by itself.")] = 0.95,
    looks: Annotated[int, typer.Option(help="Of how many planned audits this is one; corrects the confidence.")] = 1,
    out: Annotated[Path | None, typer.Option(help=f"Also write the figures here; the report reads {OUT}.")] = None,
    as_json: Json = False,
) -> None:
    """Plant canaries in the worst case that the claim allows, and hold what they reveal against the theory."""
    with bad_input_exits_2():
        require_writable(out)
        try:
            confidence = _corrected(confidence, looks)
            if ledger is not None or coins is not None:
                done = _live(ledger, coins, guesses, delta, confidence)
            else:
                options = {"epsilon": epsilon, "delta": delta, "hosts": hosts, "colluders": colluders}
                opened = {"canaries": canaries, "rounds": rounds, **options}
                done = _rehearsed(target, opened, guesses, confidence, quiet=as_json)
        except LedgerBroken as error:
            typer.echo(f"broken: {error}", err=True)
            raise typer.Exit(1) from error
        if out is not None:
            write_json(out, done.to_dict())
    if as_json:
        print_json(done.to_dict())
    else:
        _print(done)
    if not done.result.holds:
        typer.echo("the theory is contradicted: an attack gets more than the claim allows", err=True)
        raise typer.Exit(1)


def _corrected(confidence: float, looks: int) -> float:
    from tactful_privacy.audit.multiple import bonferroni_confidence

    return bonferroni_confidence(confidence, looks)


def _live(ledger: Path | None, coins: Path | None, guesses: int | None, delta: float, confidence: float) -> "AuditRun":
    from tactful_privacy.audit.session import judge_ledger

    if ledger is None or coins is None:
        remedy = "give the ledger file and the coins file of the auditor's host"
        raise InvalidInput("belong together", field="--ledger, --coins", remedy=remedy)
    if not ledger.exists():
        raise InvalidInput("is absent", field=str(ledger), remedy="export the federation's ledger to this file")
    return judge_ledger(ledger, coins, guesses=guesses, delta=delta, confidence=confidence)


def _rehearsed(
    target: str, options: dict[str, float], guesses: int | None, confidence: float, *, quiet: bool
) -> "AuditRun":
    from rich.console import Console
    from rich.progress import Progress

    from tactful_privacy.audit.session import run_audit
    from tactful_privacy.audit.target import open_target
    from tactful_privacy.validate import fraction

    fraction(delta=options["delta"])
    if guesses is not None and not 0 <= guesses <= options["canaries"]:
        remedy = "give 0 <= guesses <= canaries"
        raise InvalidInput(f"is {guesses} of {options['canaries']} canaries", field="guesses", remedy=remedy)
    audited = open_target(target, **options)
    with closing(audited), Progress(console=Console(stderr=True), disable=quiet) as progress:
        task = progress.add_task("audit rounds", total=audited.rounds)
        return run_audit(
            audited,
            name=target,
            guesses=guesses,
            delta=options["delta"],
            confidence=confidence,
            on_round=lambda number, _result: progress.update(task, completed=number),
        )


def _print(done: "AuditRun") -> None:
    from rich.console import Console
    from rich.table import Table

    result, sure = done.result, f"{100 * done.result.confidence:g}%"
    table = Table("figure", "mu", f"epsilon at delta {result.delta:g}", box=None)
    table.add_row("the theory allows", f"{result.theory_mu:.4f}", f"{result.theory_epsilon:.4f}")
    table.add_row(f"f-DP lower bound, {sure}", f"{result.f_dp_mu:.4f}", f"{result.f_dp_epsilon:.4f}")
    table.add_row(f"one-run lower bound, {sure}", "", f"{result.one_run_epsilon:.4f}")
    table.add_row(
        "Gaussian estimate, no bound", f"{result.gaussian_mu_estimate:.4f}", f"{result.gaussian_epsilon_estimate:.4f}"
    )
    table.add_row("Clopper-Pearson estimate, no bound", "", f"{result.clopper_pearson_epsilon_estimate:.4f}")
    console = Console()
    console.print(
        f"{done.target}: {result.canaries} canaries, {done.rounds} rounds, {done.noisy_hosts} hosts of unknown noise; "
        f"{result.correct} of {result.guesses} guesses right; {done.seconds:.1f} s"
    )
    console.print(table)
    console.print("the claim stands" if result.holds else "the claim is refuted")
    if not result.estimate_holds:
        console.print(
            "the Gaussian estimate lies above the theory, as by chance once in a hundred audits: run it again, and "
            "look for a fault that the bound cannot prove"
        )
