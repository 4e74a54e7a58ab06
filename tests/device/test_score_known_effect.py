"""With a shared effect in the model a push is scored by its hazard, its message, its value and what it takes later."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from tactful import pacing, policy, scoring, steady
from tactful.features import DIMENSION
from tactful.guardrails import openings
from tactful.model import HAZARD_BASE_LOGIT, Model, dosage
from tactful.types import Candidate
from tactful_privacy.errors import InvalidInput

from .policy_world import NOON, SHOES, FakePersonal, push, view

PUSHES = (push(NOON - timedelta(hours=30)), push(NOON - timedelta(days=4)))


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def features(seed=4):
    phi = np.random.default_rng(seed).uniform(0, 0.6, (8, 7, DIMENSION)).astype(np.float32)
    phi[..., 0] = 1.0
    return phi


def model_of(**changes):
    rng = np.random.default_rng(9)
    value = rng.normal(0, 0.5, DIMENSION)
    hazard = rng.normal(0, 0.1, DIMENSION)
    return replace(Model.warm_start(), message_hazard=np.array([-0.4, 0.3]), value=value, hazard=hazard, **changes)


def seen(model=None, **changes):
    return view(**{"model": model or model_of(), "phi": features(), "pushes": PUSHES, **changes})


@pytest.mark.parametrize("multiplier", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("message", [(False, None), (True, None), (False, "autumn"), (True, "autumn")])
def test_every_term_is_its_formula(message, multiplier):
    """Value, opt-out and fatigue of the decision now, computed by hand from model, message, dosage and frequency."""
    who = FakePersonal(push_intercept=0.2, fatigue_multiplier=multiplier)
    world = seen(personal=who)
    offer = replace(SHOES, own_reason=message[0], campaign=message[1])
    decision = policy.decide(world, [offer], decision_id="d", seed=b"s")
    base = scoring.forms(world, openings(world))
    now = base.openings.index_of(NOON.timestamp())
    day, slot = base.openings.day[now], base.openings.slot[now]
    phi, model, m = (
        world.phi[day, slot].astype(float),
        world.model,
        np.array([message[0], message[1] is not None], float),
    )
    doses = dosage(np.array([(NOON - p.at).total_seconds() / 86_400 for p in PUSHES]))
    eta = phi @ model.alpha + who.activity_intercept + who.activity_slots[slot]
    effect = phi @ model.beta + model.activity_effect[0] * (phi @ model.alpha + 3.0) + m @ model.message_effect
    effect += who.push_intercept - multiplier * (doses @ model.kappa)
    hazard = HAZARD_BASE_LOGIT + phi @ model.hazard + m @ model.message_hazard + (doses + 1) @ model.hazard_dosage
    worth = float(dict(decision.reasons[0].detail)["worth_minor"]) * np.clip(1 + phi @ model.value, 0.25, 4.0)
    terms = {r.code[5:]: r.contribution for r in decision.reasons if r.code.startswith("term_")}
    assert decision.basis == "prior"  # the warm start's effect: assumed, not learned
    if decision.at == NOON:
        assert terms["value"] == pytest.approx(worth * (sigmoid(eta + effect) - sigmoid(eta)), rel=1e-6)
        assert terms["opt_out"] == pytest.approx(-world.settings.opt_out_cost_minor * sigmoid(hazard), rel=1e-6)
    if decision.action == "send":
        said = dict(decision.reasons[0].detail)
        assert float(said["expected"]) == pytest.approx(sigmoid(eta + effect), rel=1e-6)
        assert float(said["strain"]) == pytest.approx(doses @ model.kappa, rel=1e-9)
    rested = scoring.outlook(world, base, np.zeros(3))
    often = pacing.frequency(world, rested)
    usual = pacing.usual_opening(world, rested, np.zeros(2))
    costs = steady.Costs(multiplier * model.kappa, model.hazard_dosage, world.settings.opt_out_cost_minor)
    k = steady.best_frequency(steady.steady_utility(usual, costs, world.settings.guardrails.max_per_week))
    assert terms["fatigue"] == pytest.approx(-steady.future_cost(usual, costs, k)[0], rel=1e-12)
    assert often.budget >= k[0]
    assert decision.weekly_budget == often.budget


def test_a_message_with_a_reason_of_ones_own_scores_higher():
    """Under the warm start the same message is worth more where the person gave a reason for it."""
    scores = [
        policy.decide(seen(), [replace(SHOES, own_reason=own)], decision_id="d", seed=b"s").score_minor
        for own in (False, True)
    ]
    assert scores[1] > scores[0]


def test_who_tires_faster_is_pushed_less_often():
    """The weekly budget never rises with the personal fatigue multiplier, and falls in all."""
    model = model_of()
    budgets = [
        policy.weekly_budget(seen(model, personal=FakePersonal(fatigue_multiplier=by))) for by in (0.2, 1.0, 4.0, 20.0)
    ]
    assert budgets == sorted(budgets, reverse=True)
    assert budgets[0] > budgets[-1]


def test_the_basis_is_learned_once_the_effect_differs_from_both_public_starts():
    """Prior and warm start, also after their passage through float32, are "prior"; a moved effect is "learned"."""
    warm = Model.warm_start()
    through = Model.from_parameters(warm.to_parameters().astype(np.float32).astype(float), version="m-1")
    moved = replace(warm, beta=warm.beta + 0.01)
    for model, basis in ((Model.prior(), "prior"), (warm, "prior"), (through, "prior"), (moved, "learned")):
        assert scoring.basis(seen(model)) == basis


def test_a_plan_stays_within_its_budget_and_is_explained():
    """The week's plan under the warm start uses at most k openings, each with terms that add up to its score."""
    world = seen()
    plan = policy.week_plan(world, [SHOES])
    assert 0 < len(plan.chosen) <= plan.budget == policy.weekly_budget(world)
    for slot in plan.chosen:
        assert sum(r.contribution for r in slot.reasons if r.code.startswith("term_")) == slot.score_minor


def test_a_reason_of_ones_own_is_true_or_false():
    """Anything but a truth value is refused, and the field survives the log."""
    with pytest.raises(InvalidInput, match="own_reason"):
        Candidate(id="c", category="shoes", own_reason=1)
    offer = Candidate(id="c", category="shoes", own_reason=True)
    assert Candidate.from_dict(offer.to_dict()) == offer
