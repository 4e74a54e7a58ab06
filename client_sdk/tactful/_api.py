"""Every public name of the SDK, loaded together: `tactful` reaches in here when one of them is first used."""

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
