"""Where the host key comes from, and what is derived from it. There is no fallback to plaintext.

A host key is 32 random bytes. From it HKDF-SHA256 derives one key for each use, so that none serves two.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tactful._kept_number import keep_number, kept_number, number_of
from tactful.errors import KeyExposed, KeyMalformed, KeyMissing

KEY_BYTES = 32
NONCE_BYTES = 12
_FILE_PREFIX = "tactful-host-key-v1:"
_KEYRING_MODULES = ("keyring.backends.SecretService", "keyring.backends.Windows", "keyring.backends.macOS")


@runtime_checkable
class KeyProvider(Protocol):
    """Gives the host key. A KMS is attached by an object with these two methods."""

    def load(self) -> bytes:
        """Return the 32 bytes; raises `KeyMissing`."""
        ...

    def create(self) -> bytes:
        """Make a key and keep it, durable before return; called only together with a new vault."""
        ...


@runtime_checkable
class RollbackCounter(Protocol):
    """What a key provider may offer besides: a number for each vault that only rises and is not in the vault's backup.

    By it a vault is recognised that was put back from an older copy. A KMS or a secure element with a monotonic counter
    is the best keeper of it.
    """

    def counter(self, vault: str) -> int | None:
        """Return the number last kept for a vault, None where there is none; ``vault`` is 16 hexadecimal digits."""
        ...

    def advance(self, vault: str, to: int) -> None:
        """Keep ``to`` unless as high a number is kept; durable before return. Called by one process at a time."""
        ...


@dataclass(frozen=True)
class FileKey:
    """A file that only its owner may read (mode 0600), and beside it a counter for each vault.

    The counter is weaker than one in hardware: whoever puts the counter's file back together with the vault's is not
    noticed. Keep it out of the backup that holds the vault.
    """

    path: Path

    def load(self) -> bytes:
        """Read the key.

        Raises:
            KeyMissing: there is no such file.
            KeyExposed: group or others have any permission on it.
            KeyMalformed: it holds something else.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            remedy = "restore the key file; a vault cannot be read without it, and a new key is never made for it"
            raise KeyMissing(f"cannot read {self.path} ({error.strerror})", field="keys", remedy=remedy) from error
        with os.fdopen(descriptor, "r", encoding="ascii", errors="replace") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise KeyExposed(f"{self.path} has mode {mode:04o}", field="keys", remedy=f"chmod 600 {self.path}")
            return _from_hex(file.read(200).strip().removeprefix(_FILE_PREFIX), str(self.path))

    def create(self) -> bytes:
        """Write a new key to a new file of mode 0600."""
        key = secrets.token_bytes(KEY_BYTES)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{_FILE_PREFIX}{key.hex()}\n")
            file.flush()
            os.fsync(file.fileno())
        return key

    def counter(self, vault: str) -> int | None:
        """Read the counter; raises `KeyMalformed` where the file holds something else."""
        return kept_number(self._counter(vault))

    def advance(self, vault: str, to: int) -> None:
        """Replace the counter's file as a whole, if the number rises."""
        keep_number(self._counter(vault), to)

    def _counter(self, vault: str) -> Path:
        return self.path.with_name(f"{self.path.name}.counter-{vault}")


@dataclass(frozen=True)
class EnvironmentKey:
    """An environment variable with 64 hexadecimal digits."""

    name: str

    def load(self) -> bytes:
        """Read the key; raises `KeyMissing` or `KeyMalformed`."""
        value = os.environ.get(self.name, "")
        if not value:
            remedy = "set it to 64 hexadecimal digits: python -c 'import secrets; print(secrets.token_hex(32))'"
            raise KeyMissing(f"the variable {self.name} is not set", field="keys", remedy=remedy)
        return _from_hex(value.strip().removeprefix(_FILE_PREFIX), f"the variable {self.name}")

    def create(self) -> bytes:
        """Read the key all the same: a process cannot keep a variable for its successor."""
        return self.load()


