"""Privacy loss distributions: the loss of each step on a grid, convolved over the steps, epsilon read off.

The grid decides accuracy and time. "Connect the dots" widens one step's loss by about interval^2 / 6 in variance, so an
interval of a twentieth of that step's own deviation costs a fraction of a thousandth of epsilon, whatever the number of
steps; the number of points is bounded besides.
"""

import math

from tactful_privacy.accounting import rdp
from tactful_privacy.accounting.gaussian_parts import GaussianParts, SampledPart
from tactful_privacy.errors import InvalidInput

LEAST_DELTA = 1e-12
"""Below it a convolution in float64 reads delta off its own error; with many steps below 1e-15 for each of them."""

_OF_A_SAMPLED_DEVIATION = 0.05
_OF_A_PLAIN_DEVIATION = 0.01
_WIDEST = 0.005  # in units of the loss, where deviations are large
_MOST_POINTS = 20_000  # of one step
_TAIL_OF_DELTA = 1e-4  # of delta, all that is cut off of all steps' noise together
_DELTA_OF_A_STEP = 1e-15
_ASTRONOMIC = 500.0  # an epsilon from which e^epsilon nears the end of float64 (710)
_ASTRONOMIC_MU = 20.0  # below it epsilon is below 500 at every delta above: mu^2 / 2 + mu sqrt(2 log(1/delta)) < 350


def epsilon_of_parts(parts: GaussianParts, delta: float) -> float:
    """Return epsilon at ``delta``, never below the exact one by more than float64's convolution error.

    From 500 on, where nothing is private in any case, the Renyi figure is returned, which is an upper bound too.

    Args:
        parts: of `gaussian_parts.parts_of`.
        delta: from `LEAST_DELTA`, and from 1e-15 for each sampled step, to below 1.

    Raises:
        InvalidInput: delta too small for the number of steps.
    """
    steps = sum(parts.sampled.values())
    least = max(LEAST_DELTA, _DELTA_OF_A_STEP * steps)
    if delta < least:
        remedy = f"give delta >= {least:g}, or ask rdp or gdp"
        what = f"{steps} sampled steps in float64" if steps else "float64"
        raise InvalidInput(f"is {delta!r}, too small for {what}", field="delta", remedy=remedy)
    if not parts.mu and not parts.sampled:
        return 0.0
    if parts.mu_without_sampling > _ASTRONOMIC_MU:
        bound = rdp.epsilon_of_parts(parts, delta)
        if bound > _ASTRONOMIC:
            return bound
    from tactful_privacy.accounting.dp_library import loss_distribution_epsilon, steps_of

    tail = delta * _TAIL_OF_DELTA / (steps + 1)
    return loss_distribution_epsilon(steps_of(parts), delta, interval=_interval(parts, tail), tail=tail)


def _interval(parts: GaussianParts, tail: float) -> float:
    """Return the distance of the grid's points: as fine as the steps ask for, as coarse as time asks for."""
    reach = math.sqrt(-2 * math.log(tail))  # of the noise, in deviations: Phi(-x) <= exp(-x^2 / 2)
    wanted, ranges = [_WIDEST], [0.0]
    if parts.mu:
        wanted.append(_OF_A_PLAIN_DEVIATION * parts.mu)
        ranges.append(2 * parts.mu * reach)
    for part in parts.sampled:
        wanted.append(_OF_A_SAMPLED_DEVIATION * _deviation(part))
        ranges.append(math.log1p(part.rate * math.expm1(min(part.mu * reach + part.mu**2 / 2, 700.0))))
    return max(min(wanted), max(ranges) / _MOST_POINTS)


def _deviation(part: SampledPart) -> float:
    """Return the deviation of one sampled step's likelihood ratio, q sqrt(e^(mu^2) - 1): that of the loss, if small."""
    return part.rate * math.sqrt(math.expm1(min(part.mu**2, 50.0)))
