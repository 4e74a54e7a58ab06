"""Whether a log can speak about a policy at all: effective sample size, support, and a typed refusal."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tactful_privacy.validate import at_least

Floats = NDArray[np.float64]


class Reason(StrEnum):
    """Why nothing is concluded."""

    NOTHING_TO_EVALUATE = "nothing_to_evaluate"
    NO_SUPPORT = "no_support"
    EFFECTIVE_SAMPLE_TOO_SMALL = "effective_sample_too_small"
    OUTCOME_TOO_RARE = "outcome_too_rare"
    PROPENSITIES_CONTRADICT_ACTIONS = "propensities_contradict_actions"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing is concluded, and why; it takes the place of an estimate."""

    reason: Reason
    text: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"reason": self.reason.value, "text": self.text}


@dataclass(frozen=True, slots=True)
class Limits:
    """The least effective sample on which a conclusion is drawn, and the largest share of decisions without support.

    ``event_users`` is about rare outcomes: resampling persons of whom none had the event gives an interval of no width.
    """

    effective_decisions: float = 100.0
    effective_users: float = 30.0
    event_users: float = 10.0
    unsupported_share: float = 0.0

    def __post_init__(self) -> None:
        at_least(1, effective_decisions=self.effective_decisions, effective_users=self.effective_users)
        at_least(0, event_users=self.event_users)
        at_least(0, unsupported_share=self.unsupported_share)


@dataclass(frozen=True, slots=True)
class Support:
    """How much of a log carries a policy's estimate.

    Attributes:
        decisions: Decisions counted.
        users: Persons counted.
        effective_decisions: (Σw)²/Σw² (Kish).
        effective_users: The same over each person's sum of weights: decisions of one person are not independent.
        effective_event_users: As ``effective_users``, over the decisions whose outcome is not the commonest one.
        mean_weight: 1 in expectation if the propensities are right.
        largest_weight: Of one decision.
        unsupported_share: Share of decisions at which the policy may do what the logged one never did.
    """

    decisions: int
    users: int
    effective_decisions: float
    effective_users: float
    effective_event_users: float
    mean_weight: float
    largest_weight: float
    unsupported_share: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def effective_size(w: ArrayLike) -> float:
    """(Σw)²/Σw² of non-negative weights (n,); 0 if none is above 0.

    >>> effective_size([1, 1, 1, 1]), effective_size([1, 0, 0, 0])
    (4.0, 1.0)
    """
    values = np.asarray(w, dtype=np.float64)
    largest = float(np.max(values, initial=0.0))
    if largest <= 0:
        return 0.0
    scaled = values / largest
    return float(scaled.sum() ** 2 / np.sum(scaled**2))


def measure(y: Floats, w: Floats, user: NDArray[np.int64], send_propensity: Floats, target: Floats) -> Support:
    """The support of a policy on n decisions.

    Args:
        y: Outcomes, (n,).
        w: Weights, or products of weights in a window, (n,).
        user: Person of each decision, (n,).
        send_propensity: Logged probability of a send, (n,).
        target: The policy's, (n,).
    """
    n = len(w)
    people, where = np.unique(user, return_inverse=True)
    values, counts = np.unique(y, return_counts=True)
    event = y != values[np.argmax(counts)] if n else np.zeros(0, dtype=bool)
    per_person, of_events = (np.bincount(where, weights=v, minlength=len(people)) for v in (w, w * event))
    blind = ((send_propensity <= 0) & (target > 0)) | ((send_propensity >= 1) & (target < 1))
    return Support(
        decisions=n,
        users=len(people),
        effective_decisions=effective_size(w),
        effective_users=effective_size(per_person),
        effective_event_users=effective_size(of_events),
        mean_weight=float(w.mean()) if n else 0.0,
        largest_weight=float(np.max(w, initial=0.0)),
        unsupported_share=float(blind.mean()) if n else 0.0,
    )


def refusal(support: Support, limits: Limits) -> Refusal | None:
    """The first reason not to conclude, or None."""
    if support.decisions == 0:
        return Refusal(Reason.NOTHING_TO_EVALUATE, "no decision was left to chance, or none has this outcome")
    if support.unsupported_share > limits.unsupported_share:
        text = f"at {support.unsupported_share:.2%} of the decisions the policy may do what the logged one never did"
        return Refusal(Reason.NO_SUPPORT, text)
    for size, least, what in (
        (support.effective_decisions, limits.effective_decisions, "decisions"),
        (support.effective_users, limits.effective_users, "users"),
    ):
        if size < least:
            text = f"the effective sample is {size:.1f} {what}, fewer than {least:g}"
            return Refusal(Reason.EFFECTIVE_SAMPLE_TOO_SMALL, text)
    if support.effective_event_users < limits.event_users:
        text = (
            f"the outcome departs from its commonest value for an effective {support.effective_event_users:.1f} users"
        )
        return Refusal(Reason.OUTCOME_TOO_RARE, f"{text}, fewer than {limits.event_users:g}")
    return None
