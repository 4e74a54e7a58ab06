"""The outcome model of the doubly robust estimators: one ridge regression for each action, fitted across persons.

A person's predictions come from a model that saw none of that person's decisions, so the model's error is independent
of the person's residuals and the doubly robust estimate stays unbiased for any model.
"""

import numpy as np
from numpy.typing import NDArray

from tactful_lab.evaluation.estimators import Modelled
from tactful_lab.evaluation.log import PushLog
from tactful_privacy.errors import InvalidInput

Floats = NDArray[np.float64]
FOLDS = 5
RIDGE = 1.0
MOST_SLOTS = 200


def features(log: PushLog) -> Floats:
    """Intercept, standardised context and controls, and a column for each slot but the first, (n, d).

    Raises:
        InvalidInput: More than 200 slots: the column is no slot.
    """
    parts = [np.ones((log.n, 1))]
    for block in (log.context, log.controls):
        if block is not None and log.n:
            spread = block.std(axis=0)
            parts.append((block - block.mean(axis=0)) / np.where(spread > 0, spread, 1.0))
    if log.slot is not None:
        labels, where = np.unique(log.slot.astype(str), return_inverse=True)
        if len(labels) > MOST_SLOTS:
            remedy = "map a column with a few time windows"
            raise InvalidInput(f"has {len(labels)} values, at most {MOST_SLOTS}", field="slot", remedy=remedy)
        parts.append((where[:, None] == np.arange(1, len(labels))).astype(np.float64))
    return np.hstack(parts)


def cross_fitted(x: Floats, y: Floats, sent: NDArray[np.bool_], user: NDArray[np.int64], *, seed: int) -> Modelled:
    """Predictions of both actions, each from the folds without the person.

    Args:
        x: Features with the intercept first, (n, d).
        y: Outcome, (n,).
        sent: Action, (n,).
        user: Person, (n,).
        seed: Of the assignment of persons to folds.
    """
    people, where = np.unique(user, return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(len(people)) % FOLDS)[where]
    stay, send = (_one_action(x, y, sent == action, fold) for action in (False, True))
    return Modelled(stay, send)


def _one_action(x: Floats, y: Floats, rows: NDArray[np.bool_], fold: NDArray[np.int64]) -> Floats:
    grams, sides = [], []
    for k in range(FOLDS):
        part = x[rows & (fold == k)]
        grams.append(part.T @ part)
        sides.append(part.T @ y[rows & (fold == k)])
    penalty = RIDGE * np.eye(x.shape[1])
    penalty[0, 0] = 1e-9  # the intercept is free; an action that a fold never saw is predicted 0
    predicted = np.empty(len(x))
    for k in range(FOLDS):
        coefficients = np.linalg.solve(sum(grams) - grams[k] + penalty, sum(sides) - sides[k])
        predicted[fold == k] = x[fold == k] @ coefficients
    return predicted
