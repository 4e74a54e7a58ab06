"""The Merkle tree of RFC 6962 §2.1: one root for a whole history, and short proofs about it.

A leaf is SHA-256(0x00 · data), a node SHA-256(0x01 · left · right); the prefixes keep a node from passing as a leaf.
The left part of a tree of n leaves is the largest power of two below n. An *inclusion* path shows that a leaf stands at
an index of a tree, a *consistency* path that a tree begins with the leaves of a smaller one: nothing was edited,
removed, inserted or reordered in between. Checking follows RFC 9162 §2.1.3.2 and §2.1.4.2, which need no tree.

Only hashlib is used, so that a device verifies what it was shown without anything else installed.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Final

from tactful_privacy.errors import InvalidInput

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""Root of a tree without leaves."""


def leaf_hash(data: bytes) -> bytes:
    """Hash of a leaf, 32 bytes."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node, 32 bytes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """An append-only tree: a new leaf costs one hash on average; roots and paths of every earlier size stay at hand.

    Keeps the hash of every complete subtree, 64 bytes a leaf, level by level.
    """

    __slots__ = ("_levels",)

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[bytearray] = [bytearray()]
        for data in leaves:
            self.append(data)

    def __len__(self) -> int:
        return len(self._levels[0]) // HASH_BYTES

    def append(self, data: bytes) -> None:
        """Add a leaf."""
        place, found = len(self), leaf_hash(data)
        for height in range(place.bit_length() + 1):
            if height == len(self._levels):
                self._levels.append(bytearray())
            self._levels[height] += found
            if not place & 1:
                return
            found = node_hash(self._complete(height, place - 1), found)
            place >>= 1

    def root(self, size: int | None = None) -> bytes:
        """Root over the first ``size`` leaves, 32 bytes; over all of them by default.

        Raises:
            InvalidInput: there are not so many leaves.
        """
        size = len(self) if size is None else size
        self._require(0 <= size <= len(self), f"{size} of {len(self)} leaves", "size")
        return self._range(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """Path from the leaf at ``index`` to the root over the first ``size`` leaves, from the bottom up.

        Raises:
            InvalidInput: there is no such leaf below ``size``, or there are not so many leaves.
        """
        size = len(self) if size is None else size
        self._require(0 <= index < size <= len(self), f"leaf {index} of the first {size} of {len(self)}", "index")
        path, start, end = list[bytes](), 0, size
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                path.append(self._range(middle, end))
                end = middle
            else:
                path.append(self._range(start, middle))
                start = middle
        return tuple(reversed(path))

    def consistency(self, first: int, second: int | None = None) -> tuple[bytes, ...]:
        """Path which shows that the tree of ``second`` leaves begins with that of ``first``.

        Empty where nothing needs a proof: equal sizes, or nothing before.

        Raises:
            InvalidInput: not 0 ≤ first ≤ second ≤ number of leaves.
        """
        second = len(self) if second is None else second
        self._require(0 <= first <= second <= len(self), f"sizes {first} and {second} of {len(self)}", "first")
        path, start, end, known = list[bytes](), 0, second, True
        while 0 < first < end:
            middle = start + _split(end - start)
            if first <= middle:
                path.append(self._range(middle, end))
                end = middle
            else:
                path.append(self._range(start, middle))
                start, known = middle, False
        if first and not known:
            path.append(self._range(start, end))
        return tuple(reversed(path))

    @staticmethod
    def _require(holds: bool, what: str, field: str) -> None:
        if not holds:
            raise InvalidInput(f"{what}: there is no such part of the tree", field=field, remedy="ask within its size")

    def _complete(self, height: int, place: int) -> bytes:
        return bytes(self._levels[height][HASH_BYTES * place : HASH_BYTES * (place + 1)])

    def _range(self, start: int, end: int) -> bytes:
        """Hash of the subtree over leaves [start, end), which begins at a multiple of its own width."""
        width = end - start
        if width & (width - 1) == 0:
            height = width.bit_length() - 1
            return self._complete(height, start >> height)
        middle = start + _split(width)
        return node_hash(self._range(start, middle), self._range(middle, end))


def includes(data: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether ``path`` shows that ``data`` is the leaf at ``index`` of the tree of ``size`` leaves with this root."""
    if not 0 <= index < size or not _hashes(path):
        return False
    place, last, found = index, size - 1, leaf_hash(data)
    for other in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(other, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, other)
        place, last = place >> 1, last >> 1
    return last == 0 and hmac.compare_digest(found, root)


def extends(first: int, first_root: bytes, second: int, second_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether ``path`` shows that the tree of ``second`` leaves begins with the tree of ``first`` leaves.

    Args:
        first: size of the earlier tree, 0 or more.
        first_root: its root, 32 bytes.
        second: size of the later tree.
        second_root: its root, 32 bytes.
        path: as `Tree.consistency` gives it.
    """
    if not 0 <= first <= second or not _hashes(path):
        return False
    if first in (0, second):
        same = first_root == (EMPTY_ROOT if first == 0 else second_root)
        return same and not path and (second > 0 or second_root == EMPTY_ROOT)
    if first & (first - 1) == 0:
        path = (first_root, *path)
    return bool(path) and _roots(first, second, path) == (first_root, second_root)


def _roots(first: int, second: int, path: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The two roots that a consistency path leads to; None where it is too short or too long."""
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    earlier = later = path[0]
    for other in path[1:]:
        if last == 0:
            return None
        if place & 1 or place == last:
            earlier, later = node_hash(other, earlier), node_hash(other, later)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            later = node_hash(later, other)
        place, last = place >> 1, last >> 1
    return (earlier, later) if last == 0 else None


def _hashes(path: Sequence[bytes]) -> bool:
    return all(len(item) == HASH_BYTES for item in path)


def _split(width: int) -> int:
    """The largest power of two below ``width`` ≥ 2."""
    return 1 << (width - 1).bit_length() - 1


__all__ = ["EMPTY_ROOT", "HASH_BYTES", "Tree", "extends", "includes", "leaf_hash", "node_hash"]
