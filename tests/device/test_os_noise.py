"""Event-level noise and sampling: the right distribution, from the given entropy and nothing else."""

import math
import os

import numpy as np
import pytest

from tactful.training.os_noise import gaussian, poisson_sample
from tactful_privacy.errors import InvalidInput
from tactful_privacy.mechanisms.entropy import EntropyFailure

MANY = 200_000


def words_of(*values):
    data = b"".join(value.to_bytes(8, "little") for value in values)
    return lambda count: data[:count]


def test_the_noise_is_standard_normal():
    """The empirical distribution of 200,000 values keeps the Dvoretzky-Kiefer-Wolfowitz bound (false alarm 1e-9)."""
    drawn = np.sort(gaussian(MANY))
    wanted = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in drawn[::20]])
    at = np.arange(MANY)[::20] / MANY
    assert np.abs(at - wanted).max() < math.sqrt(math.log(2 / 1e-9) / (2 * MANY)) + 1 / MANY


def test_values_are_not_correlated():
    """Neighbours, and values half the draw apart, have a correlation below six standard errors (false alarm 4e-9)."""
    drawn = gaussian(MANY)
    for lag in (1, MANY // 2):
        correlation = np.mean(drawn[:-lag] * drawn[lag:])
        assert abs(correlation) < 6 / math.sqrt(MANY - lag)


def test_each_value_is_made_of_four_draws():
    """By hand from chosen words: half the sum of four Box-Muller values of 53 bits."""
    rng = np.random.default_rng(0)
    words = [int(word) for word in rng.integers(0, 2**64, 8, dtype=np.uint64)]
    uniform = [(word >> 11) / 2**53 for word in words]
    pairs = zip(uniform[:4], uniform[4:], strict=True)
    by_hand = sum(math.sqrt(-2 * math.log(u + 2**-53)) * math.cos(2 * math.pi * v) for u, v in pairs) / 2
    assert gaussian(1, entropy=words_of(*words))[0] == pytest.approx(by_hand, abs=1e-14)


@pytest.mark.parametrize("byte", [b"\x00", b"\xff"])
def test_no_bytes_give_what_is_not_finite(byte):
    """The smallest and the largest uniforms give finite values, no logarithm of zero (warnings are errors here)."""
    assert np.isfinite(gaussian(3, entropy=lambda count: byte * count)).all()


def test_no_seed_fixes_the_noise():
    """Two draws differ under the same seed of numpy, and leave its state alone."""
    state = np.random.get_state()[1].copy()
    assert (gaussian(50) != gaussian(50)).all()
    assert gaussian(0).shape == (0,)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_the_sample_has_its_rate():
    """Of 200,000 rows a share within six standard errors of the rate is in (false alarm 2e-9 each)."""
    for rate in (0.001, 0.1, 0.7):
        share = poisson_sample(MANY, rate).mean()
        assert abs(share - rate) < 6 * math.sqrt(rate * (1 - rate) / MANY)


def test_the_sample_is_never_above_its_rate():
    """The coin is a comparison with ⌊2⁶⁴ · rate⌋: a word below is in, the bound itself is out."""
    bound = 3 * 2**62
    drawn = poisson_sample(4, 0.75, entropy=words_of(0, bound - 1, bound, 2**64 - 1))
    np.testing.assert_array_equal(drawn, [True, True, False, False])
    assert not poisson_sample(2, 2**-65, entropy=words_of(0, 1)).any()


def test_the_borders_of_sampling():
    """A rate of 1 takes every row; no rows give an empty batch; a rate of a billionth gives empty batches too."""
    assert poisson_sample(100, 1.0).all()
    assert poisson_sample(0, 0.5).shape == (0,)
    assert not poisson_sample(3, 1e-300).any()


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.5, math.nan])
def test_a_rate_that_is_none_is_refused(rate):
    """The error names the field."""
    with pytest.raises(InvalidInput, match="sampling_rate"):
        poisson_sample(5, rate)


@pytest.mark.parametrize("draw", [gaussian, lambda count, entropy: poisson_sample(count, 0.5, entropy=entropy)])
def test_without_entropy_nothing_is_drawn(draw):
    """A source that gives too little stops the draw, and so does a negative number."""
    with pytest.raises(EntropyFailure):
        draw(5, entropy=lambda count: os.urandom(count - 1))
    with pytest.raises(InvalidInput):
        draw(-1, entropy=os.urandom)
