"""Zero-concentrated differential privacy: what an event costs, and what a total means as (epsilon, delta).

rho-zCDP (Bun and Steinke, arXiv:1605.02065, Definition 1.1): the Renyi divergence of order a between the outputs on
neighbouring inputs is at most rho * a, for every a > 1. Costs add up, also when chosen adaptively. Neighbouring here
means zero-out: one enrolment's contribution replaced by the zero vector, for as long as the budget runs.
"""

import math
import sys
from fractions import Fraction

from tactful_privacy.accounting.events import (
    CorrelatedRunEvent,
    DiscreteGaussianSumEvent,
    Event,
    GaussianEvent,
    NonPrivateEvent,
    PoissonSampledEvent,
    UnknownEvent,
    leaves,
)
from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least, fraction

_NEGLIGIBLE = Fraction(1, 1 << 60)  # of a price; `epsilon` rounds up by far more
_ROUND_UP = 1 + 2.0**-44  # above the rounding of the few float operations, so that a figure is never understated


def epsilon(rho: Fraction | float, delta: float) -> float:
    """Return the smallest central epsilon at ``delta`` that rho-zCDP is known to imply.

    Canonne, Kamath and Steinke, arXiv:2004.00010, Proposition 12 (Corollary 13 for zCDP): for every a > 1 one may take

        epsilon(a) = a rho + log(1 - 1/a) - log(delta a) / (a - 1).

    Its derivative is rho - (log(1/delta) - log a) / (a - 1)^2, where the subtracted term falls from infinity to 0 at
    a = 1/delta: one root, the minimum, found by bisection. Any a gives a valid bound, so the bisection's error cannot
    understate.

    Args:
        rho: the total, >= 0; an infinity gives an infinity.
        delta: strictly between 0 and 1.

    Raises:
        InvalidInput: rho negative or NaN, or delta out of range.
    """
    at_least(0, rho=float(rho))
    fraction(delta=delta)
    if rho in (0, math.inf):
        return float(rho)
    cost = max(float(rho), sys.float_info.min)  # an exact price may be too small for a float, and is not 0 for that
    order_minus_one = _best_order_minus_one(cost, delta)
    order = 1 + order_minus_one
    exponent = order * cost + math.log(order_minus_one / order) - (math.log(delta) + math.log(order)) / order_minus_one
    return max(0.0, exponent) * _ROUND_UP


def _best_order_minus_one(rho: float, delta: float) -> float:
    """Return the root b of rho b^2 = log(1/delta) - log(1 + b)."""
    target = -math.log(delta)
    # With log(1 + b) > 0 the root lies below sqrt(target / rho), and below 1/delta - 1.
    low, high = 0.0, min(math.sqrt(target / rho), 1 / delta - 1)
    while True:
        middle = (low + high) / 2
        if not low < middle < high:
            return high
        if rho * middle * middle + math.log1p(middle) < target:
            low = middle
        else:
            high = middle


def rho_budget(central_epsilon: float, delta: float) -> float:
    """Return the largest rho whose `epsilon` at ``delta`` is at most ``central_epsilon``; the inverse, rounded down.

    Args:
        central_epsilon: above 0; an infinity gives an infinity.
        delta: strictly between 0 and 1.

    Raises:
        InvalidInput: an argument out of range.
    """
    fraction(delta=delta)
    if not central_epsilon > 0:
        remedy = "give epsilon > 0"
        raise InvalidInput(f"must be above 0, not {central_epsilon!r}", field="epsilon", remedy=remedy)
    if central_epsilon == math.inf:
        return math.inf
    # rho-zCDP cannot imply less than epsilon = rho at a delta below 1/2, so twice epsilon is above the answer there.
    low, high = 0.0, 2 * central_epsilon + 1
    while epsilon(high, delta) <= central_epsilon:
        high *= 2
    while True:
        middle = (low + high) / 2
        if not low < middle < high:
            return low
        if epsilon(middle, delta) <= central_epsilon:
            low = middle
        else:
            high = middle


def price(norm_bound_squared: int, noise_variance_units: int, honest_hosts: int) -> Fraction:
    """Return B^2 / (2 n' sigma^2), what one participation costs, exactly.

    The zCDP of a Gaussian of variance n' sigma^2 with sensitivity B (arXiv:1605.02065, Proposition 1.6; the discrete
    Gaussian has the same, arXiv:2004.00010, Theorem 4). A *sum* of discrete Gaussians needs `tau_term` besides.

    Args:
        norm_bound_squared: B^2 in squared grid units.
        noise_variance_units: sigma^2 of one host in squared grid units.
        honest_hosts: n' = n_min - t.

    Raises:
        InvalidInput: no noise, no honest host, or a negative bound.
    """
    at_least(0, norm_bound_squared=norm_bound_squared)
    at_least(1, noise_variance_units=noise_variance_units, honest_hosts=honest_hosts)
    return Fraction(norm_bound_squared, 2 * honest_hosts * noise_variance_units)


