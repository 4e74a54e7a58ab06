"""Where a chain breaks, and how: from the first line that does not fit to the one that was tampered with.

A chain that is read from its beginning only says where it stops to make sense. The rest of the file says more: whether
the entry which belongs there comes later (reordered) or never (removed), whether a line was put between two that follow
each other (inserted), or whether one was rewritten together with its own hash (edited), which the next line betrays.
"""

from collections.abc import Sequence

from tactful_privacy.errors import LedgerBroken
from tactful_privacy.ledger.entries import CONTINUES, NO_HEAD, Entry, parse_entry


def located(lines: Sequence[bytes], error: LedgerBroken) -> LedgerBroken:
    """Return the error that says what was done to the lines, or the given one where they do not say more.

    Args:
        lines: all lines from the first entry on, without their line breaks.
        error: raised at the first line that does not continue the chain.
    """
    place = error.line - 1
    found = _entry(lines[place], place) if place < len(lines) else None
    if found is None or error.fault == "unfinished":
        return error
    entries = [_entry(line, number) for number, line in enumerate(lines)]
    if found.index > place:
        return _too_early(entries, place, found)
    if found.index < place:
        return _too_late(entries, place, found)
    before = entries[place - 1] if place else None
    if found.previous != (before.hash if before else NO_HEAD):
        return _does_not_continue(entries, place, found, error)
    return error


def _entry(line: bytes, number: int) -> Entry | None:
    try:
        return parse_entry(line, number)
    except LedgerBroken:
        return None


def _broken(message: str, place: int, fault: str) -> LedgerBroken:
    return LedgerBroken(f"{fault}: {message}", line=place + 1, remedy=CONTINUES, fault=fault)


def _too_early(entries: Sequence[Entry | None], place: int, found: Entry) -> LedgerBroken:
    where = {entry.index: number for number, entry in enumerate(entries) if entry is not None}
    if place in where:
        message = f"entry {found.index} stands where entry {place} belongs, which is on line {where[place] + 1}"
        return _broken(message, place, "reordered")
    missing = sum(index not in where for index in range(place, found.index))
    return _broken(f"{missing} entries are missing before entry {found.index}, from entry {place} on", place, "removed")


def _too_late(entries: Sequence[Entry | None], place: int, found: Entry) -> LedgerBroken:
    rival = entries[found.index]
    before = entries[found.index - 1] if found.index else None
    if rival is not None and rival.hash == found.hash:
        return _broken(f"entry {found.index} stands here once more", place, "inserted")
    if found.previous == (before.hash if before else NO_HEAD):
        message = f"{place - found.index} lines stand before entry {found.index}, which follows the line above"
        return _broken(message, found.index, "inserted")
    return _broken(f"a line that says it is entry {found.index}", place, "inserted")


def _does_not_continue(entries: Sequence[Entry | None], place: int, found: Entry, error: LedgerBroken) -> LedgerBroken:
    after = entries[place + 1] if place + 1 < len(entries) else None
    if place and (after is None or after.previous == found.hash):
        message = f"entry {place - 1} was rewritten with a new hash; the next line does not continue it"
        return _broken(message, place - 1, "edited")
    if after is not None:
        message = f"entry {place} was rewritten with a new hash, and does not continue the line before it"
        return _broken(message, place, "edited")
    return error
