"""Which candidate: filter by interest and attributes, score interest × novelty, diversify, choose one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tactful.settings import DAY_S, PolicySettings
from tactful.types import Candidate, DeviceView, FeedbackRecord, PushRecord

# Each "less like this" leaves a tenth of the interest. It wears off with the half-life of the feedback period.
_DISLIKE = 0.1
_VARIANT_PRIOR = (1.0, 20.0)
_LATELY_S = 3 * DAY_S


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate with its interest and novelty, each in [0, 1], and its marginal relevance, which may be below 0."""

    candidate: Candidate
    interest: float
    novelty: float
    marginal_relevance: float

    @property
    def relevance(self) -> float:
        """Interest × novelty."""
        return self.interest * self.novelty


def similarity(a: Candidate | PushRecord, b: Candidate | PushRecord) -> float:
    """Return how alike two messages are, in [0, 1]: cosine of embeddings, else half category, half shared tags."""
    if a.embedding is not None and b.embedding is not None and len(a.embedding) == len(b.embedding):
        norm = math.hypot(*a.embedding) * math.hypot(*b.embedding)
        return max(0.0, sum(x * y for x, y in zip(a.embedding, b.embedding, strict=True)) / norm) if norm else 0.0
    tags_a, tags_b = set(a.tags), set(b.tags)
    shared_tags = len(tags_a & tags_b) / len(tags_a | tags_b) if tags_a | tags_b else float(a.category == b.category)
    return 0.5 * (a.category == b.category) + 0.5 * shared_tags


def interest(view: DeviceView, category: str) -> float:
    """Return the interest in a category in [0, 1], lowered by every "less like this"."""
    known = min(1.0, max(0.0, view.interests.get(category, view.settings.unknown_interest)))
    for record in view.feedback:
        if record.kind == "less_like_this" and record.category == category:
            known *= 1.0 - (1.0 - _DISLIKE) * _fading(view, record)
    return known


def _fading(view: DeviceView, record: FeedbackRecord) -> float:
    age_d = max(0.0, (view.now - record.at).total_seconds() / DAY_S)
    return float(0.5 ** (age_d / view.settings.feedback_d))


def novelty(view: DeviceView, candidate: Candidate) -> float:
    """Return 1 for what was not pushed lately, less the more alike and the more recent the last pushes are."""
    half_life, worst = view.settings.novelty_half_life_d, 0.0
    for push in view.pushes:
        if push.category == candidate.category or push.embedding is not None:
            age_d = max(0.0, (view.now - push.at).total_seconds() / DAY_S)
            worst = max(worst, similarity(candidate, push) * 0.5 ** (age_d / half_life))
    return 1.0 - worst


def admitted(view: DeviceView, candidate: Candidate) -> str | None:
    """Return None where a candidate passes the filter, else the reason code "excluded" or "low_interest"."""
    settings = view.settings
    if candidate.category in settings.excluded_categories or not settings.excluded_tags.isdisjoint(candidate.tags):
        return "excluded"
    return "low_interest" if interest(view, candidate.category) < settings.minimum_interest else None


def rank(view: DeviceView, candidates: Sequence[Candidate], limit: int = 1_000) -> tuple[Ranked, ...]:
    """Order candidates by maximal marginal relevance (Carbonell & Goldstein 1998), best first.

    MMR(c) = λ·interest·novelty − (1 − λ)·max similarity to what was pushed in the last three days or is ranked above;
    ``limit`` stops after so many. Ties go to the higher value,
    then to the smaller id and variant, so that the order of the input does not matter.
    """
    pool = [(c, interest(view, c.category), novelty(view, c)) for c in candidates]
    pool.sort(key=lambda row: (-row[1] * row[2], -row[0].value_minor, row[0].id, row[0].variant))
    weight, chosen, shown = view.settings.relevance_weight, list[Ranked](), _shown_lately(view)
    while pool and len(chosen) < limit:
        scored = [weight * i * n - (1 - weight) * _overlap(c, shown) for c, i, n in pool]
        best = max(range(len(pool)), key=scored.__getitem__)
        chosen.append(Ranked(*pool.pop(best), marginal_relevance=scored[best]))
        shown.append(chosen[-1].candidate)
    return tuple(chosen)


def _shown_lately(view: DeviceView) -> list[Candidate | PushRecord]:
    recent = [push for push in view.pushes if (view.now - push.at).total_seconds() < _LATELY_S]
    return list[Candidate | PushRecord](recent)


def _overlap(candidate: Candidate, shown: Sequence[Candidate | PushRecord]) -> float:
    return max((similarity(candidate, other) for other in shown), default=0.0)


def choose(view: DeviceView, candidates: Sequence[Candidate]) -> Ranked:
    """Return the best candidate in the variant that this person has opened most often (candidates of one id differ)."""
    if len(candidates) == 1:
        only = candidates[0]
        return _alone(only, interest(view, only.category), novelty(view, only), view.settings)
    best = rank(view, candidates, limit=1)[0]
    twins = [c for c in candidates if c.id == best.candidate.id]
    if len(twins) == 1:
        return best
    liked = max(twins, key=lambda c: (_variant_open_rate(view.pushes, c.variant), c.variant == best.candidate.variant))
    return _alone(liked, interest(view, liked.category), novelty(view, liked), view.settings)


def _alone(candidate: Candidate, interest_in: float, new: float, settings: PolicySettings) -> Ranked:
    return Ranked(candidate, interest_in, new, settings.relevance_weight * interest_in * new)


def _variant_open_rate(pushes: Sequence[PushRecord], variant: str) -> float:
    shown = [push for push in pushes if push.variant == variant and push.outcome]
    opened = sum(push.outcome in ("opened", "converted") for push in shown)
    return (opened + _VARIANT_PRIOR[0]) / (len(shown) + _VARIANT_PRIOR[1])
