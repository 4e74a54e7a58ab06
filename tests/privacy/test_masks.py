"""Masks cancel in pairs, are bound to round, keys and pair, and look uniform."""

import os

import numpy as np
import pytest

from tactful_privacy.secagg import keys, masks
from tactful_privacy.secagg.errors import ShareUnreadable, WeakKey

PLAN, RING = b"p" * 32, b"r" * 32


def pair():
    private = {name: keys.fresh_secret() for name in ("a", "b")}
    return private, {name: keys.public_key(secret) for name, secret in private.items()}


def pairwise(private, public, me, peer, plan=PLAN, ring=RING, dimension=64):
    return masks.pairwise_mask(private[me], me, peer, public[peer], plan, ring, dimension)


def test_pairwise_masks_cancel():
    """What the lower host adds, the higher one takes away, modulo 2^32."""
    private, public = pair()
    total = pairwise(private, public, "a", "b") + pairwise(private, public, "b", "a")
    assert not total.any()


def test_key_stream_is_that_of_rfc_8439():
    """The stream of the all-zero key and nonce is the RFC's first test vector (appendix A.1, number 1)."""
    assert masks.key_stream(bytes(32), 16).hex() == "76b8e0ada0f13d90405d6ae55386bd28"


def test_words_are_little_endian():
    """Word by word, the mask is the key stream: the slow reading beside the fast one."""
    key = os.urandom(32)
    stream = masks.key_stream(key, 40)
    slow = [int.from_bytes(stream[4 * at : 4 * at + 4], "little") for at in range(10)]
    assert masks.mask(key, 10).tolist() == slow


@pytest.mark.parametrize("change", ["plan", "ring", "peer"])
def test_masks_are_bound_to_their_round(change):
    """Another plan, ring or pair gives an unrelated mask from the same keys."""
    private, public = pair()
    usual = pairwise(private, public, "a", "b")
    if change == "peer":
        other = masks.pairwise_mask(private["a"], "a", "c", public["b"], PLAN, RING, 64)
    else:
        other = pairwise(private, public, "a", "b", **{change: b"x" * 32})
    assert (usual != other).mean() > 0.9


def test_masks_look_uniform():
    """The mean of 100,000 words lies within 5 standard errors of (2^32−1)/2: false alarm below 1e-6."""
    values = masks.mask(os.urandom(32), 100_000).astype(np.float64)
    error = 2**32 / np.sqrt(12 * len(values))
    assert abs(values.mean() - (2**32 - 1) / 2) < 5 * error


def test_names_are_spelled_with_their_length():
    """("ab", "c") and ("a", "bc") derive different keys."""
    assert keys.derive(b"s", "x", PLAN, RING, "ab", "c") != keys.derive(b"s", "x", PLAN, RING, "a", "bc")


def test_centre_undoes_wrap():
    """Values in [−2^31, 2^31) come back, the ends included."""
    values = np.array([0, 1, -1, 2**31 - 1, -(2**31)], dtype=np.int64)
    assert (masks.centre(masks.wrap(values)) == values).all()


def test_a_point_of_low_order_is_refused():
    """A public key which would fix the shared secret is refused by name."""
    with pytest.raises(WeakKey, match="'b'"):
        keys.agree(keys.fresh_secret(), bytes(32), "b")


def test_a_sealed_share_opens_only_for_its_pair_and_round():
    """An altered byte, another key or other associated data is refused."""
    key, aad = os.urandom(32), keys.share_aad(PLAN, RING, "a", "b")
    sealed = keys.seal(key, os.urandom(12), b"share", aad)
    assert keys.unseal(key, sealed, aad, "a") == b"share"
    swapped = keys.share_aad(PLAN, RING, "b", "a")
    altered = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for bad in ((key, altered, aad), (os.urandom(32), sealed, aad), (key, sealed, swapped), (key, b"", aad)):
        with pytest.raises(ShareUnreadable):
            keys.unseal(*bad, "a")
