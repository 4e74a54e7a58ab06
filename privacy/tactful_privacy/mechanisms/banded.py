"""Noise that is correlated over the rounds of a run, by banded matrix factorisation, in exact integers.

What a server learns from a run are prefix sums of the rounds' sums x_0, x_1, ... . Noise of which each round takes back
a part of what earlier rounds added spoils them less than independent noise of the same price (BandMF: Choquette-Choo
et al., arXiv:2306.08153; DP-FTRL: Denisov et al., arXiv:2202.08312).

**The mechanism.** C is lower triangular with b bands, its entries integers in units of 1/SCALE, no column longer than
SCALE. Let o_t = sum_s C[t, s] x_s + z_t with fresh exact discrete Gaussian z_t of variance SCALE^2 sigma^2, an integer.
Released is x_t + e_t with the integer noise

    e_t = round((z_t - sum_{s < t} C[t, s] e_s) / C[t, t]).

Rounding commutes with the integer x_t, so x_t + e_t = round((o_t - sum_{s < t} C[t, s] (x_s + e_s)) / C[t, t]): a
function of o_0, ..., o_t alone, post-processing of o.

**Sensitivity.** Zero-out adjacency of one enrolment, which joins at most k rounds of the run, at least m >= b rounds
apart, each time with an integer vector u of norm at most B. Columns m >= b apart share no row, so the change of o,
sum_i C[:, i] (x) u_i, has squared norm sum_i |C[:, i]|^2 |u_i|^2 <= k SCALE^2 B^2 (arXiv:2306.08153 has it for unit
columns; numbers of their theorems not checked, derived here and tested by brute force).

**Price.** k B^2 / (2 sigma^2), once for the whole run. The u_i may be chosen in view of what was released before: given
o_0, ..., o_{t-1}, what a step can add to the loss is |sum_s C[t, s] u_s|^2 / (2 SCALE^2 sigma^2) in zCDP (exact for the
discrete Gaussian: arXiv:2004.00010, Theorem 4), and on every path these add up to at most the price; the argument of
`accounting.filter.ZcdpFilter` does the rest. It holds only if no e_t is ever told: it is secret for good.
"""

import functools
import hashlib
import json
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.errors import InvalidInput
from tactful_privacy.mechanisms.discrete_gaussian import sample
from tactful_privacy.mechanisms.entropy import Entropy

SCALE = 1 << 16
"""Entries of C are integers in units of 1/SCALE."""

_DATA = "banded_coefficients.json"
_DOMAIN = b"tactful banded strategy 1"


