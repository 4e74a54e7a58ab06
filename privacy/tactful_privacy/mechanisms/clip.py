"""Clipping: the largest Euclidean length that one device's update may have."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import positive

_SHRINK = 1 - 2.0**-40  # far more than the rounding of a norm over 2^10 coordinates (2^-42), far less than matters


def clip(updates: ArrayLike, clip_norm: float) -> NDArray[np.float64]:
    """Return the updates, each shortened to Euclidean norm at most ``clip_norm``, rounding included.

    A row with a NaN or an infinity becomes the zero vector: a device's absence must not depend on its data. Rows are
    scaled by their largest entry first, so that huge and tiny entries neither overflow nor vanish. The clip norm bounds
    what one device (zero-out adjacency) can change; the noise is calibrated to it.

    Args:
        updates: float64, shape (n, d).
        clip_norm: the bound C, in the units of the updates, finite and above 0.

    Raises:
        InvalidInput: a clip norm that is not positive, or updates that are not two-dimensional.
    """
    positive(clip_norm=clip_norm)
    rows = np.array(updates, dtype=np.float64)
    if rows.ndim != 2:
        raise InvalidInput(f"has {rows.ndim} dimensions", field="updates", remedy="give an array of shape (n, d)")
    rows[~np.isfinite(rows).all(axis=1)] = 0.0
    largest = np.abs(rows).max(axis=1, initial=0.0)
    direction = rows / np.where(largest > 0, largest, 1.0)[:, None]
    length = np.maximum(np.sqrt(np.einsum("ij,ij->i", direction, direction)), 1.0)
    allowed = clip_norm / length * _SHRINK
    return np.where((largest > allowed)[:, None], direction * allowed[:, None], rows)
