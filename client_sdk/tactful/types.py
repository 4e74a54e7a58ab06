"""What goes into a decision and what comes out of it. Times are aware UTC, money is in minor units (cents)."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from tactful.settings import PolicySettings
from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least

if TYPE_CHECKING:
    from tactful.model import Model
    from tactful.personal import PersonalLayer

Action = Literal["send", "wait", "quiet"]
Kind = Literal["promotional", "transactional"]
KINDS = ("promotional", "transactional")
PLACEMENTS = ("push", "home", "search", "cart", "order_page")
VARIANTS = ("list", "card", "video")
FEEDBACK_KINDS = ("complaint", "less_like_this", "too_often", "wrong_time")
_TEXT_LIMIT = 200
_FORMAT = 1


def _name(limit: int = _TEXT_LIMIT, **values: str) -> None:
    for name, value in values.items():
        if not isinstance(value, str) or not 0 < len(value) <= limit:
            raise InvalidInput(f"must be text of 1 to {limit} characters, not {value!r}", field=name)


def _one_of(allowed: tuple[str, ...], **values: str) -> None:
    for name, value in values.items():
        if value not in allowed:
            raise InvalidInput(f"must be one of {', '.join(allowed)}, not {value!r}", field=name)


def _aware(**values: datetime) -> None:
    for name, value in values.items():
        if not isinstance(value, datetime) or value.utcoffset() is None:
            raise InvalidInput("must be a datetime with a time zone", field=name, remedy="use datetime.now(UTC)")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One message that could be pushed.

    Attributes:
        value_minor: what an engagement with it is worth; 0 means not stated (the settings' reference value is used).
        ttl_s: for how long from now it makes sense; 0 means that it has expired.
        kind: a transactional push (order, delivery, security) obeys only its own opt-out and leaves at once.
        embedding: optional content vector, compared by cosine; candidates without one are compared by tags.
        own_reason: it has a reason of the person's own: a basket left, a price drop or a restock of what was looked at.
    """

    id: str
    category: str
    value_minor: float = 0
    ttl_s: float = 86_400
    tags: tuple[str, ...] = ()
    kind: str = "promotional"
    placement: str = "push"
    variant: str = "list"
    embedding: tuple[float, ...] | None = None
    campaign: str | None = None
    own_reason: bool = False

    def __post_init__(self) -> None:
        _name(id=self.id, category=self.category)
        _one_of(KINDS, kind=self.kind)
        _one_of(PLACEMENTS, placement=self.placement)
        _one_of(VARIANTS, variant=self.variant)
        for name in ("value_minor", "ttl_s"):
            if not math.isfinite(getattr(self, name)):
                raise InvalidInput("must be a finite number", field=name)
        at_least(0, value_minor=self.value_minor, ttl_s=self.ttl_s)
        if not isinstance(self.own_reason, bool):
            raise InvalidInput(f"must be True or False, not {self.own_reason!r}", field="own_reason")
        object.__setattr__(self, "tags", tuple(self.tags))
        for tag in self.tags:
            _name(tags=tag)
        if self.campaign is not None:
            _name(campaign=self.campaign)
        if self.embedding is not None:
            self._check_embedding(self.embedding)

    def _check_embedding(self, embedding: tuple[float, ...]) -> None:
        values = tuple(float(x) for x in embedding)
        if not 0 < len(values) <= 4096 or not all(map(math.isfinite, values)):
            raise InvalidInput("must hold 1 to 4096 finite numbers", field="embedding")
        object.__setattr__(self, "embedding", values)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` undoes it."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        plain["tags"] = list(self.tags)
        plain["embedding"] = None if self.embedding is None else list(self.embedding)
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Candidate":
        """Rebuild a candidate; raises `InvalidInput` where a value is out of range."""
        embedding = plain["embedding"]
        values = {**plain, "tags": tuple(plain["tags"]), "embedding": None if embedding is None else tuple(embedding)}
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: a stable code, its contribution to the score in minor units where it has one, and the facts of its sentence.

    ``detail`` holds (name, value) pairs of text, which the message of that code may mention.
    """

    code: str
    contribution: float | None = None
    detail: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PushRecord:
    """A promotional push that was sent. Without consent to personalisation a vault keeps only times and cap keys.

    ``outcome`` is the furthest outcome known: "", "delivered", "opened", "dismissed", "converted" or "opted_out".
    """

    at: datetime
    candidate_id: str = ""
    category: str = ""
    campaign: str | None = None
    variant: str = "list"
    tags: tuple[str, ...] = ()
    embedding: tuple[float, ...] | None = None
    outcome: str = ""
    kind: str = "promotional"

    def __post_init__(self) -> None:
        _aware(at=self.at)
        _one_of(KINDS, kind=self.kind)


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    """What the person said about a push: ``kind`` is one of `FEEDBACK_KINDS`; ``slot`` the slot it was sent in."""

    kind: str
    at: datetime
    candidate_id: str = ""
    category: str = ""
    campaign: str | None = None
    slot: int | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        _aware(at=self.at)
        _one_of(FEEDBACK_KINDS, kind=self.kind)


@dataclass(frozen=True, slots=True)
class PacingState:
    """The running local week: its Monday, how many promotional pushes it saw, and the dual price μ."""

    week_start: date
    sent: int = 0
    price_minor: float = 0.0

    def __post_init__(self) -> None:
        at_least(0, sent=self.sent, price_minor=self.price_minor)


@dataclass(frozen=True, slots=True, eq=False)
class DeviceView:
    """Everything that a decision may depend on, gathered by the device; nothing else is read.

    Attributes:
        now: aware UTC. timezone: IANA name of where the device is now.
        salt: the device's secret random bytes, from which its groups are drawn.
        phi: float32 (8 days, 7 slots, D), local today first; None where personalisation is not consented to.
        pushes: promotional pushes of the last 30 days, any order.
        interests: category → interest in [0, 1], decayed.
        fleet_price_minor: ν, what the fleet asks for one push.
    """

    now: datetime
    timezone: str
    salt: bytes
    consents: frozenset[str]
    settings: PolicySettings
    model: "Model"
    personal: "PersonalLayer"
    phi: NDArray[np.float32] | None
    week: PacingState
    pushes: tuple[PushRecord, ...] = ()
    interests: Mapping[str, float] = field(default_factory=dict)
    feedback: tuple[FeedbackRecord, ...] = ()
    fleet_price_minor: float = 0.0
    opted_out: bool = False
    transactional_opted_out: bool = False

    def __post_init__(self) -> None:
        _aware(now=self.now)
        object.__setattr__(self, "now", self.now.astimezone(UTC))
        at_least(0, fleet_price_minor=self.fleet_price_minor)
        if self.phi is None:
            return
        if self.phi.ndim != 3 or self.phi.shape[1] != 7:
            raise InvalidInput(f"must have the shape (days, 7, D), not {self.phi.shape}", field="phi")
        if not np.isfinite(self.phi).all():
            raise InvalidInput("must be finite", field="phi", remedy="recompute the features from the events")

    @property
    def personalised(self) -> bool:
        """Whether the person's own features may be used."""
        return "on_device_personalisation" in self.consents and self.phi is not None


@dataclass(frozen=True, slots=True)
class Decision:
    """Send, wait or quiet, with all that is needed to log it, to evaluate it later and to say it in words.

    Attributes:
        at: now for "send", the better time for "wait", None for "quiet".
        propensity: probability of this very action under the policy that took it.
        send_probability: probability of a send; 0 or 1 where a deterministic rule decided.
        evaluable: False where a deterministic rule decided: such rows are excluded from off-policy evaluation.
        reasons: the rule or comparison that decided first, then the terms of the score, which add up to
            ``score_minor`` exactly, then what the largest of them are made of.
        score_minor: S at ``at`` (at the best slot for "quiet"), None where no score was computed.
        basis: "prior", "learned" or "rules". group: "policy", "micro_randomised" or "never_push".
        slot: slot index of ``at``. timezone: where the device was. weekly_budget: k, None where none was computed.
    """

    id: str
    action: Action
    candidate: Candidate | None
    at: datetime | None
    propensity: float
    reasons: tuple[Reason, ...]
    model_version: str
    created_at: datetime
    timezone: str = "UTC"
    send_probability: float = 0.0
    evaluable: bool = False
    basis: str = "rules"
    group: str = "policy"
    score_minor: float | None = None
    slot: int | None = None
    weekly_budget: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; times are ISO 8601 in UTC."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        plain["format"] = _FORMAT
        plain["candidate"] = None if self.candidate is None else self.candidate.to_dict()
        plain["at"] = None if self.at is None else self.at.isoformat()
        plain["created_at"] = self.created_at.isoformat()
        plain["reasons"] = [[r.code, r.contribution, [list(pair) for pair in r.detail]] for r in self.reasons]
        return plain

    def to_json(self) -> str:
        """Return canonical JSON: the same decision is always the same text."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Decision":
        """Rebuild a decision; raises `InvalidInput` where the text is not one of this format."""
        try:
            return cls._from_dict(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidInput(f"is not a decision ({error})", field="decision") from error

    @classmethod
    def _from_dict(cls, plain: dict[str, Any]) -> "Decision":
        if plain.pop("format") != _FORMAT:
            raise InvalidInput("is of an unknown format", field="decision", remedy="read it with a newer version")
        candidate, at = plain["candidate"], plain["at"]
        plain["candidate"] = None if candidate is None else Candidate.from_dict(candidate)
        plain["at"] = None if at is None else datetime.fromisoformat(at)
        plain["created_at"] = datetime.fromisoformat(plain["created_at"])
        rows = plain["reasons"]
        plain["reasons"] = tuple(Reason(code, amount, tuple((k, v) for k, v in pairs)) for code, amount, pairs in rows)
        return cls(**plain)

    def text(self, lang: str = "en") -> str:
        """Say the decision in a sentence; ``lang`` is "en" or "zh"."""
        from tactful.explain import sentence

        return sentence(self, lang)


@dataclass(frozen=True, slots=True)
class SlotScore:
    """One slot of the coming week: when, what a push in it is worth, and whether the plan uses it."""

    at: datetime
    day: int
    slot: int
    score_minor: float
    chosen: bool
    reasons: tuple[Reason, ...] = ()
    timezone: str = "UTC"

    def text(self, lang: str = "en") -> str:
        """Say in a sentence why the slot is used or not; ``lang`` is "en" or "zh"."""
        from tactful.explain import slot_sentence

        return slot_sentence(self, lang)


@dataclass(frozen=True, slots=True)
class WeekPlan:
    """The weekly budget k and every slot that could still be used, in order of time.

    ``utility_minor[k]`` is U(k) for k = 0 … ; ``basis`` is "prior" or "learned".
    """

    budget: int
    slots: tuple[SlotScore, ...]
    utility_minor: tuple[float, ...] = (0.0,)
    basis: str = "prior"

    @property
    def chosen(self) -> tuple[SlotScore, ...]:
        """The slots that the plan uses, in order of time."""
        return tuple(slot for slot in self.slots if slot.chosen)
