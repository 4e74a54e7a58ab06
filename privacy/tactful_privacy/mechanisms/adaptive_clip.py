"""A clip norm that follows a quantile of the devices' own norms, learned from one private bit of each.

Andrew, Thakkar, McMahan and Ramaswamy, arXiv:1905.03871. Each device says whether its update was shorter than the
current clip norm C. The bit is a statistic of the round: one more coordinate of the same clipped, noised and masked
vector, +h or -h, its half-range h within the same bound B^2 = C^2 + h^2. So it costs no round of its own, and nothing
but the noisy mean is ever seen. The server then moves C against the excess:

    C <- C exp(-learning_rate (share below C - quantile)).

Too many below: C shrinks. Too few: it grows. The next plan's noise is calibrated to the *new* C with the same price,
and h moves with C, so the noise of the share stays what it was. A device with nothing to say (a zero update) sends 0,
and so does one that was planned and sat out; both count as half a device below C, which leaves the median where it is
and pulls other quantiles towards it.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import fraction, positive

CLIP_BIT = "clip_bit"
"""Name of the statistic in a plan."""


@dataclass(frozen=True, slots=True)
class AdaptiveClip:
    """How a clip norm follows the devices.

    Attributes:
        quantile: of the devices' norms that C should be, in (0, 1); 0.5 is right also if planned devices sit out.
        learning_rate: how fast; C changes by at most this factor's exponential in a round.
        half_range_share: h / C. More makes the share of bits clearer and the noise on the model larger, by
            sqrt(1 + half_range_share^2).
        most_factor: C stays within its first value divided and multiplied by this.

    Raises:
        InvalidInput: an attribute is out of range.
    """

    quantile: float = 0.5
    learning_rate: float = 0.3
    half_range_share: float = 0.25
    most_factor: float = 1e4

    def __post_init__(self) -> None:
        fraction(quantile=self.quantile)
        positive(learning_rate=self.learning_rate, half_range_share=self.half_range_share)
        if not 1 < self.most_factor < math.inf:
            raise InvalidInput(f"is {self.most_factor!r}", field="most_factor", remedy="give a number above 1")

    def next_clip(self, clip_norm: float, share_below: float, first_clip: float) -> float:
        """Return the next C.

        Args:
            clip_norm: C of the round.
            share_below: noisy share of devices below it; cut to [0, 1], where noise carried it beyond.
            first_clip: C of the first round.
        """
        excess = min(max(share_below, 0.0), 1.0) - self.quantile
        moved = clip_norm * math.exp(-self.learning_rate * excess)
        return min(max(moved, first_clip / self.most_factor), first_clip * self.most_factor)


def clip_bits(updates: ArrayLike, clip_norm: float, half_range: float) -> NDArray[np.float64]:
    """Return each device's statistic: half_range where its unclipped norm is at most C, else -half_range, 0 for zero.

    Args:
        updates: float64 of shape (n, d), before clipping. A row that is not finite counts as above C; the encoder makes
            a zero vector of it, this bit included.
        clip_norm: C of the plan.
        half_range: of the statistic, in the same units.
    """
    rows = np.asarray(updates, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # an overflowing norm is infinite, and above C
        below = np.sqrt((rows**2).sum(axis=1)) <= clip_norm
    return np.where(rows.any(axis=1), np.where(below, half_range, -half_range), 0.0)


def share_below(mean_bit: float, half_range: float) -> float:
    """Return the share of devices below C that a mean of `clip_bits` says; noise can carry it out of [0, 1]."""
    return 0.5 + mean_bit / (2 * half_range)
