"""Field codecs: each knows one kind of field, its limits and its one encoding.

A codec has three parts. ``check`` refuses a Python value that may not be sent; it runs whenever a message is built,
so an invalid message does not exist. ``write`` appends the value's bytes. ``read`` takes bytes from a `Reader` and
enforces what only the bytes can show: limits before anything is allocated, and spellings that Python would
silently normalise (a fraction not in lowest terms).

Integers are big-endian and of fixed width, byte strings and text carry a u32 length, tuples a u32 count, vectors a
dtype tag, a u32 count and packed little-endian elements.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Generic, TypeVar

from tactful_privacy.wire.errors import (
    LeftOverBytes,
    NotCanonical,
    OutOfRange,
    TooLarge,
    Truncated,
    WrongLength,
    WrongType,
)

T = TypeVar("T")

COUNT_BYTES = 4
RATIONAL_BYTES = 16
_CONTROL = re.compile("[\x00-\x1f\x7f]")


class Reader:
    """A cursor over received bytes which never reads past their end."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def remaining(self) -> int:
        """Number of bytes not yet taken."""
        return len(self._data) - self._position

    def take(self, size: int, name: str) -> bytes:
        """Return the next ``size`` bytes; raises `Truncated` when there are fewer."""
        start, end = self._position, self._position + size
        if end > len(self._data):
            raise Truncated(f"needs {size} more bytes, has {self.remaining}", field=name, remedy="fetch it again")
        self._position = end
        return self._data[start:end]

    def unsigned(self, size: int, name: str) -> int:
        """Return the next ``size`` bytes as a big-endian unsigned integer."""
        return int.from_bytes(self.take(size, name), "big")

    def finish(self, name: str) -> None:
        """Raise `LeftOverBytes` unless every byte was taken."""
        if self.remaining:
            raise LeftOverBytes(f"{self.remaining} bytes follow the end", field=name, remedy="send one message alone")


class Codec(ABC, Generic[T]):
    """One kind of field."""

    @abstractmethod
    def check(self, value: object, name: str) -> None:
        """Raise a `WireError` that names the field unless ``value`` may be sent."""

    @abstractmethod
    def write(self, value: T, out: bytearray) -> None:
        """Append the encoding of a checked value."""

    @abstractmethod
    def read(self, reader: Reader, name: str) -> T:
        """Take one value; its `check` runs when the message is built."""


def require_type(value: object, wanted: type, name: str) -> None:
    """Raise `WrongType` unless ``value`` is exactly of type ``wanted`` (a bool is not an int, nor a numpy scalar)."""
    if type(value) is not wanted:
        raise WrongType(
            f"must be {wanted.__name__}, not {type(value).__name__}", field=name, remedy=f"convert to {wanted.__name__}"
        )


def require_limit(size: int, limit: int, unit: str, name: str) -> None:
    """Raise `TooLarge` when ``size`` exceeds ``limit``."""
    if size > limit:
        raise TooLarge(f"{size} {unit}, above the limit of {limit}", field=name, remedy="split it or send less")


def require_minimum(size: int, minimum: int, name: str) -> None:
    """Raise `WrongLength` when a field is shorter than anything valid could be."""
    if size < minimum:
        raise WrongLength(f"{size} bytes, needs at least {minimum}", field=name, remedy="send the whole field")


