"""Guardrails hold in a fixed order, each with its code, and no sequence of decisions and sends gets past one."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tactful import policy
from tactful.guardrails import ORDER, Clearance, History, candidate_clearance, in_quiet_hours, shared
from tactful.settings import GuardrailSettings, PolicySettings
from tactful.types import Candidate, FeedbackRecord, PacingState
from tactful_privacy.errors import InvalidInput

from .policy_world import NEVER_QUIET, NO_CHANCE, NOON, SHOES, push, rails, view

HOUR = timedelta(hours=1)
NIGHT = NOON.replace(hour=23)


def decide(seen, *candidates, seed=b"s"):
    return policy.decide(seen, candidates or [SHOES], decision_id="d", seed=seed)


def clearance(seen, candidate=SHOES):
    history = History(seen.pushes)
    return candidate_clearance(seen, candidate, history, shared(seen, history))


BLOCKS = [
    ("opted_out", {"opted_out": True}),
    ("no_marketing_consent", {"consents": frozenset({"on_device_personalisation"})}),
    ("expired", {}),
    ("quiet_hours", {"now": NIGHT}),
    ("minimum_gap", {"pushes": (push(NOON - 2 * HOUR),)}),
    ("cap_hour", {"settings": rails(minimum_gap_s=0), "pushes": (push(NOON - HOUR / 2),)}),
    ("cap_day", {"pushes": (push(NOON - 5 * HOUR), push(NOON - 10 * HOUR))}),
    ("cap_week", {"settings": rails(max_per_week=3), "pushes": tuple(push(NOON - k * 30 * HOUR) for k in (1, 2, 3))}),
    ("cap_category", {"pushes": tuple(push(NOON - k * 30 * HOUR, category="shoes") for k in (1, 2, 3))}),
    ("cap_campaign", {"pushes": tuple(push(NOON - k * 100 * HOUR, campaign="spring") for k in (1, 2, 3))}),
    ("duplicate", {"pushes": (push(NOON - 30 * HOUR, candidate_id="c1"),)}),
    ("complaint", {"feedback": (FeedbackRecord("complaint", NOON - HOUR, candidate_id="c1"),)}),
]


@pytest.mark.parametrize(("code", "changes"), BLOCKS, ids=[code for code, _ in BLOCKS])
def test_each_rule_has_its_code(code, changes):
    """Each rule on its own holds a promotional candidate back with its own reason, logged as certain and excluded."""
    candidate = replace(SHOES, campaign="spring", ttl_s=0 if code == "expired" else SHOES.ttl_s)
    decision = decide(view(**{"settings": NO_CHANCE, **changes}), candidate)
    assert decision.action != "send"
    assert decision.reasons[0].code == code
    assert (decision.propensity, decision.send_probability, decision.evaluable) == (1.0, 0.0, False)


def test_every_rule_of_the_order_is_covered():
    """The table above is the documented order."""
    assert tuple(code for code, _ in BLOCKS) == ORDER


def test_the_first_rule_in_the_order_is_the_one_reported():
    """With everything wrong at once, lifting one rule after the other reports them in the documented order."""
    pushes = [push(NIGHT - HOUR / 2, category="shoes", campaign="spring", candidate_id="c1")]
    pushes += [push(NIGHT - k * HOUR, category="shoes", campaign="spring", candidate_id="c1") for k in (1, 2)]
    wrong = {
        "now": NIGHT,
        "opted_out": True,
        "consents": frozenset({"on_device_personalisation"}),
        "pushes": tuple(pushes),
        "settings": rails(max_per_week=3),
        "feedback": (FeedbackRecord("complaint", NOON, candidate_id="c1"),),
    }
    candidate = replace(SHOES, campaign="spring", ttl_s=0)
    seen = [decide(view(**wrong), candidate).reasons[0].code]
    lift = [{"opted_out": False}, {"consents": frozenset({"on_device_personalisation", "marketing_push"})}]
    for change in lift:
        wrong.update(change)
        seen.append(decide(view(**wrong), candidate).reasons[0].code)
    candidate = replace(candidate, ttl_s=3600)
    seen.append(decide(view(**wrong), candidate).reasons[0].code)
    free = {**NEVER_QUIET}
    for loosened in (
        {},
        {"minimum_gap_s": 0},
        {"max_per_hour": 9},
        {"max_per_day": 9},
        {"max_per_week": 9},
        {"max_per_category_per_week": 9},
        {"max_per_campaign_per_30d": 9},
        {"duplicate_window_s": 0},
    ):
        free.update(loosened)
        wrong["settings"] = rails(**{"max_per_week": 3, **free})
        seen.append(decide(view(**wrong), candidate).reasons[0].code)
    assert tuple(seen) == ORDER


def test_a_transactional_push_obeys_only_its_own_opt_out():
    """At night, opted out of advertising, over every cap, an order message still leaves; its own opt-out stops it."""
    order = Candidate(id="o1", category="order", kind="transactional")
    pushes = tuple(push(NIGHT - k * HOUR / 2) for k in range(1, 9))
    seen = {"now": NIGHT, "opted_out": True, "consents": frozenset(), "pushes": pushes}
    sent = decide(view(**seen), SHOES, order)
    assert (sent.action, sent.candidate, sent.reasons[0].code) == ("send", order, "transactional")
    stopped = decide(view(**seen, transactional_opted_out=True), order)
    assert (stopped.action, stopped.reasons[0].code) == ("quiet", "transactional_opted_out")


def test_transactional_pushes_do_not_use_up_the_caps():
    """Order messages are not counted against the limits on advertising."""
    pushes = tuple(push(NOON - k * HOUR / 4, kind="transactional") for k in range(1, 9))
    assert clearance(view(pushes=pushes)).code is None


def test_a_push_dated_in_the_future_still_counts():
    """After the clock was set back the last push, now in the future, keeps its gap and its place in the caps."""
    found = clearance(view(pushes=(push(NOON + HOUR),)))
    assert found.code == "minimum_gap"
    assert found.not_before_s == (NOON + 25 * HOUR / 5).timestamp()


def test_a_cap_of_zero_never_ends():
    """A cap of zero holds back for ever, so there is nothing to wait for."""
    assert clearance(view(settings=rails(max_per_week=0))) == Clearance("cap_week", math.inf)
    assert decide(view(settings=rails(max_per_week=0))).action == "quiet"


def test_a_complaint_covers_the_whole_campaign():
    """Another message of the campaign complained about stays away too; other campaigns do not."""
    told = (FeedbackRecord("complaint", NOON - HOUR, candidate_id="x", campaign="spring", reason="offensive"),)
    assert clearance(view(feedback=told), replace(SHOES, campaign="spring")).code == "complaint"
    assert clearance(view(feedback=told), replace(SHOES, campaign="autumn")).code is None


@pytest.mark.parametrize(
    "wrong", [{"max_per_day": -1}, {"minimum_gap_s": math.nan}, {"quiet_from": "22:00"}, {"max_per_week": math.nan}]
)
def test_settings_out_of_range_are_refused(wrong):
    """A limit that is negative, not a number or not a time is named when the settings are made."""
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        GuardrailSettings(**wrong)


def in_window(times, window):
    return max(sum(start <= t < start + window for t in times) for start in times)


STEPS = st.lists(
    st.tuples(
        st.integers(1, 900), st.sampled_from("abc"), st.sampled_from(["x", "y", None]), st.integers(0, 2**16 - 1)
    ),
    min_size=10,
    max_size=60,
)


@given(steps=STEPS, zone=st.sampled_from(["UTC", "America/New_York", "Pacific/Auckland", "Asia/Kolkata"]))
@settings(max_examples=60, deadline=None)
def test_no_sequence_of_decisions_and_sends_gets_past_a_guardrail(steps, zone):
    """However decisions and recorded sends follow each other, no cap, gap or quiet hour is ever broken."""
    limits = GuardrailSettings(minimum_gap_s=1800.0, max_per_day=3, max_per_week=6, duplicate_window_s=2 * 86_400.0)
    chosen = PolicySettings(guardrails=limits, never_push_fraction=0, micro_randomised_fraction=0)
    now, pushes = datetime(2026, 10, 31, 6, 0, tzinfo=UTC), ()
    for number, (minutes, category, campaign, seed) in enumerate(steps):
        now += timedelta(minutes=minutes)
        monday = now.date() - timedelta(days=now.weekday())
        candidate = Candidate(f"{category}{number % 9}", category, 2000, campaign=campaign)
        seen = view(now, timezone=zone, settings=chosen, pushes=pushes, week=PacingState(monday))
        decision = policy.decide(seen, [candidate], decision_id=str(number), seed=seed.to_bytes(2, "big"))
        if decision.action == "send":
            assert not in_quiet_hours(now, zone, limits)
            pushes += (push(now, candidate_id=candidate.id, category=category, campaign=campaign),)
        elif decision.at is not None:
            assert decision.at > now
            assert not in_quiet_hours(decision.at, zone, limits)
    check_limits(pushes, limits)


def check_limits(pushes, limits):
    times = [p.at for p in pushes]
    if not times:
        return
    assert all(b - a >= timedelta(seconds=limits.minimum_gap_s) for a, b in pairwise(times))
    assert in_window(times, HOUR) <= limits.max_per_hour
    assert in_window(times, 24 * HOUR) <= limits.max_per_day
    assert in_window(times, timedelta(days=7)) <= limits.max_per_week
    for name in {p.category for p in pushes}:
        mine = [p.at for p in pushes if p.category == name]
        assert in_window(mine, timedelta(days=7)) <= limits.max_per_category_per_week
    for name in {p.campaign for p in pushes} - {None}:
        mine = [p.at for p in pushes if p.campaign == name]
        assert in_window(mine, timedelta(days=30)) <= limits.max_per_campaign_per_30d
    for name in {p.candidate_id for p in pushes}:
        mine = [p.at for p in pushes if p.candidate_id == name]
        assert in_window(mine, timedelta(seconds=limits.duplicate_window_s)) == 1


WINDOWS = [
    ("minimum_gap", {}, {}, timedelta(hours=4)),
    ("cap_hour", {"minimum_gap_s": 0}, {}, HOUR),
    ("cap_day", {"minimum_gap_s": 0, "max_per_hour": 9, "max_per_day": 1}, {}, timedelta(days=1)),
    ("cap_week", {"max_per_week": 1}, {}, timedelta(days=7)),
    ("cap_category", {"max_per_category_per_week": 1}, {"category": "shoes"}, timedelta(days=7)),
    ("cap_campaign", {"max_per_campaign_per_30d": 1}, {"campaign": "spring"}, timedelta(days=30)),
    ("duplicate", {}, {"candidate_id": "c1"}, timedelta(days=7)),
]


@pytest.mark.parametrize(("code", "limits", "pushed", "window"), WINDOWS, ids=[row[0] for row in WINDOWS])
def test_a_window_ends_to_the_microsecond(code, limits, pushed, window):
    """A rule holds until its window is over and not a microsecond longer."""
    candidate, moment = replace(SHOES, campaign="spring"), timedelta(microseconds=1)
    last = (push(NOON - window, **pushed),)
    assert clearance(view(NOON - moment, settings=rails(**limits), pushes=last), candidate).code == code
    assert clearance(view(NOON, settings=rails(**limits), pushes=last), candidate).code is None
