"""The statistic ``sends``: the vault's own number, of which no trainer needs to know."""

import dataclasses
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from tactful.clock import zone
from tactful.host import Host
from tactful.training import UnknownTask
from tactful_privacy.mechanisms.sends import MOST_SENDS, SENDS, SENDS_CAP, scaled
from tactful_privacy.wire import RoundPlan

WEEK_D = 7


def for_trainer(plan: RoundPlan) -> RoundPlan:
    """Return the plan as a trainer sees it: without ``sends`` among its statistics."""
    others = tuple(statistic for statistic in plan.statistics if statistic.name != SENDS)
    return plan if len(others) == len(plan.statistics) else dataclasses.replace(plan, statistics=others)


def with_sends(plan: RoundPlan, updates: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return a trainer's rows with each device's pushes in their place among the statistics.

    Args:
        plan: the round's.
        updates: shape (n, length of the blocks + other statistics).
        counts: pushes of the last seven finished days, shape (n,).

    Raises:
        UnknownTask: the plan's cap is absent or none that could be meant.
    """
    names = [statistic.name for statistic in plan.statistics]
    cap = float(dict(plan.settings).get(SENDS_CAP, 0))
    if not 1 <= cap <= MOST_SENDS:
        raise UnknownTask(f"is {cap:g}", field=SENDS_CAP, remedy=f"plan a cap of 1 to {MOST_SENDS} pushes")
    at = names.index(SENDS)
    half_range = plan.statistics[at].half_range_units * plan.grid
    column = sum(block.length for block in plan.layout) + at
    return np.insert(updates, column, scaled(counts, cap, half_range), axis=1)


def counts(host: Host, devices: Sequence[int]) -> NDArray[np.int64]:
    """Return each device's promotional pushes of its last seven finished local days, shape (n,)."""
    return np.array([_count(host, device) for device in devices], dtype=np.int64)


def _count(host: Host, device: int) -> int:
    state = host.state(device)
    local = zone(state.profile.timezone)
    today = host.now().astimezone(local).date()
    days = (push.at.astimezone(local).date() for push in state.pushes.values() if push.kind == "promotional")
    return sum(today - timedelta(days=WEEK_D) <= day < today for day in days)
