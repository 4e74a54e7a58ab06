"""The encrypted store of a host: rows of devices, each sealed with the device's own key.

A row is AES-256-GCM under its device's data key, a fresh 12-byte nonce in front, with the row format, table, row id,
device, look-up tag and key id as associated data: a row that is changed, or moved to another place, does not open.
Data keys are wrapped by the host key. Erasing a device deletes rows and key. Not detectable: a whole file put back
from an older copy, and rows deleted by someone who may write the file.

"Written" means that it survives the process being killed (`synchronous=NORMAL` with a write-ahead log); inside
`transaction(power=True)` it also survives loss of power (`synchronous=FULL`).
"""

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tactful import _schema
from tactful._lease import Lease
from tactful._schema import damaged
from tactful.errors import HostClosed, HostForked, KeyMissing, UnknownDevice, VaultBusy, VaultError, WrongKey
from tactful.keys import KEY_BYTES, NONCE_BYTES, HostKeys, KeyProvider

ROW_FORMAT = 1


class Row(NamedTuple):
    """A decrypted row: its id (rising in order of writing) and content."""

    id: int
    data: bytes


class NewRow(NamedTuple):
    """A row to be written. ``name`` makes it one of its kind in the device: written again, it is replaced."""

    device: int
    kind: str
    data: bytes
    name: str | None = None


_opened: "weakref.WeakSet[Vault]" = weakref.WeakSet()


def _free_locks() -> None:
    """In a forked child: a lock that another thread of the parent held would never be given back here."""
    for vault in _opened:
        vault.free_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_locks)


