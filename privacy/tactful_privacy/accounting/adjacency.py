"""From one neighbouring relation to another; figures under different ones are never added without it.

Zero-out, this project's own: one enrolment's contribution becomes the zero vector. Replacement, the relation of mode
``local``: it becomes any other admissible vector. For vectors in a ball of radius C the sensitivity is C under
zero-out and 2C under replacement, so for Gaussian noise mu differs by 2 and rho by 4.
"""

from fractions import Fraction
from typing import TypeVar

from tactful_privacy.validate import at_least

_Price = TypeVar("_Price", Fraction, float)


def replacement_from_zero_out(rho: _Price) -> _Price:
    """Return a zCDP price under replacement from one under zero-out; holds for every mechanism.

    A replacement is two zero-outs, and k steps cost k^2 rho (group privacy: Bun and Steinke, arXiv:1605.02065,
    Proposition 1.9).

    Args:
        rho: >= 0; an exact fraction stays exact, an infinity stays infinite.

    Raises:
        InvalidInput: a negative price or NaN.
    """
    at_least(0, rho=float(rho))
    return rho * 4


def zero_out_from_replacement(rho: _Price) -> _Price:
    """Return the zCDP price under zero-out of *Gaussian noise* (continuous or discrete) priced under replacement.

    rho = sensitivity^2 / (2 sigma^2), and the sensitivity of vectors in a ball about 0 is C under zero-out and 2C under
    replacement. For any other mechanism only the trivial fact holds that the zero vector is one of the replacements:
    its zero-out price is at most ``rho`` itself.

    Args:
        rho: >= 0; an exact fraction stays exact, an infinity stays infinite.

    Raises:
        InvalidInput: a negative price or NaN.
    """
    at_least(0, rho=float(rho))
    return rho / 4


def replacement_mu_from_zero_out(mu: float) -> float:
    """Return mu under replacement from mu under zero-out; holds for every mechanism.

    Group privacy of two steps: Dong, Roth and Su, arXiv:1905.02383, Theorem 2.14 (number not checked).

    Raises:
        InvalidInput: mu negative or NaN.
    """
    at_least(0, mu=mu)
    return 2 * mu


def zero_out_mu_from_replacement(mu: float) -> float:
    """Return mu under zero-out of *Gaussian noise* whose mu was computed under replacement; see the price's twin.

    Raises:
        InvalidInput: mu negative or NaN.
    """
    at_least(0, mu=mu)
    return mu / 2
