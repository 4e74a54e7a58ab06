"""The quantile bit of adaptive clipping: the participant's own statistic, of which no trainer needs to know."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.mechanisms.adaptive_clip import CLIP_BIT, clip_bits
from tactful_privacy.wire import RoundPlan


def for_training(plan: RoundPlan) -> RoundPlan:
    """Return the plan as a trainer sees it: without the clip bit among its statistics."""
    others = tuple(statistic for statistic in plan.statistics if statistic.name != CLIP_BIT)
    return plan if len(others) == len(plan.statistics) else dataclasses.replace(plan, statistics=others)


def with_clip_bit(plan: RoundPlan, updates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a trainer's rows with each device's clip bit in its place among the statistics.

    Args:
        plan: as signed.
        updates: shape (n, dimension of `for_training`): parameters, other statistics, an audit's coordinates.
    """
    names = [statistic.name for statistic in plan.statistics]
    if CLIP_BIT not in names:
        return updates
    end = plan.dimension - plan.canaries
    parameters = end - len(names)
    clipped = np.delete(updates, np.s_[parameters : end - 1], axis=1)
    half_range = plan.statistics[names.index(CLIP_BIT)].half_range_units * plan.grid
    bits = clip_bits(clipped, plan.clip_norm, half_range)
    return np.insert(updates, parameters + names.index(CLIP_BIT), bits, axis=1)
