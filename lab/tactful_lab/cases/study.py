"""The two case studies: what to offer on real purchases, how often to push in a simulated world, one decision."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from tactful_lab.cases import baskets, embeddings, measure, on_device, recommend
from tactful_lab.cases.measure import Row
from tactful_lab.cases.purchases import PERSONAL_CARE, TEST_FROM, TUNE_FROM, Purchases, load
from tactful_lab.cases.recommend import Factorisation, Floats
from tactful_lab.datasets.completejourney import LAST_DAY
from tactful_lab.rehearsal.options import Options
from tactful_lab.rehearsal.run import Progress, Rehearsal, run
from tactful_lab.slots.bootstrap import Interval, paired_interval, ratio_interval
from tactful_lab.worlds import Parameters
from tactful_lab.worlds import load as load_numbers

END = LAST_DAY.toordinal() + 1
DIMENSIONS = (4, 8, 16, 32)
EPSILONS = (4.0, 1.0)
GRID = (
    Factorisation(8, 30.0, 1.0),
    Factorisation(8, 100.0, 1.0),
    Factorisation(16, 10.0, 1.0),
    Factorisation(16, 30.0, 2.0),
)
PENALTIES = (1.0, 100.0, 10_000.0)
FASHION_MARGIN_MINOR, FASHION_CONVERSION = 1_500.0, 0.02
MARGIN_SHARE = 0.25
"""Assumption: what a fashion shop keeps of a basket's price."""
Told = Callable[[str], None]
Choice = TypeVar("Choice")


@dataclass(slots=True)
class Study:
    """A finished case; ``tuned``: what was chosen on the earlier weeks; ``values`` is empty without a regression."""

    name: str
    items: int
    households: int
    baskets: int
    tuned: dict[str, float]
    offers: list[Row]
    frequency: Rehearsal
    told: on_device.Told
    values: dict[str, dict[str, Interval]] = field(default_factory=dict)


def marketplace(size: Options, told: Told = lambda _: None, progress: Progress | None = None) -> Study:
    """A general marketplace: categories by similarity, item vectors under ε, and the frequency in the main world."""
    told("reading purchases")
    purchases = load(grain="product_category", least_households=20)
    told("choosing the vectors' dimensions on the earlier weeks")
    dimensions = _best(DIMENSIONS, purchases, lambda counts, d: _embedded(counts, d))
    told("measuring on the held-out weeks")
    counts = purchases.counts(before=TEST_FROM)
    made = {e: embeddings.embed(counts, dimensions, epsilon=e) for e in (np.inf, *EPSILONS)}
    methods = _plain_methods(counts) | {"similarity of items": recommend.by_similarity(counts)}
    methods |= {_named(e): recommend.by_embedding(counts, found.vectors) for e, found in made.items()}
    rows = measure.offers(methods, counts, purchases.bought(since=TEST_FROM, until=END))
    told("rehearsing the frequency")
    frequency = run(_options(size, load_numbers()), progress)
    device = on_device.decide(purchases.items, made[EPSILONS[0]].vectors, _history(purchases))
    return _study("marketplace", purchases, {"dimensions": dimensions}, rows, frequency, device)


def fashion(size: Options, told: Told = lambda _: None, progress: Progress | None = None) -> Study:
    """A fashion shop, played on personal care: factorisation, a regression of the basket's value, and the frequency."""
    told("reading purchases")
    purchases = load(grain="product_type", categories=PERSONAL_CARE, least_households=15)
    told("choosing the factorisation on the earlier weeks")
    settings = _best(GRID, purchases, _factored)
    told("measuring on the held-out weeks")
    counts = purchases.counts(before=TEST_FROM)
    released = embeddings.embed(counts, settings.factors, epsilon=EPSILONS[0]).vectors
    methods = _plain_methods(counts) | {"factorisation (ALS)": _factored(counts, settings)}
    methods |= {_named(EPSILONS[0]): recommend.by_embedding(counts, released)}
    rows = measure.offers(methods, counts, purchases.bought(since=TEST_FROM, until=END))
    penalty, values, expected = basket_values(purchases)
    told("rehearsing the frequency")
    frequency = run(_options(size, fashion_numbers()), progress)
    device = on_device.decide(purchases.items, released, _history(purchases), round(100 * MARGIN_SHARE * expected))
    tuned = {"factors": settings.factors, "ridge": settings.ridge, "weight": settings.weight, "penalty": penalty}
    study = _study("fashion", purchases, tuned, rows, frequency, device)
    study.values = values
    return study


def fashion_numbers() -> Parameters:
    """The main world with dearer and rarer orders: assumptions, not measured anywhere."""
    numbers = load_numbers()
    organic = replace(numbers.organic, margin_minor=FASHION_MARGIN_MINOR, conversion=FASHION_CONVERSION)
    return replace(numbers, organic=organic)


