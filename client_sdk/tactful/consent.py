"""Consent: four purposes, each denied until granted, with the version and digest of the text that was agreed to."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from tactful.errors import InvalidInput, UnknownPurpose

PERSONALISATION: Final = "on_device_personalisation"
PURPOSES: Final[Mapping[str, str]] = {
    "analytics": "numbers about the use of the app, on the device only",
    "federated_learning": "taking part in rounds: a masked, noised contribution leaves",
    "marketing_push": "promotional pushes",
    "on_device_personalisation": "recording behaviour on the device and deciding by it",
}
"""The purposes and what each one permits."""


@dataclass(frozen=True, slots=True)
class Consent:
    """One statement of a person about one purpose. Statements are kept; the latest of a purpose holds.

    ``at_ms``: milliseconds since 1970. ``policy_sha256``: of the text shown, empty where the app did not pass it.
    """

    purpose: str
    granted: bool
    policy_version: str
    at_ms: int
    policy_sha256: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def consent(purpose: str, granted: bool, policy_version: str, at_ms: int, policy_text: str | None = None) -> Consent:
    """Return a checked statement.

    Raises:
        UnknownPurpose: not one of `PURPOSES`.
        InvalidInput: ``granted`` is not a bool, or the version is missing.
    """
    if purpose not in PURPOSES:
        raise UnknownPurpose(f"unknown purpose {purpose!r}", field="purpose", remedy=f"use {', '.join(PURPOSES)}")
    if not isinstance(granted, bool):
        raise InvalidInput("must be True or False", field="granted")
    if not isinstance(policy_version, str) or not 0 < len(policy_version) <= 64:
        remedy = "name the version of the text that the person saw"
        raise InvalidInput("must be text of 1 to 64 characters", field="policy_version", remedy=remedy)
    digest = "" if policy_text is None else hashlib.sha256(policy_text.encode()).hexdigest()
    return Consent(purpose, granted, policy_version, at_ms, digest)


def granted(statements: Iterable[Consent]) -> frozenset[str]:
    """Return the purposes whose latest statement grants them."""
    latest = {statement.purpose: statement.granted for statement in statements}
    return frozenset(purpose for purpose, held in latest.items() if held)