def tau(noise_variance_units: int, honest_hosts: int) -> float:
    """Return tau of Kairouz, Liu and Steinke (arXiv:2102.06387, Theorem 1): how unlike one a sum of Gaussians is.

    tau = 10 sum_{k=1}^{n-1} exp(-2 pi^2 sigma^2 k / (k + 1)), sigma in grid units. As k / (k + 1) >= 1/2 it is at most
    10 (n - 1) exp(-pi^2 sigma^2): at sigma = 4 below 10^-67 (n - 1). Where exp underflows, 0 is returned.

    Raises:
        InvalidInput: sigma below 1/2 (their condition, here sigma^2 >= 1) or no honest host.
    """
    at_least(1, noise_variance_units=noise_variance_units, honest_hosts=honest_hosts)
    rate = -2 * math.pi**2 * noise_variance_units
    if rate / 2 < -745:  # every exponential is 0 in float64, whatever the number of hosts
        return 0.0
    return 10 * math.fsum(math.exp(rate * k / (k + 1)) for k in range(1, honest_hosts))


def tau_term(norm_bound_squared: int, noise_variance_units: int, honest_hosts: int, dimension: int) -> float:
    """Return what the rho of a sum of discrete Gaussians may exceed `price` by.

    arXiv:2102.06387, Proposition 14 bounds the divergence of every order a > 1 by a/2 s^2 + tau d and by
    a/2 (s + tau sqrt(d))^2, with s = B / (sqrt(n) sigma). Dividing by a, the excess over s^2 / 2 is at most
    min(tau d, s tau sqrt(d) + tau^2 d / 2).

    Args:
        norm_bound_squared: B^2 in squared grid units.
        noise_variance_units: sigma^2 of one host in squared grid units, at least 1.
        honest_hosts: n' = n_min - t.
        dimension: d, statistics included.

    Raises:
        InvalidInput: an argument below its minimum.
    """
    at_least(1, dimension=dimension)
    scale = math.sqrt(2 * price(norm_bound_squared, noise_variance_units, honest_hosts))
    excess = tau(noise_variance_units, honest_hosts)
    return min(excess * dimension, scale * excess * math.sqrt(dimension) + excess**2 * dimension / 2)


def rho_of(event: Event) -> Fraction | float:
    """Return the zCDP cost of an event: exact where the event is, infinite where it is not private.

    For a sum of discrete Gaussians the tau term is added where it is above 2^-60 of the price, which cannot be where
    sigma is at least 4 grid steps in any federation (`epsilon` rounds up by 2^-44). A sampled event costs what it does
    without sampling: the Renyi divergence is jointly quasi-convex (van Erven and Harremoes, arXiv:1206.2459, Theorem
    13), so mixing over the sample never raises it; and a bound for all orders cannot be smaller, as the divergence of a
    sampled Gaussian over its order tends to rho.

    Raises:
        UnknownEvent: the accountant does not know the event; fail closed.
    """
    return sum((times * _rho_of_one(leaf) for leaf, times in leaves(event).items()), start=Fraction(0))


def _rho_of_one(event: Event) -> Fraction | float:
    match event:
        case NonPrivateEvent():
            return math.inf
        case GaussianEvent(noise_multiplier=z) | CorrelatedRunEvent(noise_multiplier=z):
            return math.inf if z == 0 else Fraction(0) if z == math.inf else 1 / (2 * Fraction(z) ** 2)
        case DiscreteGaussianSumEvent():
            return _rho_of_sum(event)
        case PoissonSampledEvent(event=inner):
            return rho_of(inner)
    name = type(event).__name__
    raise UnknownEvent(f"{name} has no price in zCDP", field="event", remedy="describe it by a known event")


def _rho_of_sum(event: DiscreteGaussianSumEvent) -> Fraction | float:
    if event.norm_bound_squared == 0:
        return Fraction(0)
    if event.noise_variance_units == 0:
        return math.inf
    bound, noise, hosts = event.norm_bound_squared, event.noise_variance_units, event.honest_hosts
    exact = price(bound, noise, hosts)
    excess = tau_term(bound, noise, hosts, event.dimension)
    return exact if excess <= exact * _NEGLIGIBLE else float(exact) + excess
