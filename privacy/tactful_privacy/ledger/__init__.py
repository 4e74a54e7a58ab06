"""The ledger: every release of a federation in one append-only chain, and how anybody checks that it never changed."""

from tactful_privacy.ledger.chain import (
    KINDS,
    NO_HEAD,
    Entry,
    Ledger,
    LedgerNotWritten,
    LedgerReport,
    Release,
    Value,
    mend,
    verify,
)

__all__ = [
    "KINDS",
    "NO_HEAD",
    "Entry",
    "Ledger",
    "LedgerNotWritten",
    "LedgerReport",
    "Release",
    "Value",
    "mend",
    "verify",
]
