"""Calibration in every direction: noise, epsilon and participations each from the other two, the quorum from drop-out.

`calibration.calibrate` goes on from a promise to a plan's integers, and `signal` says whether anything can be learned
under it. Everything here is zCDP, the device's own accountant, under the adjacency of the noise multiplier (zero-out).
Each figure is rounded to the safe side: noise and epsilon up, participations down.
"""

import math
from fractions import Fraction

from tactful_privacy.accounting.events import ComposedEvent, GaussianEvent
from tactful_privacy.accounting.zcdp import epsilon as epsilon_of_rho
from tactful_privacy.accounting.zcdp import rho_budget, rho_of
from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least, fraction, positive

_ROUND_UP = 1 + 2.0**-48  # above the rounding of a division and a root


def noise_multiplier_for(epsilon: float, delta: float, participations: int) -> float:
    """Return the least z with which ``participations`` rounds cost at most ``epsilon``: sqrt(T / (2 rho)).

    Args:
        epsilon: central, over all participations; above 0, finite.
        delta: strictly between 0 and 1.
        participations: rounds T that one device may join.

    Raises:
        InvalidInput: an argument out of range.
    """
    positive(epsilon=epsilon)
    at_least(1, participations=participations)
    return math.sqrt(participations / (2 * rho_budget(epsilon, delta))) * _ROUND_UP


def epsilon_for(noise_multiplier: float, participations: int, delta: float) -> float:
    """Return the central epsilon of ``participations`` rounds at z.

    Raises:
        InvalidInput: an argument out of range.
    """
    positive(noise_multiplier=noise_multiplier)
    at_least(0, participations=participations)
    return epsilon_of_rho(rho_of(ComposedEvent(GaussianEvent(noise_multiplier), participations)), delta)


def participations_for(epsilon: float, delta: float, noise_multiplier: float) -> int:
    """Return how many rounds at z fit in ``epsilon``, which may be none; exact after the budget's own rounding down.

    Raises:
        InvalidInput: an argument out of range.
    """
    positive(epsilon=epsilon, noise_multiplier=noise_multiplier)
    return math.floor(Fraction(rho_budget(epsilon, delta)) / rho_of(GaussianEvent(noise_multiplier)))


def sigma_host_for(noise_multiplier: float, sensitivity: float, honest_hosts: int) -> float:
    """Return one host's noise deviation, z sensitivity / sqrt(n_min - t), in the unit of ``sensitivity``.

    Raises:
        InvalidInput: an argument out of range.
    """
    positive(noise_multiplier=noise_multiplier, sensitivity=sensitivity)
    at_least(1, honest_hosts=honest_hosts)
    return noise_multiplier * sensitivity / math.sqrt(honest_hosts)


def noise_multiplier_of(sigma_host: float, sensitivity: float, honest_hosts: int) -> float:
    """Return z from one host's noise deviation; the inverse of `sigma_host_for`.

    Raises:
        InvalidInput: an argument out of range.
    """
    positive(sigma_host=sigma_host, sensitivity=sensitivity)
    at_least(1, honest_hosts=honest_hosts)
    return sigma_host * math.sqrt(honest_hosts) / sensitivity


def void_probability(hosts: int, n_min: int, drop_out: float) -> float:
    """Return the chance that fewer than ``n_min`` of ``hosts`` survive, each dropping out independently.

    Args:
        hosts: in the roster.
        n_min: survivors needed to open a sum.
        drop_out: chance of each host to drop out, 0 to below 1.

    Raises:
        InvalidInput: an argument out of range.
    """
    at_least(1, n_min=n_min)
    at_least(n_min, hosts=hosts)
    if drop_out == 0:
        return 0.0
    fraction(drop_out=drop_out)
    lost, kept, ways = math.log(drop_out), math.log1p(-drop_out), math.lgamma(hosts + 1)
    return math.fsum(
        math.exp(ways - math.lgamma(k + 1) - math.lgamma(hosts - k + 1) + k * kept + (hosts - k) * lost)
        for k in range(n_min)
    )


def n_min_for(hosts: int, drop_out: float, colluders: int, void: float = 0.01) -> int:
    """Return the largest quorum that drop-out rarely misses: the larger it is, the less noise each host must add.

    It keeps 2 n_min > hosts + colluders, without which two survivor lists could both be signed.

    Args:
        hosts: in the roster.
        drop_out: chance of each host to drop out of a round, independently; 0 to below 1.
        colluders: t, hosts that may side with the server.
        void: share of rounds that may come to nothing.

    Raises:
        InvalidInput: an argument out of range, or no quorum is both safe and often reached.
    """
    at_least(1, hosts=hosts)
    at_least(0, colluders=colluders)
    fraction(void=void)
    safe = (hosts + colluders) // 2 + 1
    for n_min in range(hosts, safe - 1, -1):
        if void_probability(hosts, n_min, drop_out) <= void:
            return n_min
    remedy = "enrol more hosts, trust more of them, or accept more void rounds"
    raise InvalidInput(
        f"of {drop_out:g} voids more than {void:g} of the rounds with {hosts} hosts", field="drop_out", remedy=remedy
    )
