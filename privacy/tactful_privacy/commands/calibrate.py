"""`tactful audit calibrate`: which noise does a promise need, what does noise promise, and will anything be learned?"""

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tactful_privacy.commands import Delta, Json, bad_input_exits_2, print_json, print_table
from tactful_privacy.errors import InvalidInput

if TYPE_CHECKING:
    from tactful_privacy.accounting.calibration import Calibration
    from tactful_privacy.accounting.signal import Outlook


class Unknown(StrEnum):
    """What is solved for."""

    NOISE = "noise"
    EPSILON = "epsilon"
    ROUNDS = "rounds"
    DEVICES = "devices"


class Mode(StrEnum):
    """Who adds the noise; see `accounting.modes`."""

    DISTRIBUTED = "distributed"
    LOCAL = "local"
    CENTRAL = "central"


@dataclass(frozen=True, slots=True)
class _Asked:
    """The options, some of them still unknown."""

    epsilon: float | None
    delta: float
    rounds: int | None
    noise_multiplier: float | None
    devices: int | None
    n_min: int
    hosts: int
    colluders: int
    drop_out: float
    clip_norm: float
    half_ranges: tuple[float, ...]
    dimension: int
    modulus_bits: int
    alignment: float
    mode: Mode

    @property
    def survivors(self) -> int:
        """Hosts expected in a sum."""
        return max(self.n_min, round(self.hosts * (1 - self.drop_out)))

    def calibration(self) -> "Calibration":
        """The plan's integers; everything but them is known by now."""
        from tactful_privacy.accounting.modes import calibrate_in_mode

        return calibrate_in_mode(
            self.mode.value,
            epsilon=_known(epsilon=self.epsilon),
            delta=self.delta,
            participations=_known(rounds=self.rounds),
            n_min=self.n_min,
            colluders=self.colluders,
            clip_norm=self.clip_norm,
            half_ranges=self.half_ranges,
            total_devices=_known(devices=self.devices),
            dimension=self.dimension,
            n_hosts=self.hosts,
            modulus_bits=self.modulus_bits,
        )

    def outlook(self, found: "Calibration") -> "Outlook":
        """Signal and noise, with the devices of the hosts that are expected to survive."""
        from tactful_privacy.accounting.signal import outlook_of

        return outlook_of(
            found,
            devices=max(1, _known(devices=self.devices) * self.survivors // self.hosts),
            survivors=self.survivors,
            dimension=self.dimension,
            clip_norm=self.clip_norm,
            alignment=self.alignment,
            mode=self.mode.value,
        )

    def planned(self, contributing: int) -> int:
        """How many devices to enrol so that ``contributing`` are left after the expected drop-out."""
        return -(-contributing * self.hosts // self.survivors)


def calibrate(
    delta: Delta,
    colluders: Annotated[int, typer.Option(help="t, hosts whose noise does not count.")],
    clip_norm: Annotated[float, typer.Option(help="C, in model units.")],
    dimension: Annotated[int, typer.Option(help="Model coordinates, without statistics.")],
    epsilon: Annotated[float | None, typer.Option(help="Central epsilon over all rounds that a device joins.")] = None,
    rounds: Annotated[int | None, typer.Option(help="Rounds that one device may join.")] = None,
    devices: Annotated[int | None, typer.Option(help="Planned devices over all hosts.")] = None,
    noise_multiplier: Annotated[float | None, typer.Option(help="z, to solve for epsilon or rounds.")] = None,
    solve: Annotated[Unknown, typer.Option(help="What to find from the rest.")] = Unknown.NOISE,
    n_min: Annotated[
        int | None, typer.Option(help="Fewest surviving hosts with which a sum is opened; from --drop-out if absent.")
    ] = None,
    hosts: Annotated[int | None, typer.Option(help="Hosts on the roster; n_min where absent.")] = None,
    drop_out: Annotated[float, typer.Option(help="Chance of each host to miss a round.")] = 0.0,
    half_range: Annotated[list[float] | None, typer.Option(help="Half-range of a statistic; repeat it.")] = None,
    modulus_bits: Annotated[int, typer.Option(help="Sums are modulo 2 to this power.")] = 32,
    mode: Annotated[Mode, typer.Option(help="Who adds the noise.")] = Mode.DISTRIBUTED,
    alignment: Annotated[float, typer.Option(help="Expected norm of the mean update over the clip norm.")] = 0.3,
    require_signal: Annotated[bool, typer.Option("--require-signal", help="Exit 1 if nothing can be learned.")] = False,
    as_json: Json = False,
) -> None:
    """Print noise, grid and share of the modulus for a promise, or a promise for noise, and whether it can be learned.

    Figures in model units: sigma_host (of one device in mode local, of the server in central), sensitivity, norms; in
    grid units of 2^-grid_exponent: names ending in _units, and norm_bound_squared (squared); rho_per_round is an exact
    fraction; modulus_usage a share of half the modulus. A smallest_cohort counts planned devices.
    """
    with bad_input_exits_2():
        asked = _Asked(
            epsilon=epsilon,
            delta=delta,
            rounds=rounds,
            noise_multiplier=noise_multiplier,
            devices=devices,
            n_min=_quorum(n_min, hosts, drop_out, colluders),
            hosts=hosts if hosts is not None else _quorum(n_min, hosts, drop_out, colluders),
            colluders=colluders,
            drop_out=drop_out,
            clip_norm=clip_norm,
            half_ranges=tuple(half_range or ()),
            dimension=dimension,
            modulus_bits=modulus_bits,
            alignment=alignment,
            mode=mode,
        )
        asked = _solved(asked, solve)
        found = asked.calibration()
        outlook = asked.outlook(found)
    figures = {"solved_for": solve.value, **_figures(found), **_signal(asked, outlook)}
    if as_json:
        print_json(figures)
    else:
        print_table(figures)
    if not outlook.can_learn:
        typer.echo(f"warning: {outlook.sentence}", err=True)
        if require_signal:
            raise typer.Exit(1)


def _known(**value: Any) -> Any:
    """Return an option that this direction needs."""
    ((name, given),) = value.items()
    if given is None:
        option = f"--{name.replace('_', '-')}"
        raise InvalidInput("is needed in this direction", field=option, remedy=f"give {option}, or --solve for it")
    return given


def _quorum(n_min: int | None, hosts: int | None, drop_out: float, colluders: int) -> int:
    from tactful_privacy.accounting.directions import n_min_for

    if not 0 <= drop_out < 1:
        raise InvalidInput(f"is {drop_out}", field="drop_out", remedy="give a share from 0 to below 1")
    return n_min if n_min is not None else n_min_for(_known(hosts=hosts), drop_out, colluders)


def _solved(asked: _Asked, unknown: Unknown) -> _Asked:
    """Return what was asked with the unknown filled in."""
    from tactful_privacy.accounting.directions import epsilon_for, participations_for

    if asked.epsilon is not None and not math.isfinite(asked.epsilon):
        raise InvalidInput("must be finite", field="epsilon", remedy="rehearse without noise in the lab instead")
    if unknown in (Unknown.EPSILON, Unknown.ROUNDS):
        z = _known(noise_multiplier=asked.noise_multiplier)
        if asked.mode is Mode.LOCAL:  # its promise is made under replacement, where the sensitivity is twice as large
            z /= 2
        if unknown is Unknown.EPSILON:
            return replace(asked, epsilon=epsilon_for(z, _known(rounds=asked.rounds), asked.delta))
        epsilon = _known(epsilon=asked.epsilon)
        return replace(asked, rounds=_some(participations_for(epsilon, asked.delta, z)))
    if asked.noise_multiplier is not None:
        remedy = "leave it out, or solve for epsilon or rounds"
        raise InvalidInput("is an answer in this direction", field="--noise-multiplier", remedy=remedy)
    return _with_cohort(asked) if unknown is Unknown.DEVICES else asked


def _some(rounds: int) -> int:
    if not rounds:
        raise InvalidInput("pays for no round at this noise", field="epsilon", remedy="raise epsilon or the noise")
    return rounds


def _with_cohort(asked: _Asked) -> _Asked:
    """Return the smallest cohort; a larger sum has a coarser grid, so the noise is rounded anew until it is enough."""
    asked = replace(asked, devices=1)
    while True:
        needed = asked.planned(asked.outlook(asked.calibration()).smallest_cohort)
        if needed <= _known(devices=asked.devices):
            return asked
        asked = replace(asked, devices=needed)


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


def _signal(asked: _Asked, outlook: "Outlook") -> dict[str, Any]:
    return {
        "mode": asked.mode.value,
        "n_min": asked.n_min,
        "hosts": asked.hosts,
        "devices": asked.devices,
        "devices_per_round": outlook.devices,
        "mean_update_norm": outlook.mean_update_norm,
        "noise_norm": outlook.noise_norm,
        "signal_to_noise_per_round": outlook.signal_to_noise_per_round,
        "signal_to_noise": outlook.signal_to_noise,
        "share_learned": outlook.share_learned,
        "can_learn": outlook.can_learn,
        "smallest_cohort": asked.planned(outlook.smallest_cohort),
        "verdict": outlook.sentence,
    }
