"""Fresh X25519 keys of a round, and what every pair of hosts derives from them.

Each derived key is HKDF-SHA256 (RFC 5869) over the X25519 shared secret, bound to the plan, to the whole ring of keys
and to the ordered pair of hosts: nothing derived in one round, or under other keys, serves in another.
"""

import os
from typing import TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tactful_privacy.secagg.errors import ShareUnreadable, WeakKey

Private: TypeAlias = bytes | bytearray | X25519PrivateKey
"""An X25519 private key: 32 bytes, or the object made of them once, which saves a multiplication a use."""
KEY_BYTES = 32
NONCE_BYTES = 12


def fresh_secret() -> bytes:
    """Return 32 bytes from the operating system: an X25519 private key or a seed."""
    return os.urandom(KEY_BYTES)


def private_key(private: Private) -> X25519PrivateKey:
    """Return the key object; keep it for many uses."""
    return private if isinstance(private, X25519PrivateKey) else X25519PrivateKey.from_private_bytes(private)


def public_key(private: Private) -> bytes:
    """Return the X25519 public key, 32 bytes."""
    return private_key(private).public_key().public_bytes_raw()


def agree(private: Private, peer_public: bytes, peer: str) -> bytes:
    """Return the raw X25519 shared secret, 32 bytes.

    Raises:
        WeakKey: the peer's key is a point of low order, which would fix the secret.
    """
    mine = private_key(private)
    try:
        return mine.exchange(X25519PublicKey.from_public_bytes(peer_public))
    except ValueError as error:
        remedy = "void the round; the host must draw its keys properly"
        raise WeakKey(f"the key of {peer!r} gives no secret", field="mask_key", remedy=remedy) from error


def derive(secret: bytes | bytearray, label: str, plan_digest: bytes, keys_digest: bytes, *names: str) -> bytes:
    """Return 32 bytes bound to a purpose, a round, its keys and the names in their order.

    Args:
        secret: input key material.
        label: the purpose, so that no two uses share a key.
        plan_digest: 32 bytes.
        keys_digest: 32 bytes.
        names: host ids; each is written with its length, so that no two lists of names read alike.
    """
    spelled = b"".join(len(name.encode()).to_bytes(4, "big") + name.encode() for name in names)
    info = b"tactful/v1/secagg/" + label.encode() + b"\0" + spelled
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=plan_digest + keys_digest, info=info).derive(secret)


def share_aad(plan_digest: bytes, keys_digest: bytes, sender: str, recipient: str) -> bytes:
    """Return the associated data of an encrypted share: plan, keys, from, to."""
    return derive(b"", "share-aad", plan_digest, keys_digest, sender, recipient)


def seal(key: bytes, nonce: bytes, plain: bytes, aad: bytes) -> bytes:
    """Return nonce and ChaCha20-Poly1305 (RFC 8439) ciphertext."""
    return nonce + ChaCha20Poly1305(key).encrypt(nonce, plain, aad)


def unseal(key: bytes, sealed: bytes, aad: bytes, sender: str) -> bytes:
    """Return the plain text of `seal`.

    Raises:
        ShareUnreadable: it was altered, or meant for another pair, plan or ring.
    """
    try:
        return ChaCha20Poly1305(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], aad)
    except (InvalidTag, ValueError) as error:
        remedy = "void the round, and look at that host and at the server"
        raise ShareUnreadable(f"from {sender!r} does not decrypt", field="ciphertexts", remedy=remedy) from error
