"""An audit's coordinates stand behind the statistics, share the clip norm with the parameters, and cost nothing."""

import dataclasses

import numpy as np
import pytest

from tactful.federation import ParticipationPolicy, check_plan, refusals
from tactful.federation.participant import _encode

from .round_world import CEILING, HALF_RANGE_UNITS, NOW_UNIX_S, PARAMETERS, Federation

CANARIES = 9


@pytest.fixture(scope="module")
def federation():
    return Federation()


@pytest.fixture(scope="module")
def plan(federation):
    return dataclasses.replace(federation.plan, canaries=CANARIES)


def test_a_canary_lands_on_its_own_coordinate_with_the_whole_clip_norm(plan):
    """A row pushing at one audit coordinate leaves C there, less the room for rounding, and zero everywhere else."""
    row = np.zeros((1, plan.dimension))
    row[0, PARAMETERS + 1 + 4] = 8 * plan.clip_norm
    total = _encode(plan, row)
    assert plan.clip_units - 5 <= total[PARAMETERS + 1 + 4] <= plan.clip_units
    assert np.count_nonzero(total) == 1


def test_parameters_statistics_and_canaries_keep_their_places(plan):
    """Encoded coordinates stand in the plan's order; the statistic is clamped by itself."""
    row = np.arange(1.0, plan.dimension + 1)[None] * 1e-4
    row[0, PARAMETERS] = -99.0
    total = _encode(plan, row) * plan.grid
    assert total[PARAMETERS] == -HALF_RANGE_UNITS * plan.grid
    rest = np.delete(total, PARAMETERS)
    assert rest == pytest.approx(np.delete(row[0], PARAMETERS), abs=2 * plan.grid)


def test_parameters_and_canaries_share_one_clip(plan):
    """The norm over both together is at most C."""
    row = np.full((1, plan.dimension), 100.0)
    total = _encode(plan, row)
    assert np.sqrt((np.delete(total, PARAMETERS) ** 2).sum()) <= plan.clip_units


def test_a_policy_counts_canaries_apart_from_the_model(plan, federation):
    """Canaries do not use up the model's dimension, and have a ceiling of their own."""
    small = ParticipationPolicy(max_rho_per_round=CEILING, max_dimension=PARAMETERS + 1, max_canaries=CANARIES)
    check_plan(plan, federation.roster, small, NOW_UNIX_S, None)
    strict = dataclasses.replace(small, max_canaries=CANARIES - 1)
    with pytest.raises(refusals.TooLarge, match="canaries"):
        check_plan(plan, federation.roster, strict, NOW_UNIX_S, None)
