"""From real updates to bounded integers on a grid of step gamma = 2^-j, and back.

A sum over hosts must be exact modulo 2^32, so updates are integers before anything is added. Rounding is stochastic and
unbiased. Unlike the conditional rounding of Kairouz, Liu and Steinke (arXiv:2102.06387, section 4), nothing is drawn
again: the update is clipped sqrt(d) units shorter than the bound, and rounding moves each of d coordinates by less than
one unit, so the bound B holds for every outcome, and an exact integer check over the whole vector says so again.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tactful_privacy.errors import InvalidInput
from tactful_privacy.mechanisms.clip import clip
from tactful_privacy.mechanisms.entropy import Entropy, words

MAX_UNITS = (1 << 31) - 1
"""The largest bound on one coordinate, in grid units, for which the arithmetic below is exact in int64."""


@dataclass(frozen=True, slots=True)
class EncodedBlock:
    """A host's devices on the grid.

    Attributes:
        total: their exact sum, int64 of shape (d + k,): model coordinates, then statistics.
        accepted: which devices contributed themselves and not the zero vector, shape (n,).
        rows: the single vectors, int64 of shape (n, d + k), where they were asked for. Never leaves the host.
    """

    total: NDArray[np.int64]
    accepted: NDArray[np.bool_]
    rows: NDArray[np.int64] | None = None


def encode_block(
    updates: ArrayLike,
    statistics: ArrayLike | None = None,
    *,
    clip_units: int,
    grid_exponent: int,
    norm_bound_squared: int,
    half_ranges: Sequence[int] = (),
    keep_rows: bool = False,
    entropy: Entropy = os.urandom,
) -> EncodedBlock:
    """Clip, round and check the updates of one host's devices, and add them up.

    Sensitivity: replacing one device's vector by zero (zero-out adjacency) changes ``total`` by at most
    B = sqrt(norm_bound_squared) grid units in Euclidean norm, whatever the device holds.

    Args:
        updates: float64, shape (n, d), in model units; n may be 0.
        statistics: float64, shape (n, k), in model units; clamped to their half-ranges. None stands for k = 0.
        clip_units: C in grid units; an update is clipped to ``(clip_units - sqrt(d)) * 2^-grid_exponent``.
        grid_exponent: j of the grid step 2^-j.
        norm_bound_squared: B^2 in squared grid units, over the whole vector: at least clip_units^2 +
            sum(half_ranges^2), or devices near the bound are refused.
        half_ranges: the k half-ranges of the statistics, *integers in grid units*.
        keep_rows: also return the single vectors.
        entropy: the source of the rounding's randomness.

    Returns:
        The sum. A device with a NaN, an infinity or a vector above B counts as the zero vector and as not accepted.

    Raises:
        InvalidInput: shapes that do not match, or bounds for which int64 would not be exact.
        EntropyFailure: the source failed or fell short.
    """
    raw, extra = _blocks(updates, statistics, len(half_ranges))
    limits = _limits(clip_units, raw.shape[1], norm_bound_squared, half_ranges)
    if len(raw) * math.isqrt(norm_bound_squared) >= 1 << 63:
        raise InvalidInput("the sum may not fit int64", field="updates", remedy="encode fewer devices at once")
    finite = np.asarray(np.isfinite(np.hstack([raw, extra])).all(axis=1))
    # Scaling by a power of two is exact, so the clip in model units is the clip in grid units.
    short = clip(raw, math.ldexp(limits, -grid_exponent))
    bounds = np.array(half_ranges, dtype=np.float64)
    clamped = np.clip(_scaled(np.where(finite[:, None], extra, 0.0), grid_exponent), -bounds, bounds)
    rows = _round(np.hstack([np.ldexp(short, grid_exponent), clamped]), entropy)
    accepted = finite & _within(rows, norm_bound_squared)
    rows[~accepted] = 0
    return EncodedBlock(rows.sum(axis=0, dtype=np.int64), accepted, rows if keep_rows else None)


def decode(total: ArrayLike, grid_exponent: int) -> NDArray[np.float64]:
    """Return grid integers in model units: ``total * 2^-grid_exponent``, exact below 2^53.

    Args:
        total: int64, any shape.
        grid_exponent: j of the grid step 2^-j.
    """
    return np.ldexp(np.asarray(total, dtype=np.int64).astype(np.float64), -grid_exponent)


def to_modulus(values: ArrayLike, bits: int = 32) -> NDArray[np.uint32]:
    """Return ``values`` (int64) modulo 2^bits, bits from 1 to 32."""
    _check_bits(bits)
    return (np.asarray(values, dtype=np.int64) & np.int64((1 << bits) - 1)).astype(np.uint32)


def from_modulus(residues: ArrayLike, bits: int = 32) -> NDArray[np.int64]:
    """Return the representatives in [-2^(bits-1), 2^(bits-1)) of residues modulo 2^bits, int64.

    Raises:
        InvalidInput: a residue of 2^bits or above, or bits not from 1 to 32.
    """
    _check_bits(bits)
    values = np.asarray(residues, dtype=np.uint32).astype(np.int64)
    if bits < 32 and bool((values >> bits).any()):
        raise InvalidInput(f"has a value of 2^{bits} or above", field="residues", remedy="reduce it modulo 2^bits")
    half = np.int64(1 << (bits - 1))
    return np.asarray(((values + half) & np.int64((1 << bits) - 1)) - half)


def _check_bits(bits: int) -> None:
    if not 1 <= bits <= 32:
        raise InvalidInput(f"is {bits}", field="bits", remedy="give 1 <= bits <= 32")


def _blocks(
    updates: ArrayLike, statistics: ArrayLike | None, expected: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    raw = np.asarray(updates, dtype=np.float64)
    if raw.ndim != 2:
        raise InvalidInput(f"has {raw.ndim} dimensions", field="updates", remedy="give an array of shape (n, d)")
    extra = np.zeros((len(raw), 0)) if statistics is None else np.asarray(statistics, dtype=np.float64)
    if extra.shape != (len(raw), expected):
        remedy = f"give shape ({len(raw)}, {expected}): one row per update, one column per half-range"
        raise InvalidInput(f"has shape {extra.shape}", field="statistics", remedy=remedy)
    return raw, extra


def _limits(clip_units: int, dimension: int, norm_bound_squared: int, half_ranges: Sequence[int]) -> float:
    """Return the clip bound before rounding, in grid units, having checked that everything fits int64."""
    for name, value in [("clip_units", clip_units), *(("half_ranges", half) for half in half_ranges)]:
        if not isinstance(value, int) or not 0 < value <= MAX_UNITS:
            raise InvalidInput(f"is {value!r}", field=name, remedy="give integers in grid units, from 1 to 2^31 - 1")
    if not 0 < norm_bound_squared <= MAX_UNITS**2:
        remedy = "give 1 <= B^2 < 2^62: take a coarser grid"
        raise InvalidInput(f"is {norm_bound_squared}", field="norm_bound_squared", remedy=remedy)
    limit = clip_units - math.sqrt(dimension)
    if limit <= 0:
        remedy = f"take a finer grid: rounding alone moves {dimension} coordinates by up to {math.sqrt(dimension):.1f}"
        raise InvalidInput(f"is {clip_units}", field="clip_units", remedy=remedy)
    return limit


def _scaled(values: NDArray[np.float64], grid_exponent: int) -> NDArray[np.float64]:
    """Return values in grid units; one too large for a float becomes an infinity, which clamping then cuts."""
    with np.errstate(over="ignore"):
        return np.ldexp(values, grid_exponent)


def _round(values: NDArray[np.float64], entropy: Entropy) -> NDArray[np.int64]:
    """Round |values| < 2^53 to a neighbouring integer, up with probability equal to the fraction, exactly.

    The fraction of |v| is exact in float64. It is compared with a uniform number 53 bits at a time; only where all 53
    agree and the fraction goes on below (tiny values) are the next ones drawn.
    """
    whole = np.floor(np.abs(values))
    rest = np.abs(values) - whole
    up = np.zeros(values.shape, dtype=bool)
    pending = rest > 0
    while pending.any():
        shifted = rest[pending] * 2.0**53
        leading = np.floor(shifted)
        drawn = (words(entropy, len(leading)) >> np.uint64(11)).astype(np.float64)
        up[pending] = drawn < leading
        rest[pending] = np.where(drawn == leading, shifted - leading, 0.0)
        pending = rest > 0
    return np.asarray(np.copysign(whole + up, values).astype(np.int64))


def _within(rows: NDArray[np.int64], norm_bound_squared: int) -> NDArray[np.bool_]:
    """Return which rows have sum(x^2) <= norm_bound_squared, exactly, for |x| < 2^31.

    Squares are added in two 32-bit halves, so that no sum of fewer than 2^31 of them overflows.
    """
    squares = rows * rows
    low = (squares & 0xFFFFFFFF).sum(axis=1)
    high = (squares >> 32).sum(axis=1) + (low >> 32)
    bound_high, bound_low = divmod(norm_bound_squared, 1 << 32)
    return np.asarray((high < bound_high) | ((high == bound_high) & ((low & 0xFFFFFFFF) <= bound_low)))
