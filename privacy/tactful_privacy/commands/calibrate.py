"""`tactful audit calibrate`: which noise does a promise need?"""

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tactful_privacy.commands import Delta, Json, bad_input_exits_2, print_json, print_table
from tactful_privacy.errors import InvalidInput

if TYPE_CHECKING:
    from tactful_privacy.accounting.calibration import Calibration


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

    with bad_input_exits_2():
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
        print_json(_figures(found))
    else:
        print_table(_figures(found))


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
