"""Ranking drops what does not fit, prefers interest and novelty, diversifies, and picks the variant people open."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from tactful import ranking
from tactful.settings import PolicySettings
from tactful.types import Candidate, FeedbackRecord

from .policy_world import NOON, SHOES, push, view

DAY = timedelta(days=1)
TOYS = replace(SHOES, id="c2", category="toys")
HATS = replace(SHOES, id="c3", category="hats")


def test_interest_decides_between_equals():
    """The category this person cares about comes first."""
    seen = view(interests={"shoes": 0.2, "toys": 0.9})
    assert [r.candidate.id for r in ranking.rank(seen, [SHOES, TOYS])] == ["c2", "c1"]


def test_novelty_decides_between_equals():
    """What was pushed yesterday makes room for something else; after weeks it is nearly new again."""
    recent = view(pushes=(push(NOON - DAY, category="shoes"),))
    assert ranking.choose(recent, [SHOES, TOYS]).candidate == TOYS
    old = view(pushes=(push(NOON - 29 * DAY, category="shoes"),))
    assert ranking.novelty(old, SHOES) == pytest.approx(1.0, abs=0.01)


def test_the_order_of_the_input_does_not_matter():
    """Shuffled candidates rank alike, ties included."""
    offers = [Candidate(f"c{i}", "abc"[i % 3], 100 * (i % 2)) for i in range(9)]
    expected = ranking.rank(view(), offers)
    for seed in range(5):
        mixed = random.Random(seed).sample(offers, len(offers))
        assert ranking.rank(view(), mixed) == expected


def test_the_second_place_goes_to_something_else():
    """MMR prefers a less liked but different candidate to a near copy of the first."""
    seen = view(interests={"shoes": 0.9, "hats": 0.8})
    copy = replace(SHOES, id="c9")
    assert [r.candidate.id for r in ranking.rank(seen, [SHOES, copy, HATS])] == ["c1", "c3", "c9"]
    only_relevance = view(interests=seen.interests, settings=PolicySettings(relevance_weight=1.0))
    assert [r.candidate.id for r in ranking.rank(only_relevance, [SHOES, copy, HATS])] == ["c1", "c9", "c3"]


def test_embeddings_are_compared_by_angle():
    """Parallel embeddings are alike whatever their length, orthogonal and opposite ones are not."""
    a, b = replace(SHOES, embedding=(1.0, 0.0)), replace(TOYS, embedding=(5.0, 0.0))
    assert ranking.similarity(a, b) == pytest.approx(1.0)
    assert ranking.similarity(a, replace(b, embedding=(0.0, 2.0))) == 0.0
    assert ranking.similarity(a, replace(b, embedding=(-1.0, 0.0))) == 0.0
    assert ranking.similarity(a, replace(b, embedding=(0.0, 0.0))) == 0.0


def test_attributes_filter():
    """Excluded tags and categories and uninteresting ones never reach the ranking."""
    settings = PolicySettings(excluded_tags=frozenset({"alcohol"}), excluded_categories=frozenset({"tobacco"}))
    seen = view(settings=settings, interests={"shoes": 0.01})
    assert ranking.admitted(seen, replace(TOYS, tags=("alcohol",))) == "excluded"
    assert ranking.admitted(seen, replace(TOYS, category="tobacco")) == "excluded"
    assert ranking.admitted(seen, SHOES) == "low_interest"
    assert ranking.admitted(seen, TOYS) is None


def test_less_like_this_lowers_one_category_and_wears_off():
    """The interest drops to a tenth at once, other categories keep theirs, and half of it is gone in 28 days."""
    told = (FeedbackRecord("less_like_this", NOON, category="shoes"),)
    assert ranking.interest(view(feedback=told), "shoes") == pytest.approx(0.05)
    assert ranking.interest(view(feedback=told), "toys") == 0.5
    later = (FeedbackRecord("less_like_this", NOON - 28 * DAY, category="shoes"),)
    assert ranking.interest(view(feedback=later), "shoes") == pytest.approx(0.5 * 0.55)


def test_the_variant_opened_most_is_chosen():
    """Of one candidate in several variants the one that this person opens goes out."""
    card, video = replace(SHOES, variant="card"), replace(SHOES, variant="video")
    pushes = tuple(push(NOON - k * DAY, variant="card", outcome="opened") for k in (20, 21, 22))
    pushes += tuple(push(NOON - k * DAY, variant="list", outcome="dismissed") for k in (23, 24))
    assert ranking.choose(view(pushes=pushes), [SHOES, card, video]).candidate.variant == "card"
    assert ranking.choose(view(), [SHOES]).candidate.variant == "list"
