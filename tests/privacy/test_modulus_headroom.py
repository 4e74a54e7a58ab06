"""The sum cannot wrap round the modulus, and a plan for which it could is refused."""

import numpy as np
import pytest

from tactful_privacy.errors import InvalidInput, ModulusTooSmall
from tactful_privacy.mechanisms.discrete_gaussian import sample
from tactful_privacy.mechanisms.headroom import assert_headroom, modulus_usage

DEVICES, CLIP, SIGMA, HOSTS, DIMENSION = 2297, 0.4, 3.2074, 5, 64


def checked_example(exponent):
    return DEVICES, CLIP * 2**exponent, int((SIGMA * 2**exponent) ** 2), HOSTS, DIMENSION


def test_the_checked_example_fits_at_two_to_the_minus_20():
    """2,297 devices at clip norm 0.4 with five hosts' noise use 48 % of half the modulus on the grid 2^-20."""
    assert assert_headroom(*checked_example(20)) == pytest.approx(0.48, abs=0.005)


def test_the_checked_example_wraps_at_two_to_the_minus_22():
    """On the grid 2^-22 the same round is refused."""
    assert modulus_usage(*checked_example(22)) > 1.9
    with pytest.raises(ModulusTooSmall, match="coarser grid"):
        assert_headroom(*checked_example(22))


def test_usage_of_exactly_one_is_refused():
    """2^31 itself is not representable, so usage 1 already fails and one unit less passes."""
    assert assert_headroom(1, 2**31 - 1, 0, 1, 1) < 1
    with pytest.raises(ModulusTooSmall):
        assert_headroom(1, 2**31, 0, 1, 1)


def test_the_noise_part_covers_what_is_drawn():
    """At failure probability 0.01, sums of three hosts' noise exceed the tail bound in fewer than 1 % of 2,000 rounds.

    The bound is not tight (true rate about 0.1 %), so the chance of 20 or more is far below 1e-9.
    """
    variance, hosts, dimension, rounds = 10_000, 3, 16, 2_000
    bound = modulus_usage(0, 0, variance, hosts, dimension, failure_probability=0.01) * 2**31
    sums = sample(variance, hosts * dimension * rounds).reshape(rounds, hosts, dimension).sum(axis=1)
    assert (np.abs(sums).max(axis=1) > bound).mean() < 0.01


def test_usage_grows_with_every_argument():
    """More devices, a larger norm, more noise, hosts or coordinates, or fewer bits never leave more room."""
    base = modulus_usage(100, 1e5, 10**10, 5, 64)
    for larger in [
        (101, 1e5, 10**10, 5, 64),
        (100, 1.1e5, 10**10, 5, 64),
        (100, 1e5, 2 * 10**10, 5, 64),
        (100, 1e5, 10**10, 6, 64),
        (100, 1e5, 10**10, 5, 65),
    ]:
        assert modulus_usage(*larger) > base
    assert modulus_usage(100, 1e5, 10**10, 5, 64, bits=31) == pytest.approx(2 * base)


@pytest.mark.parametrize(
    "arguments", [(-1, 1, 1, 1, 1), (1, -1, 1, 1, 1), (1, 1, -1, 1, 1), (1, 1, 1, 0, 1), (1, 1, 1, 1, 0)]
)
def test_impossible_counts_are_refused(arguments):
    """Negative counts and empty rosters are errors."""
    with pytest.raises(InvalidInput):
        modulus_usage(*arguments)
