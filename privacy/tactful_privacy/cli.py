"""`tactful audit`: verify a ledger, convert noise to epsilon, and calibrate a federation.

Exit codes: 0 done, 1 the thing checked does not hold, 2 wrong use or bad input. With ``--json`` the figures stand on
standard output; errors are one line on standard error with the remedy in it.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tactful_privacy.errors import InvalidInput, LedgerBroken, TactfulError
from tactful_privacy.ledger import mend, verify

if TYPE_CHECKING:
    from tactful_privacy.accounting.calibration import Calibration

_ABSURD_RHO = 1e12  # an exact fraction far above it need not even fit a float

app = typer.Typer(
    pretty_exceptions_show_locals=False,
    no_args_is_help=True,
    help="Check the privacy claim: ledgers, epsilon, calibration.",
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Delta = Annotated[float, typer.Option(help="Delta at which epsilon holds, between 0 and 1.")]


class Accountant(StrEnum):
    """The accountants that `epsilon` knows."""

    ZCDP = "zcdp"


@contextmanager
def _bad_input_exits_2() -> Iterator[None]:
    try:
        yield
    except TactfulError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error


def _print_json(figures: Mapping[str, Any]) -> None:
    typer.echo(json.dumps(figures, allow_nan=False))


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


@app.command()
def ledger(
    file: Annotated[Path, typer.Argument(help="The ledger file.", show_default=False)],
    head: Annotated[str | None, typer.Option(help="The head you remember, in hex; shows a cut-off end.")] = None,
    mend_unfinished: Annotated[
        bool, typer.Option("--mend", help="Set an unfinished last line aside in a file beside the ledger first.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Verify that no line of FILE was edited, removed or reordered."""
    with _bad_input_exits_2():
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
        _print_json({"verified": True, **figures})
    else:
        typer.echo(f"verified: {report.entries} entries, {report.releases} releases, head {report.head.hex()}")


def _report_broken(error: LedgerBroken, *, as_json: bool) -> None:
    if as_json:
        _print_json({"verified": False, "line": error.line, "reason": str(error)})
    typer.echo(f"broken: {error}", err=True)


@app.command()
def epsilon(
    noise_multiplier: Annotated[float, typer.Option(help="z, noise deviation over sensitivity, of one round.")],
    rounds: Annotated[int, typer.Option(help="Rounds that one device joins.")],
    delta: Delta,
    accountant: Annotated[Accountant, typer.Option(help="How costs compose.")] = Accountant.ZCDP,
    as_json: Json = False,
) -> None:
    """Print the central epsilon of ROUNDS rounds without sampling."""
    from tactful_privacy.accounting import zcdp
    from tactful_privacy.accounting.events import ComposedEvent, GaussianEvent
    from tactful_privacy.validate import at_least, positive

    with _bad_input_exits_2():
        positive(noise_multiplier=noise_multiplier)
        at_least(1, rounds=rounds)
        rho = zcdp.rho_of(ComposedEvent(GaussianEvent(noise_multiplier), rounds))
        if rho > _ABSURD_RHO:
            raise InvalidInput("gives no meaningful epsilon", field="noise_multiplier", remedy="give more noise")
        value = zcdp.epsilon(rho, delta)
    if as_json:
        _print_json({"epsilon": value})
    else:
        typer.echo(f"epsilon {value:.6g} at delta {delta:g} over {rounds} rounds ({accountant}, zero-out adjacency)")


@app.command()
def calibrate(
    epsilon: Annotated[float, typer.Option(help="Central epsilon over all rounds that a device joins.")],
    delta: Delta,
    rounds: Annotated[int, typer.Option(help="Rounds that one device may join.")],
    n_min: Annotated[int, typer.Option(help="Fewest surviving hosts with which a sum is opened.")],
    colluders: Annotated[int, typer.Option(help="t, hosts whose noise does not count.")],
    clip_norm: Annotated[float, typer.Option(help="C, in model units.")],
    devices: Annotated[int, typer.Option(help="Planned devices over all hosts.")],
    dimension: Annotated[int, typer.Option(help="Model coordinates, without statistics.")],
    hosts: Annotated[int | None, typer.Option(help="Hosts on the roster; n_min where absent.")] = None,
    half_range: Annotated[list[float] | None, typer.Option(help="Half-range of a statistic; repeat it.")] = None,
    modulus_bits: Annotated[int, typer.Option(help="Sums are modulo 2 to this power.")] = 32,
    as_json: Json = False,
) -> None:
    """Print the noise, the grid and the share of the modulus that a promise needs.

    Figures in model units: sigma_host, sensitivity; in grid units of 2^-grid_exponent: names ending in _units, and
    norm_bound_squared (squared); rho_per_round is an exact fraction; modulus_usage a share of half the modulus.
    """
    from tactful_privacy.accounting.calibration import calibrate as find

    with _bad_input_exits_2():
        if not math.isfinite(epsilon):
            raise InvalidInput("must be finite", field="epsilon", remedy="rehearse without noise in the lab instead")
        found = find(
            epsilon=epsilon,
            delta=delta,
            participations=rounds,
            n_min=n_min,
            colluders=colluders,
            clip_norm=clip_norm,
            half_ranges=tuple(half_range or ()),
            total_devices=devices,
            dimension=dimension,
            n_hosts=hosts,
            modulus_bits=modulus_bits,
        )
    if as_json:
        _print_json(_figures(found))
    else:
        _print_table(_figures(found))


def _figures(found: "Calibration") -> dict[str, Any]:
    return {
        "central_epsilon": found.epsilon,
        "delta": found.delta,
        "rounds": found.participations,
        "rho_total": found.rho_total,
        "rho_per_round": f"{found.rho_per_round.numerator}/{found.rho_per_round.denominator}",
        "noise_multiplier": found.noise_multiplier,
        "sigma_host": found.sigma_host,
        "sensitivity": found.sensitivity,
        "grid_exponent": found.grid_exponent,
        "clip_units": found.clip_units,
        "half_range_units": list(found.half_range_units),
        "norm_bound_squared": found.norm_bound_squared,
        "noise_variance_units": found.noise_variance_units,
        "modulus_usage": found.modulus_usage,
    }


def _print_table(figures: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("figure", "value", box=None)
    for name, value in figures.items():
        table.add_row(name, f"{value:.6g}" if isinstance(value, float) else str(value))
    Console().print(table)