class Vault:
    """One file, one host key, many devices. Thread-safe; several processes may share it.

    Args:
        path: the file; None keeps everything in memory.
        provider: where the host key comes from; asked to create one only if the vault is new.
        power: make every write survive loss of power.

    Raises:
        UnreadableVault, SchemaTooNew, WrongKey, KeyProblem: see `tactful.errors`.
    """

    def __init__(self, path: Path | None, provider: KeyProvider, *, power: bool = False) -> None:
        self.path = path
        self.provider = provider
        self.keys = HostKeys(_host_key(path, provider))
        self._power = power
        self._lock = threading.RLock()
        self._ciphers: dict[int, AESGCM] = {}
        self._depth = 0
        self._process = os.getpid()
        _opened.add(self)
        self._lease = Lease(None if path is None else path.with_name(f"{path.name}.lease"))
        self._connection: sqlite3.Connection | None = _schema.connect(path)
        try:
            self._claim()
            _schema.bring_forward(self.connection, path, self._lease)
            self._set_synchronous(power)
        except BaseException:
            self.close()
            raise

    @property
    def connection(self) -> sqlite3.Connection:
        """The open connection; raises `HostClosed`, and `HostForked` in a child of the process that opened it."""
        if self._process != os.getpid():
            remedy = "open the host after the fork, in the child"
            raise HostForked("the host was opened before this process was forked", remedy=remedy)
        if self._connection is None:
            raise HostClosed("the host was closed", remedy="open it again with Host.open")
        return self._connection

    @property
    def lock(self) -> threading.RLock:
        """Held during every use of the connection."""
        return self._lock

    def free_lock(self) -> None:
        """Replace the lock, so that whoever uses the vault in a forked child hears of it and does not wait for ever."""
        self._lock = threading.RLock()

    def _claim(self) -> None:
        with self.transaction():
            row = self.connection.execute("SELECT value FROM meta WHERE name='key_id'").fetchone()
            if row is None:
                values = [("key_id", self.keys.key_id), ("next_row", b"1")]
                self.connection.executemany("INSERT INTO meta VALUES (?,?)", values)
            elif bytes(row[0]) != self.keys.key_id:
                message = f"the vault belongs to key {bytes(row[0]).hex()}, this is {self.keys.key_id.hex()}"
                raise WrongKey(message, field="keys", remedy="open it with the key that it was made with")

    def _set_synchronous(self, power: bool) -> None:
        self.connection.execute("PRAGMA synchronous=FULL" if power else "PRAGMA synchronous=NORMAL")

    def alone(self, timeout_s: float) -> AbstractContextManager[None]:
        """Hold the vault's lease: no other process and no other `Vault` on the file holds it at the same time.

        Unlike a transaction it lets others read and write; it keeps apart what must be worked out once. The operating
        system takes it back when the process dies.

        Raises:
            VaultBusy: another one kept it for ``timeout_s`` seconds.
        """
        return self._lease.held(timeout_s)

    @contextmanager
    def transaction(self, *, power: bool = False) -> Iterator[sqlite3.Connection]:
        """Run a block as one write: all of it or nothing. Blocks nest; only the outermost one commits.

        Args:
            power: the commit survives loss of power; decided by the outermost block.

        Raises:
            VaultBusy: another process did not let go of the write lock.
            VaultDamaged: SQLite found the file damaged.
        """
        with self._lock:
            if self._depth:
                yield self.connection
                return
            connection = self.connection
            if power and not self._power:
                self._set_synchronous(True)
            try:
                with _translated():
                    connection.execute("BEGIN IMMEDIATE")
                self._depth = 1
                try:
                    with _translated():
                        yield connection
                        connection.execute("COMMIT")
                finally:
                    self._depth = 0
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
            finally:
                if power and not self._power:
                    self._set_synchronous(False)

    def data_version(self) -> int:
        """Return a number that changes when *another* connection has written; own writes do not change it."""
        return int(self.connection.execute("PRAGMA data_version").fetchone()[0])

    # Devices

    def find(self, user_id: str) -> int | None:
        """Return the device of a person, None where they are not enrolled."""
        with self._lock, _translated():
            row = self.connection.execute(
                "SELECT id FROM devices WHERE token=?", (self.keys.token(user_id),)
            ).fetchone()
        return None if row is None else int(row[0])

    def enrol(self, token: bytes) -> int:
        """Insert a device with a fresh data key; call inside a transaction."""
        cursor = self.connection.execute("INSERT INTO devices (token, key) VALUES (?, ?)", (token, b""))
        device = int(cursor.lastrowid or 0)
        key, nonce = os.urandom(KEY_BYTES), os.urandom(NONCE_BYTES)
        wrapped = nonce + self.keys.wrap_cipher.encrypt(nonce, key, self._wrap_aad(device, token))
        self.connection.execute("UPDATE devices SET key=? WHERE id=?", (wrapped, device))
        self._ciphers[device] = AESGCM(key)
        return device

    def device_ids(self) -> list[int]:
        """Return all devices in order of enrolment."""
        with self._lock, _translated():
            return [int(row[0]) for row in self.connection.execute("SELECT id FROM devices ORDER BY id")]

    def token_of(self, device: int) -> bytes:
        """Return a device's look-up token; raises `UnknownDevice`."""
        return self._device_row(device)[0]

    def forget_cipher(self, device: int) -> None:
        """Drop the data key from memory."""
        self._ciphers.pop(device, None)

    def forget_ciphers(self) -> None:
        """Drop all data keys from memory, since another process may have erased devices."""
        self._ciphers.clear()

    def _device_row(self, device: int) -> tuple[bytes, bytes]:
        with self._lock, _translated():
            row = self.connection.execute("SELECT token, key FROM devices WHERE id=?", (device,)).fetchone()
        if row is None:
            raise UnknownDevice("no such device, or it was erased", field="device", remedy="enrol the person anew")
        return bytes(row[0]), bytes(row[1])

    def _wrap_aad(self, device: int, token: bytes) -> bytes:
        return b"tactful|%d|devices|%d|%b|" % (ROW_FORMAT, device, self.keys.key_id) + token

    def _cipher(self, device: int) -> AESGCM:
        cipher = self._ciphers.get(device)
        if cipher is None:
            token, wrapped = self._device_row(device)
            aad = self._wrap_aad(device, token)
            cipher = self._ciphers[device] = AESGCM(
                self.open_sealed(self.keys.wrap_cipher, wrapped, aad, "a device's key")
            )
        return cipher

    @staticmethod
    def open_sealed(cipher: AESGCM, sealed: bytes, aad: bytes, what: str) -> bytes:
        """Decrypt nonce and ciphertext; raises `VaultDamaged` naming ``what`` does not open."""
        try:
            return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], aad)
        except (InvalidTag, ValueError) as error:
            raise damaged(f"{what} does not open: changed or moved since it was written") from error

    # Rows

    def _row_aad(self, device: int, kind: str) -> bytes:
        return b"tactful|%d|rows/%b|%d|%b|" % (ROW_FORMAT, kind.encode(), device, self.keys.key_id)

    def write(self, rows: Sequence[NewRow]) -> list[int]:
        """Write rows in one transaction and return their ids, rising; a named row replaces its predecessor."""
        if not rows:
            return []
        with self.transaction() as connection:
            first = self._next_ids(len(rows))
            nonces = os.urandom(NONCE_BYTES * len(rows))
            connection.executemany(
                "INSERT OR REPLACE INTO rows (id, device, kind, tag, blob) VALUES (?,?,?,?,?)",
                self._sealed(rows, first, nonces),
            )
        return list(range(first, first + len(rows)))

    def _next_ids(self, count: int) -> int:
        # A counter, not max(id)+1: an id is never used twice, whatever has been deleted.
        statement = "UPDATE meta SET value=CAST(value AS INTEGER)+? WHERE name='next_row' RETURNING value"
        return int(self.connection.execute(statement, (count,)).fetchone()[0]) - count

    def _sealed(
        self, rows: Iterable[NewRow], first: int, nonces: bytes
    ) -> Iterator[tuple[int, int, str, bytes | None, bytes]]:
        aads: dict[tuple[int, str], bytes] = {}
        for index, (device, kind, data, name) in enumerate(rows):
            tag = None if name is None else self.keys.tag(device, f"{kind}/{name}")
            aad = aads.get((device, kind))
            if aad is None:
                aad = aads[device, kind] = self._row_aad(device, kind)
            nonce = nonces[NONCE_BYTES * index : NONCE_BYTES * (index + 1)]
            bound = aad + b"%d|" % (first + index) + (tag or b"")
            yield first + index, device, kind, tag, nonce + self._cipher(device).encrypt(nonce, data, bound)

    def has(self, device: int, kind: str, name: str) -> bool:
        """Return whether a device holds a row of that name."""
        tag = self.keys.tag(device, f"{kind}/{name}")
        with self._lock, _translated():
            return self.connection.execute("SELECT 1 FROM rows WHERE tag=?", (tag,)).fetchone() is not None

    def read_named(self, device: int, kind: str, name: str) -> Row | None:
        """Return the row of that name; raises `VaultDamaged` where it does not open."""
        tag = self.keys.tag(device, f"{kind}/{name}")
        with self._lock, _translated():
            query = "SELECT id, tag, blob FROM rows WHERE tag=? AND device=? AND kind=?"
            found = self.connection.execute(query, (tag, device, kind)).fetchall()
        return next(self._opened(device, kind, found), None)

    def read(self, device: int, kind: str, *, after: int = 0) -> list[Row]:
        """Return a device's rows of a kind with ids above ``after``, in order of writing.

        Raises:
            VaultDamaged: a row does not open.
            UnknownDevice: the device was erased.
        """
        with self._lock, _translated():
            query = "SELECT id, tag, blob FROM rows WHERE device=? AND kind=? AND id>? ORDER BY id"
            found = self.connection.execute(query, (device, kind, after)).fetchall()
        return list(self._opened(device, kind, found))

    def _opened(self, device: int, kind: str, found: Iterable[tuple[int, bytes | None, bytes]]) -> Iterator[Row]:
        cipher, aad = self._cipher(device), self._row_aad(device, kind)
        for row_id, tag, blob in found:
            try:
                data = cipher.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], aad + b"%d|" % row_id + (tag or b""))
            except (InvalidTag, ValueError) as error:
                raise damaged(f"row {row_id} ({kind}) does not open: changed or moved since it was written") from error
            yield Row(row_id, data)

    def kinds(self, device: int) -> list[str]:
        """Return the kinds of rows that a device holds."""
        with self._lock, _translated():
            query = "SELECT DISTINCT kind FROM rows WHERE device=? ORDER BY kind"
            return [row[0] for row in self.connection.execute(query, (device,))]

    def count(self, device: int) -> int:
        """Return how many rows a device holds."""
        with self._lock, _translated():
            query = "SELECT count(*) FROM rows WHERE device=?"
            return int(self.connection.execute(query, (device,)).fetchone()[0])

    def checkpoint(self) -> bool:
        """Move the log into the file and cut it to nothing; False where a reader of another process prevents it."""
        with self._lock, _translated():
            return not self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]

    def check(self) -> int:
        """Open every row of every device, after SQLite's own check of the pages; return how many rows there are.

        Raises:
            VaultDamaged: naming the first row that does not open.
        """
        with self._lock:
            _schema.check_pages(self.connection)
            devices = self.device_ids()
            return sum(len(self.read(device, kind)) for device in devices for kind in self.kinds(device))

    def close(self) -> None:
        """Close the file and drop the keys; a second call does nothing."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            self._ciphers.clear()


def _host_key(path: Path | None, provider: KeyProvider) -> bytes:
    if not _schema.is_new(path):
        return provider.load()
    try:
        return provider.load()
    except KeyMissing:
        return provider.create()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise VaultBusy("another process holds the write lock", remedy="try again, or close it") from error
        raise VaultError(f"the vault cannot be used ({error})", remedy="check the disk and its permissions") from error
    except sqlite3.DatabaseError as error:
        raise damaged(str(error)) from error
