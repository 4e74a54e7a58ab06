"""How much of the modulus a round may use: whether the opened sum is surely the true one."""

import math

from tactful_privacy.errors import ModulusTooSmall
from tactful_privacy.validate import at_least, fraction

FAILURE_PROBABILITY = 2.0**-40
"""The chance, per round, that any coordinate of the noise is larger than planned for."""


def modulus_usage(
    total_devices: int,
    norm_bound: float,
    noise_variance_units: int,
    n_hosts: int,
    dimension: int,
    *,
    bits: int = 32,
    failure_probability: float = FAILURE_PROBABILITY,
) -> float:
    """Return the largest coordinate that the sum may have, as a fraction of 2^(bits-1); from 1 on it may wrap.

    The devices add at most ``total_devices * norm_bound`` (each within the norm bound, all pointing the same way). A
    discrete Gaussian is sub-Gaussian with its own sigma^2: completing the square, E exp(tX) is exp(t^2 sigma^2 / 2)
    times the mass of a Gaussian on shifted integers over that on the integers, which is largest unshifted (Poisson
    summation; arXiv:2004.00010, section 3). So n independent hosts give P(|S| >= m) <= 2 exp(-m^2 / (2 n sigma^2)), and
    a union over the dimension d gives m = sqrt(2 n sigma^2 ln(2 d / p)).

    Args:
        total_devices: devices planned over all hosts.
        norm_bound: B, Euclidean, in grid units.
        noise_variance_units: sigma^2 of one host in squared grid units; 0 for no noise.
        n_hosts: hosts in the roster: all may survive, each with its noise.
        dimension: coordinates of the vector, statistics included.
        bits: of the modulus.
        failure_probability: p, over all coordinates of one round.

    Raises:
        InvalidInput: a count below its minimum or a probability outside (0, 1).
    """
    at_least(0, total_devices=total_devices, norm_bound=norm_bound, noise_variance_units=noise_variance_units)
    at_least(1, n_hosts=n_hosts, dimension=dimension, bits=bits)
    fraction(failure_probability=failure_probability)
    log_term = math.log(2 * dimension / failure_probability)
    tail = math.sqrt(2 * n_hosts * noise_variance_units * log_term)
    return (total_devices * norm_bound + tail) / float(1 << (bits - 1))


def assert_headroom(
    total_devices: int,
    norm_bound: float,
    noise_variance_units: int,
    n_hosts: int,
    dimension: int,
    *,
    bits: int = 32,
    failure_probability: float = FAILURE_PROBABILITY,
) -> float:
    """Return `modulus_usage` of the same arguments, or refuse.

    Raises:
        ModulusTooSmall: the sum could wrap round with more than the failure probability.
        InvalidInput: as `modulus_usage`.
    """
    usage = modulus_usage(
        total_devices,
        norm_bound,
        noise_variance_units,
        n_hosts,
        dimension,
        bits=bits,
        failure_probability=failure_probability,
    )
    if usage >= 1:
        raise ModulusTooSmall(
            f"a sum over {total_devices} devices may take {usage:.0%} of half the modulus 2^{bits}",
            field="modulus_bits",
            remedy="take a coarser grid (smaller grid exponent) or plan fewer devices",
        )
    return usage
