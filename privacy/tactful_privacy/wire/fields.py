"""The vocabulary of fields: type aliases that carry their codec, and the limits in one place."""

from fractions import Fraction
from typing import Annotated, Final

from tactful_privacy.wire.codec import Blob, Choice, Fixed, Many, Pair, Rational, Text, Unsigned

MAX_HOSTS: Final = 4_096
MAX_DIMENSION: Final = 1 << 20
MAX_BLOCKS: Final = 1_024
MAX_PAYLOAD_BYTES: Final = 16 << 20
NAME_BYTES: Final = 128
PROSE_BYTES: Final = 1_024
MAX_CIPHERTEXT_BYTES: Final = 1_024
MIN_CIPHERTEXT_BYTES: Final = 16  # an authentication tag; shorter cannot be authentic
MIN_SIGNED_BYTES: Final = 110
MAX_SIGNED_OFFER_BYTES: Final = 1_024
MAX_PROOF_BYTES: Final = 32 * MAX_HOSTS
SHARE_BYTES: Final = 33  # an element of the prime field of 2^256 + 297
STAGES: Final = ("keys", "shares", "contribution", "sign", "endorse", "unmask", "released")

NAME: Final = Text(NAME_BYTES)


def own(item: str) -> str:
    """Key of a plain name."""
    return item


def first(item: tuple[str, object]) -> str:
    """Key of a pair: its name."""
    return item[0]


U8 = Annotated[int, Unsigned(8)]
U16 = Annotated[int, Unsigned(16)]
U32 = Annotated[int, Unsigned(32)]
U64 = Annotated[int, Unsigned(64)]
U128 = Annotated[int, Unsigned(128)]
Positive32 = Annotated[int, Unsigned(32, minimum=1)]
Positive64 = Annotated[int, Unsigned(64, minimum=1)]

Digest = Annotated[bytes, Fixed(32)]
PublicKey = Annotated[bytes, Fixed(32)]
Signature = Annotated[bytes, Fixed(64)]

Name = Annotated[str, NAME]
Prose = Annotated[str, Text(PROSE_BYTES, at_least=0)]
Stage = Annotated[str, Choice(STAGES)]
Price = Annotated[Fraction, Rational(signed=False)]

Names = Annotated[tuple[str, ...], Many(NAME, MAX_HOSTS, key=own)]
Settings = Annotated[tuple[tuple[str, Fraction], ...], Many(Pair(NAME, Rational()), MAX_BLOCKS, key=first)]
Ciphertexts = Annotated[
    tuple[tuple[str, bytes], ...],
    Many(Pair(NAME, Blob(MAX_CIPHERTEXT_BYTES, MIN_CIPHERTEXT_BYTES)), MAX_HOSTS, key=first),
]
Shares = Annotated[tuple[tuple[str, bytes], ...], Many(Pair(NAME, Fixed(SHARE_BYTES)), MAX_HOSTS, key=first)]
