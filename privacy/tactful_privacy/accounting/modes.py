"""The modes of privacy: who adds the noise, what one participation costs, and how the noise is calibrated.

======================  ==========================================  =================================================
mode                    who adds noise of variance sigma^2 (a plan's ``noise_variance_units``)  whose honesty counts
======================  ==========================================  =================================================
``distributed``         every host, its share                       n_min - t hosts of the roster
``local``               every device, all that it needs             nobody's but the device's own host
``central``             the server, once, after opening the sum     the server's
``rehearsal-no-noise``  nobody                                      no claim
======================  ==========================================  =================================================

All prices are zCDP under zero-out adjacency, so that one device may add them up whatever the modes were. The promise of
``local`` is made under replacement (any contribution against any other, sensitivity 2C) and is converted here.
"""

import dataclasses
import math
from collections.abc import Sequence
from fractions import Fraction

from tactful_privacy.accounting.adjacency import replacement_from_zero_out, zero_out_from_replacement
from tactful_privacy.accounting.calibration import Calibration, calibrate
from tactful_privacy.accounting.events import CorrelatedRunEvent, DiscreteGaussianSumEvent, Event, NonPrivateEvent
from tactful_privacy.accounting.zcdp import price
from tactful_privacy.errors import InvalidInput
from tactful_privacy.mechanisms.headroom import assert_headroom
from tactful_privacy.validate import at_least

DISTRIBUTED = "distributed"
LOCAL = "local"
CENTRAL = "central"
REHEARSAL = "rehearsal-no-noise"
MODES = (CENTRAL, DISTRIBUTED, LOCAL)

_REPLACEMENT_COST = int(replacement_from_zero_out(Fraction(1)))


def price_in_mode(
    mode: str, norm_bound_squared: int, noise_variance_units: int, honest_hosts: int, participations: int = 1
) -> Fraction:
    """Return what a plan costs a device, exact zCDP under zero-out.

    ``distributed``: B^2 / (2 n' sigma^2), see `zcdp.price`. ``local``: the device's own noise alone, priced as the
    replacement that it promises, (2B)^2 / (2 sigma^2), and converted. ``central``: B^2 / (2 sigma^2). A correlated run
    in which one device takes part k times costs k of these, once for the whole run (`mechanisms.banded`).

    Args:
        mode: one of `MODES`, or `REHEARSAL`, whose price is 0 as it is no claim at all.
        norm_bound_squared: B^2 in squared grid units.
        noise_variance_units: sigma^2 in squared grid units: of one host, of one device, or of the server.
        honest_hosts: n_min - t; counts in ``distributed`` alone.
        participations: k of a correlated run, 1 for a round by itself.

    Raises:
        InvalidInput: an unknown mode, or an argument out of range.
    """
    at_least(1, participations=participations)
    if mode == REHEARSAL:
        return Fraction(0)
    if mode == DISTRIBUTED:
        return participations * price(norm_bound_squared, noise_variance_units, honest_hosts)
    if mode == LOCAL:
        return participations * zero_out_from_replacement(price(4 * norm_bound_squared, noise_variance_units, 1))
    if mode == CENTRAL:
        return participations * price(norm_bound_squared, noise_variance_units, 1)
    raise _unknown(mode)


def event_in_mode(
    mode: str,
    norm_bound_squared: int,
    noise_variance_units: int,
    honest_hosts: int,
    dimension: int,
    participations: int = 0,
) -> Event:
    """Return what a round, or a whole correlated run, releases about a device, for an accountant.

    Args:
        mode: one of `MODES`, or `REHEARSAL`.
        norm_bound_squared: B^2 in squared grid units.
        noise_variance_units: sigma^2 in squared grid units: of one host, of one device, or of the server.
        honest_hosts: n_min - t; counts in ``distributed`` alone.
        dimension: coordinates, statistics included.
        participations: k of a correlated run, whose one event this is then; 0 for a round by itself.

    Raises:
        InvalidInput: an unknown mode, or an argument out of range.
    """
    if mode == REHEARSAL:
        return NonPrivateEvent()
    if mode not in MODES:
        raise _unknown(mode)
    if participations:
        return CorrelatedRunEvent(math.sqrt(Fraction(noise_variance_units, participations * norm_bound_squared)))
    sources = honest_hosts if mode == DISTRIBUTED else 1
    return DiscreteGaussianSumEvent(norm_bound_squared, noise_variance_units, sources, dimension)


