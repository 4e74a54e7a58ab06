"""Effects of a push as log ratios of the mean outcome, for outcomes of 0 and 1 or counts.

With W, p̃, g and f as in `tactful_lab.evaluation.excursion`, (α, β) solves, over rows where the user was available,

    Σ W · (Y·exp(−A·fᵀβ) − exp(gᵀα)) · (g, (A − p̃)·f) = 0,

the estimator of marginal excursion effects (EMEE) of Qian, Yoo, Klasnja, Almirall and Murphy 2021, arXiv:1906.00528
(its equations' numbers were not checked). exp(fᵀβ) is the ratio of the mean outcome with a push to that without; β
holds if the ratio is exp(fᵀβ), whether or not exp(gᵀα) is right.

Few people: each user's score s_i becomes M(M − M_i)⁻¹s_i, M_i
its share of the derivative M, which for weighted least squares is the correction of Mancl and DeRouen (2001).
"""

import numpy as np
from numpy.typing import NDArray

from tactful_lab.evaluation.sandwich import ClusteredFit
from tactful_privacy.errors import InvalidInput

Array = NDArray[np.float64]
_STEPS, _HALVINGS, _SMALL = 100, 40, 1e-11
_LARGEST = 30.0  # of a log ratio: beyond it an arm has no event, and there is none


def fit_relative(
    g: Array,
    f: Array,
    action: Array,
    numerator: Array,
    y: Array,
    weight: Array,
    cluster: NDArray[np.intp],
    *,
    small_sample: bool,
) -> ClusteredFit:
    """Solve the equations and give their sandwich, clustered by user.

    Args:
        g: Controls with a constant among them, (rows, q).
        f: What the log ratio is linear in, (rows, p).
        action: 0 or 1, (rows,).
        numerator: p̃, (rows,).
        y: Outcome, not negative, (rows,).
        weight: W, (rows,).
        cluster: Index of each row's user, (rows,).
        small_sample: Whether to correct for few people.

    Returns:
        Coefficients (α, β), (q + p,), and their covariance.

    Raises:
        InvalidInput: A negative outcome, or no solution: an effect has no event with or without a push.
    """
    if np.any(y < 0):
        raise InvalidInput("is negative: there is no ratio", field="outcome", remedy="use --scale difference")
    h = np.hstack([g, (action - numerator)[:, None] * f])
    moved = np.hstack([g, action[:, None] * f])
    theta = _solve(g, h, moved, y, weight)
    left, right = _parts(theta, g, moved, y, weight)
    slopes = np.hstack([right[:, None] * g, left[:, None] * moved[:, g.shape[1] :]])
    bread = h.T @ slopes
    users = int(cluster.max()) + 1
    scores = _by_user(h * (left - right)[:, None], cluster, users)
    if small_sample:
        scores = _corrected(scores, h, slopes, bread, cluster)
    try:
        influence = np.linalg.solve(bread, scores.T)
    except np.linalg.LinAlgError as error:
        raise _no_solution() from error
    return ClusteredFit(theta, influence @ influence.T)


def _parts(theta: Array, g: Array, moved: Array, y: Array, weight: Array) -> tuple[Array, Array]:
    """W·Y·exp(−A·fᵀβ) and W·exp(gᵀα), (rows,) each."""
    q = g.shape[1]
    with np.errstate(over="ignore"):
        return weight * y * np.exp(-moved[:, q:] @ theta[q:]), weight * np.exp(g @ theta[:q])


def _solve(g: Array, h: Array, moved: Array, y: Array, weight: Array) -> Array:
    """Newton's steps, halved while the equations get worse."""
    q, theta = g.shape[1], np.zeros(h.shape[1])
    theta[:q] = np.linalg.lstsq(g, np.full(len(y), np.log((weight @ y) / weight.sum())), rcond=None)[0]
    left, right = _parts(theta, g, moved, y, weight)
    for _ in range(_STEPS):
        wrong = h.T @ (left - right)
        if np.linalg.norm(wrong) <= _SMALL * float(weight @ y):
            return theta
        slopes = np.hstack([right[:, None] * g, left[:, None] * moved[:, q:]])
        step = np.linalg.lstsq(h.T @ slopes, wrong, rcond=None)[0]
        for halving in range(_HALVINGS):
            tried = theta + step * 0.5**halving
            left, right = _parts(tried, g, moved, y, weight)
            with np.errstate(invalid="ignore", over="ignore"):
                norm = np.linalg.norm(h.T @ (left - right))
            if np.isfinite(norm) and norm < np.linalg.norm(wrong):
                break
        else:
            break
        theta = tried
        if np.abs(theta[q:]).max() > _LARGEST:
            break
    raise _no_solution()


def _no_solution() -> InvalidInput:
    message = "the ratio has no solution: an effect may have no event with a push, or none without"
    return InvalidInput(message, field="outcome", remedy="pool levels, or use --scale difference")


def _by_user(values: Array, cluster: NDArray[np.intp], users: int) -> Array:
    columns = [np.bincount(cluster, weights=column, minlength=users) for column in values.T]
    return np.column_stack(columns)


def _corrected(scores: Array, h: Array, slopes: Array, bread: Array, cluster: NDArray[np.intp]) -> Array:
    order = np.argsort(cluster, kind="stable")
    ends = np.cumsum(np.bincount(cluster))
    rows = np.split(order, ends[:-1])
    made = np.empty_like(scores)
    for user, own in enumerate(rows):
        rest = bread - h[own].T @ slopes[own]
        try:
            made[user] = bread @ np.linalg.solve(rest, scores[user])
        except np.linalg.LinAlgError as error:
            message, remedy = "one user alone holds up an effect", "pool levels, or --no-small-sample"
            raise InvalidInput(message, field="user", remedy=remedy) from error
    return made
