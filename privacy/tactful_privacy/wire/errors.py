"""What can be wrong with bytes from elsewhere: one type per fault.

::

    WireError (TactfulError)
    ├── WrongMagic      these are not bytes of this protocol
    ├── UnknownVersion  a later protocol, or damage
    ├── UnknownKind     no message type has this number
    ├── WrongKind       a message of another type than the one asked for
    ├── Truncated       the bytes end before the message does
    ├── LeftOverBytes   the message ends before the bytes do
    ├── TooLarge        above a size limit; found before anything is allocated
    ├── WrongLength     a field has fewer or other bytes than its kind allows
    ├── WrongType       a vector of another dtype, or a Python value of another type
    ├── WrongShape      the parts of a message do not fit each other
    ├── OutOfRange      a number or a word outside what its field allows
    ├── NotCanonical    a second spelling of a value that has exactly one
    ├── WrongSigner     signed, but by another key than the trusted one
    └── BadSignature    the signature does not belong to these bytes
"""

from tactful_privacy.errors import TactfulError


class WireError(TactfulError):
    """Bytes or values that are not what they claim; ``field`` is ``Type.field``."""


class WrongMagic(WireError):
    """The first three bytes are not ``TFW``."""


class UnknownVersion(WireError):
    """The version byte is not one that this library reads."""


class UnknownKind(WireError):
    """The kind byte names no message type."""


class WrongKind(WireError):
    """A well-known message type, but not the one that was asked for."""


class Truncated(WireError):
    """The bytes end in the middle of the message."""


class LeftOverBytes(WireError):
    """Bytes follow the end of the message."""


class TooLarge(WireError):
    """A length, a count or the whole message exceeds its limit."""


class WrongLength(WireError):
    """A field does not have the number of bytes that its kind requires."""


class WrongType(WireError):
    """A vector's dtype tag, or a value's Python type, is not the field's."""


class WrongShape(WireError):
    """Two parts of one message contradict each other, such as a count and a layout."""


class OutOfRange(WireError):
    """A number outside its bounds, or a word that is not one of the allowed ones."""


class NotCanonical(WireError):
    """A value has exactly one encoding, and this is another (unsorted, repeated, not in lowest terms, not finite)."""


class WrongSigner(WireError):
    """The message names another signer than the trusted key."""


class BadSignature(WireError):
    """The Ed25519 signature does not verify."""
