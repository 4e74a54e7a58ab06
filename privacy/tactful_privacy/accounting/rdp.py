"""Renyi differential privacy: epsilon from the divergence of the best order (Mironov, arXiv:1702.07476)."""

import math
from itertools import pairwise

from tactful_privacy.accounting.gaussian_parts import GaussianParts
from tactful_privacy.accounting.zcdp import epsilon as epsilon_of_rho

_ORDERS = (1.1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64)
_HIGH_ORDERS = tuple(round(64 * 2 ** (k / 2)) for k in range(1, 17))  # to 16,384: epsilon of a hundredth
_REFINED = 12


def epsilon_of_parts(parts: GaussianParts, delta: float) -> float:
    """Return epsilon at ``delta``: over all orders for plain Gaussians, over a refined grid of them for sampled ones.

    The divergence of a plain Gaussian is a mu^2 / 2, linear in the order a, so there the best order is that of
    `zcdp.epsilon`. Sampling never raises a divergence, so that figure bounds a sampled one too, and any order of the
    grid gives another bound: the least of them is returned.

    Args:
        parts: of `gaussian_parts.parts_of`.
        delta: strictly between 0 and 1.
    """
    if not parts.sampled or math.isinf(parts.mu):
        return epsilon_of_rho(parts.mu**2 / 2, delta)
    if any(math.isinf(part.mu) for part in parts.sampled):
        return math.inf
    from tactful_privacy.accounting.dp_library import renyi_epsilon, steps_of

    steps = steps_of(parts)
    best, order = renyi_epsilon(steps, delta, _ORDERS)
    if order == _ORDERS[-1]:
        best, order = renyi_epsilon(steps, delta, (_ORDERS[-1], *_HIGH_ORDERS))
    refined, _ = renyi_epsilon(steps, delta, _between_neighbours(order))
    return min(best, refined, epsilon_of_rho(parts.mu_without_sampling**2 / 2, delta))


def _between_neighbours(order: float) -> list[float]:
    """Return orders between the two neighbours of one on the grid, whole numbers where those are cheap to sum over."""
    grid = (1.01, *_ORDERS, *_HIGH_ORDERS, 2 * _HIGH_ORDERS[-1])
    low, high = next((below, above) for (below, at), (_, above) in pairwise(pairwise(grid)) if at == order)
    found = [low + (high - low) * k / (_REFINED + 1) for k in range(1, _REFINED + 1)]
    return [float(round(a)) if a > 8 else a for a in found]
