"""Packed numeric vectors: little-endian elements, so that numpy reads and writes them without a copy of its own."""

import math
import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from tactful_privacy.wire.codec import COUNT_BYTES, Codec, Reader, require_limit, require_type
from tactful_privacy.wire.errors import NotCanonical, OutOfRange, WrongLength, WrongType


class Dtype(IntEnum):
    """The tag byte in front of a vector."""

    U32 = 1
    F64 = 2

    @property
    def item_bytes(self) -> int:
        """Width of one element in bytes."""
        return {Dtype.U32: 4, Dtype.F64: 8}[self]


def _packed(values: "array[int] | array[float]") -> bytes:
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def pack_u32(values: Iterable[int]) -> bytes:
    """Pack integers in [0, 2^32); the same bytes as numpy's ``astype("<u4").tobytes()``.

    Raises:
        OutOfRange: an integer does not fit.
    """
    try:
        return _packed(array("I", values))
    except OverflowError:
        raise OutOfRange("an element lies outside [0, 2^32)", field="vector", remedy="reduce it modulo 2^32") from None


def pack_f64(values: Iterable[float]) -> bytes:
    """Pack floats; the same bytes as numpy's ``astype("<f8").tobytes()``. Finiteness is checked by the message."""
    return _packed(array("d", values))


def unpack_u32(data: bytes) -> "array[int]":
    """Undo `pack_u32`."""
    values = array("I")
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def unpack_f64(data: bytes) -> "array[float]":
    """Undo `pack_f64`."""
    values = array("d")
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


@dataclass(frozen=True, slots=True)
class Vector(Codec[bytes]):
    """Up to ``at_most`` packed elements of one dtype; floats must be finite."""

    dtype: Dtype
    at_most: int

    def check(self, value: object, name: str) -> None:
        """Raise `WrongType`, `WrongLength`, `TooLarge` or, for NaN and infinity, `NotCanonical`."""
        require_type(value, bytes, name)
        if not isinstance(value, bytes):
            return
        count, rest = divmod(len(value), self.dtype.item_bytes)
        if rest:
            raise WrongLength(
                f"{len(value)} bytes are not whole {self.dtype.name} elements", field=name, remedy="pack the vector"
            )
        require_limit(count, self.at_most, "elements", name)
        if self.dtype is Dtype.F64 and not all(map(math.isfinite, unpack_f64(value))):
            raise NotCanonical("holds NaN or infinity", field=name, remedy="send finite numbers")

    def write(self, value: bytes, out: bytearray) -> None:
        """Append tag, count and elements."""
        out.append(self.dtype)
        out += (len(value) // self.dtype.item_bytes).to_bytes(COUNT_BYTES, "big") + value

    def read(self, reader: Reader, name: str) -> bytes:
        """Take tag, count and, within the limit, the elements."""
        tag = reader.unsigned(1, name)
        if tag != self.dtype:
            raise WrongType(
                f"dtype tag {tag}, must be {self.dtype.value}", field=name, remedy=f"send {self.dtype.name} elements"
            )
        count = reader.unsigned(COUNT_BYTES, name)
        require_limit(count, self.at_most, "elements", name)
        return reader.take(count * self.dtype.item_bytes, name)
