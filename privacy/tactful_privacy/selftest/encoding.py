"""Is what a device contributes cut to the bound, counted once, rounded fairly, and zero where it is not finite?"""

import math
import os
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.mechanisms.entropy import Entropy
from tactful_privacy.selftest.bounds import LOG_ALARM, log_p_fair
from tactful_privacy.selftest.findings import Finding, HostPath, fixed_entropy
from tactful_privacy.selftest.plans import CANARY, CLIP_UNITS, GRID_EXPONENT, HALF_RANGE_UNITS, LOSS, encoding_plan
from tactful_privacy.wire import RoundPlan

KNOWN = (928, 944, 979, 997, 1010, 1047, 1076, 1096)
"""The sum of `_fractions` from `fixed_entropy`, in grid units."""
_ROWS = 4_000


def encoding_checks(path: HostPath) -> Iterator[Finding]:
    """Check clip, weight, norm check, statistics, non-finite values and rounding."""
    tried = _Encoder(path, encoding_plan())
    yield _clip(tried)
    yield _weight(tried)
    yield _norm_check(path)
    yield _statistics(tried)
    yield _not_finite(tried)
    yield _rounding(tried)
    got = known_sum(path)
    yield Finding("encoder_known_answer", got == KNOWN, f"{got}")


class _Encoder:
    """Rows in grid units through a host's encoder."""

    def __init__(self, path: HostPath, plan: RoundPlan) -> None:
        self._path = path
        self._plan = plan

    def total(self, *rows: NDArray[np.float64], entropy: Entropy = os.urandom) -> NDArray[np.int64]:
        units = np.array(rows, dtype=np.float64).reshape(-1, self._plan.dimension)
        return self._path.encode(self._plan, units * 2.0**-GRID_EXPONENT, entropy)


def _row(values: dict[int, float]) -> NDArray[np.float64]:
    row = np.zeros(CANARY + 1)
    row[list(values)] = list(values.values())
    return row


def _clip(tried: _Encoder) -> Finding:
    """A row of 54 times the clip norm comes out at the clip norm: shorter by rounding alone, and not as zero."""
    row = CLIP_UNITS * _row({0: 30.0, 3: -40.0, CANARY: 20.0})
    length = math.sqrt(float((tried.total(row) ** 2).sum()))
    holds = 0.99 * CLIP_UNITS < length <= CLIP_UNITS
    return Finding("clip", holds, f"{length / CLIP_UNITS:.4f} of the clip norm")


def _weight(tried: _Encoder) -> Finding:
    """Rows of whole grid units add up exactly, each once, whatever their order, size and number of entries."""
    rows = [_row({0: 900.0}), _row({1: -300.0, 2: 7.0, LOSS: 20.0}), _row({5: 1.0}), _row({0: 900.0})]
    holds = bool(np.array_equal(tried.total(*rows), np.sum(rows, axis=0).astype(np.int64)))
    empty = tried.total()
    holds = holds and empty.shape == (CANARY + 1,) and not empty.any()
    return Finding("weight_one", holds, "sum of four rows, and of none")


def _norm_check(path: HostPath) -> Finding:
    """Under a norm bound far below the clip norm, rows beyond it must become zero: clipping alone would let them by.

    The third row is beyond the bound only with its statistic: the check is over the whole vector.
    """
    tried = _Encoder(path, encoding_plan(norm_bound_squared=1_000**2))
    inside, outside, together = _row({0: 1_000.0}), _row({1: 1_001.0}), _row({2: 950.0, LOSS: 400.0})
    got = tried.total(inside, outside, together)
    return Finding("norm_check", bool(np.array_equal(got, inside.astype(np.int64))), f"{got.tolist()}")


def _statistics(tried: _Encoder) -> Finding:
    """A statistic beyond its half-range counts as the half-range."""
    got = [int(tried.total(_row({LOSS: value}))[LOSS]) for value in (1e9, -1e9, 3.0)]
    return Finding("statistic_bounded", got == [HALF_RANGE_UNITS, -HALF_RANGE_UNITS, 3], f"{got}")


def _not_finite(tried: _Encoder) -> Finding:
    """A row with NaN or infinity, in a parameter or a statistic, counts as zero and spoils no other."""
    good, bad = _row({0: 5.0, LOSS: 2.0}), (math.nan, math.inf, -math.inf)
    rows = [_row({place: value, 1: 8.0}) for value in bad for place in (0, LOSS)]
    got = tried.total(good, *rows)
    return Finding("not_finite", bool(np.array_equal(got, good.astype(np.int64))), f"{got.tolist()}")


def _rounding(tried: _Encoder) -> Finding:
    """A quarter of a grid unit, many times, adds up to a quarter of them (Hoeffding)."""
    ups = int(tried.total(*[_row({2: 0.25})] * _ROWS)[2])
    return Finding("rounding_fair", log_p_fair(ups, _ROWS, 0.25) > LOG_ALARM, f"{ups} of {_ROWS} rounded up")


def known_sum(path: HostPath) -> tuple[int, ...]:
    """Return the sum of 64 fractional rows rounded by known bytes."""
    ramp = np.arange(64 * (CANARY + 1), dtype=np.float64).reshape(64, -1)
    total = _Encoder(path, encoding_plan()).total(*(ramp * 0.375 - 80.0), entropy=fixed_entropy())
    return tuple(total.tolist())
