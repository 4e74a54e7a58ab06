"""Every public name of the SDK, loaded together: `tactful` reaches in here when one of them is first used."""

from tactful.budget import PrivacyBudget
from tactful.consent import PURPOSES, Consent
from tactful.device import Device
from tactful.errors import (
    BudgetExhausted,
    ClockProblem,
    InvalidInput,
    KeyProblem,
    MalformedEvent,
    ModelRefused,
    SchemaTooNew,
    TactfulError,
    UnknownDecision,
    UnknownDevice,
    UnknownTimeZone,
    UnreadableVault,
    VaultDamaged,
    VaultError,
    WrongKey,
)
from tactful.events import Event
from tactful.host import Host
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
    "MalformedEvent",
    "ModelRefused",
    "PolicySettings",
    "PrivacyBudget",
    "Reason",
    "SchemaTooNew",
    "TactfulError",
    "UnknownDecision",
    "UnknownDevice",
    "UnknownTimeZone",
    "UnreadableVault",
    "VaultDamaged",
    "VaultError",
    "WeekPlan",
    "WrongKey",
]
