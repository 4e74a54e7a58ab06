"""What send-time products do: the global rate, and smoothed, decayed histograms of a household's own past.

All scores are dense over a split's days, shape (N, days, 7), and use a household's baskets up to the evening before.
What is tuned is tuned on November.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from tactful_lab.slots.metrics import log_loss
from tactful_lab.slots.settings import SlotSettings
from tactful_lab.slots.task import SlotTask, Split

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Baseline:
    """A tuned baseline: its name, the choice made on November, November's log-loss, and its scores on any split."""

    name: str
    choice: dict[str, float]
    tune_log_loss: float
    scores: Callable[[Split], Scores]


@dataclass(frozen=True, slots=True)
class DecayedPast:
    """Decayed sums over each household's past, as of each morning of a range of days.

    Attributes:
        counts: float32 (N, days, 7), active slots, halved every half-life.
        exposure_d: float32 (N, days), days since the first basket (that day included), decayed alike.
    """

    counts: NDArray[np.float32]
    exposure_d: NDArray[np.float32]


def slot_rates(task: SlotTask) -> NDArray[np.float32]:
    """Share of positive training labels for each slot, shape (7,)."""
    rates: Scores = task.labels("train")[task.rows("train")].mean(axis=0, dtype=np.float64).astype(np.float32)
    return rates


def decayed_past(task: SlotTask, half_life_d: float, days: range) -> DecayedPast:
    """Sum each household's past with weight 2^(−age / half-life); the youngest age, yesterday's, is 0."""
    keep = np.float32(2.0 ** (-1.0 / half_life_d))
    counts = np.zeros((task.n_households, 7), dtype=np.float32)
    exposure = np.zeros(task.n_households, dtype=np.float32)
    past = DecayedPast(
        np.empty((task.n_households, len(days), 7), dtype=np.float32),
        np.empty((task.n_households, len(days)), dtype=np.float32),
    )
    for day in range(days.stop):
        if day >= days.start:
            past.counts[:, day - days.start] = counts
            past.exposure_d[:, day - days.start] = exposure
        counts = keep * counts + task.activity[:, day]
        exposure = keep * exposure + (task.first_day <= day)
    return past


def histogram_scores(past: DecayedPast, rates: NDArray[np.float32], strength_d: float) -> Scores:
    """(count + m·global rate) / (exposure + m): a posterior mean whose prior is worth m days. Shape (N, days, 7)."""
    prior = np.float32(strength_d)
    scores: Scores = (past.counts + prior * rates) / (past.exposure_d + prior)[..., None]
    return scores


def day_rate_times_share_scores(
    past: DecayedPast, rates: NDArray[np.float32], rate_strength_d: float, share_strength: float
) -> Scores:
    """How often at all (active slots a day) × in which slot (share), each smoothed on its own. Shape (N, days, 7)."""
    total = past.counts.sum(axis=-1)
    prior_d, prior_share = np.float32(rate_strength_d), np.float32(share_strength)
    day_rate = (total + prior_d * rates.sum()) / (past.exposure_d + prior_d)
    share = (past.counts + prior_share * rates / rates.sum()) / (total + prior_share)[..., None]
    scores: Scores = np.minimum(day_rate[..., None] * share, np.float32(0.999))
    return scores


def global_rate(task: SlotTask) -> Baseline:
    """The same seven numbers for everybody on every day."""
    rates = slot_rates(task)

    def scores(split: Split) -> Scores:
        return np.broadcast_to(rates, task.labels(split).shape)

    return Baseline("global slot rate", {}, split_log_loss(task, "tune", scores("tune")), scores)


def split_log_loss(task: SlotTask, split: Split, scores: Scores) -> float:
    """Mean log-loss over the rows of a split, scores of shape (N, days, 7)."""
    rows = task.rows(split)
    return log_loss(task.labels(split)[rows], scores[rows])


_Score = Callable[..., Scores]


def _tune(
    task: SlotTask, name: str, score: _Score, half_lives_d: Iterable[float], grid: dict[str, tuple[float, ...]]
) -> Baseline:
    """Search half-lives and the score's own settings on November."""
    rates = slot_rates(task)
    best: tuple[float, dict[str, float]] = (np.inf, {})
    for half_life_d in half_lives_d:
        past = decayed_past(task, half_life_d, task.days("tune"))
        for values in product(*grid.values()):
            settings = dict(zip(grid, values, strict=True))
            loss = split_log_loss(task, "tune", score(past, rates, **settings))
            if loss < best[0]:
                best = (loss, {"half_life_d": half_life_d, **settings})
    loss, choice = best

    def scores(split: Split) -> Scores:
        own = {key: value for key, value in choice.items() if key != "half_life_d"}
        return score(decayed_past(task, choice["half_life_d"], task.days(split)), rates, **own)

    return Baseline(name, choice, loss, scores)


def histogram(task: SlotTask, settings: SlotSettings) -> Baseline:
    """Each household's smoothed and decayed histogram over slots, tuned on November."""
    grid = {"strength_d": settings.histogram_strength_d}
    return _tune(task, "household histogram", histogram_scores, settings.histogram_half_life_d, grid)


def day_rate_times_share(task: SlotTask, settings: SlotSettings) -> Baseline:
    """Day rate × slot share of each household, tuned on November."""
    grid = {"rate_strength_d": settings.day_rate_strength_d, "share_strength": settings.day_rate_share_strength}
    name = "day rate × slot share"
    return _tune(task, name, day_rate_times_share_scores, settings.day_rate_half_life_d, grid)