def promised_price(mode: str, rho: Fraction) -> Fraction:
    """Return a plan's price under the adjacency in which its mode makes its promise: replacement in ``local``.

    Args:
        mode: of the plan.
        rho: its price under zero-out.
    """
    return replacement_from_zero_out(rho) if mode == LOCAL else rho


def headroom_in_mode(
    mode: str,
    *,
    total_devices: int,
    norm_bound: float,
    noise_variance_units: int,
    n_hosts: int,
    dimension: int,
    bits: int,
) -> float:
    """Return how much of the modulus a sum may use; see `mechanisms.headroom.assert_headroom`.

    Before it is opened, a sum holds one noise for each host, in ``local`` one for each device, and none in ``central``.

    Raises:
        ModulusTooSmall: it could wrap round.
        InvalidInput: an argument out of range.
    """
    return assert_headroom(
        total_devices=total_devices,
        norm_bound=norm_bound,
        noise_variance_units=0 if mode == CENTRAL else noise_variance_units,
        n_hosts=total_devices if mode == LOCAL else n_hosts,
        dimension=dimension,
        bits=bits,
    )


def calibrate_in_mode(
    mode: str,
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
    n_hosts: int,
    modulus_bits: int = 32,
) -> Calibration:
    """Return `calibration.calibrate` for a mode: the finest grid with room, and the least noise for the promise.

    In ``distributed`` and ``central``, (epsilon, delta) is the promise under zero-out over all participations. In
    ``local`` it is the promise under replacement, to one device and with nobody else's noise: each round may cost
    rho_total / T under replacement, a quarter of that under zero-out, which is what ``rho_per_round`` says.

    Args:
        mode: one of `MODES`.
        epsilon: over all participations; an infinity gives no noise (rehearsal only).
        delta: of the same.
        participations: rounds T that one device may join.
        n_min: survivors needed to open a sum; counts in ``distributed`` alone.
        colluders: t, hosts whose noise does not count; likewise.
        clip_norm: C, in model units.
        half_ranges: of the statistics in the same vector, in model units.
        total_devices: planned over all hosts.
        dimension: coordinates without statistics.
        n_hosts: hosts in the roster.
        modulus_bits: of the sum's modulus.

    Raises:
        InvalidInput: an unknown mode or an argument out of range.
        ModulusTooSmall: no grid has room for the sum.
    """
    if mode not in MODES:
        raise _unknown(mode)
    private = mode == LOCAL and not math.isinf(epsilon)
    calibration = calibrate(
        epsilon=epsilon,
        delta=delta,
        participations=participations * (_REPLACEMENT_COST if private else 1),
        n_min=n_min if mode == DISTRIBUTED else 1,
        colluders=colluders if mode == DISTRIBUTED else 0,
        clip_norm=clip_norm,
        half_ranges=half_ranges,
        total_devices=total_devices,
        dimension=dimension,
        # Every one of these is reckoned to add its noise to the sum: in `central` one too many, to be on the safe side.
        n_hosts={DISTRIBUTED: n_hosts, LOCAL: total_devices, CENTRAL: 1}[mode],
        modulus_bits=modulus_bits,
    )
    return dataclasses.replace(calibration, participations=participations)


def _unknown(mode: str) -> InvalidInput:
    return InvalidInput(f"is {mode!r}", field="mode", remedy=f"give one of {', '.join(MODES)}")
