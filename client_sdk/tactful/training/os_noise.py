"""Gaussian noise and Poisson sampling from the operating system's entropy, for event-level DP-SGD.

The Gaussian is a floating-point one, not exact: its values lie on the lattice of float64, as those of every DP-SGD
library do. (The user-level noise is another thing: an exact discrete Gaussian, `tactful_privacy.mechanisms`.) Against
the known attacks on such values each one is the sum of four independent draws over two, as in section 5.1 of
arXiv:2107.10138 for n = 2; the attacks are those of arXiv:2112.05307. The section's number was not checked here.
"""

import math
import os

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.errors import InvalidInput
from tactful_privacy.mechanisms.entropy import Entropy, words
from tactful_privacy.validate import at_least

_DRAWS = 4
_BITS = 53


def _box_muller(count: int, entropy: Entropy) -> NDArray[np.float64]:
    """Return standard normal values, shape (count,), from two uniforms of 53 bits each; none beyond 8.6."""
    integers = words(entropy, 2 * count) >> np.uint64(64 - _BITS)
    above_zero = (integers[:count].astype(np.float64) + 1.0) * 2.0**-_BITS
    angle = integers[count:].astype(np.float64) * (2.0 * math.pi * 2.0**-_BITS)
    normal: NDArray[np.float64] = np.sqrt(-2.0 * np.log(above_zero)) * np.cos(angle)
    return normal


def gaussian(count: int, *, entropy: Entropy = os.urandom) -> NDArray[np.float64]:
    """Return ``count`` independent standard normal values, shape (count,).

    Args:
        count: how many, at least 0.
        entropy: the operating system's, everywhere but in tests.

    Raises:
        InvalidInput: ``count`` is negative.
        EntropyFailure: the source failed or returned too little.
    """
    at_least(0, count=count)
    drawn = _box_muller(_DRAWS * count, entropy).reshape(_DRAWS, count)
    total: NDArray[np.float64] = drawn.sum(axis=0) / math.sqrt(_DRAWS)
    return total


def poisson_sample(rows: int, sampling_rate: float, *, entropy: Entropy = os.urandom) -> NDArray[np.bool_]:
    """Return which rows are in a batch, bool (rows,): each by a coin of its own, so that a batch may be empty.

    A row is in with probability ⌊2⁶⁴ · sampling_rate⌋ / 2⁶⁴, never more than what is accounted for.

    Args:
        rows: how many there are, at least 0.
        sampling_rate: above 0, at most 1.
        entropy: the operating system's, everywhere but in tests.

    Raises:
        InvalidInput: the rate or the number is out of range.
        EntropyFailure: the source failed or returned too little.
    """
    at_least(0, rows=rows)
    if not 0.0 < sampling_rate <= 1.0:
        raise InvalidInput(f"is {sampling_rate!r}", field="sampling_rate", remedy="give a rate in (0, 1]")
    drawn = words(entropy, rows)
    if sampling_rate == 1.0:
        return np.ones(rows, dtype=np.bool_)
    return drawn < np.uint64(int(math.ldexp(sampling_rate, 64)))
