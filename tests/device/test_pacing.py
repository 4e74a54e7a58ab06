"""The weekly budget maximises a concave utility; the dual price follows what was sent; feedback halves the budget."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tactful import pacing, policy
from tactful.settings import GuardrailSettings, PolicySettings
from tactful.types import FeedbackRecord, PacingState

from .policy_world import ALL_POLICY, MONDAY, NO_CHANCE, NOON, SHOES, FakePersonal, rails, view

LOOSE = PolicySettings(guardrails=GuardrailSettings(minimum_gap_s=0, max_per_day=99))
HOURS = np.arange(9) * 7200.0


def greedy(scores, fatigue, price=0.0, limit=9, chosen=LOOSE):
    starts = HOURS[: len(scores)]
    return pacing.best_openings(
        np.array(scores), starts, fatigue_minor=fatigue, price_minor=price, limit=limit, settings=chosen
    )


def utility(subset, scores, near, fatigue):
    pairs = sum(near[i, j] for i, j in combinations(subset, 2))
    return sum(scores[i] for i in subset) - fatigue * pairs


def best_by_force(scores, fatigue, price):
    near = pacing.closeness(HOURS[: len(scores)])
    subsets = (s for k in range(len(scores) + 1) for s in combinations(range(len(scores)), k))
    return max(utility(s, scores, near, fatigue) - price * len(s) for s in subsets)


SCORES = st.lists(st.floats(-2, 5), min_size=1, max_size=8)


@given(scores=SCORES, price=st.floats(0, 2))
@settings(max_examples=60, deadline=None)
def test_without_fatigue_the_budget_is_exactly_optimal(scores, price):
    """Where pushes do not tire, k and U(k) − νk are those of the best of all subsets."""
    choice = greedy(scores, 0.0, price)
    assert len(choice.picks) == sum(s > price for s in scores)
    reached = choice.utility_minor[-1] - price * len(choice.picks)
    assert reached == pytest.approx(best_by_force(scores, 0.0, price), abs=1e-9)


@given(scores=SCORES, fatigue=st.floats(0, 3))
@settings(max_examples=60, deadline=None)
def test_with_fatigue_the_choice_is_near_the_best_of_all_subsets(scores, fatigue):
    """Greedy reaches at least half of the brute-force optimum, and its own U is the utility of what it chose."""
    choice = greedy(scores, fatigue)
    near = pacing.closeness(HOURS[: len(scores)])
    assert choice.utility_minor[-1] == pytest.approx(utility(choice.picks, scores, near, fatigue), abs=1e-9)
    assert choice.utility_minor[-1] >= 0.5 * best_by_force(scores, fatigue, 0.0) - 1e-9


@given(scores=SCORES, fatigue=st.floats(0, 3))
@settings(max_examples=60, deadline=None)
def test_utility_is_concave(scores, fatigue):
    """Each further push gains no more than the one before it."""
    assert all(a >= b for a, b in pairwise(greedy(scores, fatigue).gains_minor))


def test_a_typical_week_is_planned_within_two_percent_of_the_optimum():
    """On 200 random weeks with mild fatigue greedy loses at most 2 % of the optimum on average."""
    rng, ratios = np.random.default_rng(0), []
    for _ in range(200):
        scores = rng.exponential(1.0, 8)
        ratios.append(greedy(scores, 0.2).utility_minor[-1] / best_by_force(scores, 0.2, 0.0))
    assert np.mean(ratios) >= 0.98


def test_the_plan_keeps_the_gap_and_the_cap_per_day():
    """Chosen openings are a minimum gap apart and no more a day than allowed."""
    strict = PolicySettings(guardrails=GuardrailSettings(minimum_gap_s=4 * 3600, max_per_day=2))
    starts = HOURS[list(greedy([5.0] * 9, 0.0, chosen=strict).picks)]
    assert len(starts) == 2
    assert abs(starts[0] - starts[1]) >= 4 * 3600


def test_a_higher_fleet_price_never_raises_the_budget():
    """The budget falls in ν, to one where nothing is worth the price: the fleet may hold back, not silence."""
    budgets = [policy.weekly_budget(view(fleet_price_minor=nu)) for nu in (0, 1, 2, 2.5, 3, 50)]
    assert budgets == sorted(budgets, reverse=True)
    assert budgets[0] > budgets[-1] == 1


def test_someone_who_tires_quickly_gets_fewer():
    """A larger fatigue multiplier never raises the budget and lowers it in the end."""
    budgets = [policy.weekly_budget(view(personal=FakePersonal(fatigue_multiplier=m))) for m in (1, 10, 40, 200)]
    assert budgets == sorted(budgets, reverse=True)
    assert budgets[-1] < budgets[0]


def test_too_often_halves_the_weekly_budget_for_four_weeks():
    """Each "too often" halves the budget, rounded down; after the feedback period it is whole again."""
    whole = policy.weekly_budget(view())
    told = FeedbackRecord("too_often", NOON)
    assert policy.weekly_budget(view(feedback=(told,))) == whole // 2
    assert policy.weekly_budget(view(feedback=(told, told))) == whole // 4
    old = FeedbackRecord("too_often", NOON - timedelta(days=28))
    assert policy.weekly_budget(view(feedback=(old,))) == whole


def test_the_price_rises_ahead_of_the_pace_and_is_never_negative():
    """μ is zero on or behind the even pace, and grows with every push ahead of it."""
    prices = [pacing.price_minor(PacingState(MONDAY, sent), 7, 0.5, ALL_POLICY) for sent in range(8)]
    assert prices[:4] == [0.0] * 4
    assert all(a < b for a, b in pairwise(prices[4:]))


def test_a_new_week_starts_its_count_afresh_and_moves_the_price():
    """Closing a week moves μ by step × (sent − budget); the new count starts at zero, and a send adds one."""
    over = PacingState(MONDAY, 6, 0.1)
    rolled = pacing.roll(over, MONDAY + timedelta(days=8), 4, ALL_POLICY)
    assert (rolled.week_start, rolled.sent) == (MONDAY + timedelta(days=7), 0)
    assert rolled.price_minor == pytest.approx(0.2)
    assert pacing.after_send(over, date(2026, 11, 29), 4, ALL_POLICY).sent == 7
    assert pacing.current(over, MONDAY + timedelta(days=7)).sent == 0


def test_flying_west_over_midnight_keeps_the_week():
    """Where the local day falls back into last week the running week goes on."""
    state = PacingState(MONDAY, 3)
    assert pacing.current(state, MONDAY - timedelta(days=1)) == state


def test_the_weeks_budget_spent_stops_exploration():
    """When the week has had its budget, nothing is sent by chance: π is 0 and the decision waits for next week."""
    budget = policy.weekly_budget(view())
    spent = view(week=PacingState(MONDAY, budget))
    offer = [replace(SHOES, ttl_s=7 * 86_400)]
    for seed in range(40):
        decision = policy.decide(spent, offer, decision_id="d", seed=bytes([seed]))
        assert (decision.action, decision.reasons[0].code) == ("wait", "budget_spent")
        assert (decision.send_probability, decision.evaluable) == (0.0, False)
        assert decision.at.date() >= MONDAY + timedelta(days=7)


def test_a_week_plan_gives_every_slot_a_reason_in_both_languages():
    """The plan uses at most the budget, and says of every slot in English and Chinese why it is used or not."""
    plan = policy.week_plan(view(settings=NO_CHANCE))
    assert 0 < len(plan.chosen) <= plan.budget
    assert [slot.at for slot in plan.slots] == sorted(slot.at for slot in plan.slots)
    for slot in plan.slots:
        assert len(slot.text("en")) > 10
        assert slot.text("zh") != slot.text("en")
    assert policy.week_plan(view(settings=rails(max_per_week=0))).chosen == ()


def test_without_consent_there_is_no_plan():
    """No consent to personalisation or to marketing: budget 0 and no slots, since nothing may be computed."""
    for consents in (frozenset(), frozenset({"marketing_push"}), frozenset({"on_device_personalisation"})):
        plan = policy.week_plan(view(consents=consents))
        assert (plan.budget, plan.slots, plan.basis) == (0, (), "rules")
    assert policy.next_best_time(view(consents=frozenset())) is None
    assert policy.next_best_time(view()) in {slot.at for slot in policy.week_plan(view()).chosen}
