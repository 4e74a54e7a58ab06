"""The rehearsed policy scores a push as the SDK does: features, personal layer, dosage and prices in, the same S out.

Left out of the comparison, since the rehearsal does it otherwise: groups come from the seed and not from a salted hash,
there is no discount within a day, no pacing price μ, Var η is not in the spread, and the best k is that of a mixture of
messages with and without a reason, where the SDK takes the larger of the two.
"""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from tactful import guardrails, pacing, scoring, steady
from tactful.settings import GuardrailSettings, PolicySettings
from tactful.types import DeviceView, PacingState, PushRecord
from tactful_lab.worlds import World, rehearse, tuning_seeds
from tactful_lab.worlds.learner import make_learner

N, C_OUT, SESSION = 60, 80.0, 20.0
MONDAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def block():
    """Devices on a Monday morning after a warm-up and two weeks with pushes, their day worked out."""
    world = World("main", N, tuning_seeds(1)[0])
    learner = make_learner(world, variant="central")
    rehearse(world, learner, 2, warmup_weeks=4)
    learner.block.morning(world.view())
    return learner.block


def device(block, person, ages_h, **settings):
    """The SDK's view of one person who got pushes so many hours ago; every coming day looks like today."""
    chosen = {"reference_value_minor": SESSION, "opt_out_cost_minor": C_OUT, "unknown_interest": 1.0, **settings}
    return DeviceView(
        now=NOW,
        timezone="UTC",
        salt=b"salt",
        consents=frozenset({"on_device_personalisation", "marketing_push"}),
        settings=PolicySettings(**chosen),
        model=block.model,
        personal=block.personal.layer(person),
        phi=np.repeat(block.day.phi[person][None], 8, axis=0),
        week=PacingState(MONDAY),
        pushes=tuple(PushRecord(at=NOW - timedelta(hours=h), candidate_id="old", category="toys") for h in ages_h),
    )


@pytest.mark.parametrize("person", range(0, N, 7))
@pytest.mark.parametrize("own_reason", [False, True])
def test_a_push_scores_alike_in_every_slot_of_the_day(block, person, own_reason):
    """To 1e-4 of a minor unit: features and weights are float32 in one and float64 sums in the other."""
    view = device(block, person, [3.0, 40.0, 200.0])
    message = np.array([float(own_reason), 1.0])
    ahead = scoring.outlook(view, scoring.forms(view, guardrails.openings(view)), message=message, future_minor=0.7)
    scores = scoring.score(view, ahead, SESSION, 0.0)
    today = np.flatnonzero(ahead.openings.day == 0)
    block.doses[:, person] = scoring.current_dosage(view)
    ours = block._ahead(message, np.array([person]), 0)[0]
    assert list(ahead.openings.slot[today]) == list(range(7))
    np.testing.assert_allclose(scores.total[today] + 0.7, ours, atol=1e-4)


def test_the_settings_of_the_rehearsal_exist_on_the_device(block):
    """F(k) times its factor is the fatigue charged, and the budget is the best k and the slack, within the cap."""
    rails = GuardrailSettings(max_per_week=14)
    view = device(block, 5, [], future_cost_factor=1.5, budget_slack=5, guardrails=rails)
    plain_view = device(block, 5, [], guardrails=rails)
    rested = scoring.outlook(view, scoring.forms(view, guardrails.openings(view)), np.zeros(3))
    usual = pacing.usual_opening(view, rested, np.zeros(2))
    costs = steady.Costs(block.kappa, block.hazard_dosage, C_OUT)
    k = steady.best_frequency(steady.steady_utility(usual, costs, 14))
    found, without = pacing.frequency(view, rested), pacing.frequency(plain_view, rested)
    assert found.future_minor == pytest.approx(1.5 * float(steady.future_cost(usual, costs, k)[0]), abs=1e-9)
    assert found.future_minor > 0
    assert found.budget == min(14, without.budget + 5)
