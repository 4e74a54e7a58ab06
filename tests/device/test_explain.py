"""An explanation adds up: terms to the score exactly, contributions to their term by the named path method."""

import json
import math
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tactful import attribution, explain, guardrails, planning, policy, ranking, scoring
from tactful.attribution import attribute, bell, bell_slope, logistic, logistic_slope
from tactful.features import DIMENSION
from tactful.model import MESSAGE, Model
from tactful.types import Candidate
from tactful_privacy.errors import InvalidInput

from .policy_world import (
    ALL_POLICY,
    NO_CHANCE,
    NOON,
    SHOES,
    FakeModel,
    FakePersonal,
    evening_person,
    learned,
    phi,
    push,
    view,
)

FUNCTIONS = [(logistic, logistic_slope), (bell, bell_slope)]
PUSHES = tuple(push(NOON - timedelta(hours=h)) for h in (30, 90, 200))
PARTS = st.lists(st.floats(-4, 4), min_size=1, max_size=30).map(np.array)


def worlds():
    model, personal = learned()
    return {
        "prior": view(pushes=PUSHES),
        "answered": view(personal=personal, pushes=PUSHES),
        "learned": view(model=model, personal=personal, pushes=PUSHES),
        "warm": warm(),
    }


def warm(**changes):
    """A person who tires twice as fast as others, seen by the warm start with every block of it in use."""
    rng = np.random.default_rng(8)
    model = replace(
        Model.warm_start(),
        message_hazard=np.array([-0.3, 0.2]),
        value=rng.normal(0, 0.3, DIMENSION),
        hazard=np.full(DIMENSION, 0.05),
    )
    features = rng.uniform(0, 0.6, (8, 7, DIMENSION)).astype(np.float32)
    features[..., 0] = 1.0
    personal = FakePersonal(push_intercept=0.1, fatigue_multiplier=2.0)
    return view(**{"model": model, "personal": personal, "phi": features, "pushes": PUSHES, **changes})


def ahead_of(seen):
    message = np.array([1.0, 1.0]) if seen.model.version == "warm-start" else np.zeros(2)
    return scoring.outlook(seen, scoring.forms(seen, guardrails.openings(seen)), message=message)


def by_quadrature(gradient, size, steps=20_000):
    """Slow oracle: the path integral along t·x by the midpoint rule."""
    total = np.zeros(size)
    for t in (np.arange(steps) + 0.5) / steps:
        total += gradient(t)
    return total / steps


@pytest.mark.parametrize(("g", "slope"), FUNCTIONS, ids=["logistic", "bell"])
@given(parts=PARTS, start=st.floats(-8, 3))
@settings(max_examples=100, deadline=None)
def test_contributions_are_complete(g, slope, parts, start):
    """Baseline and contributions add up to the value within 1e-12, without any rescaling."""
    contributions, baseline = attribute(g, slope, parts, start)
    assert abs(baseline + contributions.sum() - g(start + parts.sum())) <= 1e-12


@pytest.mark.parametrize(("g", "slope"), FUNCTIONS, ids=["logistic", "bell"])
def test_the_closed_form_is_the_path_integral(g, slope):
    """Against the numerical integral of the gradient along the straight line, to 1e-8."""
    parts = np.random.default_rng(2).normal(0, 1, 6)
    contributions, _ = attribute(g, slope, parts, -1.5)
    numeric = by_quadrature(lambda t: parts * slope(-1.5 + t * parts.sum()), parts.size)
    np.testing.assert_allclose(contributions, numeric, atol=1e-8)


@pytest.mark.parametrize("span", [0.0, 1e-12, 1e-7, 1e-5, 1e-3])
def test_a_short_path_loses_no_digits(span):
    """Where the ends nearly meet, the mean slope still agrees with the slope in the middle to 1e-7."""
    for g, slope in FUNCTIONS:
        assert attribution.mean_slope(g, slope, 0.7, 0.7 + span) == pytest.approx(slope(0.7 + span / 2), abs=1e-7)


@pytest.mark.parametrize("name", ["prior", "answered", "learned", "warm"])
def test_the_parts_of_both_effects_are_complete(name):
    """In every slot of the week the parts of Δp and of Δh add up to it within 1e-12, on every basis."""
    seen = worlds()[name]
    ahead = ahead_of(seen)
    assert ahead.basis == ("learned" if name == "learned" else "prior")
    for index in range(len(ahead.eta)):
        for parts, whole in ((attribution.delta_p, ahead.delta_p), (attribution.delta_h, ahead.delta_h)):
            found = parts(seen, ahead, index)
            assert abs(found.baseline + found.contributions.sum() - whole[index]) <= 1e-12


