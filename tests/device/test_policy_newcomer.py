"""Someone of whom nothing is known yet is reached by the public prior alone, with the real features and model."""

from datetime import timedelta

import numpy as np

from tactful import policy
from tactful.features import FeatureBlock
from tactful.model import Model

from .policy_world import NO_CHANCE, NOON, SHOES, FakePersonal, view


def newcomer():
    block, today = FeatureBlock.empty(1), NOON.date()
    phi = np.stack([block.design((today + timedelta(days=ahead)).toordinal())[0] for ahead in range(8)])
    personal = FakePersonal(activity_intercept=0.0, activity_slots=np.zeros(7))
    return view(phi=phi, model=Model.prior(), personal=personal, settings=NO_CHANCE)


def test_a_newcomer_is_reached_on_the_prior():
    """An empty history under the model's prior gives a positive score, a weekly budget and a push."""
    decision = policy.decide(newcomer(), [SHOES], decision_id="d", seed=b"s")
    assert (decision.action, decision.basis) == ("send", "prior")
    assert decision.score_minor > 0
    assert decision.weekly_budget > 0
    assert "general estimate" in decision.text()
