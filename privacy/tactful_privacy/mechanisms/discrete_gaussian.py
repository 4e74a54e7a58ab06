"""Exact samples of the discrete Gaussian, P(x) proportional to exp(-x^2 / (2 variance)) on the integers.

The method is the rejection sampler of Canonne, Kamath and Steinke, arXiv:2004.00010, Algorithms 1 to 3: with
t = floor(sigma) + 1, propose Y = +-(U + t V) from the discrete Laplace distribution of scale t (U uniform below t and
kept with probability exp(-U/t); V geometric with ratio exp(-1); minus zero thrown away) and accept it with probability
exp(-(|Y| - variance/t)^2 / (2 variance)). The two acceptances are one here, with the exponent

    E = U/t + (|Y| t - variance)^2 / (2 variance t^2),          a rational number.

Where their paper flips coins of bias exp(-E), here a uniform number R, drawn bit by bit as needed, is compared with
exp(-E): the same event with the same probability. A float filter decides almost every comparison from R's first 32
bits; where it cannot, `LazyUniform` goes on in integers with the bits already drawn. So the output distribution is
exact, not close to exact. (More bits at once would only cost time: half of it is the operating system's for the bytes.)

**The filter's error.** Let u = 2^-53, sigma' the rounded root of the variance, and m = |Y| < 45 t (the fast path has
V <= 22). Then m/sigma' and sigma'/t carry a relative error below 4u each, and as t <= 2 sigma, y = m/sigma < 90 and
c = sigma/t < 1, so (y - c) is wrong by less than 5u*91, half its square by less than 90 * 455u + 90^2 u < 2^16 u, and
U/t and the sum by less than 2^13 u more: the exponent is wrong by less than 2^-36. The exponential function of the
platform may err by a thousand ulps (2^-43) without mattering. The filter leaves a relative margin of 2^-32 on both
sides, 16 times the bound, plus 2^-60 absolutely where exp underflows. About one draw in 10^8 goes to the integers.
"""

import math
import os
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.errors import InvalidInput
from tactful_privacy.mechanisms.entropy import Entropy, EntropyFailure, read, words
from tactful_privacy.mechanisms.lazy_uniform import LazyUniform, exp_minus_bounds

MAX_VARIANCE = 1 << 100
"""Above it a value might not fit int64."""

_BITS = 32
"""Bits of a uniform number that are drawn at once."""

_MARGIN = 2.0**-32
_ABSOLUTE_MARGIN = 2.0**-28  # in units of 2^-32
_BATCH = 1 << 12  # candidates at a time: their arrays stay in the cache and the allocator keeps their pages
_SURPLUS = 2.2  # 1/0.48 and a little, so that one batch is nearly always enough
# A stuck source must end in an error, not in a loop: a batch of 34 or more is empty with probability below 1/100, so 64
# in a row, like a geometric tail of 512, do not happen (10^-128 and 10^-222).
_PATIENCE = 64
_LONGEST_TAIL = 512
_STUCK = "the random source is stuck; do not release anything until it works"


def sample(variance: int, size: int, *, entropy: Entropy = os.urandom) -> NDArray[np.int64]:
    """Draw independent exact discrete Gaussian integers.

    Args:
        variance: the parameter sigma^2 in squared grid units, an integer from 1 to 2^100. (The variance of
            the distribution is a little below it at small sigma; arXiv:2004.00010, section 2.)
        size: how many.
        entropy: the source of bytes; the operating system's, except in tests.

    Returns:
        Integers of shape (size,).

    Raises:
        InvalidInput: a variance below 1, above 2^100 or not an integer, or a negative size. Noise of variance 0 is no
            noise and must not be had by accident.
        EntropyFailure: the source failed, fell short or is stuck.
    """
    return _draw(_checked(variance, size), size, entropy, exact=False)


def _checked(variance: int, size: int) -> "_Target":
    if isinstance(variance, bool) or not isinstance(variance, int):
        raise InvalidInput(f"must be an int, not {type(variance).__name__}", field="variance", remedy="round it up")
    if not 1 <= variance <= MAX_VARIANCE:
        remedy = "give 1 <= variance <= 2^100 in squared grid units (above, values may not fit int64)"
        raise InvalidInput(f"is {variance}", field="variance", remedy=remedy)
    if size < 0:
        raise InvalidInput(f"is {size}", field="size", remedy="give size >= 0")
    return _Target(variance, math.isqrt(variance) + 1)


