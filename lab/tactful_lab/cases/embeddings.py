"""Item vectors that may be public: the co-purchases of a panel, released once with differential privacy.

Each household gives one vector of length at most 1 (which items it bought); the sum of the outer products is released
with exact discrete Gaussian noise, and its leading eigenvectors are the item vectors (Dwork, Talwar, Thakurta and Zhang
2014, "Analyze Gauss"). What is made of a released matrix costs nothing more. The curator is trusted here: the shop's
backend holds the panel. A person's vector is computed on the device from these and never leaves it.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tactful_lab.cases.recommend import Floats, unit_rows
from tactful_privacy.accounting.zcdp import rho_budget
from tactful_privacy.mechanisms import discrete_gaussian
from tactful_privacy.validate import at_least

GRID = 4_096
"""Units of the grid in a length of 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Item vectors (m, d), and what the households of the panel paid: central (ε, δ), ε infinite without noise.

    Neighbouring panels: one household's vector replaced by zero. Protected: all that a household bought in the period.
    """

    vectors: Floats
    central_epsilon: float
    delta: float


def embed(counts: Floats, dimensions: int, *, epsilon: float = math.inf, delta: float = 1e-6) -> Embeddings:
    """Release item vectors of a panel.

    Args:
        counts: Baskets by household and item, (n, m).
        dimensions: d, of the vectors.
        epsilon: Central ε of the one release; infinite: no noise, no promise.
        delta: Of the same.

    Raises:
        InvalidInput: ε or δ is out of range, or dimensions < 1.
    """
    at_least(1, dimensions=dimensions)
    total = outer_sum(counts)
    if math.isfinite(epsilon):
        total = total + _noise(variance_units(epsilon, delta), len(total))
    rows, columns = np.triu_indices(counts.shape[1])
    gram = np.zeros((counts.shape[1], counts.shape[1]))
    gram[rows, columns] = gram[columns, rows] = total / GRID
    values, vectors = np.linalg.eigh(gram)
    top = np.argsort(-values)[:dimensions]
    return Embeddings(vectors[:, top] * np.sqrt(values[top].clip(0)), epsilon, delta)


def outer_sum(counts: Floats) -> NDArray[np.int64]:
    """Upper triangle of Σ xxᵀ in grid units, (m (m + 1) / 2,); x is a household's 0/1 vector at length 1.

    Each household's triangle is rounded towards zero, so that its length stays at most one unit of length, `GRID`.
    """
    unit = unit_rows((counts > 0).astype(np.float64))
    rows, columns = np.triu_indices(counts.shape[1])
    total = np.zeros(len(rows), np.int64)
    for row in unit:
        if row.any():
            total += (row[rows] * row[columns] * GRID).astype(np.int64)
    return total


def variance_units(epsilon: float, delta: float) -> int:
    """σ² in squared grid units, rounded up: ρ = GRID² / (2 σ²) (arXiv:2004.00010; theorem number not checked)."""
    return math.ceil(GRID**2 / (2.0 * rho_budget(epsilon, delta)))


def _noise(variance: int, size: int) -> NDArray[np.int64]:
    return discrete_gaussian.sample(variance, size)