@dataclass(frozen=True, slots=True)
class Unsigned(Codec[int]):
    """An integer of ``bits`` bits in [minimum, 2^bits)."""

    bits: int
    minimum: int = 0

    def check(self, value: object, name: str) -> None:
        """Raise `WrongType` or `OutOfRange`."""
        require_type(value, int, name)
        if isinstance(value, int) and not self.minimum <= value < 1 << self.bits:
            raise OutOfRange(
                f"{value} lies outside [{self.minimum}, 2^{self.bits})", field=name, remedy="choose a value inside"
            )

    def write(self, value: int, out: bytearray) -> None:
        """Append bits/8 bytes, big-endian."""
        out += value.to_bytes(self.bits // 8, "big")

    def read(self, reader: Reader, name: str) -> int:
        """Take bits/8 bytes."""
        return reader.unsigned(self.bits // 8, name)


@dataclass(frozen=True, slots=True)
class Rational(Codec[Fraction]):
    """An exact fraction: numerator and denominator of 128 bits each, in lowest terms.

    128 bits hold B² and (n_min - t)·σ² of every grid, and every float64 of ordinary size exactly.
    """

    signed: bool = True

    def check(self, value: object, name: str) -> None:
        """Raise `WrongType` or `OutOfRange`."""
        require_type(value, Fraction, name)
        if not isinstance(value, Fraction):
            return
        limit = 1 << (8 * RATIONAL_BYTES - 1)
        if not (-limit if self.signed else 0) <= value.numerator < limit or value.denominator >= limit:
            raise OutOfRange(
                f"{value} has parts beyond 127 bits or the wrong sign",
                field=name,
                remedy="round it outward to a coarser fraction",
            )

    def write(self, value: Fraction, out: bytearray) -> None:
        """Append the numerator (two's complement) and the denominator."""
        out += value.numerator.to_bytes(RATIONAL_BYTES, "big", signed=True)
        out += value.denominator.to_bytes(RATIONAL_BYTES, "big")

    def read(self, reader: Reader, name: str) -> Fraction:
        """Take both parts; raises `NotCanonical` unless they are the lowest terms."""
        numerator = int.from_bytes(reader.take(RATIONAL_BYTES, name), "big", signed=True)
        denominator = reader.unsigned(RATIONAL_BYTES, name)
        if denominator == 0:
            raise NotCanonical("denominator is 0", field=name, remedy="send a finite fraction")
        value = Fraction(numerator, denominator)
        if value.denominator != denominator:
            raise NotCanonical(f"{numerator}/{denominator} is not in lowest terms", field=name, remedy=f"send {value}")
        return value


@dataclass(frozen=True, slots=True)
class Fixed(Codec[bytes]):
    """Exactly ``size`` bytes without a prefix: digests, keys, signatures, shares."""

    size: int

    def check(self, value: object, name: str) -> None:
        """Raise `WrongType` or `WrongLength`."""
        require_type(value, bytes, name)
        if isinstance(value, bytes) and len(value) != self.size:
            raise WrongLength(f"{len(value)} bytes, must be {self.size}", field=name, remedy="pass the raw bytes")

    def write(self, value: bytes, out: bytearray) -> None:
        """Append the bytes."""
        out += value

    def read(self, reader: Reader, name: str) -> bytes:
        """Take ``size`` bytes."""
        return reader.take(self.size, name)


@dataclass(frozen=True, slots=True)
class Blob(Codec[bytes]):
    """Between ``at_least`` and ``at_most`` bytes behind a u32 length."""

    at_most: int
    at_least: int = 0

    def check(self, value: object, name: str) -> None:
        """Raise `WrongType`, `TooLarge` or `WrongLength`."""
        require_type(value, bytes, name)
        if isinstance(value, bytes):
            require_limit(len(value), self.at_most, "bytes", name)
            require_minimum(len(value), self.at_least, name)

    def write(self, value: bytes, out: bytearray) -> None:
        """Append the length and the bytes."""
        out += len(value).to_bytes(COUNT_BYTES, "big") + value

    def read(self, reader: Reader, name: str) -> bytes:
        """Take the length, then so many bytes if the limits allow them."""
        size = reader.unsigned(COUNT_BYTES, name)
        require_limit(size, self.at_most, "bytes", name)
        require_minimum(size, self.at_least, name)
        return reader.take(size, name)


@dataclass(frozen=True, slots=True)
class Text(Codec[str]):
    """UTF-8 of at most ``at_most`` bytes and no control characters, behind a u32 length.

    Limits count bytes, not characters. Code points are not normalised: two spellings are two names.
    """

    at_most: int
    at_least: int = 1

    def check(self, value: object, name: str) -> None:
        """Raise `WrongType`, `NotCanonical`, `TooLarge` or `WrongLength`."""
        require_type(value, str, name)
        if not isinstance(value, str):
            return
        try:
            size = len(value) if value.isascii() else len(value.encode())
        except UnicodeEncodeError:
            raise NotCanonical("holds a lone surrogate", field=name, remedy="send text that UTF-8 can carry") from None
        require_limit(size, self.at_most, "bytes", name)
        require_minimum(size, self.at_least, name)
        if _CONTROL.search(value):
            raise NotCanonical("holds a control character", field=name, remedy="remove it")

    def write(self, value: str, out: bytearray) -> None:
        """Append the length in bytes and the UTF-8."""
        data = value.encode()
        out += len(data).to_bytes(COUNT_BYTES, "big") + data

    def read(self, reader: Reader, name: str) -> str:
        """Take the length, then so many bytes; raises `NotCanonical` unless they are UTF-8."""
        size = reader.unsigned(COUNT_BYTES, name)
        require_limit(size, self.at_most, "bytes", name)
        require_minimum(size, self.at_least, name)
        data = reader.take(size, name)
        try:
            return data.decode("utf-8", "strict")
        except UnicodeDecodeError:
            raise NotCanonical("is not valid UTF-8", field=name, remedy="encode text as UTF-8") from None


@dataclass(frozen=True, slots=True)
class Choice(Codec[str]):
    """One of a few words, spelled as text."""

    words: tuple[str, ...]

    def check(self, value: object, name: str) -> None:
        """Raise `WrongType` or `OutOfRange`."""
        require_type(value, str, name)
        if value not in self.words:
            raise OutOfRange(f"{value!r} is not known", field=name, remedy=f"use one of {', '.join(self.words)}")

    def write(self, value: str, out: bytearray) -> None:
        """Append the word as text."""
        Text(max(map(len, self.words))).write(value, out)

    def read(self, reader: Reader, name: str) -> str:
        """Take a text no longer than the longest word."""
        return Text(max(map(len, self.words))).read(reader, name)


@dataclass(frozen=True, slots=True)
class Maybe(Codec[T | None], Generic[T]):
    """A value or its absence: one byte, 0 or 1, and the value behind a 1."""

    item: Codec[T]

    def check(self, value: object, name: str) -> None:
        """Check the value when there is one."""
        if value is not None:
            self.item.check(value, name)

    def write(self, value: T | None, out: bytearray) -> None:
        """Append the presence byte and the value."""
        out.append(value is not None)
        if value is not None:
            self.item.write(value, out)

    def read(self, reader: Reader, name: str) -> T | None:
        """Take the presence byte (raises `NotCanonical` above 1) and the value."""
        present = reader.unsigned(1, name)
        if present > 1:
            raise NotCanonical(f"presence byte {present}", field=name, remedy="send 0 or 1")
        return self.item.read(reader, name) if present else None


A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Pair(Codec[tuple[A, B]], Generic[A, B]):
    """Two values side by side."""

    first: Codec[A]
    second: Codec[B]

    def check(self, value: object, name: str) -> None:
        """Raise `WrongType` unless it is a pair, then check both."""
        require_type(value, tuple, name)
        if not isinstance(value, tuple) or len(value) != 2:
            raise WrongType("must be a pair", field=name, remedy="pass (name, value)")
        self.first.check(value[0], name)
        self.second.check(value[1], name)

    def write(self, value: tuple[A, B], out: bytearray) -> None:
        """Append both."""
        self.first.write(value[0], out)
        self.second.write(value[1], out)

    def read(self, reader: Reader, name: str) -> tuple[A, B]:
        """Take both."""
        return self.first.read(reader, name), self.second.read(reader, name)


@dataclass(frozen=True, slots=True)
class Many(Codec[tuple[T, ...]], Generic[T]):
    """Up to ``at_most`` values behind a u32 count, no two of them with the same ``key``.

    ``ordered``: keys must ascend (by code point), so that a set has one encoding. Where the order itself carries
    meaning, as in a layout, it is False.
    """

    item: Codec[T]
    at_most: int
    key: Callable[[T], Any]
    ordered: bool = True
    at_least: int = 0

    def check(self, value: object, name: str) -> None:
        """Raise `WrongType`, `TooLarge`, `WrongLength` or `NotCanonical`."""
        require_type(value, tuple, name)
        if not isinstance(value, tuple):
            return
        self._check_count(len(value), name)
        for item in value:
            self.item.check(item, name)
        keys = [self.key(item) for item in value]
        if len(set(keys)) != len(keys):
            raise NotCanonical("holds an entry twice", field=name, remedy="send each entry once")
        if self.ordered and keys != sorted(keys):
            raise NotCanonical("is not sorted", field=name, remedy="sort the entries by their name")

    def _check_count(self, count: int, name: str) -> None:
        require_limit(count, self.at_most, "entries", name)
        if count < self.at_least:
            raise WrongLength(f"{count} entries, needs {self.at_least}", field=name, remedy="send the whole field")

    def write(self, value: tuple[T, ...], out: bytearray) -> None:
        """Append the count and the values."""
        out += len(value).to_bytes(COUNT_BYTES, "big")
        for item in value:
            self.item.write(item, out)

    def read(self, reader: Reader, name: str) -> tuple[T, ...]:
        """Take the count, then, within the limits, the values."""
        count = reader.unsigned(COUNT_BYTES, name)
        self._check_count(count, name)
        return tuple(self.item.read(reader, name) for _ in range(count))
