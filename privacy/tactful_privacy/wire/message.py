"""What every message type has in common: fields with codecs, an envelope, and no way to exist while invalid.

A message type is a frozen dataclass whose annotations carry their codec, ``name: Annotated[str, Text(128)]``. Field
order is the order on the wire. Building one checks every field, so whatever can be encoded can be decoded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from inspect import get_annotations
from typing import Any, ClassVar, Self, TypeVar

from tactful_privacy.wire.codec import Codec, Reader, require_limit, require_type
from tactful_privacy.wire.errors import UnknownKind, UnknownVersion, WrongKind, WrongMagic
from tactful_privacy.wire.kinds import MAGIC, VERSION, Kind


class Record:
    """A group of fields without an envelope of its own; lives inside messages."""

    __slots__ = ()

    _FIELDS: ClassVar[tuple[tuple[str, Codec[Any]], ...]] = ()

    def __init_subclass__(cls) -> None:
        """Collect the fields in wire order, each with the codec from its annotation."""
        cls._FIELDS = tuple(_fields(cls))

    def __post_init__(self) -> None:
        """Check every field, then what the fields say together."""
        for name, codec in self._FIELDS:
            codec.check(getattr(self, name), f"{type(self).__name__}.{name}")
        self._check_together()

    def _check_together(self) -> None:
        """Raise unless the fields fit each other; types with such a rule override this."""

    def _write(self, out: bytearray) -> None:
        for name, codec in self._FIELDS:
            codec.write(getattr(self, name), out)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(**{name: codec.read(reader, f"{cls.__name__}.{name}") for name, codec in cls._FIELDS})


def _fields(record: type[Record]) -> Iterator[tuple[str, Codec[Any]]]:
    for name, annotation in get_annotations(record).items():
        for extra in getattr(annotation, "__metadata__", ()):
            if isinstance(extra, Codec):
                yield name, extra


R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Nested(Codec[R]):
    """A record inside a message: its fields, without an envelope."""

    record: type[R]

    def check(self, value: object, name: str) -> None:
        """Raise `WrongType`; the record checked its own fields when it was built."""
        require_type(value, self.record, name)

    def write(self, value: R, out: bytearray) -> None:
        """Append the fields."""
        value._write(out)

    def read(self, reader: Reader, name: str) -> R:  # noqa: ARG002 - the record names its own fields
        """Take the fields; errors name the record's own field."""
        return self.record._read(reader)


def read_header(reader: Reader, name: str) -> Kind:
    """Take magic, version and kind.

    Raises:
        Truncated: fewer bytes than a header.
        WrongMagic: not bytes of this protocol.
        UnknownVersion: written by a later version of it.
        UnknownKind: no message type has this number.
    """
    magic = reader.take(len(MAGIC), name)
    if magic != MAGIC:
        raise WrongMagic(f"starts with {magic.hex()}", field=name, remedy="send bytes made by this library")
    version = reader.unsigned(1, name)
    if version != VERSION:
        raise UnknownVersion(f"version {version}, this reads {VERSION}", field=name, remedy="update this library")
    number = reader.unsigned(1, name)
    try:
        return Kind(number)
    except ValueError:
        raise UnknownKind(f"kind {number:#04x}", field=name, remedy="update this library") from None


class Message(Record):
    """A record with an envelope: it travels alone, can be signed and has a digest."""

    __slots__ = ()

    KIND: ClassVar[Kind]
    MAX_BYTES: ClassVar[int] = 1 << 20

    def encode(self) -> bytes:
        """Return the one encoding: ``TFW``, version, kind, fields.

        Raises:
            TooLarge: the fields together exceed ``MAX_BYTES``.
        """
        out = bytearray(MAGIC)
        out += bytes((VERSION, self.KIND))
        self._write(out)
        require_limit(len(out), self.MAX_BYTES, "bytes", type(self).__name__)
        return bytes(out)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the message whose encoding is exactly ``data``; anything else raises a `WireError`."""
        require_type(data, bytes, cls.__name__)
        require_limit(len(data), cls.MAX_BYTES, "bytes", cls.__name__)
        reader = Reader(data)
        kind = read_header(reader, cls.__name__)
        if kind is not cls.KIND:
            raise WrongKind(
                f"is a {kind.name.lower()}", field=cls.__name__, remedy=f"send a {cls.KIND.name.lower()} here"
            )
        message = cls._read(reader)
        reader.finish(cls.__name__)
        return message
