"""How unlikely a count or a moment is for a sound host: upper bounds on the logarithm of its probability.

None is asymptotic: they hold at every sample size, so that the false-alarm rate of a self-test is a bound as well and
not a guess about tails. Only `math` is needed, as devices carry no scipy.
"""

import math
from collections.abc import Sequence

FALSE_ALARMS_PER_START = 1e-6
"""Chance that a sound host fails its self-test, over all the statistical checks of one start together."""
MOST_CHECKS = 32
LOG_ALARM = math.log(FALSE_ALARMS_PER_START / MOST_CHECKS)
"""A check fails below this; a start makes at most ``MOST_CHECKS`` of them (union bound)."""


def log_p_mean(mean: float, variance: float, size: int) -> float:
    """Bound ln P of a sample mean at least as far from 0, both sides, of ``size`` sub-Gaussian draws.

    A discrete Gaussian of parameter sigma^2 is sub-Gaussian with that sigma^2 (arXiv:2004.00010, section 3): the
    Chernoff bound is 2 exp(-n mean^2 / (2 sigma^2)).
    """
    return math.log(2) - size * mean * mean / (2 * variance)


def log_p_second_moment(ratio: float, size: int) -> float:
    """Bound ln P of a mean square ``ratio`` times sigma^2, or further off, of ``size`` discrete Gaussian draws.

    Chernoff: the moment generating function of X^2 is a quotient of two theta sums, which for sigma^2 >= 1/2 differs
    from that of a Gaussian by a factor below 1 + 2 exp(-2 pi^2 sigma^2) (Poisson summation). The rate is that of the
    chi-square distribution, n (r - 1 - ln r) / 2, and the factor costs less than n 2^-12 at sigma^2 = 1/2, which is the
    smallest that the optimal tilt of a test at sigma^2 >= 1 and r >= 1/2 reaches. Below r = 1/2 the bound at 1/2 holds.
    """
    if not math.isfinite(ratio):
        return -math.inf
    held = max(ratio, 0.5)
    return math.log(2) - size * ((held - 1 - math.log(held)) / 2 - 2.0**-12 * (held < 1))


def log_p_counts(counts: Sequence[int], probabilities: Sequence[float]) -> float:
    """Bound ln P of counts whose relative entropy to ``probabilities`` (k cells, all above 0) is at least as large.

    P(n KL >= x) <= exp(-x) (e x / (k - 1))^(k - 1) for x > k - 1 (Agrawal, arXiv:1904.02291, Theorem 1.2).
    """
    size, free = sum(counts), len(counts) - 1
    entropy = sum(c * math.log(c / (size * p)) for c, p in zip(counts, probabilities, strict=True) if c)
    if entropy <= free:
        return 0.0
    return free - entropy + free * math.log(entropy / free)


def log_p_fair(ones: int, size: int, chance: float = 0.5) -> float:
    """Bound ln P of ``ones`` among ``size`` coins of this chance, or further off (Hoeffding, both sides)."""
    return math.log(2) - 2 * size * (ones / size - chance) ** 2
