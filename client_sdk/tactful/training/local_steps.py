"""Full-batch gradient steps of many devices at once, by numpy in float32.

Each device has weights of its own, so an epoch is two products of a matrix and a vector for each device. What a loop
over devices loses is not the products but everything around them. Here devices of like row counts are stacked into
blocks that stay in the cache over all epochs, shorter ones filled up with rows of zeros, which contribute nothing; an
epoch is two calls of `numpy.matmul` for the block and five operations in place. A device with many rows is a block of
its own, and its rows are not copied.

The steps accumulate as a change from where they started, never inside α, so that float32 rounds the change alone:
logits are X·α, computed once, plus X·change.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

_BLOCK_BYTES = 2 << 20
_ALONE_ROWS = 1_024
_MOST_FILLING = 1.25


def local_steps(
    x: Floats, y: Floats, bounds: NDArray[np.int64], alpha: Array, learning_rate: float, epochs: int
) -> Array:
    """Return each device's change of α after full-batch gradient steps on its mean loss, shape (n, d).

    Args:
        x: features, float32 (rows, d).
        y: labels, float32 (rows,), 0 or 1.
        bounds: int64 (n + 1,), the rows of device i are ``bounds[i]`` to ``bounds[i + 1]``; of none, the change is 0.
        alpha: where every device starts, shape (d,).
        learning_rate: length of a step, times the gradient of the mean log-likelihood.
        epochs: steps, at least 0.
    """
    sizes = np.diff(bounds)
    change = np.zeros((len(sizes), x.shape[1]))
    start = np.ascontiguousarray(alpha, dtype=np.float32)[:, None]
    with np.errstate(over="ignore"):  # e^-z of a far-off logit is infinite, and 1/(1 + ∞) the right zero
        for devices in _blocks(sizes, x.shape[1]):
            stacked, labels = _stack(x, y, bounds, devices)
            rate = np.asarray(learning_rate / sizes[devices], dtype=np.float32)[:, None, None]
            change[devices] = _steps(stacked, labels, start, rate, epochs)
    return change


def _steps(x: Floats, y: Floats, start: Floats, rate: Floats, epochs: int) -> Floats:
    """Steps of one block: x (b, m, d), y (b, m, 1), start (d, 1), rate (b, 1, 1); the change, shape (b, d)."""
    first = np.matmul(x, start)
    change = np.zeros((len(x), 1, x.shape[2]), dtype=np.float32)
    residual, step = np.empty_like(first), np.empty_like(change)
    for epoch in range(epochs):
        if epoch:
            np.matmul(x, change.transpose(0, 2, 1), out=residual)
            residual += first
            np.negative(residual, out=residual)
        else:
            np.negative(first, out=residual)
        np.exp(residual, out=residual)
        residual += 1.0
        np.reciprocal(residual, out=residual)
        np.subtract(y, residual, out=residual)
        np.matmul(residual.transpose(0, 2, 1), x, out=step)
        step *= rate
        change += step
    return change[:, 0]


def _blocks(sizes: NDArray[np.int64], d: int) -> Iterator[Indices]:
    """Cut the devices that have rows into blocks of like sizes, each within `_BLOCK_BYTES` or a single device."""
    order = np.argsort(sizes, kind="stable")
    order = order[sizes[order] > 0]
    start = 0
    while start < len(order):
        least = int(sizes[order[start]])
        stop, most = start + 1, _BLOCK_BYTES // (4 * d)
        if least < _ALONE_ROWS:
            like = int(np.searchsorted(sizes[order], least * _MOST_FILLING, side="right"))
            longest = sizes[order[start:like]]
            stop = start + max(1, int(np.count_nonzero(longest * np.arange(1, len(longest) + 1) <= most)))
        yield order[start:stop]
        start = stop


def _stack(x: Floats, y: Floats, bounds: NDArray[np.int64], devices: Indices) -> tuple[Floats, Floats]:
    """Rows of a block as (b, m, d) and (b, m, 1); a view where they lie one after the other in equal numbers."""
    first, sizes = bounds[devices], bounds[devices + 1] - bounds[devices]
    most, count = int(sizes[-1]), len(devices)
    if sizes[0] == most and (np.diff(first) == most).all():
        rows = slice(int(first[0]), int(first[0]) + count * most)
        return x[rows].reshape(count, most, -1), y[rows].reshape(count, most, 1)
    stacked = np.zeros((count, most, x.shape[1]), dtype=np.float32)
    labels = np.zeros((count, most, 1), dtype=np.float32)
    for place, (start, size) in enumerate(zip(first, sizes, strict=True)):
        stacked[place, :size], labels[place, :size, 0] = x[start : start + size], y[start : start + size]
    return stacked, labels
