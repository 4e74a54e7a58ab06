"""Shamir's shares: any threshold of them gives the secret, fewer or wrong ones do not."""

import contextlib
import itertools
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tactful_privacy.errors import InvalidInput
from tactful_privacy.secagg import shamir
from tactful_privacy.secagg.errors import WrongShare


def split(secret, threshold, places):
    return shamir.split(secret, threshold, places, os.urandom(shamir.randomness_needed(threshold)))


def oracle(points):
    """Lagrange's formula, written out."""
    total = 0
    for x, y in points:
        numerator = denominator = 1
        for other, _ in points:
            if other != x:
                numerator *= -other
                denominator *= x - other
        total += y * numerator * pow(denominator, -1, shamir.PRIME)
    return total % shamir.PRIME


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.integers(1, 7), st.integers(0, 5))
def test_any_threshold_of_shares_gives_the_secret(secret, threshold, spare):
    """Every set of exactly `threshold` shares reconstructs, as Lagrange's formula does."""
    places = [3 * place + 1 for place in range(threshold + spare)]
    shares = split(secret, threshold, places)
    for subset in itertools.islice(itertools.combinations(range(len(places)), threshold), 30):
        weights = shamir.weights([places[i] for i in subset])
        assert shamir.combine([shares[i] for i in subset], weights) == secret
        assert oracle([(places[i], int.from_bytes(shares[i], "big")) for i in subset]) == int.from_bytes(secret, "big")


def test_one_share_too_few_fits_every_secret():
    """With threshold − 1 shares, each candidate secret has a polynomial through them: they say nothing."""
    places = [1, 2, 3]
    shares = [int.from_bytes(share, "big") for share in split(os.urandom(32), 3, places)][:2]
    for candidate in (0, 1, 2**255):
        third = oracle([(0 - 3, candidate), (1 - 3, shares[0]), (2 - 3, shares[1])])  # value at 3, by shifting x
        assert oracle([(1, shares[0]), (2, shares[1]), (3, third)]) == candidate


def test_a_wrong_share_gives_another_secret():
    """One altered share never gives the secret back: the commitment then tells."""
    secret = os.urandom(32)
    shares = list(split(secret, 3, [1, 2, 3]))
    shares[1] = (int.from_bytes(shares[1], "big") ^ 1).to_bytes(33, "big")
    with contextlib.suppress(WrongShare):
        assert shamir.combine(shares, shamir.weights([1, 2, 3])) != secret


@pytest.mark.parametrize("share", [b"", bytes(32), bytes(34), b"\xff" * 33, shamir.PRIME.to_bytes(33, "big")])
def test_a_share_outside_the_field_is_refused(share):
    """Shares of a wrong size or not below the prime are refused."""
    with pytest.raises(WrongShare):
        shamir.combine([share], shamir.weights([1]))


@pytest.mark.parametrize(
    ("secret", "threshold", "places", "size"),
    [
        (bytes(31), 2, [1, 2], 48),
        (bytes(32), 3, [1, 2], 96),
        (bytes(32), 0, [1, 2], 48),
        (bytes(32), 2, [1, 1], 48),
        (bytes(32), 2, [0, 1], 48),
        (bytes(32), 2, [1, 2], 47),
    ],
)
def test_wrong_arguments_are_refused(secret, threshold, places, size):
    """Short secrets, thresholds above the number of shares, repeated places and place 0 are refused."""
    with pytest.raises(InvalidInput):
        shamir.split(secret, threshold, places, bytes(size))


def test_repeated_places_have_no_weights():
    """Two shares of one place cannot be combined."""
    with pytest.raises(InvalidInput, match="once"):
        shamir.weights([1, 1])


def test_two_splits_share_nothing():
    """Fresh randomness gives fresh shares of the same secret."""
    secret = os.urandom(32)
    assert not set(split(secret, 2, [1, 2, 3])) & set(split(secret, 2, [1, 2, 3]))
