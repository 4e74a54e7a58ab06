"""Small plans on which a host tries itself; nothing of them ever leaves it."""

from functools import cache

from tactful_privacy.accounting.modes import DISTRIBUTED
from tactful_privacy.secagg.testing import make_plan, make_roster
from tactful_privacy.wire import Block, KeyDirectory, RoundPlan, Statistic

GRID_EXPONENT = 10
CLIP_UNITS = 4_000
PARAMETERS = 6
HALF_RANGE_UNITS = 500
LOSS = PARAMETERS
"""Place of the one statistic, behind the parameters."""
CANARY = LOSS + 1
"""Place of the one audit coordinate, behind the statistics. It shares the clip norm with the parameters."""


@cache
def _roster() -> KeyDirectory:
    return make_roster(3)[0]


def noise_plan(variance: int, dimension: int, mode: str = DISTRIBUTED) -> RoundPlan:
    """Return a plan with this noise of one host (or device), in squared grid units, over so many coordinates."""
    return make_plan(_roster(), n_min=3, dimension=dimension, noise_variance_units=variance, mode=mode)


def encoding_plan(norm_bound_squared: int = CLIP_UNITS**2 + HALF_RANGE_UNITS**2) -> RoundPlan:
    """Return a plan of six parameters, a statistic and a canary; a smaller norm bound makes the norm check speak."""
    return make_plan(
        _roster(),
        n_min=3,
        layout=(Block("alpha", PARAMETERS),),
        statistics=(Statistic("loss", HALF_RANGE_UNITS),),
        clip_units=CLIP_UNITS,
        grid_exponent=GRID_EXPONENT,
        norm_bound_squared=norm_bound_squared,
        canaries=1,
    )