@pytest.mark.parametrize("end", [-3.0, -0.02, -0.0099, 0.0, 0.005, 0.0101, 2.5])
def test_the_prior_effect_matches_the_path_integral_of_its_gradient(end):
    """(r₀ + T)·bell(η): closed form and series against the integral over t of the gradient, to 1e-8."""
    eta, effect = np.array([end - 0.7, 0.7, 0.0, 0.0]), np.array([0.0, 0.0, 0.3, -0.1])

    def gradient(t):
        grown = attribution.OPEN_RATE_PRIOR + t * effect.sum()
        return eta * grown * bell_slope(t * eta.sum()) + effect * bell(t * eta.sum())

    found, baseline = attribution.attribute_prior(eta, effect)
    np.testing.assert_allclose(found, by_quadrature(gradient, 4), atol=1e-8)
    assert baseline + found.sum() == pytest.approx((attribution.OPEN_RATE_PRIOR + 0.2) * bell(end), abs=1e-12)


def test_the_learned_effect_matches_the_path_integral_of_its_gradient():
    """Δp = σ(η + T) − σ(η): closed form against the integral over t of the gradient in every input, to 1e-8."""
    seen = worlds()["learned"]
    ahead, found = ahead_of(seen), None
    found = attribution.delta_p(seen, ahead, 3)
    eta, effect, _ = attribution._parts(seen, ahead, 3)

    def gradient(t):
        both, alone = t * (eta.sum() + effect.sum()), t * eta.sum()
        return (eta + effect) * logistic_slope(both) - eta * logistic_slope(alone)

    np.testing.assert_allclose(found.contributions, by_quadrature(gradient, eta.size), atol=1e-8)


@given(
    hour=st.integers(0, 71),
    value=st.integers(1, 10_000),
    own=st.booleans(),
    exploring=st.booleans(),
    mu=st.floats(0, 3),
)
@settings(max_examples=80, deadline=None)
def test_terms_add_up_to_the_score_exactly(hour, value, own, exploring, mu):
    """Adding the terms from the left gives the logged score to the last bit; value's parts give the value."""
    model, personal = learned() if own else (FakeModel(), FakePersonal())
    chosen = ALL_POLICY if exploring else NO_CHANCE
    seen = view(
        NOON + timedelta(hours=hour),
        model=model,
        personal=personal,
        settings=chosen,
        pushes=PUSHES,
        fleet_price_minor=mu,
    )
    decision = policy.decide(seen, [replace(SHOES, value_minor=value)], decision_id="d", seed=b"s")
    terms = [r.contribution for r in decision.reasons if r.code.startswith("term_")]
    assert len(terms) == 5
    assert sum(terms) == decision.score_minor
    parts = [r.contribution for r in decision.reasons if r.code.startswith("from_")]
    assert math.fsum(parts) == pytest.approx(terms[0], abs=1e-12 * value)


@pytest.mark.parametrize("own_reason", [False, True])
@pytest.mark.parametrize("name", ["learned", "warm"])
def test_the_full_explanation_adds_up_too(name, own_reason):
    """With the view at hand every input of value and opt-out is named, and both lists add up to their terms."""
    seen = worlds()[name]
    offer = replace(SHOES, own_reason=own_reason, campaign="autumn")
    decision = policy.decide(seen, [offer], decision_id="d", seed=b"s")
    full = explain.explain(decision, seen)
    terms = dict(full.terms)
    assert math.fsum(v for _, v in full.value) == pytest.approx(terms["value"], abs=1e-9)
    assert math.fsum(v for _, v in full.opt_out) == pytest.approx(terms["opt_out"], abs=1e-9)
    assert "1703.01365" in full.method
    assert json.loads(json.dumps(full.to_dict()))["action"] == decision.action


def test_the_record_alone_explains_itself():
    """Without the view the logged reasons still give terms and the largest parts."""
    decision = policy.decide(worlds()["prior"], [SHOES], decision_id="d", seed=b"s")
    short = explain.explain(decision)
    assert sum(v for _, v in short.terms) == decision.score_minor
    assert len(short.value) == 5


def sources(*modules):
    return "\n".join(Path(module.__file__).read_text(encoding="utf-8") for module in modules)


