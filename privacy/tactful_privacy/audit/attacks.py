"""The arithmetic of two attacks: was this person in the training, and what does a contribution say about a person.

Membership follows LiRA (Carlini et al., arXiv:2112.03570): shadow runs with and without a person give two distributions
of a statistic of the released model, and the likelihood ratio of the statistic seen is the score. What any attack on a
mu-GDP release can reach is its trade-off curve (Dong, Roth and Su, arXiv:1905.02383):
TPR <= Phi(Phi^-1(FPR) + mu), whose area under the curve is Phi(mu / sqrt(2)).

Nothing here knows a federation: the laboratory runs the attacks and hands over numbers.
"""

import math
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least, fraction

Array = NDArray[np.float64]
_NORMAL = NormalDist()
_SMALLEST_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class AttackRow:
    """One attack under one condition.

    Attributes:
        attack: its name.
        condition: what protected the data.
        figure: what is measured, with its unit.
        value: the figure.
        low: lower end of its 95 % interval.
        high: upper end.
        chance: what guessing reaches.
        limit: the most that the theory allows; None where it says nothing about this figure.
        cases: people, or people times runs, behind the figure.
    """

    attack: str
    condition: str
    figure: str
    value: float
    low: float
    high: float
    chance: float
    limit: float | None
    cases: int

    @property
    def succeeds(self) -> bool:
        """Whether the interval lies above guessing."""
        return self.low > self.chance

    @property
    def within_theory(self) -> bool:
        """Whether the interval does not lie above what the theory allows."""
        return self.limit is None or self.low <= self.limit

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, the two verdicts among them."""
        return {**asdict(self), "succeeds": self.succeeds, "within_theory": self.within_theory}


def likelihood_ratio(seen: Array, inside: Array, outside: Array) -> Array:
    """Return the log-likelihood ratio "in" against "out" of statistics under two normal distributions.

    Args:
        seen: statistics of the attacked runs, shape (runs, people).
        inside: statistics of shadow runs with the person, shape (shadows, people), NaN where it was out.
        outside: the same without the person, NaN where it was in.

    Returns:
        Shape (runs, people); higher means "in".

    Raises:
        InvalidInput: a person has fewer than two shadow runs on either side.
    """
    for name, side in (("inside", inside), ("outside", outside)):
        if (np.isfinite(side).sum(axis=0) < 2).any():
            raise InvalidInput("has fewer than 2 runs for a person", field=name, remedy="run more shadows")
    return np.asarray(_log_density(seen, inside) - _log_density(seen, outside))


def _log_density(seen: Array, shadows: Array) -> Array:
    mean, std = np.nanmean(shadows, axis=0), np.nanstd(shadows, axis=0, ddof=1)
    # One person's few shadows give a poor deviation; never below a share of the typical one.
    std = np.maximum(std, _SMALLEST_SHARE * np.median(std) + np.finfo(float).tiny)
    return np.asarray(-0.5 * ((seen - mean) / std) ** 2 - np.log(std))


def auc(scores: Array, member: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve: how often a member outscores a non-member, ties counting half."""
    inside, outside = np.sort(scores[member]), np.sort(scores[~member])
    at_least(1, members=len(inside), others=len(outside))
    below = np.searchsorted(outside, inside, "left") + np.searchsorted(outside, inside, "right")
    return float(below.sum() / (2.0 * len(inside) * len(outside)))


def true_positive_rate(scores: Array, member: NDArray[np.bool_], false_positive_rate: float) -> float:
    """Return the share of members found at the threshold which that share of non-members exceeds."""
    fraction(false_positive_rate=false_positive_rate)
    outside = np.sort(scores[~member])[::-1]
    allowed = math.floor(false_positive_rate * len(outside))
    threshold = outside[min(allowed, len(outside) - 1)]
    return float((scores[member] > threshold).mean())


def auc_limit(mu: float) -> float:
    """Return the greatest AUC of any attack on a mu-GDP release, Phi(mu / sqrt(2)); 1 for an infinite mu."""
    at_least(0, mu=mu)
    return 1.0 if math.isinf(mu) else _NORMAL.cdf(mu / math.sqrt(2.0))


def true_positive_limit(mu: float, false_positive_rate: float) -> float:
    """Return the greatest true positive rate at that false positive rate, Phi(Phi^-1(FPR) + mu)."""
    at_least(0, mu=mu)
    fraction(false_positive_rate=false_positive_rate)
    return 1.0 if math.isinf(mu) else _NORMAL.cdf(_NORMAL.inv_cdf(false_positive_rate) + mu)


def fit_linear(features: Array, targets: Array, ridge: float) -> Array:
    """Return weights (k + 1, m) of a ridge regression with intercept from features (n, k) to targets (n, m).

    Features are standardised inside, so that one ridge suits any scale; constant ones count as zero.
    """
    x, mean, scale = _standardised(features)
    centre = targets.mean(axis=0)
    inner = np.linalg.solve(x.T @ x + ridge * len(x) * np.eye(x.shape[1]), x.T @ (targets - centre))
    weights = inner / scale[:, None]
    return np.vstack([weights, centre - mean @ weights])


def _standardised(features: Array) -> tuple[Array, Array, Array]:
    mean, std = features.mean(axis=0), features.std(axis=0)
    scale = np.where(std > 0, std, 1.0)
    return (features - mean) / scale, mean, scale


def predict_linear(weights: Array, features: Array) -> Array:
    """Return the predictions (n, m) of `fit_linear`'s weights."""
    return np.asarray(features @ weights[:-1] + weights[-1])


def mean_correlation(found: Array, true: Array) -> Array:
    """Return, for each person, the correlation of the found and the true profile over its parts, shape (n,).

    Both are centred on the average profile of all people, so that knowing the average person gains nothing.
    """
    a, b = found - found.mean(axis=0), true - true.mean(axis=0)
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.where(size > 0, (a * b).sum(axis=1) / np.where(size > 0, size, 1.0), 0.0)


def interval_of_mean(values: Array) -> tuple[float, float]:
    """Return the 95 % normal interval of a mean of independent values, shape (n,)."""
    half = 1.96 * float(values.std(ddof=1)) / math.sqrt(len(values))
    return float(values.mean()) - half, float(values.mean()) + half
