"""The Merkle tree is RFC 6962's: published vectors, another implementation, and no proof for what is not so."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tactful_privacy.errors import InvalidInput
from tactful_privacy.ledger.merkle import EMPTY_ROOT, Tree, extends, includes, leaf_hash, node_hash

MOST = 70

# The certificate-transparency reference vectors (leaves, roots by size, proofs), which RFC 6962 and 9162 logs share.
CT_LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
_96A2 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
_5F08 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
_6B47 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
_0EBC = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
_CA85 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
_BC1A = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
CT_INCLUSION = {(0, 8): [_96A2, _5F08, _6B47], (5, 8): [_BC1A, _CA85, CT_ROOTS[4]]}
CT_CONSISTENCY = {
    (1, 1): [],
    (1, 8): [_96A2, _5F08, _6B47],
    (6, 8): [_0EBC, _CA85, CT_ROOTS[4]],
    (2, 5): [_5F08, _BC1A],
}

LEAVES = [hashlib.sha256(str(number).encode()).digest() for number in range(MOST)]
TREE = Tree(LEAVES)


def slow_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 §2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = max(1 << power for power in range(len(leaves).bit_length()) if 1 << power < len(leaves))
    return hashlib.sha256(b"\x01" + slow_root(leaves[:k]) + slow_root(leaves[k:])).digest()


@pytest.mark.parametrize("size", range(len(CT_ROOTS)))
def test_published_roots(size: int) -> None:
    """The roots of the reference leaves are the published ones, appended one by one or asked for later."""
    assert Tree(CT_LEAVES[:size]).root().hex() == CT_ROOTS[size]
    assert Tree(CT_LEAVES).root(size).hex() == CT_ROOTS[size]


@pytest.mark.parametrize(("place", "path"), CT_INCLUSION.items())
def test_published_inclusion_proofs(place: tuple[int, int], path: list[str]) -> None:
    """The reference inclusion proofs come out as published, and verify."""
    found = Tree(CT_LEAVES).inclusion(*place)
    assert [item.hex() for item in found] == path
    assert includes(CT_LEAVES[place[0]], *place, found, bytes.fromhex(CT_ROOTS[place[1]]))


@pytest.mark.parametrize(("sizes", "path"), CT_CONSISTENCY.items())
def test_published_consistency_proofs(sizes: tuple[int, int], path: list[str]) -> None:
    """The reference consistency proofs come out as published, and verify."""
    first, second = sizes
    found = Tree(CT_LEAVES).consistency(first, second)
    assert [item.hex() for item in found] == path
    assert extends(first, bytes.fromhex(CT_ROOTS[first]), second, bytes.fromhex(CT_ROOTS[second]), found)


def test_every_root_is_the_recursive_definition() -> None:
    """For every size up to 70 the root is the one of the definition."""
    assert [TREE.root(size) for size in range(MOST + 1)] == [slow_root(LEAVES[:size]) for size in range(MOST + 1)]
    assert TREE.root(0) == EMPTY_ROOT


def test_every_leaf_of_every_size_has_a_proof_that_verifies() -> None:
    """Every (index, size) up to 70: the path verifies, and against no other root, index, size or leaf."""
    for size in range(1, MOST + 1):
        root = TREE.root(size)
        for index in range(size):
            path = TREE.inclusion(index, size)
            assert includes(LEAVES[index], index, size, path, root)
            assert not includes(LEAVES[index], index, size, path, TREE.root(size - 1))
            assert not includes(LEAVES[index - 1], index, size, path, root) or size == 1
            assert not includes(LEAVES[index], (index + 1) % size, size, path, root) or size == 1
            assert not includes(LEAVES[index], size, size, path, root)


def test_every_pair_of_sizes_has_a_proof_that_verifies() -> None:
    """Every pair of sizes up to 70: the path verifies, and not with the roots swapped or of other sizes."""
    for second in range(MOST + 1):
        for first in range(second + 1):
            path, roots = TREE.consistency(first, second), (TREE.root(first), TREE.root(second))
            assert extends(first, roots[0], second, roots[1], path)
            if 0 < first < second:
                assert not extends(first, roots[1], second, roots[0], path)
                assert not extends(first, TREE.root(first - 1), second, roots[1], path)
                assert not extends(first, roots[0], second, TREE.root(second - 1), path)
                assert not extends(second, roots[0], first, roots[1], path)


def test_a_fork_has_no_consistency_proof() -> None:
    """Of a history changed at any leaf below the earlier size, no path of the changed tree verifies."""
    for first in range(1, 20):
        for changed in range(first):
            other = Tree([*LEAVES[:changed], b"other", *LEAVES[changed + 1 : 24]])
            assert not extends(first, TREE.root(first), 24, other.root(), other.consistency(first))
            assert not extends(first, TREE.root(first), 24, other.root(), TREE.consistency(first, 24))


MUTATION = st.sampled_from(["flip", "drop", "double", "append", "swap", "short"])


def mutated(path: Sequence[bytes], how: str, at: int) -> tuple[bytes, ...]:
    items = list(path)
    at %= max(len(items), 1)
    if how == "append" or not items:
        items.append(LEAVES[at])
    elif how == "flip":
        items[at] = bytes([items[at][0] ^ 1]) + items[at][1:]
    elif how == "drop":
        del items[at]
    elif how == "double":
        items.insert(at, items[at])
    elif how == "short":
        items[at] = items[at][:-1]
    else:
        items[at], items[at - 1] = items[at - 1], items[at]
    return tuple(items)


@settings(max_examples=400, deadline=None)
@given(st.integers(1, MOST), st.integers(0, MOST - 1), MUTATION, st.integers(0, 40))
def test_a_mutated_proof_never_verifies(size: int, index: int, how: str, at: int) -> None:
    """A path with a flipped bit, a hash dropped, doubled, added, swapped or cut short proves nothing."""
    index %= size
    good = TREE.inclusion(index, size)
    path = mutated(good, how, at)
    assert path == good or not includes(LEAVES[index], index, size, path, TREE.root(size))
    good = TREE.consistency(index, size)
    path = mutated(good, how, at)
    assert path == good or not extends(index, TREE.root(index), size, TREE.root(size), path)


def test_a_node_does_not_pass_as_a_leaf() -> None:
    """The two children of a node, offered as one leaf, do not verify: the prefixes differ."""
    two = Tree(LEAVES[:2])
    children = leaf_hash(LEAVES[0]) + leaf_hash(LEAVES[1])
    assert node_hash(children[:32], children[32:]) == two.root()
    assert not includes(children, 0, 1, (), two.root())


def test_appending_hashes_each_leaf_and_node_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 appends cost 1,000 leaf hashes and at most 1,000 node hashes, and a root ten more."""
    from tactful_privacy.ledger import merkle

    calls = []
    monkeypatch.setattr(merkle, "node_hash", lambda left, right: calls.append(1) or node_hash(left, right))
    tree = Tree(str(number).encode() for number in range(1_000))
    assert len(calls) <= 1_000
    calls.clear()
    tree.root()
    assert len(calls) <= 10