def test_every_reason_code_has_a_message_in_both_languages():
    """Both catalogues have the same keys and fields, and cover every code that the policy's source can give."""
    english, chinese = explain.catalogue("en"), explain.catalogue("zh")
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert sorted(re.findall(r"\{(\w+)\}", text)) == sorted(re.findall(r"\{(\w+)\}", chinese[key]))
    codes = set(guardrails.ORDER) | {f"term_{name}" for name in scoring.TERMS}
    source = sources(policy, planning, explain, ranking, guardrails)
    codes |= set(re.findall(r'Reason\(\s*"(\w+)"', source))
    codes |= set(re.findall(r'return "((?:plan_)?\w+)"', sources(planning, ranking))) - {"prior", "learned"}
    codes |= {"best_now", "try_now", "held_back", "better_slot", "not_worth_it", "outside_slots", "internal_error"}
    codes |= {
        "fixed_slot",
        "no_personalisation",
        "no_features",
        "transactional_opted_out",
        "no_candidate",
        "plan_chosen",
    }
    assert codes <= english.keys()


@given(
    hour=st.integers(0, 47), seed=st.binary(min_size=1, max_size=4), block=st.integers(0, 4), ttl_h=st.integers(0, 60)
)
@settings(max_examples=80, deadline=None)
def test_every_decision_can_be_said(hour, seed, block, ttl_h):
    """Any decision is a sentence in English and in Chinese, without braces, codes or mention of a model."""
    seen = view(NOON + timedelta(hours=hour), phi=phi(block), pushes=PUSHES)
    decision = policy.decide(seen, [replace(SHOES, ttl_s=ttl_h * 3600)], decision_id="d", seed=seed)
    for lang in explain.LANGUAGES:
        text = decision.text(lang)
        assert len(text) > 8
        assert not re.search(r"[{}_]|model|模型", text)
    assert re.search(r"[\u4e00-\u9fff]", decision.text("zh"))


def test_waiting_says_when_in_the_persons_own_time():
    """The sentence names the local hour from which it would be sent."""
    seen = view(timezone="Europe/Berlin", settings=NO_CHANCE, personal=evening_person())
    decision = policy.decide(seen, [SHOES], decision_id="d", seed=b"")
    assert decision.action == "wait"
    local = decision.at.astimezone(guardrails.zone("Europe/Berlin"))
    assert f"{local:%H:%M}" in decision.text()
    assert f"{local:%H:%M}" in decision.text("zh")


def test_the_prior_is_named_as_an_estimate():
    """A decision that rests on the prior says so; a learned one does not."""
    seen = {name: replace(world, settings=NO_CHANCE) for name, world in worlds().items()}
    offer = replace(SHOES, ttl_s=60)
    said = {name: policy.decide(seen[name], [offer], decision_id="d", seed=b"s").text() for name in seen}
    assert "general estimate" in said["prior"]
    assert "general estimate" not in said["learned"]


def test_an_unspoken_language_is_refused():
    """A language without a catalogue names those that there are."""
    decision = policy.decide(view(), [Candidate("a", "b")], decision_id="d", seed=b"")
    with pytest.raises(InvalidInput, match="en, zh"):
        decision.text("fr")


def test_what_a_rule_about_time_held_back_says_from_when_it_could_have_gone():
    """A capped offer that ends too soon names the local time from which the cap would have let it go."""
    seen = view(settings=NO_CHANCE, pushes=(push(NOON - timedelta(hours=1)),), timezone="Europe/Berlin")
    decision = policy.decide(seen, [replace(SHOES, ttl_s=600)], decision_id="d", seed=b"")
    assert (decision.action, decision.reasons[0].code) == ("quiet", "minimum_gap")
    assert "today at 16:30" in decision.text()  # 12:30 UTC is 13:30 there, less one hour, plus the gap of four
    assert "今天 16:30" in decision.text("zh")


def test_interest_shown_is_a_reason_that_is_said():
    """Who browsed shoes a lot is told so when shoes are pushed; who did not is not."""
    offer = replace(SHOES, ttl_s=60)
    said = {}
    for interest in (0.3, 0.9):
        seen = view(settings=NO_CHANCE, interests={"shoes": interest})
        said[interest] = policy.decide(seen, [offer], decision_id="d", seed=b"").text()
    assert "interest in “shoes”" in said[0.9]
    assert "interest in" not in said[0.3]


def test_every_feature_can_be_named_in_both_languages():
    """Each feature of the pipeline has words of its own, so that nobody is shown a column's name."""
    from tactful.features import NAMES

    names = (*NAMES, *(f"message_{name}" for name in MESSAGE))
    for lang in explain.LANGUAGES:
        assert {f"feature_{name}" for name in names} <= explain.catalogue(lang).keys()
