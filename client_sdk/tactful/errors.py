"""What can go wrong on a device. Every message names the field and the remedy; the data stay as they were.

::

    TactfulError
    ├── VaultError
    │   ├── UnreadableVault     not there, not ours, not permitted
    │   ├── VaultDamaged        a row or page is not what was written
    │   ├── WrongKey            the key opens another vault
    │   ├── SchemaTooNew        written by a newer version
    │   ├── VaultBusy           another process holds the write lock
    │   ├── VaultRolledBack     an older copy of the vault was put back
    │   ├── HostForked          opened before this process was forked
    │   └── HostClosed          used after close()
    ├── KeyProblem
    │   ├── KeyMissing          no key where the provider looked
    │   ├── KeyExposed          others may read the key file
    │   └── KeyMalformed        what is there is no key
    ├── UnknownDevice           nobody of that name is enrolled (or was erased)
    ├── UnknownDecision         no decision of that id is stored on this device
    ├── ClockProblem            an event dated in the future
    ├── ModelRefused            a model that is older, altered, or not signed by the pinned key
    ├── BudgetExhausted     a price which the device's privacy budget does not cover
    ├── RenewalRefused      no fresh consent for a new period of the budget
    ├── LinkRefused         a link between two devices that would create budget, is used already or not genuine
    └── InvalidInput
        ├── MalformedEvent      a kind, property or value outside the allow-list
        ├── UnknownTimeZone     not an IANA name
        └── UnknownPurpose      not one of the four purposes of consent
"""

from tactful_privacy.errors import BudgetExhausted, InvalidInput, TactfulError

__all__ = [
    "BudgetExhausted",
    "ClockProblem",
    "HostClosed",
    "HostForked",
    "InvalidInput",
    "KeyExposed",
    "KeyMalformed",
    "KeyMissing",
    "KeyProblem",
    "LinkRefused",
    "MalformedEvent",
    "ModelRefused",
    "RenewalRefused",
    "SchemaTooNew",
    "TactfulError",
    "UnknownDecision",
    "UnknownDevice",
    "UnknownPurpose",
    "UnknownTimeZone",
    "UnreadableVault",
    "VaultBusy",
    "VaultDamaged",
    "VaultError",
    "VaultRolledBack",
    "WrongKey",
]


class VaultError(TactfulError):
    """The vault cannot be used as asked."""


class UnreadableVault(VaultError):
    """The file is not there, may not be read, or is not a vault."""


class VaultDamaged(VaultError):
    """A row or page is not what was written: tampered with, moved, or lost."""


class WrongKey(VaultError):
    """The key belongs to another vault."""


class SchemaTooNew(VaultError):
    """A newer version of this package wrote the vault."""


class VaultBusy(VaultError):
    """Another process held the write lock for too long."""


class VaultRolledBack(VaultError):
    """The vault is older than what its keeper's counter remembers; budgets are frozen until that is accounted for."""


class HostForked(VaultError):
    """The host was opened before this process was forked; a connection does not survive that."""


class HostClosed(VaultError):
    """The host was closed."""


class KeyProblem(TactfulError):
    """The host key cannot be had."""


class KeyMissing(KeyProblem):
    """There is no key where the provider looked. A new one is made only together with a new vault."""


class KeyExposed(KeyProblem):
    """Others than the owner may read or write the key file."""


class KeyMalformed(KeyProblem):
    """What the provider found is not a key."""


class UnknownDevice(TactfulError):
    """Nobody of that name is enrolled here; perhaps they were erased."""


class UnknownDecision(TactfulError):
    """This device stores no decision of that id."""


class ClockProblem(TactfulError):
    """An event dated in the future was refused."""


class ModelRefused(TactfulError):
    """A model was not installed: older than the one in use, altered, or not signed by the pinned key."""


class RenewalRefused(TactfulError):
    """A new period of the privacy budget was asked for without a consent that is newer than the present period."""


class LinkRefused(TactfulError):
    """A link between two devices would create budget, was used already, or is not genuine."""


class MalformedEvent(InvalidInput):
    """An event's kind, property or value is outside the allow-list."""


class UnknownTimeZone(InvalidInput):
    """Not the name of an IANA time zone."""


class UnknownPurpose(InvalidInput):
    """Not one of the purposes of consent."""