@pytest.mark.parametrize(
    "ask",
    [
        lambda: TREE.root(MOST + 1),
        lambda: TREE.root(-1),
        lambda: TREE.inclusion(MOST),
        lambda: TREE.inclusion(3, 3),
        lambda: TREE.inclusion(-1, 3),
        lambda: TREE.consistency(4, 3),
        lambda: TREE.consistency(-1, 3),
        lambda: TREE.consistency(1, MOST + 1),
    ],
)
def test_what_is_not_in_the_tree_has_no_proof(ask: object) -> None:
    """Indices and sizes outside the tree raise InvalidInput."""
    with pytest.raises(InvalidInput, match="no such part of the tree"):
        ask()  # type: ignore[operator]


def test_another_implementation_agrees() -> None:
    """Roots and both kinds of path are those of pymerkle, for every index and pair of sizes up to 40."""
    pymerkle = pytest.importorskip("pymerkle", reason="an oracle of the dev extra")
    other = pymerkle.InmemoryTree(algorithm="sha256")
    for leaf in LEAVES[:40]:
        other.append_entry(leaf)
    for size in range(1, 41):
        assert other.get_root(size) == TREE.root(size)
        for index in range(size):
            theirs = other.prove_inclusion(index + 1, size)
            assert theirs.path[0] == leaf_hash(LEAVES[index])
            assert tuple(theirs.path[1:]) == TREE.inclusion(index, size)
            pymerkle.verify_consistency(TREE.root(index + 1), TREE.root(size), other.prove_consistency(index + 1, size))
