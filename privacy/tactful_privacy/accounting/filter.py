"""The device's privacy filter: a promise about the sum of all prices, whoever chooses them and however."""

import math
from fractions import Fraction

from tactful_privacy.errors import BudgetExhausted, InvalidInput


class ZcdpFilter:
    """Admits prices while their sum stays within the budget, in exact rational arithmetic.

    Prices may be chosen adaptively, in view of everything released before: whatever the order and the choice, the whole
    interaction is budget-zCDP for the device (a filter with fully adaptive composition: Lecuyer, arXiv:2103.01379;
    Feldman and Zrnic, arXiv:2008.11193, section 4). Why: by induction from the last step back, conditional on what was
    released before, E[exp((a-1) L)] of the remaining privacy loss L is at most exp((a-1) a r) for the r then left,
    since a step of price rho multiplies it by at most exp((a-1) a rho) and leaves r - rho. Zero-out adjacency, for the
    budget's horizon.

    Pure bookkeeping: making a spend durable before the contribution leaves is the vault's.

    Args:
        budget: the largest total rho, finite.
        spent: what was spent before, as read from the vault; it may exceed the budget (a restored backup that learned
            of more spends), and then nothing more is admitted.

    Raises:
        InvalidInput: a value that is negative, infinite or NaN.
    """

    def __init__(self, budget: Fraction | float, *, spent: Fraction | float = Fraction(0)) -> None:
        self._budget = _exact(budget=budget)
        self._spent = _exact(spent=spent)

    @property
    def budget(self) -> Fraction:
        """The largest total."""
        return self._budget

    @property
    def spent(self) -> Fraction:
        """The total so far."""
        return self._spent

    @property
    def remaining(self) -> Fraction:
        """What may still be spent, never below 0."""
        return max(Fraction(0), self._budget - self._spent)

    def can_spend(self, rho: Fraction | float) -> bool:
        """Return whether ``rho`` fits; an infinite price never does.

        Raises:
            InvalidInput: a negative price or NaN.
        """
        return rho != math.inf and self._spent + _exact(rho=rho) <= self._budget

    def spend(self, rho: Fraction | float) -> None:
        """Add ``rho`` to the total.

        Raises:
            BudgetExhausted: it does not fit; the total is unchanged.
            InvalidInput: a negative price or NaN.
        """
        if not self.can_spend(rho):
            message = f"the price {float(rho):.6g} exceeds the remaining budget {float(self.remaining):.6g}"
            remedy = "sit this round out; a renewal of the budget needs fresh consent"
            raise BudgetExhausted(message, field="rho", remedy=remedy)
        self._spent += _exact(rho=rho)


def _exact(**values: Fraction | float) -> Fraction:
    (name, value), *_ = values.items()
    if not 0 <= value < math.inf:
        raise InvalidInput(f"must be finite and not negative, not {value!r}", field=name, remedy=f"give {name} >= 0")
    return Fraction(value)
