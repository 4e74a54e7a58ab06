"""What the bytes of a message may not be, for every type; and what may not become a message at all."""

import copy
import doctest
import json
import tracemalloc
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tactful_privacy import wire
from tactful_privacy.wire.codec import Fixed, Maybe
from tactful_privacy.wire.errors import (
    LeftOverBytes,
    NotCanonical,
    OutOfRange,
    TooLarge,
    Truncated,
    UnknownKind,
    UnknownVersion,
    WireError,
    WrongKind,
    WrongLength,
    WrongMagic,
    WrongShape,
    WrongType,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "v1"
SAMPLES: dict[type[wire.Message], bytes] = {
    message: bytes.fromhex(json.loads((VECTORS / f"{message.KIND.name.lower()}.json").read_text())["cases"][0]["hex"])
    for message in wire.MESSAGE_TYPES
}
TYPES = pytest.mark.parametrize("message", wire.MESSAGE_TYPES, ids=lambda message: message.__name__)
FIELDS = pytest.mark.parametrize(
    ("message", "field"),
    [
        pytest.param(message, name, id=f"{message.__name__}.{name}")
        for message in wire.MESSAGE_TYPES
        for name, _ in message._FIELDS
    ],
)


def sample(message: type[wire.Message]) -> Any:
    return message.decode(SAMPLES[message])


@TYPES
def test_every_prefix_is_truncated(message: type[wire.Message]) -> None:
    """Cut after any number of bytes, a message is Truncated."""
    for length in range(len(SAMPLES[message])):
        with pytest.raises(Truncated):
            message.decode(SAMPLES[message][:length])


@TYPES
@pytest.mark.parametrize("tail", [b"\0", b"TFW", bytes(500)], ids=["one byte", "header", "many"])
def test_left_over_bytes_are_refused(message: type[wire.Message], tail: bytes) -> None:
    """Whatever follows a message is LeftOverBytes."""
    with pytest.raises(LeftOverBytes):
        message.decode(SAMPLES[message] + tail)


@TYPES
def test_every_other_version_is_unknown(message: type[wire.Message]) -> None:
    """Only version 1 is read."""
    data = SAMPLES[message]
    for version in set(range(256)) - {wire.VERSION}:
        with pytest.raises(UnknownVersion, match=f"version {version}"):
            message.decode(data[:3] + bytes((version,)) + data[4:])


@TYPES
def test_every_other_kind_is_refused(message: type[wire.Message]) -> None:
    """The kind byte of another type is WrongKind, and one of no type UnknownKind."""
    data = SAMPLES[message]
    known = set(wire.Kind)
    for kind in set(range(256)) - {message.KIND}:
        with pytest.raises(WrongKind if kind in known else UnknownKind):
            message.decode(data[:4] + bytes((kind,)) + data[5:])


@TYPES
def test_every_other_magic_is_refused(message: type[wire.Message]) -> None:
    """A flipped bit in the first three bytes is WrongMagic."""
    for bit in range(24):
        data = bytearray(SAMPLES[message])
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(WrongMagic):
            message.decode(bytes(data))


@TYPES
def test_over_size_is_refused_before_it_is_read(message: type[wire.Message]) -> None:
    """More than MAX_BYTES are TooLarge, without a copy of them being made."""
    data = SAMPLES[message] + bytes(message.MAX_BYTES)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            message.decode(data)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@TYPES
def test_over_size_is_not_encoded(message: type[wire.Message], monkeypatch: pytest.MonkeyPatch) -> None:
    """A message above its limit is TooLarge for its sender already."""
    found = sample(message)
    monkeypatch.setattr(message, "MAX_BYTES", len(SAMPLES[message]) - 1)
    with pytest.raises(TooLarge, match=message.__name__):
        found.encode()


@TYPES
@pytest.mark.parametrize("data", [bytearray(b"TFW"), "TFW", None, memoryview(b"TFW")], ids=lambda data: str(type(data)))
def test_only_bytes_are_decoded(message: type[wire.Message], data: Any) -> None:
    """Anything but bytes is WrongType."""
    with pytest.raises(WrongType):
        message.decode(data)


@FIELDS
def test_fields_refuse_other_python_types(message: type[wire.Message], field: str) -> None:
    """A value of a type that no field has cannot become part of a message; the error names the field."""
    for value in (1.5, True, bytearray(33), [], object()):
        with pytest.raises(WrongType, match=f"{message.__name__}.{field}"):
            replace(sample(message), **{field: value})


@FIELDS
def test_only_optional_fields_may_be_absent(message: type[wire.Message], field: str) -> None:
    """None is accepted where the type says so and nowhere else."""
    if isinstance(dict(message._FIELDS)[field], Maybe):
        assert getattr(replace(sample(message), **{field: None}), field) is None
    else:
        with pytest.raises(WrongType):
            replace(sample(message), **{field: None})


@FIELDS
def test_fields_of_fixed_size_have_that_size(message: type[wire.Message], field: str) -> None:
    """A digest, key or signature of another length is WrongLength."""
    codec = dict(message._FIELDS)[field]
    if isinstance(codec, Fixed):
        for size in (0, codec.size - 1, codec.size + 1):
            with pytest.raises(WrongLength, match=f"{size} bytes, must be {codec.size}"):
                replace(sample(message), **{field: bytes(size)})


@FIELDS
def test_messages_do_not_change(message: type[wire.Message], field: str) -> None:
    """A message is frozen, hashable, and equal to its copy."""
    found = sample(message)
    with pytest.raises(AttributeError):
        setattr(found, field, getattr(found, field))
    assert hash(copy.copy(found)) == hash(found)
    assert copy.copy(found) == found


@pytest.mark.parametrize(
    ("message", "changes", "error"),
    [
        (wire.RoundPlan, {"round_number": 2**32}, OutOfRange),
        (wire.RoundPlan, {"round_number": -1}, OutOfRange),
        (wire.RoundPlan, {"noise_variance_units": 2**128}, OutOfRange),
        (wire.RoundPlan, {"rho": Fraction(-1, 2)}, OutOfRange),
        (wire.RoundPlan, {"rho": Fraction(1, 2**127)}, OutOfRange),
        (wire.RoundPlan, {"settings": (("b", Fraction(1)), ("a", Fraction(1)))}, NotCanonical),
        (wire.RoundPlan, {"settings": (("a", Fraction(1)), ("a", Fraction(2)))}, NotCanonical),
        (wire.RoundPlan, {"settings": (("a",),)}, WrongType),
        (wire.RoundPlan, {"layout": ()}, WrongLength),
        (wire.RoundPlan, {"layout": (wire.Block("a", wire.MAX_DIMENSION),)}, TooLarge),
        (wire.RoundPlan, {"mode": "\ud800"}, NotCanonical),
        (wire.RoundPlan, {"mode": "a\0"}, NotCanonical),
        (wire.RoundPlan, {"mode": "é" * 65}, TooLarge),
        (wire.RoundPlan, {"mode": ""}, WrongLength),
        (wire.SurvivorList, {"survivors": ("b", "a")}, NotCanonical),
        (wire.SurvivorList, {"survivors": ("a", "a")}, NotCanonical),
        (wire.SurvivorList, {"survivors": tuple(f"{n:05}" for n in range(wire.MAX_HOSTS + 1))}, TooLarge),
        (wire.UnmaskShares, {"mask_key_shares": (("north", bytes(33)),)}, WrongShape),
        (wire.UnmaskShares, {"mask_key_shares": (("x", bytes(32)),)}, WrongLength),
        (wire.Contribution, {"vector": bytes(11)}, WrongLength),
        (wire.Contribution, {"vector": bytes(8)}, WrongShape),
        (wire.Contribution, {"length": 4}, WrongShape),
        (wire.Artifact, {"parameters": wire.pack_f64([1.0, 2.0])}, WrongShape),
        (wire.Artifact, {"parameters": wire.pack_f64([1.0, 2.0, float("nan")])}, NotCanonical),
        (wire.Artifact, {"parameters": wire.pack_f64([1.0, 2.0, float("inf")])}, NotCanonical),
        (wire.RoundRequest, {"stage": "train"}, OutOfRange),
        (wire.RoundRequest, {"payload": bytes((16 << 20) + 1)}, TooLarge),
    ],
)
def test_invalid_messages_cannot_be_built(
    message: type[wire.Message], changes: dict[str, Any], error: type[WireError]
) -> None:
    """What could not be decoded cannot be built either, and the error names the field."""
    with pytest.raises(error, match=rf"{message.__name__}\.(vector|{next(iter(changes))})") as caught:
        replace(sample(message), **changes)
    assert type(caught.value) is error
    assert caught.value.remedy


def test_announced_sizes_allocate_nothing() -> None:
    """A count or a length of 2^32 - 1 is refused without memory for it."""
    data = SAMPLES[wire.Contribution]
    cut = data.index(wire.pack_u32([0, 1, 2**32 - 1])) - 4
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            wire.Contribution.decode(data[:cut] + b"\xff" * 4 + data[cut + 4 :])
        with pytest.raises(Truncated):
            wire.Contribution.decode(data[:cut] + wire.MAX_DIMENSION.to_bytes(4, "big") + data[cut + 4 :])
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_a_contribution_of_another_dimension_is_the_wrong_shape() -> None:
    """A vector that is not as long as the plan's layout is refused when its values are asked for."""
    contribution = sample(wire.Contribution)
    assert list(contribution.values(3)) == [0, 1, 2**32 - 1]
    with pytest.raises(WrongShape, match="3 elements, 4 expected"):
        contribution.values(4)


def test_packing_refuses_integers_beyond_the_modulus() -> None:
    """An element outside [0, 2^32) is OutOfRange."""
    for number in (-1, 2**32):
        with pytest.raises(OutOfRange):
            wire.pack_u32([number])


def test_dispatch_is_as_strict_as_the_types() -> None:
    """decode_any refuses left-over bytes, unknown kinds and what is not bytes."""
    data = SAMPLES[wire.KeyOffer]
    with pytest.raises(LeftOverBytes):
        wire.decode_any(data + b"\0")
    with pytest.raises(UnknownKind):
        wire.decode_any(data[:4] + b"\xee" + data[5:])
    with pytest.raises(WrongType):
        wire.decode_any(bytearray(data))  # type: ignore[arg-type]


def test_plan_figures_follow_from_its_integers() -> None:
    """Dimension, grid and clip norm are what the plan's integers say."""
    plan = sample(wire.RoundPlan)
    assert plan.dimension == 21
    assert plan.grid == 2.0**-20
    assert plan.clip_norm == pytest.approx(0.4, rel=1e-5)


def test_the_roster_is_found_by_name() -> None:
    """A directory gives its names in order, and the entry of a name or None."""
    directory = sample(wire.KeyDirectory)
    assert directory.host_ids == ("north", "süd")
    assert directory.entry("süd") == directory.entries[1]
    assert directory.entry("west") is None


def test_public_names_are_sorted_and_complete() -> None:
    """`__all__` names every public object of the package once, in ruff's order, and each message type."""
    modules = {"artifact", "codec", "digests", "dispatch", "errors", "fields", "kinds", "ledger", "message", "plan"}
    modules |= {"signing", "stages", "transport", "vectors"}
    public = {name for name in vars(wire) if not name.startswith("_")} - modules
    assert set(wire.__all__) == public
    assert len(wire.__all__) == len(public)
    assert {message.__name__ for message in wire.MESSAGE_TYPES} <= public
    assert {message.KIND for message in wire.MESSAGE_TYPES} == set(wire.Kind)


def test_the_example_of_the_package_is_true() -> None:
    """The example in the package's docstring prints what it says."""
    found = doctest.testmod(wire)
    assert found.attempted >= 3
    assert not found.failed
