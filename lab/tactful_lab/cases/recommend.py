"""What to offer whom: popularity, the person's own history, similarity of items, and implicit matrix factorisation.

Every function takes ``counts``, baskets by household and item, (n, m), and returns scores of the same shape.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.validate import at_least, positive

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_TINY = 1e-9


def popularity(counts: Floats) -> Floats:
    """Households that bought the item, the same for everybody."""
    return np.tile((counts > 0).sum(axis=0).astype(np.float64), (len(counts), 1))


def at_random(counts: Floats, seed: int) -> Floats:
    """No idea: the floor of every table."""
    return np.random.default_rng(seed).random(counts.shape)


def own_history(counts: Floats) -> Floats:
    """How often the household bought it; popularity breaks ties. It needs nobody else's data but for the ties."""
    common = popularity(counts)
    own: Floats = counts + common / (1.0 + common.max() * 1e3)
    return own


def profiles(counts: Floats) -> Floats:
    """Rows log(1 + count) × log(n / (households + 1)), of length 1: a household as a document, an item as a word."""
    rarity = np.log(len(counts) / ((counts > 0).sum(axis=0) + 1.0)).clip(0)
    return unit_rows(np.log1p(counts) * rarity)


def unit_rows(rows: Floats) -> Floats:
    """Rows (n, m) of Euclidean length 1; rows of zeros stay."""
    unit: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(_TINY)
    return unit


def item_similarity(counts: Floats) -> Floats:
    """Cosine of items over households' profiles, (m, m), 0 on the diagonal (Sarwar et al. 2001)."""
    columns = unit_rows(profiles(counts).T)
    similar = columns @ columns.T
    np.fill_diagonal(similar, 0.0)
    return similar


def by_similarity(counts: Floats) -> Floats:
    """Items like those that the household bought."""
    return profiles(counts) @ item_similarity(counts)


def by_embedding(counts: Floats, items: Floats) -> Floats:
    """Person's vector against item vectors (m, d); the vector is the mean of those of the items that it bought."""
    return person_vectors(counts, items) @ items.T


def person_vectors(counts: Floats, items: Floats) -> Floats:
    """What a device computes from its own history and public item vectors (m, d): (n, d), of length at most 1."""
    return unit_rows((counts > 0).astype(np.float64)) @ items


@dataclass(frozen=True, slots=True)
class Factorisation:
    """Settings of `als`: factors, ridge, weight of an observed count, sweeps, and the seed of the start."""

    factors: int = 16
    ridge: float = 30.0
    weight: float = 2.0
    sweeps: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, factors=self.factors, sweeps=self.sweeps)
        positive(ridge=self.ridge, weight=self.weight)


def als(counts: Floats, settings: Factorisation) -> tuple[Floats, Floats]:
    """Implicit alternating least squares (Hu, Koren and Volinsky 2008) on log(1 + count).

    Minimises Σ c (p − x·y)² + ridge (Σ|x|² + Σ|y|²), p = [count > 0], c = 1 + weight·log(1 + count).

    Returns:
        Factors of households (n, d) and of items (m, d).
    """
    random = np.random.default_rng(settings.seed)
    items = random.normal(0, 0.1, (counts.shape[1], settings.factors))
    users = np.zeros((len(counts), settings.factors))
    strength = np.log1p(counts)
    for _ in range(settings.sweeps):
        users = fold_in(strength, items, settings)
        items = fold_in(strength.T, users, settings)
    return fold_in(strength, items, settings), items


def fold_in(strength: Floats, factors: Floats, settings: Factorisation) -> Floats:
    """Best factors (n, d) of rows of strengths log(1 + count), (n, m), given the factors of the columns (m, d).

    One row of it is what a device does with its own history and public item factors; nothing leaves it.
    """
    shared = factors.T @ factors + settings.ridge * np.eye(factors.shape[1])
    found = np.zeros((len(strength), factors.shape[1]))
    for row in range(len(strength)):
        bought = np.flatnonzero(strength[row])
        if len(bought):
            columns, extra = factors[bought], settings.weight * strength[row, bought]
            found[row] = np.linalg.solve(shared + (columns.T * extra) @ columns, columns.T @ (1 + extra))
    return found


def recall_at(scores: Floats, wanted: Bools, k: int, *, leave_out: Bools | None = None) -> Floats:
    """Of what each household bought, the share among its k highest scores; at most k count, (n,).

    NaN for a household that bought nothing. ``leave_out`` (n, m): items that are not offered.
    """
    offered = scores if leave_out is None else np.where(leave_out, -np.inf, scores)
    top = np.argsort(-offered, axis=1, kind="stable")[:, :k]
    hits, there = np.take_along_axis(wanted, top, axis=1).sum(axis=1), wanted.sum(axis=1)
    return np.where(there > 0, hits / np.minimum(there, k).clip(1), np.nan)


def auc(scores: Floats, wanted: Bools, *, leave_out: Bools | None = None) -> Floats:
    """Chance that an item which the household bought scores above another, ties half, (n,); NaN: no pair."""
    found = np.full(len(scores), np.nan)
    for row in range(len(scores)):
        offered = np.ones(scores.shape[1], np.bool_) if leave_out is None else ~leave_out[row]
        yes, no = scores[row, offered & wanted[row]], np.sort(scores[row, offered & ~wanted[row]])
        if len(yes) and len(no):
            below = np.searchsorted(no, yes, side="left") + np.searchsorted(no, yes, side="right")
            found[row] = below.mean() / (2 * len(no))
    return found
