"""The ledger: every release of a federation in one append-only chain, and how anybody checks that it never changed."""

from tactful_privacy.ledger.chain import Ledger, LedgerReport, mend, verify
from tactful_privacy.ledger.entries import KINDS, NO_HEAD, Entry, Release, Value
from tactful_privacy.ledger.exported import Evidence, export, gather
from tactful_privacy.ledger.files import LedgerNotWritten
from tactful_privacy.ledger.heads import HeadBook, head_fields, head_from_fields, head_of, parse_head
from tactful_privacy.ledger.verdict import LedgerForked, Verdict, history, judge

__all__ = [
    "KINDS",
    "NO_HEAD",
    "Entry",
    "Evidence",
    "HeadBook",
    "Ledger",
    "LedgerForked",
    "LedgerNotWritten",
    "LedgerReport",
    "Release",
    "Value",
    "Verdict",
    "export",
    "gather",
    "head_fields",
    "head_from_fields",
    "head_of",
    "history",
    "judge",
    "mend",
    "parse_head",
    "verify",
]
