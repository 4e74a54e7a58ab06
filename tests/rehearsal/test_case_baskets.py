"""The regression of the next basket's value sees the past only, and its fit is the least squares that numpy finds."""

import numpy as np

from tactful_lab.cases import baskets, purchases
from tactful_lab.cases.purchases import TUNE_FROM

RANDOM = np.random.default_rng(8)


def lines(n=400):
    household = RANDOM.integers(0, 20, n)
    basket = household * 1_000 + RANDOM.integers(0, 12, n)
    day = TUNE_FROM - 200 + (basket % 1_000) * 20
    return household, basket, day, RANDOM.random(n) * 9, RANDOM.choice(["bread", "milk", "soap"], n)


def test_counts_and_bought_are_what_sets_find():
    """Baskets, not lines; days within the span only."""
    household, basket, day, spend, name = lines()
    made = purchases.index(household, basket, day, spend, name)
    until = TUNE_FROM - 60
    counts, bought = made.counts(before=until), made.bought(since=until, until=until + 80)
    for h in range(20):
        for i, item in enumerate(made.items):
            mine = (household == h) & (name == item)
            assert counts[h, i] == len(set(basket[mine & (day < until)]))
            assert bought[h, i] == bool((mine & (day >= until) & (day < until + 80)).any())


def test_rare_items_are_left_out():
    """An item that too few households bought before the tuning weeks is no item."""
    household, basket, day, spend, name = lines()
    name = name.astype("<U8")
    name[household == 3] = "truffle"
    made = purchases.index(household, basket, day, spend, name, least_households=2)
    assert made.items == ("bread", "milk", "soap")


def test_names_are_such_as_a_device_takes():
    """Two blanks, brackets and long names do not reach the vault."""
    assert purchases.tidy("CHRISTMAS  SEASONAL") == "christmas seasonal"
    assert purchases.tidy("(CORP USE ONLY)") == "corp use only"
    assert purchases.tidy(None) == ""
    assert len(purchases.tidy("WORD " * 30).split()) == 5


def test_features_of_a_basket_do_not_change_with_the_future():
    """Cutting off all later days leaves every earlier row as it was; a day's own baskets are not its past."""
    made = purchases.index(*lines())
    rows = baskets.of_purchases(made)
    whole = baskets.design(rows, overall=1.5)
    until = TUNE_FROM - 100
    early = rows.day < until
    cut = baskets.Baskets(rows.household[early], rows.day[early], rows.value[early], rows.size[early])
    assert np.array_equal(baskets.design(cut, overall=1.5).features, whole.features[early])
    for at in np.flatnonzero(rows.household == 4):
        past = rows.value[(rows.household == 4) & (rows.day < rows.day[at])]
        assert np.isclose(whole.own_mean[at], (past.sum() + 5 * 1.5) / (len(past) + 5))


def test_values_are_log_dollars_of_whole_baskets():
    """Oracle: a loop over baskets."""
    household, basket, day, spend, name = lines()
    rows = baskets.of_purchases(purchases.index(household, basket, day, spend, name))
    assert len(rows.value) == len(set(basket))
    expected = sorted(np.log1p(spend[basket == b].sum()) for b in set(basket))
    assert np.allclose(sorted(rows.value), expected)
    assert rows.size.sum() == len(spend)


def test_ridge_without_penalty_is_least_squares():
    """And a large penalty leaves the constant alone: the mean."""
    features = np.column_stack([np.ones(80), RANDOM.normal(size=(80, 5))])
    target = RANDOM.normal(size=80)
    exact = np.linalg.lstsq(features, target, rcond=None)[0]
    assert np.allclose(baskets.ridge(features, target, 0.0), exact)
    heavy = baskets.ridge(features, target, 1e9)
    assert np.isclose(heavy[0], target.mean(), atol=1e-4)
