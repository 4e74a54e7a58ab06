"""Weighted least squares whose standard errors hold when rows of one cluster are not independent of each other.

The estimate minimises Σ w·(y − xθ)². With X_i, W_i, e_i the rows, weights and residuals of cluster i and
M = Σ X_iᵀW_iX_i, its covariance is estimated by the sandwich

    M⁻¹ · Σ_i X_iᵀW_i e_i e_iᵀ W_iX_i · M⁻¹.

Residuals of a fit are shorter than the errors that they stand for, so that with few clusters the sandwich is too
small. Mancl and DeRouen (Biometrics 57, 2001) put (I − H_ii)⁻¹e_i in the place of e_i, H_ii = X_i M⁻¹ X_iᵀ W_i the
cluster's own block of the hat matrix. By the push-through identity X_iᵀW_i(I − H_ii)⁻¹e_i = M(M − G_i)⁻¹X_iᵀW_ie_i with
G_i = X_iᵀW_iX_i. So no matrix of a cluster's length is inverted, and the term of a cluster, M⁻¹ times this, is by how
much the estimate moves when the cluster is left out: the corrected sandwich is the jackknife around the full estimate.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from tactful_privacy.errors import InvalidInput

Array = NDArray[np.float64]
# Columns of length 1: a column this close to the span of earlier ones is taken to lie in it.
_TOLERANCE = 1e-8
# Share of a direction that the other clusters must hold, as the square of a sine.
_ALONE = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class ClusteredFit:
    """Coefficients (d,) and their covariance (d, d), robust against any dependence within a cluster."""

    coefficients: Array
    covariance: Array


def dependent_columns(x: Array, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Columns of ``x`` (rows, d) that are linear combinations of earlier ones, each with those it is made of.

    A column of zeros is made of nothing: an empty tuple.
    """
    lengths = np.linalg.norm(x, axis=0)
    triangle = np.linalg.qr(x / np.where(lengths > 0, lengths, 1.0)).R
    kept: list[int] = []
    found: dict[str, tuple[str, ...]] = {}
    for column, name in enumerate(names):
        basis, target = triangle[:, kept], triangle[:, column]
        share = np.linalg.lstsq(basis, target, rcond=None)[0] if kept else np.empty(0)
        if np.linalg.norm(target - basis @ share) > _TOLERANCE:
            kept.append(column)
        else:
            found[name] = tuple(names[k] for k, part in zip(kept, share, strict=True) if abs(part) > 1e-6)
    return found


def fit_clustered(
    x: Array, y: Array, weight: Array, cluster: NDArray[np.intp], names: Sequence[str], *, small_sample: bool
) -> ClusteredFit:
    """Weighted least squares with a cluster-robust covariance.

    Args:
        x: Columns of full rank, (rows, d).
        y: (rows,).
        weight: Above 0, (rows,).
        cluster: Index of each row's cluster, every one of 0 … n − 1 present, (rows,).
        names: Of the columns, for errors.
        small_sample: Whether to correct as Mancl and DeRouen.

    Raises:
        InvalidInput: With ``small_sample``, a coefficient rests on one cluster alone, so that leaving the cluster out
            leaves nothing to estimate it from.
    """
    order = np.argsort(cluster, kind="stable")
    root = np.sqrt(weight[order])
    x = x[order]
    q, r = np.linalg.qr(x * root[:, None])
    target = y[order] * root
    projected = q.T @ target
    residual = target - q @ projected
    starts = np.flatnonzero(np.diff(cluster[order], prepend=-1))
    scores = np.add.reduceat(q * residual[:, None], starts, axis=0)
    if small_sample:
        scores = np.stack(list(_corrected(q, x, scores, starts, names)))
    influence = solve_triangular(r, scores.T)
    return ClusteredFit(solve_triangular(r, projected), influence @ influence.T)


def _corrected(q: Array, x: Array, scores: Array, starts: NDArray[np.intp], names: Sequence[str]) -> Iterator[Array]:
    """Each cluster's score (I − Q_iᵀQ_i)⁻¹s_i: the formula above in the basis Q, where M is the identity."""
    identity = np.eye(q.shape[1])
    ends = np.append(starts[1:], len(q))
    for start, end, score in zip(starts, ends, scores, strict=True):
        own = q[start:end]
        rest = identity - own.T @ own
        if np.linalg.eigvalsh(rest)[0] < _ALONE:
            lost = dependent_columns(np.delete(x, slice(start, end), axis=0), names)
            raise InvalidInput(
                f"one user alone tells {', '.join(lost) or 'a combination of terms'} apart from the other terms",
                field="user",
                remedy="leave the term out, pool its levels, or do without the small-sample correction",
            )
        yield np.linalg.solve(rest, score)