@dataclass(frozen=True)
class KeyringKey:
    """The operating system's key store, through the package ``keyring``, and only its encrypted back-ends."""

    service: str

    def load(self) -> bytes:
        """Read the key; raises `KeyMissing` or `KeyMalformed`."""
        value = self._keyring().get_password(self.service, "host-key")
        if value is None:
            raise KeyMissing(f"the key store holds no {self.service!r}", field="keys", remedy="restore the entry")
        return _from_hex(value, f"the key store's {self.service!r}")

    def create(self) -> bytes:
        """Store a new key, unless there is one."""
        with contextlib.suppress(KeyMissing):
            return self.load()
        key = secrets.token_bytes(KEY_BYTES)
        self._keyring().set_password(self.service, "host-key", key.hex())
        return key

    def counter(self, vault: str) -> int | None:
        """Read the counter; raises `KeyMalformed` where the entry holds something else."""
        value = self._keyring().get_password(self.service, f"counter-{vault}")
        return None if value is None else number_of(value, f"the key store's counter of {self.service!r}")

    def advance(self, vault: str, to: int) -> None:
        """Store the counter, if it rises."""
        kept = self.counter(vault)
        if kept is None or to > kept:
            self._keyring().set_password(self.service, f"counter-{vault}", str(to))

    def _keyring(self) -> Any:
        try:
            import keyring  # type: ignore[import-not-found,unused-ignore]
        except ImportError as error:
            raise KeyMissing(
                "the package keyring is not installed", field="keys", remedy="pip install keyring"
            ) from error
        module = type(keyring.get_keyring()).__module__
        if module not in _KEYRING_MODULES:
            raise KeyMissing(f"{module} is not a key store to trust", field="keys", remedy="use file: or env:")
        return keyring


def _from_hex(text: str, where: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        remedy = "restore the key from its backup; it is 64 hexadecimal digits"
        raise KeyMalformed(f"{where} does not hold a host key", field="keys", remedy=remedy)
    return key


def key_provider(spec: str | KeyProvider, base: Path) -> KeyProvider:
    """Return the provider that a setting names: ``file:PATH`` (under ``base``), ``env:NAME``, ``keyring:SERVICE``.

    Raises:
        KeyMalformed: the setting is of no known form.
    """
    if not isinstance(spec, str):
        return spec
    scheme, _, rest = spec.partition(":")
    if rest and scheme == "file":
        return FileKey(base / rest)
    if rest and scheme == "env":
        return EnvironmentKey(rest)
    if rest and scheme == "keyring":
        return KeyringKey(rest)
    raise KeyMalformed(
        f"{scheme!r} is no key provider", field="keys", remedy="give file:PATH, env:NAME or keyring:NAME"
    )


class HostKeys:
    """What a host derives from its key.

    An id to recognise it by, a cipher for its own rows, one that wraps the devices' keys, and keyed digests.
    """

    def __init__(self, key: bytes) -> None:
        self.key_id = hashlib.sha256(b"tactful/v1/key-id\0" + key).digest()[:8]
        self.host_cipher = AESGCM(_derive(key, b"host rows"))
        self.wrap_cipher = AESGCM(_derive(key, b"wrap device keys"))
        self._token_key = _derive(key, b"lookup tokens")

    def token(self, user_id: str) -> bytes:
        """Return the look-up token of a person, 32 bytes: HMAC-SHA256, so that the file does not show who is in it."""
        return hmac.digest(self._token_key, b"device\0" + user_id.encode(), hashlib.sha256)

    def tag(self, device: int, name: str) -> bytes:
        """Return the look-up tag of a named row of a device, 16 bytes."""
        return hmac.digest(self._token_key, b"row\0%d\0" % device + name.encode(), hashlib.sha256)[:16]

    def seal(self, *parts: bytes) -> bytes:
        """Return a keyed digest of length-prefixed parts, 16 bytes: marks rows which are kept in the clear as ours."""
        message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._token_key, b"seal\0" + message, hashlib.sha256)[:16]


def _derive(key: bytes, use: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=b"tactful/v1/vault", info=use).derive(key)