@dataclass(frozen=True, slots=True)
class _Target:
    """What is sampled: ``variance`` and the scale t of the Laplace proposal."""

    variance: int
    scale: int

    def exponent(self, offset: int, magnitude: int) -> Fraction:
        """Return E of the module's docstring, exactly."""
        gap = magnitude * self.scale - self.variance
        return Fraction(offset, self.scale) + Fraction(gap * gap, 2 * self.variance * self.scale**2)

    def exponents(self, offset: NDArray[np.int64], magnitude: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return E for every candidate, wrong by less than 2^-36 where magnitude < 45 t."""
        sigma = math.sqrt(self.variance)
        gap = magnitude.astype(np.float64) / sigma - sigma / self.scale
        return np.asarray(offset.astype(np.float64) / self.scale + gap * gap / 2)


def _draw(target: _Target, size: int, entropy: Entropy, *, exact: bool) -> NDArray[np.int64]:
    """Fill ``size`` places; ``exact`` sends every candidate through the integers (the tests force it)."""
    found: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
    missing, fruitless = size, 0
    while missing > 0:
        # About 0.48 of the candidates whose offset is below t survive, and at least half of the offsets are.
        batch = min(_BATCH, math.ceil(_SURPLUS * missing * (_mask(target.scale) + 1) / target.scale) + 32)
        found.append(_candidates(target, batch, entropy, exact=exact)[:missing])
        missing -= len(found[-1])
        fruitless = 0 if len(found[-1]) else fruitless + 1
        if fruitless > _PATIENCE:
            raise EntropyFailure("the bytes are not random", field="entropy", remedy=_STUCK)
    return np.concatenate(found)


def _candidates(target: _Target, count: int, entropy: Entropy, *, exact: bool) -> NDArray[np.int64]:
    """Return the accepted ones of ``count`` independent proposals, in the order of proposal."""
    offset, negative = _offsets(target.scale, count, entropy)
    uniforms = words(entropy, len(offset))
    tail, coin = uniforms >> np.uint64(_BITS), uniforms & np.uint64((1 << _BITS) - 1)
    quotient, unsure = _geometric(tail)
    magnitude = offset + target.scale * quotient
    accepted, open_question = _filter(target.exponents(offset, magnitude), coin)
    unsure |= open_question | exact
    for i in np.flatnonzero(unsure):
        magnitude[i], accepted[i] = _decide(target, int(offset[i]), int(tail[i]), int(coin[i]), entropy)
    accepted &= ~(negative & (magnitude == 0))
    magnitude, negative = magnitude[accepted], negative[accepted]
    return np.asarray(np.where(negative, -magnitude, magnitude))


def _offsets(scale: int, count: int, entropy: Entropy) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return those of ``count`` uniform offsets which lie below ``scale``, and a sign for each."""
    width = 4 if scale <= 1 << 31 else 8  # bytes of an offset and its sign, which has the top bit
    raw = np.frombuffer(read(entropy, width * count), dtype=f"<u{width}")
    offset = (raw & raw.dtype.type(_mask(scale))).astype(np.int64)
    kept = offset < scale
    return offset[kept], (raw >> raw.dtype.type(8 * width - 1))[kept].astype(bool)


def _mask(scale: int) -> int:
    """Return the ones that cover every offset below ``scale``."""
    return (1 << (scale - 1).bit_length()) - 1


@cache
def _geometric_thresholds() -> NDArray[np.uint64]:
    """Return floor(2^32 exp(-k)) for k = 23 down to 1, ascending; the first is 0."""
    return np.array([exp_minus_bounds(Fraction(k), 128)[0] >> 96 for k in range(23, 0, -1)], dtype=np.uint64)


def _geometric(tail: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the number of k >= 1 with a uniform number below exp(-k), and where its 32 bits cannot tell.

    That number is at least k with probability exp(-k), as the count of heads of bias exp(-1) before the first tail is.
    """
    thresholds = _geometric_thresholds()
    above = np.searchsorted(thresholds, tail, side="right")  # at least 1, as the first threshold is 0
    return (len(thresholds) - above).astype(np.int64), np.asarray(thresholds[above - 1] == tail)


def _filter(exponents: NDArray[np.float64], coin: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where a coin, in units of 2^-32, is surely below exp(-exponent), and where floats cannot tell."""
    chance = np.exp(-exponents) * 2.0**_BITS
    leading = coin.astype(np.float64)
    below = leading + 1 <= chance * (1 - _MARGIN)
    above = leading >= chance * (1 + _MARGIN) + _ABSOLUTE_MARGIN
    return below, ~(below | above)


def _decide(target: _Target, offset: int, tail: int, coin: int, entropy: Entropy) -> tuple[int, bool]:
    """Finish one candidate in integers from the bits already drawn: its magnitude, and whether it is accepted."""
    uniform = LazyUniform(tail, _BITS, entropy)
    quotient = 0
    while uniform.below_exp_minus(Fraction(quotient + 1)):
        quotient += 1
        if quotient > _LONGEST_TAIL:
            raise EntropyFailure("the bytes are not random", field="entropy", remedy=_STUCK)
    magnitude = offset + target.scale * quotient
    return magnitude, LazyUniform(coin, _BITS, entropy).below_exp_minus(target.exponent(offset, magnitude))
