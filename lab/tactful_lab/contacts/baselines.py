"""Contact response without a federation: rates, and one logistic regression on everybody's contacts in one place.

Rates know only labels of the fitted contacts. All scores are probabilities of shape (n,), in the task's order.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from tactful_lab.contacts.records import Floats, Ints
from tactful_lab.slots.logistic import loss_and_gradient

Rows = NDArray[np.bool_]
_MAX_ITERATIONS = 1000
_TOLERANCE = 1e-6


def global_rate(label: NDArray[np.int8], fitted: Rows) -> Floats:
    """The share of fitted contacts that are redeemed, for every contact."""
    return np.full(len(label), label[fitted].mean())


def rate_by(group: Ints, label: NDArray[np.int8], fitted: Rows, strength: float) -> Floats:
    """Redeemed share of the fitted contacts of the same group, with ``strength`` contacts of the global rate added."""
    size = int(group.max()) + 1
    redeemed = np.bincount(group[fitted], weights=label[fitted], minlength=size)
    contacts = np.bincount(group[fitted], minlength=size)
    rate = (redeemed + strength * label[fitted].mean()) / (contacts + strength)
    return np.asarray(rate[group], dtype=np.float64)


def fit_logistic(x: Floats, label: NDArray[np.int8], penalty: float) -> Floats:
    """Parameters (D,) of the pooled logistic with ½·penalty·‖θ‖² beside the summed log-loss."""
    found = minimize(
        loss_and_gradient,
        np.zeros(x.shape[1]),
        args=(x.astype(np.float32), label.astype(np.float32), penalty),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _MAX_ITERATIONS, "gtol": _TOLERANCE},
    )
    return np.asarray(found.x, dtype=np.float64)


def scores(theta: Floats, x: Floats) -> Floats:
    """Probabilities of each contact, shape (n,)."""
    return np.asarray(expit(x @ theta), dtype=np.float64)
