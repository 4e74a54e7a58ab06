"""One digest over the keys of all hosts, of which a host can check its own part: a Merkle tree over the roster.

The tree has one leaf for every place of the roster, in its order: the digest of the host's signed offer, or of its
absence. A place is part of its leaf, so under one root there is one key of every host: whoever shows two hosts
different keys of a third shows them different roots, and the root stands in every survivor signature.

Leaf and inner nodes are hashed apart (as in RFC 6962, §2.1), so that none passes for the other.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence

from tactful_privacy.secagg.errors import WrongProof

DIGEST_BYTES = 32
Known = Mapping[int, bytes]
"""Signed offers by place in the roster, from 0."""


def _leaf(place: int, offer: bytes | None) -> bytes:
    mark = b"\0" if offer is None else b"\1"
    return hashlib.sha256(mark + place.to_bytes(4, "big") + (offer or b"")).digest()


def _inner(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\2" + left + right).digest()


def _root(plan_digest: bytes, size: int, top: bytes) -> bytes:
    return hashlib.sha256(b"tactful/v1/secagg/keys\0" + plan_digest + size.to_bytes(4, "big") + top).digest()


def _walk(
    places: Sequence[int], low: int, high: int, leaf: Callable[[int], bytes], other: Callable[[int, int], bytes]
) -> bytes:
    """Return the node over [low, high): from its children where it holds one of the sorted places, else ``other``."""
    at = bisect_left(places, low)
    if at == len(places) or places[at] >= high:
        return other(low, high)
    if high - low == 1:
        return leaf(low)
    middle = (low + high) // 2
    return _inner(_walk(places, low, middle, leaf, other), _walk(places, middle, high, leaf, other))


class KeyTree:
    """All offers of a round, on the server's side.

    Args:
        plan_digest: names the round, 32 bytes.
        size: hosts on the roster.
        offers: signed offers by place, from 0.
    """

    def __init__(self, plan_digest: bytes, size: int, offers: Known) -> None:
        self._size = size
        self._nodes: dict[tuple[int, int], bytes] = {}
        self.root = _root(plan_digest, size, self._build(0, size, offers))

    def _build(self, low: int, high: int, offers: Known) -> bytes:
        if high - low == 1:
            node = _leaf(low, offers.get(low))
        else:
            middle = (low + high) // 2
            node = _inner(self._build(low, middle, offers), self._build(middle, high, offers))
        self._nodes[low, high] = node
        return node

    def proof(self, places: Sequence[int]) -> bytes:
        """Return the sibling digests that prove the leaves at these sorted places, left to right."""
        siblings: list[bytes] = []

        def sibling(low: int, high: int) -> bytes:
            siblings.append(self._nodes[low, high])
            return siblings[-1]

        _walk(places, 0, self._size, lambda place: self._nodes[place, place + 1], sibling)
        return b"".join(siblings)


def check(root: bytes, plan_digest: bytes, size: int, offers: Known, absent: Sequence[int], proof: bytes) -> None:
    """Raise `WrongProof` unless under this root the offers, and nothing, stand at their places.

    Args:
        root: the keys digest.
        plan_digest: names the round, 32 bytes.
        size: hosts on the roster.
        offers: signed offers by place, from 0.
        absent: places which are said to have offered nothing.
        proof: from `KeyTree.proof` for all these places.
    """
    rest: Iterator[int] = iter(range(0, len(proof), DIGEST_BYTES))

    def sibling(_low: int, _high: int) -> bytes:
        at = next(rest, None)
        node = b"" if at is None else proof[at : at + DIGEST_BYTES]
        if len(node) != DIGEST_BYTES:
            raise WrongProof("is too short", field="KeyView.proof", remedy="send the proof of this host's keys")
        return node

    places = sorted([*offers, *absent])
    top = _walk(places, 0, size, lambda place: _leaf(place, offers.get(place)), sibling)
    if next(rest, None) is not None or _root(plan_digest, size, top) != root:
        remedy = "show every host the same keys; do not answer"
        raise WrongProof("the offers are not those under the keys digest", field="KeyView.proof", remedy=remedy)
