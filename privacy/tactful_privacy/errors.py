"""The root of every error of this project, and the ones that the privacy package raises.

::

    TactfulError
    ├── InvalidInput (also ValueError)   an argument is out of range; names the field and the remedy
    ├── WireError                        bytes that are not what they claim (wire/errors.py)
    ├── ProtocolError                    a secure-aggregation message or plan that must not be answered
    ├── BudgetExhausted                  the device's privacy budget does not cover the price
    ├── ModulusTooSmall                  the sum could wrap round the modulus
    ├── SelfTestFailed                   a host's own noise, encoder or masks do not work; it takes no part
    └── LedgerBroken                     the chain of releases was edited, cut or reordered

The device's errors (`tactful.errors`) and the server's hang from the same root.
"""


class TactfulError(Exception):
    """Root of all errors. ``field`` names what is wrong, ``remedy`` what to do about it."""

    def __init__(self, message: str, *, field: str = "", remedy: str = "") -> None:
        self.field = field
        self.remedy = remedy
        parts = [f"{field}: {message}" if field else message]
        if remedy:
            parts.append(remedy)
        super().__init__("; ".join(parts))


class InvalidInput(TactfulError, ValueError):
    """An argument is out of range or of the wrong kind."""


class ProtocolError(TactfulError):
    """A message of a round is wrong, out of order or hostile, and was refused."""


class BudgetExhausted(TactfulError):
    """A device's privacy budget does not cover the price of a round."""


class ModulusTooSmall(TactfulError):
    """The sum of the encoded contributions and the noise could wrap round the modulus."""


class SelfTestFailed(TactfulError):
    """A host's own noise, encoder or secure aggregation does not do what it must. ``checks`` names what failed."""

    code = "self_test_failed"

    def __init__(self, checks: tuple[str, ...]) -> None:
        self.checks = checks
        remedy = "take no part in rounds; reinstall the library, and look at the operating system's random source"
        super().__init__(", ".join(checks), field="self-test", remedy=remedy)


class LedgerBroken(TactfulError):
    """The ledger does not verify.

    ``line`` is the first line (from 1) at which it fails, ``fault`` one word for how: ``edited``, ``reordered``,
    ``removed``, ``inserted``, ``truncated``, ``extended``, ``forked``, ``forged`` or ``unfinished``.
    """

    def __init__(self, message: str, *, line: int, remedy: str = "", fault: str = "edited") -> None:
        self.line = line
        self.fault = fault
        super().__init__(message, field=f"ledger line {line}", remedy=remedy)
