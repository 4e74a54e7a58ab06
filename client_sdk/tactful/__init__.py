"""Tactful: pushes that know when to stay quiet, learned across devices without the data leaving them.

This root is the whole API for apps; all names are loaded when first used, so that importing it costs next to nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tactful.budget import PrivacyBudget
    from tactful.consent import PURPOSES, Consent
    from tactful.device import Device
    from tactful.errors import (
        BudgetExhausted,
        ClockProblem,
        InvalidInput,
        KeyProblem,
        LinkRefused,
        MalformedEvent,
        ModelRefused,
        RenewalRefused,
        SchemaTooNew,
        TactfulError,
        UnknownDecision,
        UnknownDevice,
        UnknownTimeZone,
        UnreadableVault,
        VaultDamaged,
        VaultError,
        VaultRolledBack,
        WrongKey,
    )
    from tactful.events import Event
    from tactful.host import Host
    from tactful.links import Link
    from tactful.receipts import ErasureReceipt
    from tactful.settings import GuardrailSettings, PolicySettings
    from tactful.types import Candidate, Decision, Reason, WeekPlan

__all__ = [
    "PURPOSES",
    "BudgetExhausted",
    "Candidate",
    "ClockProblem",
    "Consent",
    "Decision",
    "Device",
    "ErasureReceipt",
    "Event",
    "GuardrailSettings",
    "Host",
    "InvalidInput",
    "KeyProblem",
    "Link",
    "LinkRefused",
    "MalformedEvent",
    "ModelRefused",
    "PolicySettings",
    "PrivacyBudget",
    "Reason",
    "RenewalRefused",
    "SchemaTooNew",
    "TactfulError",
    "UnknownDecision",
    "UnknownDevice",
    "UnknownTimeZone",
    "UnreadableVault",
    "VaultDamaged",
    "VaultError",
    "VaultRolledBack",
    "WeekPlan",
    "WrongKey",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tactful' has no attribute {name!r}")
    import tactful._api

    value = getattr(tactful._api, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
