"""Zero-out and replacement are converted by the factor that the geometry gives, and exactly."""

import math
from fractions import Fraction

import pytest

from tactful_privacy.accounting.adjacency import (
    replacement_from_zero_out,
    replacement_mu_from_zero_out,
    zero_out_from_replacement,
    zero_out_mu_from_replacement,
)
from tactful_privacy.errors import InvalidInput


def test_the_factor_is_that_of_the_ball():
    """In a ball of radius C the farthest pair is 2C apart and 0 is C from the edge: rho of the two differs by 4."""
    clip, sigma = Fraction(2, 5), Fraction(3)
    under_zero_out = clip**2 / (2 * sigma**2)
    under_replacement = (2 * clip) ** 2 / (2 * sigma**2)
    assert zero_out_from_replacement(under_replacement) == under_zero_out
    assert replacement_from_zero_out(under_zero_out) == under_replacement
    assert zero_out_mu_from_replacement(float(2 * clip / sigma)) == float(clip / sigma)
    assert replacement_mu_from_zero_out(float(clip / sigma)) == float(2 * clip / sigma)


def test_fractions_stay_exact_and_infinities_infinite():
    """What a vault adds up exactly is converted exactly; not private stays not private."""
    third = Fraction(1, 3)
    assert isinstance(zero_out_from_replacement(third), Fraction)
    assert replacement_from_zero_out(zero_out_from_replacement(third)) == third
    assert zero_out_from_replacement(math.inf) == replacement_from_zero_out(math.inf) == math.inf


@pytest.mark.parametrize("convert", [replacement_from_zero_out, zero_out_from_replacement])
def test_a_price_below_zero_is_refused(convert):
    """A negative or undefined price is a defect, not a figure."""
    for wrong in (-1.0, math.nan):
        with pytest.raises(InvalidInput):
            convert(wrong)
