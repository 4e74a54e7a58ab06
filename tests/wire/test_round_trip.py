"""decode(encode(x)) == x for generated messages of every type, and no other bytes decode."""

import struct
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tactful_privacy import wire
from tactful_privacy.wire.codec import Blob, Choice, Codec, Fixed, Many, Maybe, Pair, Rational, Text, Unsigned
from tactful_privacy.wire.errors import WireError
from tactful_privacy.wire.message import Nested, Record
from tactful_privacy.wire.vectors import Dtype, Vector

TYPES = pytest.mark.parametrize("message", wire.MESSAGE_TYPES, ids=lambda message: message.__name__)
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters=[*map(chr, range(0x20)), "\x7f"])


def texts(codec: Text) -> st.SearchStrategy[str]:
    few = st.text(LETTERS, min_size=codec.at_least, max_size=codec.at_most // 4)
    return few | st.just("x" * codec.at_most)


def rationals(codec: Rational) -> st.SearchStrategy[Fraction]:
    top = 2**127 - 1
    low = -(2**127) if codec.signed else 0
    return st.builds(Fraction, st.integers(low, top), st.integers(1, top))


def vectors(codec: Vector) -> st.SearchStrategy[bytes]:
    if codec.dtype is Dtype.U32:
        return st.lists(st.integers(0, 2**32 - 1), max_size=20).map(wire.pack_u32)
    return st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20).map(wire.pack_f64)


def many(codec: Many[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    items = st.lists(values(codec.item), min_size=codec.at_least, max_size=4, unique_by=codec.key)
    return items.map(lambda found: tuple(sorted(found, key=codec.key) if codec.ordered else found))


STRATEGIES: dict[type[Codec[Any]], Callable[[Any], st.SearchStrategy[Any]]] = {
    Blob: lambda codec: st.binary(min_size=codec.at_least, max_size=min(codec.at_most, codec.at_least + 60)),
    Choice: lambda codec: st.sampled_from(codec.words),
    Fixed: lambda codec: st.binary(min_size=codec.size, max_size=codec.size),
    Many: many,
    Maybe: lambda codec: st.none() | values(codec.item),
    Nested: lambda codec: records(codec.record),
    Pair: lambda codec: st.tuples(values(codec.first), values(codec.second)),
    Rational: rationals,
    Text: texts,
    Unsigned: lambda codec: st.integers(codec.minimum, 2**codec.bits - 1),
    Vector: vectors,
}


def values(codec: Codec[Any]) -> st.SearchStrategy[Any]:
    """Generate what a codec accepts, its extremes included."""
    return STRATEGIES[type(codec)](codec)


def fitted(record: type[Record], found: dict[str, Any]) -> dict[str, Any]:
    """Make generated fields fit each other where a type asks for it."""
    if record is wire.Block:
        found["length"] = 1 + found["length"] % 5
    if record is wire.Contribution:
        found["length"] = len(found["vector"]) // 4
    if record is wire.UnmaskShares:
        taken = dict(found["self_seed_shares"])
        found["mask_key_shares"] = tuple(share for share in found["mask_key_shares"] if share[0] not in taken)
    if record is wire.Artifact:
        length = sum(block.length for block in found["card"].layout)
        found["parameters"] = (found["parameters"] + bytes(8 * length))[: 8 * length]
    return found


def records(record: type[Record]) -> st.SearchStrategy[Any]:
    fields = st.fixed_dictionaries({name: values(codec) for name, codec in record._FIELDS})
    return fields.map(lambda found: record(**fitted(record, found)))


@TYPES
def test_what_is_encoded_decodes_to_itself(message: type[wire.Message]) -> None:
    """Any message equals the decoding of its encoding, by its own type and by dispatch."""

    @QUICK
    @given(records(message))
    def check(sample: wire.Message) -> None:
        data = sample.encode()
        assert message.decode(data) == sample
        assert wire.decode_any(data) == sample
        assert message.decode(data).encode() == data
        assert len(data) <= message.MAX_BYTES

    check()


@TYPES
def test_what_decodes_is_canonical(message: type[wire.Message]) -> None:
    """After any change of one byte, bytes either raise a WireError or are the encoding of what they decode to."""

    @QUICK
    @given(records(message), st.data())
    def check(sample: wire.Message, data: st.DataObject) -> None:
        damaged = bytearray(sample.encode())
        position = data.draw(st.integers(0, len(damaged) - 1))
        damaged[position] ^= data.draw(st.integers(1, 255))
        try:
            decoded = message.decode(bytes(damaged))
        except WireError:
            return
        assert decoded.encode() == bytes(damaged)
        assert decoded != sample

    check()


@QUICK
@given(st.binary(max_size=400) | st.binary(max_size=400).map(lambda tail: b"TFW\x01" + tail))
def test_noise_never_raises_anything_but_wire_errors(data: bytes) -> None:
    """Arbitrary bytes raise a WireError and nothing else, or are a message's one encoding."""
    try:
        decoded = wire.decode_any(data)
    except WireError:
        return
    assert decoded.encode() == data


@given(st.lists(st.integers(0, 2**32 - 1)))
def test_integers_pack_to_little_endian(numbers: list[int]) -> None:
    """Packed u32 elements are those of struct, and unpack to the same numbers."""
    assert wire.pack_u32(numbers) == struct.pack(f"<{len(numbers)}I", *numbers)
    assert list(wire.unpack_u32(wire.pack_u32(numbers))) == numbers


@given(st.lists(st.floats(allow_nan=False)))
def test_floats_pack_to_little_endian(numbers: list[float]) -> None:
    """Packed f64 elements are those of struct, and unpack to the same numbers."""
    assert wire.pack_f64(numbers) == struct.pack(f"<{len(numbers)}d", *numbers)
    assert list(wire.unpack_f64(wire.pack_f64(numbers))) == numbers
