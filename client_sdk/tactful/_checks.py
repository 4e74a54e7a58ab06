"""Checks of what an app passes to a device, so that a wrong type is a typed error and not a surprise further down."""

from collections.abc import Sequence
from datetime import datetime

from tactful.errors import InvalidInput, UnknownDecision
from tactful.types import Candidate

LAST_YEAR = 9_000


def decision_name(decision_id: object) -> str:
    """Return the id; raises `UnknownDecision` where it is no text."""
    if not isinstance(decision_id, str):
        message = f"is of type {type(decision_id).__name__}"
        raise UnknownDecision(message, field="decision_id", remedy="give the text of decision.id")
    return decision_id


def candidates_of(candidates: Sequence[Candidate], now: datetime, seed: bytes | None) -> Sequence[Candidate]:
    """Return the candidates.

    Raises:
        InvalidInput: one of them is no `Candidate`, the seed is not bytes, or the moment is too far ahead to plan from.
    """
    if not isinstance(candidates, Sequence) or not all(isinstance(each, Candidate) for each in candidates):
        raise InvalidInput(
            "must be a list of Candidate", field="candidates", remedy="give [Candidate(id=…, category=…)]"
        )
    if seed is not None and not isinstance(seed, bytes):
        raise InvalidInput(f"is of type {type(seed).__name__}", field="seed", remedy="give bytes, or nothing")
    if not isinstance(now, datetime) or now.year > LAST_YEAR:
        raise InvalidInput("cannot be planned from", field="now", remedy="give an aware datetime, or nothing")
    return candidates
