"""The name of a message: SHA-256 over its kind and its one encoding."""

import hashlib

from tactful_privacy.wire.codec import Reader
from tactful_privacy.wire.message import Message, read_header


def digest(message: Message | bytes) -> bytes:
    """Return SHA-256(``tactful/v1/<kind>`` · NUL · encoding), 32 bytes.

    The kind in front keeps the digests of two types apart. Given bytes, only their header is read: decode them first
    if they come from elsewhere.
    """
    data = message if isinstance(message, bytes) else message.encode()
    kind = read_header(Reader(data), "digest")
    return hashlib.sha256(f"tactful/v1/{kind.name.lower()}\0".encode() + data).digest()
