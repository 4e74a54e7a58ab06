"""Candidates, records and settings refuse what they cannot mean, and name the field."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tactful.settings import PolicySettings
from tactful.types import Candidate, Decision, FeedbackRecord, PacingState, PushRecord, Reason
from tactful_privacy.errors import InvalidInput

from .policy_world import SHOES, view

NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - a time without a zone is what is refused


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": ""},
        {"category": "x" * 201},
        {"value_minor": -1},
        {"value_minor": float("nan")},
        {"ttl_s": float("inf")},
        {"ttl_s": -1},
        {"kind": "spam"},
        {"placement": "sky"},
        {"variant": "hologram"},
        {"tags": ("",)},
        {"campaign": ""},
        {"embedding": ()},
        {"embedding": (float("nan"),)},
    ],
    ids=str,
)
def test_a_wrong_candidate_is_refused(wrong):
    """Each field out of range raises an error that names it."""
    with pytest.raises(InvalidInput) as caught:
        Candidate(**{"id": "a", "category": "b", **wrong})
    assert next(iter(wrong)) in str(caught.value)


TEXT = st.text(min_size=1, max_size=20)
CANDIDATES = st.builds(
    Candidate,
    id=TEXT,
    category=TEXT,
    value_minor=st.floats(0, 1e9),
    ttl_s=st.integers(0, 10**7),
    tags=st.lists(TEXT, max_size=3).map(tuple),
    embedding=st.none() | st.lists(st.floats(-10, 10), min_size=1, max_size=4).map(tuple),
    campaign=st.none() | TEXT,
)
DECISIONS = st.builds(
    Decision,
    id=TEXT,
    action=st.sampled_from(["send", "wait", "quiet"]),
    candidate=st.none() | CANDIDATES,
    at=st.none() | st.datetimes(timezones=st.just(UTC)),
    propensity=st.floats(0, 1),
    reasons=st.lists(
        st.builds(
            Reason,
            TEXT,
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
            st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple),
        ),
        max_size=3,
    ).map(tuple),
    model_version=TEXT,
    created_at=st.datetimes(timezones=st.just(UTC)),
    slot=st.none() | st.integers(0, 6),
)


@given(decision=DECISIONS)
def test_json_gives_every_decision_back(decision):
    """from_json(to_json(d)) is d, and the text of the copy is the same to the byte."""
    copy = Decision.from_json(decision.to_json())
    assert copy == decision
    assert copy.to_json() == decision.to_json()


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"format":2}', '{"format":1}', "{"])
def test_what_is_no_decision_is_refused(text):
    """Broken, foreign and newer texts raise the typed error."""
    with pytest.raises(InvalidInput, match="decision"):
        Decision.from_json(text)


def test_times_need_a_zone():
    """A naive time is refused wherever one goes in."""
    for make in (lambda: PushRecord(NAIVE), lambda: FeedbackRecord("complaint", NAIVE), lambda: view(NAIVE)):
        with pytest.raises(InvalidInput, match="time zone"):
            make()


def test_a_view_keeps_its_time_in_utc():
    """A time given in another zone is the same instant, kept in UTC."""
    there = datetime(2026, 11, 24, 13, 30, tzinfo=timezone(timedelta(hours=1)))
    assert view(there).now == there
    assert view(there).now.tzinfo is UTC


def test_features_of_the_wrong_shape_are_refused():
    """The feature block must have seven slots."""
    with pytest.raises(InvalidInput, match="phi"):
        view(phi=np.zeros((8, 6, 4), dtype=np.float32))


def test_features_that_are_not_numbers_are_refused():
    """One NaN or infinity in the feature block is caught before it can reach a score."""
    for bad in (np.nan, np.inf):
        block = np.zeros((8, 7, 4), dtype=np.float32)
        block[3, 2, 1] = bad
        with pytest.raises(InvalidInput, match=r"phi.*finite"):
            view(phi=block)


def test_a_negative_fleet_price_is_refused():
    """The fleet never pays a device for a push."""
    with pytest.raises(InvalidInput, match="fleet_price_minor"):
        view(fleet_price_minor=-0.1)


def test_unknown_feedback_and_negative_counts_are_refused():
    """Feedback kinds are a closed list; a week cannot have had fewer than no pushes."""
    with pytest.raises(InvalidInput, match="kind"):
        FeedbackRecord("meh", datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(InvalidInput, match="sent"):
        PacingState(date(2026, 11, 23), sent=-1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"reference_value_minor": 0},
        {"opt_out_cost_minor": -1},
        {"propensity_floor": 0},
        {"propensity_floor": 0.9},
        {"never_push_fraction": 1.5},
        {"never_push_fraction": 0.6, "micro_randomised_fraction": 0.6},
        {"relevance_weight": float("nan")},
        {"fallback_slot": 7},
        {"discount_per_day": 1.1},
    ],
    ids=str,
)
def test_wrong_settings_are_refused(wrong):
    """Each setting out of range raises the typed error when it is made."""
    with pytest.raises(InvalidInput):
        PolicySettings(**wrong)


def test_candidates_are_hashable_and_compare_by_value():
    """Two candidates with the same fields are the same candidate; a list of tags is taken as a tuple."""
    assert len({SHOES, Candidate(id="c1", category="shoes", value_minor=1200, ttl_s=86_400)}) == 1
    assert Candidate("a", "b", tags=["x"]).tags == ("x",)
