"""Masks modulo 2^32: a ChaCha20 key stream read as little-endian 32-bit words."""

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from numpy.typing import NDArray

from tactful_privacy.secagg.keys import Private, agree, derive

_NONCE = bytes(16)


def key_stream(key: bytes, size: int) -> bytes:
    """Return ``size`` bytes of the ChaCha20 key stream (RFC 8439) of a 32-byte key that is used for nothing else."""
    return Cipher(ChaCha20(key, _NONCE), mode=None).encryptor().update(bytes(size))


def mask(key: bytes, dimension: int) -> NDArray[np.uint32]:
    """Return a mask of shape (dimension,), uniform over uint32 for whoever does not know the key."""
    return np.frombuffer(key_stream(key, 4 * dimension), dtype="<u4").astype(np.uint32)


def self_mask(
    seed: bytes | bytearray, plan_digest: bytes, keys_digest: bytes, host_id: str, dimension: int
) -> NDArray[np.uint32]:
    """Return a host's own mask, from its 32-byte seed b."""
    return mask(derive(seed, "self-mask", plan_digest, keys_digest, host_id), dimension)


def pairwise_mask(
    private: Private, me: str, peer: str, peer_public: bytes, plan_digest: bytes, keys_digest: bytes, dimension: int
) -> NDArray[np.uint32]:
    """Return what ``me`` adds for ``peer``: the masks of both sides cancel modulo 2^32.

    Args:
        private: the mask private key of ``me``.
        me: host id; the lower id of a pair adds the mask, the higher subtracts it.
        peer: host id of the other.
        peer_public: its public mask key, 32 bytes.
        plan_digest: 32 bytes.
        keys_digest: 32 bytes.
        dimension: length of the mask.

    Raises:
        WeakKey: the peer's key is a point of low order.
    """
    low, high = sorted((me, peer))
    key = derive(agree(private, peer_public, peer), "pairwise-mask", plan_digest, keys_digest, low, high)
    stream = mask(key, dimension)
    return stream if me == low else np.negative(stream)


def wrap(values: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return int64 values modulo 2^32."""
    return (values & 0xFFFFFFFF).astype(np.uint32)


def centre(residues: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return the representatives in [-2^31, 2^31) of residues modulo 2^32."""
    return residues.view(np.int32).astype(np.int64)
