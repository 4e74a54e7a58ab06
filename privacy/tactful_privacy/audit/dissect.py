"""What a byte on the wire is: every field of a message, down through signatures and envelopes.

The pieces of a message tile its bytes: none is left out and none is told twice. So a list of pieces is a list of all
that was sent, and not of what somebody remembered to mention.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tactful_privacy.wire import Message, decode_any
from tactful_privacy.wire.codec import COUNT_BYTES, Codec
from tactful_privacy.wire.kinds import HEADER_BYTES, MAGIC

_SHOWN_BYTES = 16
_SHOWN_ITEMS = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of bytes of a message.

    Attributes:
        path: the messages around it, outermost first, by type name.
        field: ``Type.field``; ``Type.header`` for magic, version and kind; ``Type.field.length`` for the length of a
            field that holds another message.
        offset: place of its first byte in the whole message.
        data: the bytes.
        value: the value in words, shortened.
    """

    path: tuple[str, ...]
    field: str
    offset: int
    data: bytes
    value: str

    @property
    def size(self) -> int:
        """Number of bytes."""
        return len(self.data)


def dissect(data: bytes) -> list[Piece]:
    """Return the pieces of an encoded message in order; together they are exactly ``data``.

    Raises:
        WireError: the bytes are not one message.
    """
    return list(_pieces(decode_any(data), (), 0))


def _pieces(message: Message, outer: tuple[str, ...], offset: int) -> Iterator[Piece]:
    name = type(message).__name__
    path = (*outer, name)
    header = message.encode()[:HEADER_BYTES]
    yield Piece(path, f"{name}.header", offset, header, f"{MAGIC.decode()}, version {header[-2]}, kind {header[-1]:#x}")
    offset += HEADER_BYTES
    for field, codec in message._FIELDS:
        value = getattr(message, field)
        spelling = _spelled(codec, value)
        yield from _field_pieces(path, f"{name}.{field}", value, spelling, offset)
        offset += len(spelling)


def _field_pieces(path: tuple[str, ...], field: str, value: Any, spelling: bytes, offset: int) -> Iterator[Piece]:
    """A field is one piece, unless it holds an encoded message: then its length, and the pieces of that message."""
    if isinstance(value, bytes) and value.startswith(MAGIC) and len(spelling) == COUNT_BYTES + len(value):
        yield Piece(path, f"{field}.length", offset, spelling[:COUNT_BYTES], str(len(value)))
        yield from _pieces(decode_any(value), path, offset + COUNT_BYTES)
    else:
        yield Piece(path, field, offset, spelling, _in_words(value))


def _spelled(codec: Codec[Any], value: Any) -> bytes:
    out = bytearray()
    codec.write(value, out)
    return bytes(out)


def _in_words(value: Any) -> str:
    if isinstance(value, bytes):
        shown = value[:_SHOWN_BYTES].hex()
        return shown if len(value) <= _SHOWN_BYTES else f"{shown}… ({len(value)} bytes)"
    if isinstance(value, Fraction):
        return f"{value} ≈ {float(value):.4g}"
    if isinstance(value, tuple):
        return _list_in_words(value)
    return str(value)


def _list_in_words(values: Sequence[Any]) -> str:
    shown = ", ".join(_in_words(value) for value in values[:_SHOWN_ITEMS])
    return f"({shown})" if len(values) <= _SHOWN_ITEMS else f"({shown}, … {len(values)} in all)"
