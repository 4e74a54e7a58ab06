"""Two logistic regressions on the device's features: pooled in one place, and each household on its own.

The centralised one is what the federation may at best come close to; the local-only one is a negative control.
The features contain their own constant, so neither has a separate intercept.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from tactful_lab.slots.design import Design
from tactful_lab.slots.metrics import log_loss
from tactful_lab.slots.settings import SlotSettings

_CHUNK_ROWS = 200_000
_NEWTON_STEPS = 12


@dataclass(frozen=True, slots=True)
class CentralFit:
    """The pooled model: parameters (D,), the penalty chosen on November, November's log-loss."""

    theta: NDArray[np.float64]
    penalty: float
    tune_log_loss: float


def row_scores(theta: NDArray[np.float64], design: Design) -> NDArray[np.float32]:
    """Probabilities of each row, shape (rows, 7)."""
    scores: NDArray[np.float32] = expit(design.x @ theta.astype(np.float32))
    return scores


def loss_and_gradient(
    theta: NDArray[np.float64], x: NDArray[np.float32], y: NDArray[np.float32], penalty: float
) -> tuple[float, NDArray[np.float64]]:
    """Mean of log-losses + penalty/2·‖θ‖² over n labels, and its gradient; x (n, D) is read in chunks."""
    loss, gradient = 0.0, np.zeros_like(theta)
    for start in range(0, len(y), _CHUNK_ROWS):
        part, label = x[start : start + _CHUNK_ROWS], y[start : start + _CHUNK_ROWS]
        margin = part @ theta.astype(np.float32)
        loss += float((np.logaddexp(0, margin) - label * margin).sum(dtype=np.float64))
        gradient += part.T @ (expit(margin) - label)
    n = len(y)
    return (loss + 0.5 * penalty * float(theta @ theta)) / n, (gradient + penalty * theta) / n


def fit_central(train: Design, tune: Design, settings: SlotSettings) -> CentralFit:
    """L-BFGS on all training rows at once, the penalty chosen on November; each fit starts from the last."""
    x, y = train.flat()
    theta = np.zeros(train.dimension)
    fits = []
    for penalty in sorted(settings.central_penalty, reverse=True):
        found = minimize(
            loss_and_gradient,
            theta,
            args=(x, y, penalty),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": settings.central_max_iterations, "gtol": settings.central_tolerance},
        )
        theta = np.asarray(found.x, dtype=np.float64)
        fits.append(CentralFit(theta, penalty, log_loss(tune.y, row_scores(theta, tune))))
    return min(fits, key=lambda fit: fit.tune_log_loss)


@dataclass(frozen=True, slots=True)
class LocalFit:
    """One model for each household: parameters (N, D), offsets (N,), the common penalty, November's log-loss."""

    theta: NDArray[np.float64]
    offset: NDArray[np.float64]
    penalty: float
    tune_log_loss: float

    def row_scores(self, design: Design) -> NDArray[np.float32]:
        """Probabilities of each row by its own household's model, shape (rows, 7)."""
        theta = self.theta.astype(np.float32)[design.household]
        margin = np.einsum("rsd,rd->rs", design.x, theta) + self.offset[design.household, None].astype(np.float32)
        scores: NDArray[np.float32] = expit(margin)
        return scores


def _newton(x: NDArray[np.float64], y: NDArray[np.float64], offset: float, penalty: float) -> NDArray[np.float64]:
    """Ridge logistic of one household, x (n, D), from zero; few steps suffice since the penalty keeps it well-posed."""
    theta = np.zeros(x.shape[1])
    for _ in range(_NEWTON_STEPS):
        p = expit(x @ theta + offset)
        gradient = x.T @ (p - y) + penalty * theta
        if np.abs(gradient).max() < 1e-6:
            break
        hessian = (x * (p * (1 - p))[:, None]).T @ x
        hessian[np.diag_indices_from(hessian)] += penalty
        theta -= np.linalg.solve(hessian, gradient)
    return theta


def fit_local(train: Design, tune: Design, n_households: int, penalties: Iterable[float]) -> LocalFit:
    """Each household's own ridge logistic; the penalty, common to all, is chosen on November.

    A household's offset is the logit of its own positive rate, (k + ½)/(n + 1), so that what is shrunk is a deviation
    from it. Households without training rows keep the offset alone, that of an empty history.
    """
    ends = np.searchsorted(train.household, np.arange(n_households + 1))
    rate = np.full(n_households, 0.5 / 29)
    fits = []
    for penalty in penalties:
        theta = np.zeros((n_households, train.dimension))
        for household, (start, stop) in enumerate(pairwise(ends)):
            if start == stop:
                continue
            y = train.y[start:stop].ravel().astype(np.float64)
            rate[household] = (y.sum() + 0.5) / (len(y) + 1)
            x = train.x[start:stop].reshape(len(y), -1).astype(np.float64)
            theta[household] = _newton(x, y, float(logit(rate[household])), penalty)
        fit = LocalFit(theta, logit(rate), penalty, np.inf)
        fits.append(LocalFit(theta, fit.offset, penalty, log_loss(tune.y, fit.row_scores(tune))))
    return min(fits, key=lambda fit: fit.tune_log_loss)
