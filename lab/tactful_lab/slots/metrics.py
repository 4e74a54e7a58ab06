"""How good are slot probabilities? Every metric is exact and does not depend on the order of rows.

Arrays: ``labels`` 0/1 and ``scores`` probabilities, both of the same shape. Ties are treated as their expectation
under a random order, so a constant score gets AUC ½ and the base rate as its precision.
"""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tactful_privacy.errors import InvalidInput

TOP_FRACTION = 0.05
CALIBRATION_BINS = 20
_TINY = 1e-12


def _flat(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, p = np.asarray(labels), np.asarray(scores)
    if y.shape != p.shape or y.size == 0:
        raise InvalidInput(
            f"shapes {y.shape} and {p.shape}", field="labels, scores", remedy="give equal, filled shapes"
        )
    if not np.all((p >= 0) & (p <= 1)):
        raise InvalidInput("not all are probabilities", field="scores", remedy="give finite numbers in [0, 1]")
    return y.ravel().astype(np.float64), p.ravel().astype(np.float64)


def log_losses(labels: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    """Negative log-likelihood of each label in nats, in the input's shape; scores are kept 1e-12 away from 0 and 1."""
    y, p = _flat(labels, scores)
    p = np.clip(p, _TINY, 1 - _TINY)
    return np.asarray(-np.where(y > 0, np.log(p), np.log1p(-p))).reshape(np.shape(labels))


def log_loss(labels: ArrayLike, scores: ArrayLike) -> float:
    """Mean negative log-likelihood in nats."""
    return float(log_losses(labels, scores).mean())


def brier(labels: ArrayLike, scores: ArrayLike) -> float:
    """Mean squared difference of score and label."""
    y, p = _flat(labels, scores)
    return float(np.mean((p - y) ** 2))


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """P(positive scores above negative) + ½ P(equal): the exact Mann–Whitney rank statistic; NaN for one class."""
    y, p = _flat(labels, scores)
    _, where, size = np.unique(p, return_inverse=True, return_counts=True)
    positives = np.bincount(where, weights=y)
    negatives = size - positives
    below = np.cumsum(negatives) - negatives
    pairs = positives.sum() * negatives.sum()
    return float((positives * (below + negatives / 2)).sum() / pairs) if pairs else float("nan")


@dataclass(frozen=True, slots=True)
class CalibrationCurve:
    """Mean score, observed rate and number of labels of each bin, ascending; each of shape (bins,)."""

    mean_score: NDArray[np.float64]
    rate: NDArray[np.float64]
    size: NDArray[np.int64]


def calibration_curve(labels: ArrayLike, scores: ArrayLike, bins: int = CALIBRATION_BINS) -> CalibrationCurve:
    """Observed rates in equal-mass bins: cut at quantiles of the score, equal scores not parted, empty bins omitted."""
    y, p = _flat(labels, scores)
    edges = np.quantile(p, np.arange(1, bins) / bins, method="higher")
    where = np.searchsorted(edges, p, side="right")
    size = np.bincount(where, minlength=bins)
    used = size > 0
    sums = [np.bincount(where, weights=w, minlength=bins)[used] / size[used] for w in (p, y)]
    return CalibrationCurve(sums[0], sums[1], size[used])


def calibration_error(labels: ArrayLike, scores: ArrayLike, bins: int = CALIBRATION_BINS) -> float:
    """Expected calibration error: Σ (bin's share) · |mean score − observed rate| over bins of `calibration_curve`."""
    curve = calibration_curve(labels, scores, bins)
    return float(np.average(np.abs(curve.mean_score - curve.rate), weights=curve.size))


def selection_weights(scores: ArrayLike, fraction: float = TOP_FRACTION) -> NDArray[np.float64]:
    """How much of each score is among the top ``fraction``: 1 above the threshold, 0 below, equal parts at a tie."""
    p = np.asarray(scores, dtype=np.float64)
    wanted = max(1, round(fraction * p.size))
    threshold = np.partition(p.ravel(), p.size - wanted)[p.size - wanted]
    above, at = p > threshold, p == threshold
    return np.asarray(above + at * ((wanted - above.sum()) / at.sum()))


def precision_at_top(labels: ArrayLike, scores: ArrayLike, fraction: float = TOP_FRACTION) -> float:
    """Share of positives among the top ``fraction`` of all scores, over all households, days and slots together."""
    y, p = _flat(labels, scores)
    weights = selection_weights(p, fraction)
    return float((weights * y).sum() / weights.sum())


def top_slot_hits(labels: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    """For each row of (rows, slots): does a basket start in the slot with the highest score? NaN for rows without.

    If several slots share the highest score: the share of them in which a basket starts.
    """
    y, p = np.asarray(labels) > 0, np.asarray(scores)
    best = p == p.max(axis=-1, keepdims=True)
    hits = (best & y).sum(axis=-1) / best.sum(axis=-1)
    return np.where(y.any(axis=-1), hits, np.nan)


def top_slot_hit_rate(labels: ArrayLike, scores: ArrayLike) -> float:
    """Of the household-days with a basket in some slot, the share whose highest-scored slot has one; (rows, slots)."""
    return float(np.nanmean(top_slot_hits(labels, scores)))


@dataclass(frozen=True, slots=True)
class Metrics:
    """All metrics of one set of scores. Log-loss in nats per slot; the others are unit-free."""

    log_loss: float
    auc: float
    brier: float
    calibration_error: float
    precision_top_5_percent: float
    top_slot_hit_rate: float

    def as_dict(self) -> dict[str, float]:
        """Values by name, for JSON."""
        return asdict(self)


def measure(labels: ArrayLike, scores: ArrayLike) -> Metrics:
    """All metrics for labels and scores of shape (rows, slots)."""
    return Metrics(
        log_loss=log_loss(labels, scores),
        auc=auc(labels, scores),
        brier=brier(labels, scores),
        calibration_error=calibration_error(labels, scores),
        precision_top_5_percent=precision_at_top(labels, scores),
        top_slot_hit_rate=top_slot_hit_rate(labels, scores),
    )
