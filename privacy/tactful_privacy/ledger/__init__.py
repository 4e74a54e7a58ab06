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
from tactful_privacy.ledger.heads import HeadBook, head_fields, head_from_fields, head_of, parse_head

__all__ = [
    "KINDS",
    "NO_HEAD",
    "Entry",
    "HeadBook",
    "Ledger",
    "LedgerNotWritten",
    "LedgerReport",
    "Release",
    "Value",
    "head_fields",
    "head_from_fields",
    "head_of",
    "mend",
    "parse_head",
    "verify",
]
