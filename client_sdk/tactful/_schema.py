"""The vault's file: its tables, its version, and how a connection to it is opened."""

import contextlib
import os
import sqlite3
from pathlib import Path

from tactful._lease import Lease
from tactful._migrations import CONTRIBUTIONS, LINKS, is_old, migrate
from tactful.errors import SchemaTooNew, UnreadableVault, VaultDamaged

SCHEMA_VERSION = 2
APPLICATION_ID = 0x54414354  # "TACT": tells our file from another program's
BUSY_TIMEOUT_S = 10.0

TABLES = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE devices (id INTEGER PRIMARY KEY AUTOINCREMENT, token BLOB NOT NULL UNIQUE, key BLOB NOT NULL);
CREATE TABLE rows (id INTEGER PRIMARY KEY, device INTEGER NOT NULL REFERENCES devices(id), kind TEXT NOT NULL,
    tag BLOB UNIQUE, blob BLOB NOT NULL);
CREATE INDEX rows_of_device ON rows (device, kind, id);
CREATE TABLE spends (device INTEGER NOT NULL, federation TEXT NOT NULL, round INTEGER NOT NULL, plan BLOB NOT NULL,
    rho TEXT NOT NULL, seal BLOB NOT NULL, source TEXT NOT NULL DEFAULT '', UNIQUE (device, federation, round));
CREATE TABLE rounds (plan BLOB PRIMARY KEY, federation TEXT NOT NULL, round INTEGER NOT NULL,
    attempt INTEGER NOT NULL, blob BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE mask_keys (key BLOB NOT NULL, plan BLOB NOT NULL, PRIMARY KEY (key, plan)) WITHOUT ROWID;
CREATE TABLE models (id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, artifact BLOB NOT NULL);
CREATE TABLE tombstones (token BLOB PRIMARY KEY, blob BLOB NOT NULL) WITHOUT ROWID;
{CONTRIBUTIONS};
{LINKS};
"""


def is_new(path: Path | None) -> bool:
    """Return whether there is no vault at that path yet (None: in memory); an empty file counts as none.

    Raises:
        UnreadableVault: the folder is missing or the path cannot be read.
    """
    if path is None:
        return True
    try:
        return path.stat().st_size == 0
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise UnreadableVault(f"no folder {path.parent}", field="path", remedy="create the folder first") from None
        return True
    except OSError as error:
        raise _unreadable(path, error) from error


def connect(path: Path | None) -> sqlite3.Connection:
    """Open the file (None: in memory), create the tables in an empty one, and check whose it is and how new.

    Raises:
        UnreadableVault: it may not be read or written, or is not a vault.
        SchemaTooNew: a newer version wrote it.
    """
    try:
        if path is not None:
            # Made by us, so that it is never readable by others, whatever the umask.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(
            ":memory:" if path is None else path,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
    except (OSError, sqlite3.Error) as error:
        raise _unreadable(path, error) from error
    try:
        _prepare(connection)
    except sqlite3.Error as error:
        connection.close()
        raise _unreadable(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA secure_delete=ON")
    version, owner = _pragma(connection, "user_version"), _pragma(connection, "application_id")
    if owner == APPLICATION_ID:
        _check_version(version)
    elif connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] or owner:
        raise UnreadableVault("is another program's database", field="path", remedy="give the path of a vault")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA temp_store=MEMORY")
    if owner != APPLICATION_ID:
        _create(connection)


def _create(connection: sqlite3.Connection) -> None:
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute("BEGIN IMMEDIATE")
        if _pragma(connection, "application_id") != APPLICATION_ID:  # another process may have been quicker
            for statement in TABLES.split(";"):
                cursor.execute(statement)
            cursor.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            cursor.execute(f"PRAGMA application_id={APPLICATION_ID}")
        cursor.execute("COMMIT")


def _check_version(version: int) -> None:
    if version > SCHEMA_VERSION:
        remedy = "upgrade: pip install -U tactful"
        raise SchemaTooNew(f"schema {version}, this version knows {SCHEMA_VERSION}", field="vault", remedy=remedy)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def bring_forward(connection: sqlite3.Connection, path: Path | None, lease: Lease) -> None:
    """Migrate a vault of an older version, once its key is known to be right; a copy of it is kept beside it.

    Raises:
        UnreadableVault: there is no room, or no permission, for the copy.
        VaultBusy: another process keeps the lease.
    """
    if not is_old(connection, SCHEMA_VERSION):
        return
    try:
        with lease.held(BUSY_TIMEOUT_S):
            migrate(connection, path, SCHEMA_VERSION)
    except (OSError, sqlite3.Error) as error:
        raise _unreadable(path, error) from error


def check_pages(connection: sqlite3.Connection) -> None:
    """Run SQLite's own integrity check; raises `VaultDamaged`."""
    try:
        findings = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    except sqlite3.DatabaseError as error:
        findings = [str(error)]
    if findings != ["ok"]:
        raise damaged("; ".join(findings))


def damaged(what: str) -> VaultDamaged:
    """Return the error for a row or page which is not what was written."""
    remedy = "restore the vault from a backup, or erase the device concerned"
    return VaultDamaged(what, field="vault", remedy=remedy)


def _unreadable(path: Path | None, error: Exception) -> UnreadableVault:
    remedy = "give the path of a vault which this process may read and write"
    return UnreadableVault(f"cannot open {path} ({error})", field="path", remedy=remedy)
