"""The device's filter: prices of any size in any order, exactly added, never beyond the budget."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tactful_privacy.accounting.filter import ZcdpFilter
from tactful_privacy.errors import BudgetExhausted, InvalidInput

PRICES = st.one_of(st.fractions(0, 2, max_denominator=10**12), st.floats(0, 2))


@given(st.fractions(0, 3, max_denominator=1000), st.lists(PRICES, max_size=30))
def test_no_sequence_overspends(budget, prices):
    """After any sequence, what is spent is exactly the sum admitted and within the budget; no refusal was needless."""
    guard, total = ZcdpFilter(budget), Fraction(0)
    for rho in prices:
        fits = total + Fraction(rho) <= budget
        assert guard.can_spend(rho) == fits
        if fits:
            guard.spend(rho)
            total += Fraction(rho)
        else:
            with pytest.raises(BudgetExhausted):
                guard.spend(rho)
        assert guard.spent == total <= budget
        assert guard.remaining == budget - total


@given(st.integers(1, 200), st.fractions(Fraction(1, 10**9), 1))
def test_an_adaptive_adversary_gets_the_budget_and_no_more(steps, start):
    """An adversary who halves the price at each refusal approaches the budget and never passes it."""
    guard, rho = ZcdpFilter(1), start
    for _ in range(steps):
        if guard.can_spend(rho):
            guard.spend(rho)
        else:
            rho /= 2
    assert guard.spent <= 1


def test_the_last_unit_is_decided_exactly():
    """Three thirds fit into 1 and 10^-30 more does not, where floats could not tell."""
    guard = ZcdpFilter(1)
    for _ in range(3):
        guard.spend(Fraction(1, 3))
    assert guard.remaining == 0
    with pytest.raises(BudgetExhausted, match="renewal"):
        guard.spend(Fraction(1, 10**30))
    guard.spend(0)


def test_an_infinite_price_never_fits():
    """A release that is not private is refused by any budget."""
    guard = ZcdpFilter(10**9)
    assert not guard.can_spend(math.inf)
    with pytest.raises(BudgetExhausted):
        guard.spend(math.inf)


def test_spends_that_came_back_may_exceed_the_budget():
    """A vault that learned of more spends than its budget admits nothing more and shows 0 remaining."""
    guard = ZcdpFilter(Fraction(1, 2), spent=Fraction(3, 4))
    assert guard.remaining == 0
    assert guard.spent == Fraction(3, 4)
    assert not guard.can_spend(Fraction(1, 10**12))


@pytest.mark.parametrize("value", [-1, -0.5, Fraction(-1, 3), math.nan])
def test_a_negative_price_cannot_refill_the_budget(value):
    """Negative or undefined prices, budgets and totals are refused and change nothing."""
    guard = ZcdpFilter(1, spent=Fraction(1, 2))
    with pytest.raises(InvalidInput, match="rho"):
        guard.spend(value)
    assert guard.spent == Fraction(1, 2)
    with pytest.raises(InvalidInput, match="budget"):
        ZcdpFilter(value)
    with pytest.raises(InvalidInput, match="spent"):
        ZcdpFilter(1, spent=value)