def _options(size: Options, numbers: Parameters) -> Options:
    return replace(size, policies=("histogram_three", "fixed_daily", "random_3", "tactful"), numbers=numbers)


def _plain_methods(counts: Floats) -> dict[str, Floats]:
    return {
        measure.POPULARITY: recommend.popularity(counts),
        "random": recommend.at_random(counts, measure.SEED),
        "own history": recommend.own_history(counts),
    }


def _named(epsilon: float) -> str:
    return "item vectors, no privacy" if np.isinf(epsilon) else f"item vectors, ε = {epsilon:g}"


def _embedded(counts: Floats, dimensions: int) -> Floats:
    return recommend.by_embedding(counts, embeddings.embed(counts, dimensions).vectors)


def _factored(counts: Floats, settings: Factorisation) -> Floats:
    users, items = recommend.als(counts, settings)
    return users @ items.T


def _best(choices: Sequence[Choice], purchases: Purchases, score: Callable[[Floats, Choice], Floats]) -> Choice:
    """The choice with the best recall@10 of new items on the weeks before the test weeks, fitted on what is before."""
    counts = purchases.counts(before=TUNE_FROM)
    fresh = purchases.bought(since=TUNE_FROM, until=TEST_FROM) & (counts == 0)

    def reached(choice: Choice) -> float:
        return float(np.nanmean(recommend.recall_at(score(counts, choice), fresh, 10, leave_out=counts > 0)))

    return max(choices, key=reached)


def basket_values(purchases: Purchases) -> tuple[float, dict[str, dict[str, Interval]], float]:
    """Choose the ridge on the tuning weeks and measure log(1 + dollars) of baskets in the test weeks.

    Returns:
        The penalty; by method the mean squared error and its paired difference to the overall mean; and the mean
        predicted value of a basket in dollars.
    """
    rows = baskets.of_purchases(purchases)
    fit_on, tune_on = rows.day < TUNE_FROM, (rows.day >= TUNE_FROM) & (rows.day < TEST_FROM)
    early = baskets.design(rows, overall=float(rows.value[fit_on].mean()))

    def error(penalty: float) -> float:
        guess = early.features @ baskets.ridge(early.features[fit_on], rows.value[fit_on], penalty)
        return float(baskets.squared_errors(guess, rows.value, tune_on).mean())

    penalty = min(PENALTIES, key=error)
    before, test = rows.day < TEST_FROM, rows.day >= TEST_FROM
    made = baskets.design(rows, overall=float(rows.value[before].mean()))
    guess = made.features @ baskets.ridge(made.features[before], rows.value[before], penalty)
    guesses = {"overall mean": made.overall, "household's own mean": made.own_mean, "regression": guess}
    found = {name: _errors(values, made.overall, rows, test) for name, values in guesses.items()}
    return penalty, found, float(np.expm1(guess[test]).mean())


def _errors(guess: Floats, base: Floats, rows: baskets.Baskets, test: recommend.Bools) -> dict[str, Interval]:
    ours, theirs = (baskets.squared_errors(values, rows.value, test) for values in (guess, base))
    who = np.unique(rows.household[test], return_inverse=True)[1]
    sums, counts = np.bincount(who, weights=ours), np.bincount(who).astype(np.float64)
    mean = ratio_interval(sums, counts, seed=measure.SEED, resamples=measure.RESAMPLES)
    gap = paired_interval(ours, theirs, who, seed=measure.SEED, resamples=measure.RESAMPLES)
    return {"mean_squared_error": mean, "difference_to_overall_mean": gap}


def _history(purchases: Purchases) -> list[on_device.Bought]:
    """The last sixty days of the household at the ninth decile of activity: what its device has seen."""
    recent = (purchases.day >= TEST_FROM - 60) & (purchases.day < TEST_FROM)
    lines = np.bincount(purchases.household[recent], minlength=len(purchases.households))
    who = int(np.argsort(lines, kind="stable")[int(0.9 * (len(lines) - 1))])
    rows = recent & (purchases.household == who)
    pairs = np.unique(np.column_stack([purchases.item, TEST_FROM - purchases.day])[rows], axis=0)
    return [on_device.Bought(purchases.items[int(item)], int(ago)) for item, ago in pairs]


def _study(
    name: str,
    purchases: Purchases,
    tuned: dict[str, float],
    rows: list[Row],
    frequency: Rehearsal,
    device: on_device.Told,
) -> Study:
    sizes = len(purchases.items), len(purchases.households), len(np.unique(purchases.basket))
    return Study(name, *sizes, tuned, rows, frequency, device)
