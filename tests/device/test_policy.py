"""A decision is a pure function: same inputs, same bytes; what it does and logs follows from the score and the draw."""

import hashlib
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tactful import guardrails, policy, scoring
from tactful.settings import PolicySettings
from tactful.types import Candidate, Decision, FeedbackRecord, PacingState

from .policy_world import (
    ALL_POLICY,
    MONDAY,
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

HOUR = timedelta(hours=1)
EVERYTHING_NEVER = PolicySettings(never_push_fraction=1.0, micro_randomised_fraction=0.0)
EVERYTHING_RANDOM = PolicySettings(never_push_fraction=0.0, micro_randomised_fraction=1.0)


def decide(seen, *candidates, seed=b"s", decision_id="d"):
    return policy.decide(seen, candidates or [SHOES], decision_id=decision_id, seed=seed)


WORLDS = st.builds(
    lambda minutes, block, own, sent, exploring, ages: view(
        NOON + timedelta(minutes=minutes),
        phi=phi(block),
        model=learned()[0] if own else FakeModel(),
        personal=learned()[1] if own else FakePersonal(),
        week=PacingState(MONDAY, sent),
        settings=ALL_POLICY if exploring else NO_CHANCE,
        pushes=tuple(push(NOON - timedelta(minutes=age)) for age in ages),
    ),
    st.integers(0, 3 * 1440),
    st.integers(0, 5),
    st.booleans(),
    st.integers(0, 8),
    st.booleans(),
    st.lists(st.integers(1, 40_000), max_size=6),
)
OFFERS = st.lists(
    st.builds(
        Candidate,
        id=st.sampled_from("abcdef"),
        category=st.sampled_from(["shoes", "toys", "hats"]),
        value_minor=st.integers(0, 5000),
        ttl_s=st.integers(0, 400_000),
        kind=st.sampled_from(["promotional", "promotional", "promotional", "transactional"]),
    ),
    max_size=4,
)


@given(seen=WORLDS, offers=OFFERS, seed=st.binary(max_size=8))
@settings(max_examples=150, deadline=None)
def test_every_decision_is_pure_consistent_and_survives_json(seen, offers, seed):
    """Deciding twice gives the same bytes, JSON gives the decision back, and action, time and propensity agree."""
    decision = policy.decide(seen, offers, decision_id="d", seed=seed)
    assert policy.decide(seen, offers, decision_id="d", seed=seed).to_json() == decision.to_json()
    assert Decision.from_json(decision.to_json()) == decision
    assert 0.0 < decision.propensity <= 1.0
    expected = decision.send_probability if decision.action == "send" else 1.0 - decision.send_probability
    assert decision.propensity == expected
    assert decision.evaluable is (0.0 < decision.send_probability < 1.0)
    if decision.action == "send":
        assert decision.at == seen.now
    elif decision.action == "wait":
        assert seen.now < decision.at < seen.now + timedelta(seconds=decision.candidate.ttl_s)
    else:
        assert decision.at is None


def test_the_pure_decision_is_pinned():
    """The draw is SHA-256 of length-prefixed parts: this number is a promise to every log that was ever written."""
    parts = (b"tactful/v1/draw", b"seed", b"id")
    digest = hashlib.sha256(b"".join(len(p).to_bytes(4, "big") + p for p in parts)).digest()
    assert policy.draw(b"seed", "id") == (int.from_bytes(digest[:8], "big") >> 11) / 2**53
    assert policy.draw(b"see", "did") != policy.draw(b"seed", "id")


def test_draws_are_uniform():
    """4,096 draws fill 16 equal bins evenly (chi-square, 15 degrees of freedom, false-alarm rate 1e-4 at 44.3)."""
    draws = [policy.draw(number.to_bytes(2, "big"), "d") for number in range(4096)]
    counts = np.bincount((np.array(draws) * 16).astype(int), minlength=16)
    assert ((counts - 256) ** 2 / 256).sum() < 44.3


def test_sends_happen_as_often_as_logged():
    """Over 4,000 seeds the share of sends is the logged propensity within 4 standard errors (false alarms: 6e-5)."""
    seen, seeds = view(), [number.to_bytes(2, "big") for number in range(4000)]
    decisions = [decide(seen, seed=seed) for seed in seeds]
    probability = decisions[0].send_probability
    assert 0.05 < probability < 0.80
    share = np.mean([d.action == "send" for d in decisions])
    assert abs(share - probability) <= 4 * math.sqrt(probability * (1 - probability) / len(seeds))


def test_the_propensity_is_the_documented_formula():
    """π = Φ((m_now − τ)/s_now) clipped to [0.05, 0.80], from the scores and the delta-method deviation."""
    seen = view()
    decision, ahead = decide(seen), guardrails.openings(seen)
    outlook = scoring.outlook(seen, scoring.forms(seen, ahead))
    now, worth = ahead.index_of(NOON.timestamp()), 1200 * 0.5
    totals = scoring.score(seen, outlook, worth, 0.0).total
    until = NOON.timestamp() + SHOES.ttl_s
    later = [
        t * 0.9 ** ((s - NOON.timestamp()) / 86_400)
        for t, s in zip(totals, ahead.start_s, strict=True)
        if NOON.timestamp() < s < until
    ]
    z = (totals[now] - max(0.0, *later)) / scoring.deviation(seen, outlook, now, worth)
    expected = min(0.8, max(0.05, 0.5 * (1 + math.erf(z / math.sqrt(2)))))
    assert decision.send_probability == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("own", [False, True])
def test_the_deviation_matches_sampling(own):
    """The delta method agrees with 20,000 samples of the posterior within 10 % (small variances, both bases)."""
    model, personal = learned(0.1) if own else (FakeModel(), FakePersonal())
    personal.activity_variance, personal.push_variance = np.full(8, 0.004), np.full(8, 0.002)
    seen = view(model=model, personal=personal, settings=replace(ALL_POLICY, prior_effect_deviation=0.01))
    ahead = scoring.outlook(seen, scoring.forms(seen, guardrails.openings(seen)))
    rng, eta, effect = np.random.default_rng(1), ahead.eta[2], ahead.effect[2]
    etas = eta + rng.normal(0, math.sqrt(0.008), 20_000)
    if own:
        effects = effect + rng.normal(0, math.sqrt(0.004), 20_000)
        samples = scoring.sigmoid(etas + effects) - scoring.sigmoid(etas)
    else:
        active = scoring.sigmoid(etas)
        samples = (scoring.OPEN_RATE_PRIOR + rng.normal(0, 0.01, 20_000)) * active * (1 - active)
    assert scoring.deviation(seen, ahead, 2, 1000.0) == pytest.approx(1000 * samples.std(), rel=0.1)


def test_without_exploration_the_rule_decides_and_is_excluded():
    """With exploration off a push leaves if and only if S(now) > 0 and no later slot is better; logged as 0 or 1."""
    seen = view(settings=NO_CHANCE, personal=evening_person())
    waits, sends = decide(seen), decide(seen, replace(SHOES, ttl_s=60))
    assert (waits.action, waits.reasons[0].code, waits.send_probability) == ("wait", "better_slot", 0.0)
    assert (sends.action, sends.reasons[0].code, sends.send_probability) == ("send", "best_now", 1.0)
    assert not waits.evaluable
    assert not sends.evaluable
    worthless = view(settings=replace(NO_CHANCE, opt_out_cost_minor=1e6))
    assert (decide(worthless).action, decide(worthless).reasons[0].code) == ("quiet", "not_worth_it")


def test_a_budget_of_zero_means_no_exploration():
    """Where no push is worth it the budget is zero and so is the propensity, whatever the draw."""
    seen = view(settings=replace(ALL_POLICY, opt_out_cost_minor=1e6))
    for number in range(50):
        decision = decide(seen, seed=bytes([number]))
        assert (decision.action, decision.send_probability, decision.weekly_budget) == ("quiet", 0.0, 0)


def test_groups_are_stable_and_of_the_stated_size():
    """Of 20,000 salts 1 % and 5 % fall into the two groups (4 standard errors), and each always into the same."""
    salts = [number.to_bytes(4, "big") for number in range(20_000)]
    groups = [policy.group_of(salt, PolicySettings()) for salt in salts]
    assert groups == [policy.group_of(salt, PolicySettings()) for salt in salts]
    for name, share in (("never_push", 0.01), ("micro_randomised", 0.05)):
        error = 4 * math.sqrt(share * (1 - share) / len(salts))
        assert abs(groups.count(name) / len(salts) - share) <= error


def test_the_never_push_group_gets_no_advertising():
    """The group is quiet by rule, whatever the score; order messages still reach it."""
    seen = view(settings=EVERYTHING_NEVER)
    decision = decide(seen)
    assert (decision.action, decision.reasons[0].code, decision.group) == ("quiet", "never_push_group", "never_push")
    order = Candidate(id="o", category="order", kind="transactional")
    assert decide(seen, order).action == "send"


def test_the_micro_randomised_group_ignores_the_score():
    """In this group the send probability is the fixed one at every open slot, and the rows are for evaluation."""
    for value in (1, 1200, 100_000):
        decision = decide(view(settings=EVERYTHING_RANDOM), replace(SHOES, value_minor=value))
        assert (decision.send_probability, decision.evaluable, decision.group) == (0.5, True, "micro_randomised")


def test_the_basis_is_the_prior_until_the_shared_effect_is_learned():
    """With β at zero the decision says prior, whatever the person answered; with β it says learned."""
    assert decide(view()).basis == "prior"
    assert decide(view(personal=FakePersonal(push_intercept=0.1))).basis == "prior"
    model, personal = learned()
    assert decide(view(model=model, personal=personal)).basis == "learned"


def test_the_first_answers_move_the_effect_a_little():
    """Δp = (r₀ + b + s)·p(1 − p) while β is zero: the documented prior at b = s = 0, rising with b, without a jump."""

    def effect_of(intercept, slots=0.0):
        seen = view(personal=FakePersonal(push_intercept=intercept, push_slots=np.full(7, slots)))
        ahead = scoring.outlook(seen, scoring.forms(seen, guardrails.openings(seen)))
        active = scoring.sigmoid(ahead.eta)
        return ahead.delta_p, active * (1 - active), scoring.deviation(seen, ahead, 2, 1000.0)

    prior, bell, deviation = effect_of(0.0)
    np.testing.assert_allclose(prior, scoring.OPEN_RATE_PRIOR * bell, rtol=1e-15)
    for b, s in ((-0.01, 0.004), (1e-9, 0.0), (0.02, 0.01)):
        moved, _, wide = effect_of(b, s)
        np.testing.assert_allclose(moved - prior, (b + s) * bell, atol=1e-15)
        assert abs(wide - deviation) <= 1000.0 * abs(b + s)


def test_a_newcomer_with_an_active_slot_is_reached():
    """Without any history the prior alone gives a positive score in an active slot and a send in time."""
    newcomer = view(NOON.replace(hour=18), phi=phi() * 0, settings=NO_CHANCE)
    decision = decide(newcomer)
    assert (decision.action, decision.basis) == ("send", "prior")
    assert decision.score_minor > 0


def without_consent(now, **changes):
    return view(now, consents=frozenset({"marketing_push"}), **changes)


@pytest.mark.parametrize("with_features", [True, False])
def test_without_consent_only_rules_decide(with_features):
    """Without consent the fixed slot decides, nothing of the person changes it, and the reason says so."""
    block = phi(5) if with_features else None
    for now, action in ((NOON, "send"), (NOON.replace(hour=9), "wait"), (NOON.replace(hour=19), "wait")):
        decision = decide(without_consent(now, phi=block, interests={"shoes": 0.0}))
        assert (decision.action, decision.basis, decision.score_minor) == (action, "rules", None)
        assert "no_personalisation" in [r.code for r in decision.reasons]
        assert decision.evaluable is False
        assert decision.at.hour == 12
    assert "not agreed to personalisation" in decision.text()
    assert "没有同意个性化" in decision.text("zh")


def test_without_consent_guardrails_still_hold():
    """Caps and quiet hours bind the rules as well, from nothing but the times of past pushes."""
    capped = without_consent(NOON, pushes=(push(NOON - 5 * HOUR, candidate_id="", category=""),) * 2)
    assert decide(capped).reasons[0].code == "cap_day"
    short = without_consent(NOON.replace(hour=23))
    assert decide(short, replace(SHOES, ttl_s=3600)).action == "quiet"


def test_without_features_the_rules_decide_even_with_consent():
    """A device that has consent but no features yet is told so."""
    assert [r.code for r in decide(view(phi=None)).reasons] == ["fixed_slot", "no_features"]


FEEDBACK = [
    ("less_like_this", {}, "low_interest"),
    ("too_often", {}, "too_often"),
    ("wrong_time", {"slot": 2}, "wrong_time"),
    ("complaint", {"candidate_id": "c1", "reason": "offensive"}, "complaint"),
]


@pytest.mark.parametrize(("kind", "more", "code"), FEEDBACK, ids=[f[0] for f in FEEDBACK])
def test_feedback_changes_the_very_next_decision(kind, more, code):
    """What would have been sent a moment ago is held back right after the feedback, and the reason is the feedback."""
    chosen = replace(NO_CHANCE, guardrails=replace(NO_CHANCE.guardrails, max_per_week=1))
    interests = {"shoes": 0.4}
    chosen = replace(chosen, minimum_interest=0.1)
    offer = replace(SHOES, ttl_s=60)
    before = decide(view(settings=chosen, interests=interests), offer)
    assert before.action == "send"
    told = FeedbackRecord(kind, NOON, category="shoes", **more)
    after = decide(view(settings=chosen, interests=interests, feedback=(told,)), offer)
    assert (after.action, after.reasons[0].code) == ("quiet", code)


def test_wrong_time_wears_off():
    """Four weeks after "wrong time" the slot is open again."""
    told = FeedbackRecord("wrong_time", NOON - timedelta(days=28), slot=2)
    assert decide(view(settings=NO_CHANCE, feedback=(told,)), replace(SHOES, ttl_s=60)).action == "send"


def test_waiting_names_a_time_at_which_it_is_then_sent():
    """Asked again at the time a decision waits for, with nothing changed but the clock, the push leaves."""
    waiting = decide(view(settings=NO_CHANCE, personal=evening_person()))
    assert waiting.action == "wait"
    left = SHOES.ttl_s - (waiting.at - NOON).total_seconds()
    then = decide(view(waiting.at, settings=NO_CHANCE, personal=evening_person()), replace(SHOES, ttl_s=left))
    assert then.action == "send"


def test_the_price_of_the_week_and_of_the_fleet_lower_the_score():
    """μ and ν are subtracted from every slot in minor units."""
    base = decide(view(settings=NO_CHANCE)).score_minor
    fleet = decide(view(settings=NO_CHANCE, fleet_price_minor=0.25)).score_minor
    pace = decide(view(settings=NO_CHANCE, week=PacingState(MONDAY, 1, 0.5))).score_minor
    assert base - fleet == pytest.approx(0.25)
    assert 0.4 < base - pace < 0.6


def test_no_candidate_is_quiet():
    """An empty list is answered, not refused."""
    assert [r.code for r in decide_none().reasons] == ["no_candidate"]


def decide_none():
    return policy.decide(view(), [], decision_id="d", seed=b"")


def test_a_free_candidate_goes_before_a_blocked_one():
    """Where the favourite is capped for its category, another candidate may take the slot."""
    toys = Candidate(id="t", category="toys", value_minor=1000, ttl_s=60)
    pushes = tuple(push(NOON - k * 30 * HOUR, category="shoes") for k in (1, 2, 3))
    seen = view(settings=NO_CHANCE, pushes=pushes, interests={"shoes": 1.0, "toys": 0.4})
    assert decide(seen, SHOES, toys).candidate == toys


def test_outside_the_slots_nothing_leaves():
    """Where quiet hours are switched off, the night is still not a slot: wait for one."""
    awake = replace(
        NO_CHANCE.guardrails, quiet_from=NOON.time().replace(minute=0), quiet_until=NOON.time().replace(minute=0)
    )
    seen = view(datetime(2026, 11, 24, 3, tzinfo=UTC), settings=replace(NO_CHANCE, guardrails=awake))
    decision = decide(seen)
    assert (decision.action, decision.reasons[0].code) == ("wait", "outside_slots")
