"""Scores of the shared model, without and with the personal layer: the device's own code, replayed day by day."""

import numpy as np
from numpy.typing import NDArray

from tactful.features import FeatureBlock
from tactful.personal import PersonalBlock
from tactful.training import WARM_UP_DAYS
from tactful_lab.slots.baselines import Scores
from tactful_lab.slots.task import SlotTask, Split


def model_scores(task: SlotTask, alpha: NDArray[np.float64], split: Split, *, personal: bool) -> Scores:
    """Probabilities of each slot of the split's days, shape (N, days, 7), each from the evening before.

    The personal layer starts with a device's first training row and learns every evening, also within the split: on a
    device nothing stops on the first of December.

    Args:
        task: the households.
        alpha: the shared activity head, shape (D,).
        split: whose days are scored.
        personal: whether to add the personal layer.
    """
    days = task.days(split)
    scores: Scores = np.zeros((task.n_households, len(days), task.activity.shape[2]), dtype=np.float32)
    features, layer = FeatureBlock.empty(task.n_households), PersonalBlock(task.n_households)
    for day in range(days.stop):
        ordinal, used = task.start_ordinal + day, task.activity[:, day]
        if personal or day in days:
            logits = (features.design(ordinal) @ alpha.astype(np.float32)).astype(np.float64)
            if day in days:
                scores[:, day - days.start] = 1.0 / (1.0 + np.exp(-(logits + layer.offsets())))
            if personal:
                layer.update_activity(logits, used, day >= task.first_day + WARM_UP_DAYS)
        features.close_day(ordinal, used)
    return scores
