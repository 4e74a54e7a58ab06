"""Estimates of μ and ε from an audit's scores: estimates, never bounds.

They assume that scores are independent and Gaussian with one deviation, which holds for the mechanism as designed and
may fail for one that is broken. They see smaller faults than the bounds do; what they find is a reason to look.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import fraction


@dataclass(frozen=True, slots=True)
class MuEstimate:
    """An estimate of μ.

    Attributes:
        mu: separation of the two groups' means in pooled standard deviations.
        low: lower end of the one-sided interval.
        high: upper end of the one-sided interval.
        confidence: of each of the two, one at a time.
    """

    mu: float
    low: float
    high: float
    confidence: float


def gaussian_mu(scores: NDArray[np.float64], inserted: NDArray[np.bool_], confidence: float = 0.95) -> MuEstimate:
    """Estimate μ = (mean of the scores that are in − mean of those that are out)/pooled deviation, with its interval.

    t = μ̂·√(k·l/(k + l)) is noncentral t with k + l − 2 degrees of freedom; its noncentrality is located by a normal
    approximation, t ± q·√(1 + t²/(2(k + l − 2))) (Johnson and Welch 1940, "Applications of the non-central
    t-distribution"; from memory), good to a thousandth of a deviation at hundreds of canaries.

    Args:
        scores: shape (m,).
        inserted: the coins, shape (m,).
        confidence: one-sided, strictly between 0 and 1.

    Raises:
        InvalidInput: shapes differ, or a group has fewer than two scores.
    """
    from scipy.special import ndtri

    fraction(confidence=confidence)
    present, absent = _groups(scores, inserted)
    k, l = len(present), len(absent)  # noqa: E741 - as in the formula
    freedom = k + l - 2
    squares = ((present - present.mean()) ** 2).sum() + ((absent - absent.mean()) ** 2).sum()
    separation = float(present.mean() - absent.mean())
    if squares == 0:
        sure = math.inf if separation > 0 else 0.0
        return MuEstimate(sure, sure, sure, confidence)
    mu = separation / math.sqrt(squares / freedom)
    scale = math.sqrt(k * l / (k + l))
    half = float(ndtri(confidence)) * math.sqrt(1 + (mu * scale) ** 2 / (2 * freedom)) / scale
    return MuEstimate(mu, mu - half, mu + half, confidence)


def clopper_pearson_epsilon(
    scores: NDArray[np.float64], inserted: NDArray[np.bool_], delta: float, confidence: float = 0.95
) -> float:
    """Estimate ε at ``delta`` from the error rates of the midpoint between the groups' means as a threshold.

    ε ≥ log((1 − δ − FNR)/FPR) and the same with the rates exchanged (Kairouz, Oh and Viswanath, arXiv:1311.0776,
    Theorem 2.1), both rates at their Clopper–Pearson upper ends, each at half the error. An estimate, since the
    canaries of one run are not independent runs and the threshold is taken from the same scores.

    Raises:
        InvalidInput: shapes differ, a group has fewer than two scores, or an argument is out of range.
    """
    from scipy.stats import beta

    fraction(confidence=confidence, delta=delta)
    present, absent = _groups(scores, inserted)
    threshold = (present.mean() + absent.mean()) / 2
    level = 1 - (1 - confidence) / 2

    def upper(errors: int, trials: int) -> float:
        return 1.0 if errors == trials else float(beta.ppf(level, errors + 1, trials - errors))

    missed = upper(int((present <= threshold).sum()), len(present))
    false = upper(int((absent > threshold).sum()), len(absent))
    odds = [(1 - delta - missed) / false, (1 - delta - false) / missed]
    return max(0.0, *(math.log(ratio) for ratio in odds if ratio > 0), 0.0)


def _groups(
    scores: NDArray[np.float64], inserted: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if scores.shape != inserted.shape or scores.ndim != 1:
        raise InvalidInput(f"has shape {inserted.shape}", field="inserted", remedy=f"give shape {scores.shape}")
    present, absent = scores[inserted], scores[~inserted]
    if min(len(present), len(absent)) < 2:
        remedy = "use more canaries: each group needs two scores at least"
        raise InvalidInput(f"holds {len(present)} in and {len(absent)} out", field="inserted", remedy=remedy)
    return present, absent
