"""What a host must remember of a round, and its bytes. Secret: the vault encrypts them."""

import json
from dataclasses import dataclass, field

from tactful_privacy.errors import TactfulError
from tactful_privacy.secagg.errors import StateUnreadable
from tactful_privacy.secagg.keys import KEY_BYTES, fresh_secret

FORMAT = 1
_SECRETS = ("mask_private", "share_private", "self_seed", "stream_seed")


@dataclass(frozen=True, slots=True)
class Secrets:
    """A host's secrets of one round, 32 fresh bytes each.

    Attributes:
        mask_private: X25519; makes the pairwise masks; shared out, rebuilt if the host drops out.
        share_private: X25519; encrypts the shares; never shared.
        self_seed: of the self mask; shared out, rebuilt if the host survives.
        stream_seed: of the polynomials and nonces, so that a repeated stage gives the same bytes.
    """

    mask_private: bytes = field(default_factory=fresh_secret, repr=False)
    share_private: bytes = field(default_factory=fresh_secret, repr=False)
    self_seed: bytes = field(default_factory=fresh_secret, repr=False)
    stream_seed: bytes = field(default_factory=fresh_secret, repr=False)


@dataclass(slots=True)
class SessionState:
    """Secrets, and for each stage the request that was answered and the answer."""

    plan: bytes
    directory: bytes
    host_id: str
    secrets: Secrets = field(default_factory=Secrets)
    requests: dict[str, bytes] = field(default_factory=dict)
    replies: dict[str, bytes] = field(default_factory=dict)

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
        expected = {"format", "plan", "directory", "host_id", "secrets", "requests", "replies"}
        if set(values) != expected or values["format"] != FORMAT:
            raise ValueError("fields or format")
        secrets = _bytes_of(values["secrets"])
        if set(secrets) != set(_SECRETS) or any(len(secret) != KEY_BYTES for secret in secrets.values()):
            raise ValueError("secrets")
        return cls(
            plan=bytes.fromhex(str(values["plan"])),
            directory=bytes.fromhex(str(values["directory"])),
            host_id=str(values["host_id"]),
            secrets=Secrets(**secrets),
            requests=_bytes_of(values["requests"]),
            replies=_bytes_of(values["replies"]),
        )


def _bytes_of(mapping: object) -> dict[str, bytes]:
    if not isinstance(mapping, dict):
        raise TypeError("not a mapping")
    return {str(name): bytes.fromhex(value) for name, value in mapping.items()}
