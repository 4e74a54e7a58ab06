"""What a host must remember of a round, and its bytes. Secret until the round ends: the vault encrypts them.

Secrets are erased as soon as no later stage needs them: see `HostSession`. They are kept in `bytearray`s, which are
overwritten. What Python does not let us promise: copies that the interpreter, the JSON text of `to_bytes`, or
``cryptography``'s own key objects made may stay in freed memory until it is used again, and a core dump or a page
swapped out before then holds them. Erasing shortens the time in which a stolen process image opens a round; it does
not make that impossible.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from tactful_privacy.errors import TactfulError
from tactful_privacy.secagg.errors import StateUnreadable
from tactful_privacy.secagg.keys import KEY_BYTES, fresh_secret

FORMAT = 2
_SECRETS = ("mask_private", "share_private", "self_seed", "stream_seed")


def _fresh() -> bytearray:
    return bytearray(fresh_secret())


def overwrite(secret: bytearray) -> None:
    """Overwrite a secret with zeros in its own memory, then empty it."""
    secret[:] = bytes(len(secret))
    secret.clear()


@dataclass(frozen=True, slots=True)
class Secrets:
    """A host's secrets of one round, 32 fresh bytes each; empty once erased.

    Attributes:
        mask_private: X25519; makes the pairwise masks; shared out, rebuilt if the host drops out.
        share_private: X25519; encrypts the shares; never shared.
        self_seed: of the self mask; shared out, rebuilt if the host survives.
        stream_seed: of the polynomials and nonces, so that a repeated stage gives the same bytes.
    """

    mask_private: bytearray = field(default_factory=_fresh, repr=False)
    share_private: bytearray = field(default_factory=_fresh, repr=False)
    self_seed: bytearray = field(default_factory=_fresh, repr=False)
    stream_seed: bytearray = field(default_factory=_fresh, repr=False)

    def erase(self, *names: str) -> None:
        """Overwrite the named secrets."""
        for name in names:
            overwrite(getattr(self, name))

    @property
    def erased(self) -> tuple[str, ...]:
        """The names of those that are gone."""
        return tuple(name for name in _SECRETS if not getattr(self, name))


@dataclass(slots=True)
class SessionState:
    """Secrets, for each stage the request that was answered and the answer, and the shares held for others."""

    plan: bytes
    directory: bytes
    host_id: str
    secrets: Secrets = field(default_factory=Secrets)
    requests: dict[str, bytes] = field(default_factory=dict)
    replies: dict[str, bytes] = field(default_factory=dict)
    held: dict[str, bytearray] = field(default_factory=dict, repr=False)

    def erase_held(self, hosts: Iterable[str] | None = None) -> None:
        """Overwrite the shares that are held for the given hosts, or all."""
        for host_id in list(self.held) if hosts is None else hosts:
            overwrite(self.held.pop(host_id))

    def to_bytes(self) -> bytes:
        """Return the state as JSON with hexadecimal values."""
        values = {
            "format": FORMAT,
            "plan": self.plan.hex(),
            "directory": self.directory.hex(),
            "host_id": self.host_id,
            "secrets": {name: getattr(self.secrets, name).hex() for name in _SECRETS},
            "requests": {stage: data.hex() for stage, data in self.requests.items()},
            "replies": {stage: data.hex() for stage, data in self.replies.items()},
            "held": {host_id: data.hex() for host_id, data in self.held.items()},
        }
        return json.dumps(values, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "SessionState":
        """Return the state that `to_bytes` wrote.

        Raises:
            StateUnreadable: the bytes are anything else.
        """
        try:
            return cls._parse(json.loads(data))
        except (ValueError, KeyError, TypeError, AttributeError, TactfulError) as error:
            remedy = "leave this round; the next one starts afresh"
            raise StateUnreadable(f"{type(error).__name__}", field="round state", remedy=remedy) from error

    @classmethod
    def _parse(cls, values: dict[str, object]) -> "SessionState":
        expected = {"format", "plan", "directory", "host_id", "secrets", "requests", "replies", "held"}
        if set(values) != expected or values["format"] != FORMAT:
            raise ValueError("fields or format")
        secrets = {name: bytearray(secret) for name, secret in _bytes_of(values["secrets"]).items()}
        if set(secrets) != set(_SECRETS) or any(len(secret) not in (0, KEY_BYTES) for secret in secrets.values()):
            raise ValueError("secrets")
        return cls(
            plan=bytes.fromhex(str(values["plan"])),
            directory=bytes.fromhex(str(values["directory"])),
            host_id=str(values["host_id"]),
            secrets=Secrets(**secrets),
            requests=_bytes_of(values["requests"]),
            replies=_bytes_of(values["replies"]),
            held={host_id: bytearray(data) for host_id, data in _bytes_of(values["held"]).items()},
        )


def _bytes_of(mapping: object) -> dict[str, bytes]:
    if not isinstance(mapping, dict):
        raise TypeError("not a mapping")
    return {str(name): bytes.fromhex(value) for name, value in mapping.items()}
