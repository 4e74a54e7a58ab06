"""From a promise (epsilon, delta, participations) to a plan's integers: grid, clip, noise and price.

Pure arithmetic; both sides can redo it. The integers are the truth, the floats are for people.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from tactful_privacy.accounting.events import DiscreteGaussianSumEvent
from tactful_privacy.accounting.zcdp import price, rho_budget
from tactful_privacy.errors import InvalidInput, ModulusTooSmall
from tactful_privacy.mechanisms.headroom import modulus_usage
from tactful_privacy.validate import at_least, fraction, positive

NON_PRIVATE_RHO = Fraction((1 << 63) - 1)
"""The price written into a plan without noise: finite, so that it can be written, and beyond every budget."""

MIN_NOISE_VARIANCE_UNITS = 16
"""sigma_host is at least 4 grid steps, where a sum of discrete Gaussians is one for all purposes (`zcdp.tau`)."""

MAX_USAGE = 0.5
"""How much of half the modulus a calibrated round may use."""

_FINEST_EXPONENT = 60
_MAX_UNITS = (1 << 31) - 1  # what grid.encode_block takes
_OTHER_LIBM = 1 - Fraction(1, 1 << 40)  # a device with another mathematical library must reach the same verdict


@dataclass(frozen=True, slots=True)
class Calibration:
    """A plan's privacy parameters.

    Attributes:
        epsilon: the central epsilon asked for, over all participations; an infinity means no noise (rehearsal only).
        delta: of the same.
        participations: rounds that one device may join within the budget.
        honest_hosts: n_min - t, the hosts whose noise counts.
        dimension: coordinates, statistics included.
        rho_total: the budget that epsilon and delta allow.
        rho_per_round: the exact price B^2 / (2 (n_min - t) sigma^2); participations times it is at most rho_total.
        noise_multiplier: z, deviation of the honest hosts' total noise over the sensitivity.
        sigma_host: one host's noise deviation, in model units.
        grid_exponent: j of the grid step gamma = 2^-j.
        clip_units: the clip norm in grid units, rounded down.
        half_range_units: the statistics' half-ranges in grid units, rounded down.
        norm_bound_squared: B^2 = clip_units^2 + sum(half_range_units^2).
        noise_variance_units: one host's sigma^2 in squared grid units, rounded up.
        modulus_usage: largest possible coordinate of the sum over half the modulus.
        sensitivity: gamma B, in model units: what one device can change (zero-out adjacency).
    """

    epsilon: float
    delta: float
    participations: int
    honest_hosts: int
    dimension: int
    rho_total: float
    rho_per_round: Fraction
    noise_multiplier: float
    sigma_host: float
    grid_exponent: int
    clip_units: int
    half_range_units: tuple[int, ...]
    norm_bound_squared: int
    noise_variance_units: int
    modulus_usage: float
    sensitivity: float

    @property
    def event(self) -> DiscreteGaussianSumEvent:
        """One round, for an accountant."""
        return DiscreteGaussianSumEvent(
            self.norm_bound_squared, self.noise_variance_units, self.honest_hosts, self.dimension
        )


@dataclass(frozen=True, slots=True)
class _Grid:
    """Integers that follow from one grid exponent."""

    exponent: int
    clip: int
    half_ranges: tuple[int, ...]
    bound_squared: int
    noise_variance: int
    usage: float


@dataclass(frozen=True, slots=True)
class _Demand:
    """What every grid is tried against."""

    rho_per_round: Fraction | None  # the most that a round may cost; None for no noise
    honest_hosts: int
    clip_norm: float
    half_ranges: tuple[float, ...]
    total_devices: int
    dimension: int
    n_hosts: int
    modulus_bits: int

    def on(self, exponent: int) -> _Grid:
        """Return the integers on the grid 2^-exponent."""
        step = 1 << exponent
        clip = math.floor(Fraction(self.clip_norm) * step)
        halves = tuple(math.floor(Fraction(half) * step) for half in self.half_ranges)
        squared = clip**2 + sum(half**2 for half in halves)
        noise = 0
        if self.rho_per_round is not None:
            noise = math.ceil(squared / (2 * self.honest_hosts * self.rho_per_round))
        usage = modulus_usage(
            self.total_devices, math.sqrt(squared), noise, self.n_hosts, self.dimension, bits=self.modulus_bits
        )
        return _Grid(exponent, clip, halves, squared, noise, usage)

    def fits(self, grid: _Grid) -> bool:
        """Return whether the sum has room."""
        return grid.usage <= MAX_USAGE and max(grid.clip, *grid.half_ranges, 0) <= _MAX_UNITS

    def fine_enough(self, grid: _Grid) -> bool:
        """Return whether noise and clip span enough grid steps."""
        noisy = self.rho_per_round is None or grid.noise_variance >= MIN_NOISE_VARIANCE_UNITS
        return noisy and grid.clip**2 > 4 * self.dimension and min(grid.half_ranges, default=1) >= 1


def calibrate(
    *,
    epsilon: float,
    delta: float,
    participations: int,
    n_min: int,
    colluders: int,
    clip_norm: float,
    half_ranges: Sequence[float] = (),
    total_devices: int,
    dimension: int,
    n_hosts: int | None = None,
    modulus_bits: int = 32,
) -> Calibration:
    """Return the finest grid with room for the sum, and the least noise which keeps the promise.

    rho_total is what `rho_budget` allows; each of T rounds may cost rho_total / T, so the n' = n_min - t honest hosts
    need sigma^2 = B^2 T / (2 n' rho_total) each, rounded up (arXiv:2102.06387, Theorem 1, whose tau is numerically zero
    as sigma is at least 4 grid steps). One enrolment, zero-out adjacency, no amplification by sampling.

    Args:
        epsilon: the central epsilon at ``delta`` over all participations; an infinity gives noise 0 and the price
            `NON_PRIVATE_RHO`, for a rehearsal only.
        delta: strictly between 0 and 1.
        participations: rounds T that one device may join.
        n_min: survivors needed to open a sum.
        colluders: t, hosts whose noise does not count.
        clip_norm: C, in model units.
        half_ranges: of the statistics in the same vector, in model units.
        total_devices: planned over all hosts.
        dimension: model coordinates, without statistics.
        n_hosts: hosts in the roster; n_min where absent.
        modulus_bits: of the sum's modulus.

    Raises:
        InvalidInput: an argument out of range.
        ModulusTooSmall: no grid has both room for the sum and enough steps under noise and clip.
    """
    at_least(1, participations=participations, dimension=dimension, total_devices=total_devices, n_min=n_min)
    at_least(0, colluders=colluders)
    if n_min <= colluders:
        remedy = "give n_min > colluders: otherwise nobody honest adds noise"
        raise InvalidInput(f"is {n_min} with {colluders} colluders", field="n_min", remedy=remedy)
    positive(clip_norm=clip_norm, **{f"half_ranges[{i}]": half for i, half in enumerate(half_ranges)})
    at_least(n_min, n_hosts=n_min if n_hosts is None else n_hosts)
    fraction(delta=delta)
    total = rho_budget(epsilon, delta)
    demand = _Demand(
        rho_per_round=None if math.isinf(total) else Fraction(total) * _OTHER_LIBM / participations,
        honest_hosts=n_min - colluders,
        clip_norm=clip_norm,
        half_ranges=tuple(half_ranges),
        total_devices=total_devices,
        dimension=dimension + len(half_ranges),
        n_hosts=n_min if n_hosts is None else n_hosts,
        modulus_bits=modulus_bits,
    )
    return _finish(demand, _finest(demand), epsilon=epsilon, delta=delta, participations=participations, total=total)


def _finest(demand: _Demand) -> _Grid:
    for exponent in range(_FINEST_EXPONENT, -1, -1):
        grid = demand.on(exponent)
        if demand.fits(grid):
            if demand.fine_enough(grid):
                return grid
            break
    raise ModulusTooSmall(
        f"no grid has room for {demand.total_devices} devices modulo 2^{demand.modulus_bits} and enough steps besides",
        field="modulus_bits",
        remedy="plan fewer devices or more noise",
    )


def _finish(
    demand: _Demand, grid: _Grid, *, epsilon: float, delta: float, participations: int, total: float
) -> Calibration:
    bound = math.sqrt(grid.bound_squared)
    noise = math.sqrt(grid.noise_variance)
    cost = NON_PRIVATE_RHO
    if grid.noise_variance:
        cost = price(grid.bound_squared, grid.noise_variance, demand.honest_hosts)
    return Calibration(
        epsilon=epsilon,
        delta=delta,
        participations=participations,
        honest_hosts=demand.honest_hosts,
        dimension=demand.dimension,
        rho_total=total,
        rho_per_round=cost,
        noise_multiplier=noise * math.sqrt(demand.honest_hosts) / bound,
        sigma_host=math.ldexp(noise, -grid.exponent),
        grid_exponent=grid.exponent,
        clip_units=grid.clip,
        half_range_units=grid.half_ranges,
        norm_bound_squared=grid.bound_squared,
        noise_variance_units=grid.noise_variance,
        modulus_usage=grid.usage,
        sensitivity=math.ldexp(bound, -grid.exponent),
    )
