"""The exact privacy of the continuous Gaussian mechanism and of its compositions (Gaussian differential privacy).

mu-GDP (Dong, Roth and Su, arXiv:1905.02383): telling the outputs on neighbouring inputs apart is as hard as telling
N(0, 1) from N(mu, 1). One Gaussian of noise multiplier z has mu = 1/z, and the squares of mu add up. Pure Python, since
a device computes its own noise in mode ``local``. Whose change mu stands for is the caller's: `adjacency`.
"""

import math

from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least, fraction, positive

_FROM_CONTINUED_FRACTION = 6.0  # below it erfc times exp loses less than 1e-14; above it 50 terms are exact
_TERMS = 50
_ROUND_UP = 1 + 2.0**-36  # above the error of `delta_of_mu` through the slope at the root: nothing is understated
_SMALL_MU = 0.25  # below it the difference of two Mills ratios is an integral, lest it cancel
_NODES = (  # Gauss-Legendre on [0, 1], 5 points: exact to degree 9
    (0.04691007703066800, 0.11846344252809454),
    (0.23076534494715845, 0.23931433524968324),
    (0.5, 0.28444444444444444),
    (0.76923465505284155, 0.23931433524968324),
    (0.95308992296933200, 0.11846344252809454),
)


def delta_of_mu(mu: float, epsilon: float) -> float:
    """Return the least delta at which mu-GDP implies (epsilon, delta).

    delta = Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu): Balle and Wang, arXiv:1805.06530, Theorem 8, and
    Dong, Roth and Su, arXiv:1905.02383, Corollary 2.13. With a = epsilon/mu - mu/2, b = a + mu and the Mills ratio
    R = (1 - Phi)/phi it equals phi(a) (R(a) - R(b)), which neither overflows nor cancels.

    Args:
        mu: >= 0; 0 gives 0 and an infinity gives 1.
        epsilon: >= 0.

    Raises:
        InvalidInput: a negative value or NaN.
    """
    at_least(0, mu=mu, epsilon=epsilon)
    if mu == 0 or epsilon == math.inf:
        return 0.0
    if mu == math.inf:
        return 1.0
    start = epsilon / mu - mu / 2
    density = math.exp(-start * start / 2) / math.sqrt(2 * math.pi)
    if mu < _SMALL_MU:
        return density * mu * math.fsum(weight * _slope(start + node * mu) for node, weight in _NODES)
    if start < 0:
        return math.erfc(start / math.sqrt(2)) / 2 - density * _mills(start + mu)
    return density * (_mills(start) - _mills(start + mu))


def epsilon_of_mu(mu: float, delta: float) -> float:
    """Return the least epsilon at which mu-GDP implies (epsilon, delta), rounded up; exact for a Gaussian.

    Args:
        mu: >= 0; 0 gives 0 and an infinity gives an infinity.
        delta: strictly between 0 and 1.

    Raises:
        InvalidInput: an argument out of range.
    """
    at_least(0, mu=mu)
    fraction(delta=delta)
    if mu == math.inf or delta_of_mu(mu, 0) <= delta:
        return mu if mu == math.inf else 0.0
    low, high = 0.0, mu * mu / 2 + mu * math.sqrt(-2 * math.log(delta)) + mu  # delta <= Phi(mu/2 - epsilon/mu)
    while True:
        middle = (low + high) / 2
        if not low < middle < high:
            return high * _ROUND_UP
        if delta_of_mu(mu, middle) > delta:
            low = middle
        else:
            high = middle


def mu_of(epsilon: float, delta: float) -> float:
    """Return the largest mu whose `epsilon_of_mu` at ``delta`` is at most ``epsilon``; the inverse, rounded down.

    Args:
        epsilon: >= 0; an infinity gives an infinity.
        delta: strictly between 0 and 1.

    Raises:
        InvalidInput: an argument out of range.
    """
    at_least(0, epsilon=epsilon)
    fraction(delta=delta)
    if epsilon == math.inf:
        return math.inf
    low, high = 0.0, 1.0
    while delta_of_mu(high, epsilon) <= delta:
        low, high = high, 2 * high
    while True:
        middle = (low + high) / 2
        if not low < middle < high:
            return low / _ROUND_UP
        if delta_of_mu(middle, epsilon) <= delta:
            low = middle
        else:
            high = middle


def analytic_sigma(epsilon: float, delta: float, sensitivity: float) -> float:
    """Return the least noise deviation of one Gaussian release with (epsilon, delta), rounded up.

    The analytic Gaussian mechanism, Balle and Wang, arXiv:1805.06530, Algorithm 1: the same root, found by bisection
    over mu. The noise is continuous; a sum on the grid is held against it through its zCDP price, not through this.

    Args:
        epsilon: above 0, finite.
        delta: strictly between 0 and 1.
        sensitivity: the Euclidean sensitivity under the adjacency that is meant; for vectors of norm at most C it is C
            for zero-out and 2C for replacement.

    Returns:
        sigma in the unit of ``sensitivity``.

    Raises:
        InvalidInput: an argument out of range.
    """
    positive(epsilon=epsilon, sensitivity=sensitivity)
    mu = mu_of(epsilon, delta)
    if mu == 0:  # delta below every float that the bisection can reach
        raise InvalidInput(f"is {delta!r}", field="delta", remedy="give a larger delta")
    return sensitivity / mu


def _mills(x: float) -> float:
    """Return (1 - Phi(x)) / phi(x); the continued fraction is Laplace's, 1/(x + 1/(x + 2/(x + ...)))."""
    if x < _FROM_CONTINUED_FRACTION:
        return math.sqrt(math.pi / 2) * math.exp(x * x / 2) * math.erfc(x / math.sqrt(2))
    tail = x
    for k in range(_TERMS, 0, -1):
        tail = x + k / tail
    return 1 / tail


def _slope(x: float) -> float:
    """Return 1 - x R(x), the negative derivative of the Mills ratio, for x > -1."""
    if x < _FROM_CONTINUED_FRACTION:
        return 1 - x * _mills(x)
    tail = x
    for k in range(_TERMS, 1, -1):
        tail = x + k / tail
    return 1 / (x * tail + 1)  # 1 - x / (x + 1/tail)