@dataclass(frozen=True, slots=True)
class Strategy:
    """A factorisation's coefficients.

    Attributes:
        rounds: the longest run it serves.
        bands: b; rounds which share a column's noise.
        columns: column s holds C[s, s], C[s + 1, s], ... in units of 1/SCALE: b entries, fewer at the end.

    Raises:
        InvalidInput: a column has another length, is longer than SCALE, or starts with no positive entry.
    """

    rounds: int
    bands: int
    columns: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        wanted = [min(self.bands, self.rounds - s) for s in range(self.rounds)]
        short = all(sum(entry**2 for entry in column) <= SCALE**2 for column in self.columns)
        if [len(column) for column in self.columns] != wanted or not short or min(c[0] for c in self.columns) < 1:
            remedy = "write the file anew with scripts/banded_coefficients.py"
            raise InvalidInput("columns too long, or not in bands", field="columns", remedy=remedy)

    @property
    def digest(self) -> bytes:
        """SHA-256 of sizes and coefficients, 32 bytes: what a plan names."""
        numbers = (self.rounds, self.bands, SCALE, *(entry for column in self.columns for entry in column))
        return hashlib.sha256(_DOMAIN + struct.pack(f">{len(numbers)}q", *numbers)).digest()

    def entry(self, row: int, column: int) -> int:
        """Return C[row, column] in units of 1/SCALE."""
        return self.columns[column][row - column] if 0 <= row - column < self.bands else 0

    def spread(self, index: int) -> float:
        """Return the variance of e_index over sigma^2: the squared norm of a row of the inverse of C."""
        size = index + 1
        matrix = np.array([[self.entry(row, column) for column in range(size)] for row in range(size)]) / SCALE
        last = np.linalg.solve(matrix.T, np.eye(size)[:, -1])
        return float(last @ last)

    def solve(self, index: int, noise: NDArray[np.int64], past: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Return e_index from z_index and ``past`` = (e_{index - 1}, e_{index - 2}, ...), at least b - 1 of them."""
        rest = noise.astype(object)  # Python's integers: products of coefficients and noise may outgrow int64
        for back, error in enumerate(past[: self.bands - 1], start=1):
            rest = rest - self.entry(index, index - back) * error.astype(object)
        own = self.entry(index, index)
        return np.asarray((2 * rest + own) // (2 * own), dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class RunNoise:
    """Where a run's noise stands. Secret: whoever knows it can take the noise off the released sums.

    Attributes:
        next_index: first round of the run, from 0, whose noise is not drawn.
        past: errors of the last rounds, newest first, at most b - 1; int64 of shape (d,), grid units.
    """

    next_index: int = 0
    past: tuple[NDArray[np.int64], ...] = ()

    def advance(
        self, strategy: Strategy, index: int, variance: int, dimension: int, entropy: Entropy = os.urandom
    ) -> tuple[NDArray[np.int64], "RunNoise"]:
        """Return the noise of round ``index`` of the run, and the state after it.

        Rounds which were void in between get their noise now: nobody saw anything of them.

        Args:
            strategy: of the run.
            index: from 0, not before ``next_index``.
            variance: sigma^2 in squared grid units.
            dimension: d.
            entropy: the source of randomness.

        Raises:
            InvalidInput: the round's noise was drawn already, or the run is over, or d is not that of earlier rounds.
        """
        if not self.next_index <= index < strategy.rounds or any(len(error) != dimension for error in self.past):
            remedy = "a run keeps its order, length and dimension; start another one"
            raise InvalidInput(f"round {index} of {dimension} coordinates does not fit", field="run", remedy=remedy)
        past = self.past
        for step in range(self.next_index, index + 1):
            fresh = sample(variance * SCALE**2, dimension, entropy=entropy)
            past = (strategy.solve(step, fresh, past), *past)[: max(strategy.bands - 1, 1)]
        return past[0], RunNoise(index + 1, past[: strategy.bands - 1])

    def to_bytes(self) -> bytes:
        """Return index, count and errors as big-endian 64-bit integers."""
        return struct.pack(">QQ", self.next_index, len(self.past)) + b"".join(
            e.astype(">i8").tobytes() for e in self.past
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "RunNoise":
        """Undo `to_bytes`."""
        index, count = struct.unpack_from(">QQ", data)
        errors = np.frombuffer(data, dtype=">i8", offset=16).astype(np.int64)
        return cls(index, tuple(errors.reshape(count, -1)) if count else ())


@functools.cache
def strategies() -> Mapping[bytes, Strategy]:
    """Return the strategies that ship with this package, by digest."""
    # By path: `importlib.resources` would load `random`, which must not be reachable from here.
    text = Path(__file__).with_name(_DATA).read_text(encoding="utf-8")
    read = (Strategy(e["rounds"], e["bands"], tuple(map(tuple, e["columns"]))) for e in json.loads(text))
    return {strategy.digest: strategy for strategy in read}


def strategy_for(rounds: int, min_separation: int) -> Strategy:
    """Return the shipped strategy for a run: most bands that the separation allows, then the shortest that suffices.

    Raises:
        InvalidInput: none serves so long a run, or so close participations.
    """
    fit = [s for s in strategies().values() if s.rounds >= rounds and s.bands <= min_separation]
    if not fit:
        sizes = sorted((s.rounds, s.bands) for s in strategies().values())
        message = (
            f"of {rounds} rounds with {min_separation} between a device's own: none of {sizes} (rounds, bands) serves"
        )
        raise InvalidInput(message, field="run", remedy="plan a shorter run, or a larger separation")
    return min(fit, key=lambda s: (-s.bands, s.rounds))
