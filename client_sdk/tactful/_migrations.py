"""From an older vault to the present schema: a private copy beside it, then one transaction, all of it or nothing.

The copy still holds everything that the vault held, sealed under the same keys; the first erasure deletes it, since a
copy that outlives an erasure would undo it.
"""

import glob
import os
import secrets
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

CONTRIBUTIONS: Final = """
CREATE TABLE contributions (plan BLOB PRIMARY KEY, federation TEXT NOT NULL, round INTEGER NOT NULL,
    devices INTEGER NOT NULL, seal BLOB NOT NULL) WITHOUT ROWID"""
LINKS: Final = "CREATE TABLE links (id BLOB PRIMARY KEY, seal BLOB NOT NULL) WITHOUT ROWID"
SPEND_SOURCE: Final = "ALTER TABLE spends ADD COLUMN source TEXT NOT NULL DEFAULT ''"


def _budgets_apart(connection: sqlite3.Connection) -> None:
    """1 to 2: what each round was answered with, links between devices, and where a spend came from."""
    for statement in (CONTRIBUTIONS, LINKS, SPEND_SOURCE):
        connection.execute(statement)


STEPS: Final[Mapping[int, Callable[[sqlite3.Connection], None]]] = {1: _budgets_apart}
"""For each older version, the step to the next one; each runs inside the caller's transaction."""


def copy_path(path: Path, version: int) -> Path:
    """Return where the copy of a vault of that version is kept."""
    return path.with_name(f"{path.name}.v{version}-copy")


def migrate(connection: sqlite3.Connection, path: Path | None, target: int) -> None:
    """Bring a vault forward to ``target``, after a copy of it was made; returns at once where it is there already.

    A crash at any point leaves either version whole. Call under the vault's lease: of two processes the slower finds
    the work done, and does not take a migrated vault for the old one.
    """
    if _version(connection) >= target:
        return
    if path is not None:
        _copy(connection, copy_path(path, _version(connection)))
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for version in range(_version(connection), target):
            STEPS[version](connection)
        connection.execute(f"PRAGMA user_version={target}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def forget_copies(path: Path | None) -> None:
    """Delete the copies that migrations left, unfinished ones too; called by an erasure."""
    if path is not None:
        for version in STEPS:
            for copy in path.parent.glob(f"{glob.escape(copy_path(path, version).name)}*"):
                copy.unlink(missing_ok=True)


def is_old(connection: sqlite3.Connection, target: int) -> bool:
    """Return whether there is something to migrate."""
    return _version(connection) < target


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _copy(connection: sqlite3.Connection, target: Path) -> None:
    unfinished = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
    os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(unfinished)) as copy:
        connection.backup(copy)
    unfinished.replace(target)
