"""The receipt of an erasure: what was deleted and when, signed by the host, readable without any key of ours."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_DOMAIN: Final = b"tactful/v1/erasure\0"
CANNOT_UNDO: Final = (
    "Contributions that were already summed cannot be taken out again: they left masked and noised, and nobody holds "
    "them apart. Backups of the vault that you made are yours to delete; their copy of the key opens them. "
    "What is kept is the privacy budget spent, with its period, ceiling and share, under a keyed token without any "
    "behaviour, so that a new enrolment goes on from it."
)


@dataclass(frozen=True, slots=True)
class ErasureReceipt:
    """What an erasure did.

    Attributes:
        device_token: hexadecimal keyed digest of the person's name, which only the host's key can compute.
        erased_at: ISO 8601 in UTC.
        rows: how many rows were deleted. spent_rho: what the tombstone carries on, "numerator/denominator".
        log_truncated: whether the write-ahead log was cut; False while another process reads, and then at its close.
        cannot_undo: in so many words.
        host_public_key, signature: hexadecimal Ed25519, over all the other fields.
    """

    device_token: str
    erased_at: str
    rows: int
    spent_rho: str
    log_truncated: bool
    cannot_undo: str
    host_public_key: str
    signature: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    def verify(self, host_public_key: bytes) -> bool:
        """Return whether that host signed exactly this receipt."""
        try:
            Ed25519PublicKey.from_public_bytes(host_public_key).verify(bytes.fromhex(self.signature), self._message())
        except (InvalidSignature, ValueError):
            return False
        return self.host_public_key == host_public_key.hex()

    def signed(self, key: Ed25519PrivateKey) -> "ErasureReceipt":
        """Return the receipt with the host's signature."""
        values = {**asdict(self), "signature": key.sign(self._message()).hex()}
        return ErasureReceipt(**values)

    def _message(self) -> bytes:
        plain = {name: value for name, value in asdict(self).items() if name != "signature"}
        return _DOMAIN + json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
