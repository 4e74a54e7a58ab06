"""Shamir's secret sharing over the prime field of 2^256 + 297 (Shamir 1979).

Fewer than ``threshold`` shares say nothing about the secret. A share is the value of a random polynomial at its
recipient's place in the roster, counted from 1; 33 bytes, big-endian. Nothing here checks *who* gave a share: the
protocol compares a rebuilt secret with what its owner committed to.
"""

import math
from collections.abc import Sequence

from tactful_privacy.errors import InvalidInput
from tactful_privacy.secagg.errors import WrongShare

PRIME = 2**256 + 297
SHARE_BYTES = 33
SECRET_BYTES = 32
COEFFICIENT_BYTES = 48
"""384 random bits modulo the prime: 2^-128 away from uniform."""


def randomness_needed(threshold: int) -> int:
    """Return how many random bytes `split` takes."""
    return COEFFICIENT_BYTES * (threshold - 1)


def split(secret: bytes | bytearray, threshold: int, places: Sequence[int], randomness: bytes) -> tuple[bytes, ...]:
    """Return one 33-byte share per place.

    Args:
        secret: 32 bytes.
        threshold: how many shares reconstruct it, at least 1.
        places: distinct, each ≥ 1: place 0 would be the secret itself.
        randomness: `randomness_needed` fresh random bytes.

    Raises:
        InvalidInput: an argument is out of range.
    """
    if len(secret) != SECRET_BYTES:
        raise InvalidInput(f"has {len(secret)} bytes", field="secret", remedy=f"give {SECRET_BYTES}")
    if not 1 <= threshold <= len(places) or len(set(places)) != len(places) or min(places) < 1:
        raise InvalidInput("threshold or places", field="places", remedy="give distinct places ≥ 1, ≥ threshold many")
    if len(randomness) != randomness_needed(threshold):
        raise InvalidInput("wrong size", field="randomness", remedy=f"give {randomness_needed(threshold)} bytes")
    chunks = range(0, len(randomness), COEFFICIENT_BYTES)
    high = [int.from_bytes(randomness[at : at + COEFFICIENT_BYTES], "big") % PRIME for at in chunks]
    coefficients = [*high, int.from_bytes(secret, "big")]
    return tuple(_evaluate(coefficients, place).to_bytes(SHARE_BYTES, "big") for place in places)


def _evaluate(coefficients: Sequence[int], place: int) -> int:
    """Return the polynomial's value by Horner's rule, the highest coefficient first."""
    value = 0
    for coefficient in coefficients:
        value = (value * place + coefficient) % PRIME
    return value


def weights(places: Sequence[int]) -> tuple[int, ...]:
    """Return Lagrange's weights at 0 for the given distinct places; reusable over many secrets.

    Raises:
        InvalidInput: places repeat.
    """
    if len(set(places)) != len(places):
        raise InvalidInput("repeat", field="places", remedy="give each place once")
    product = math.prod(places) % PRIME
    # Weight of x: Π other/(other − x) = Π all / (x·Π(other − x)).
    below = [here * math.prod(other - here for other in places if other != here) % PRIME for here in places]
    return tuple(product * inverse % PRIME for inverse in _inverses(below))


def _inverses(values: Sequence[int]) -> list[int]:
    """Return the inverses modulo the prime with one inversion (Montgomery's trick)."""
    before = [1]
    for value in values:
        before.append(before[-1] * value % PRIME)
    rest = pow(before[-1], -1, PRIME)
    out = [0] * len(values)
    for at in range(len(values) - 1, -1, -1):
        out[at] = rest * before[at] % PRIME
        rest = rest * values[at] % PRIME
    return out


def check_share(share: bytes) -> None:
    """Raise `WrongShare` unless the bytes are a field element."""
    if len(share) != SHARE_BYTES or int.from_bytes(share, "big") >= PRIME:
        raise WrongShare("not an element of the field", field="share", remedy="void the round; look at the sender")


def combine(shares: Sequence[bytes], lagrange: Sequence[int]) -> bytes:
    """Return the 32-byte secret from exactly ``threshold`` shares and the `weights` of their places.

    Raises:
        WrongShare: a share is no field element, or the result is no 32-byte secret. Any other wrong share yields
            another secret, which only a commitment can tell.
    """
    for share in shares:
        check_share(share)
    terms = zip(shares, lagrange, strict=True)
    value = sum(int.from_bytes(share, "big") * weight for share, weight in terms) % PRIME
    if value >> (8 * SECRET_BYTES):
        raise WrongShare("do not give a secret", field="share", remedy="void the round; look at the senders")
    return value.to_bytes(SECRET_BYTES, "big")
