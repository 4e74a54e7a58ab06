"""How often in the long run: what k evenly spaced pushes a week are worth once the dosage has settled.

After many pushes s = 7/k days apart the dosage just before the next one is Σ_{i ≥ 1} 2^(−i·s/hl) = 1 / (2^(s/hl) − 1)
for each half-life hl: the geometric series. With T₀ the effect of a push on a rested person, on the logit scale,

    U(k) = k · (v · (σ(η + T₀ − κ·D_k) − σ(η)) − C_out · σ(h₀ + γ_D·(D_k + 1)))

is the value of a week, and what one push takes from those after it, which the score of the moment cannot see, is

    F(k) = Σ_j (v · σ′(η + T) · κ_j + C_out · σ′(h) · γ_j) · D_k,j

since a push adds one to each dosage and meets the i-th push after it at 2^(−i·s/hl). Vectorised over n persons.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tactful.model import DOSAGE_HALF_LIVES_D

Array = NDArray[np.float64]
WEEK_D = 7.0


@dataclass(frozen=True, slots=True, eq=False)
class Rested:
    """A push to a rested person in a usual opening, arrays (n,).

    Attributes:
        eta: activity logit.
        effect: T₀, without fatigue.
        hazard: logit of opting out, without dosage.
        worth_minor: v, minor units.
    """

    eta: Array
    effect: Array
    hazard: Array
    worth_minor: Array


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """κ (3,), γ_D (3,) and C_out in minor units."""

    kappa: Array
    hazard_dosage: Array
    opt_out_minor: float


def steady_dosage(pushes_per_week: float) -> Array:
    """Dosage just before each of evenly spaced pushes, (3,); zero for none."""
    if pushes_per_week <= 0:
        return np.zeros(len(DOSAGE_HALF_LIVES_D))
    spacing_d = WEEK_D / pushes_per_week
    dose: Array = 1.0 / np.expm1(np.log(2.0) * spacing_d / np.array(DOSAGE_HALF_LIVES_D))
    return dose


def _sigmoid(x: Array) -> Array:
    result: Array = 0.5 * (1.0 + np.tanh(0.5 * x))
    return result


def _each(rested: Rested, costs: Costs, dose: Array) -> Array:
    """Value of one push at this dosage, minor units, (n,)."""
    gain = _sigmoid(rested.eta + rested.effect - dose @ costs.kappa) - _sigmoid(rested.eta)
    lost = costs.opt_out_minor * _sigmoid(rested.hazard + (dose + 1.0) @ costs.hazard_dosage)
    value: Array = rested.worth_minor * gain - lost
    return value


def steady_utility(
    rested: Rested, costs: Costs, most: int, own: Rested | None = None, own_per_week: Array | float = 0.0
) -> Array:
    """U(0), …, U(most), minor units a week, shape (n, most + 1).

    Args:
        rested: a message without a reason of the person's own.
        costs: κ, γ_D and C_out.
        most: the largest k.
        own: a message with such a reason; of k pushes a week the first ``own_per_week`` are of this kind.
        own_per_week: how many of them come in a week, (n,).
    """
    utility = np.zeros((rested.eta.size, most + 1))
    for k in range(1, most + 1):
        dose = steady_dosage(k)
        first = np.minimum(own_per_week, k) if own is not None else 0.0
        utility[:, k] = (k - first) * _each(rested, costs, dose)
        if own is not None:
            utility[:, k] += first * _each(own, costs, dose)
    return utility


def best_frequency(utility: Array, price_minor: float = 0.0) -> NDArray[np.intp]:
    """The k that maximises U(k) − price·k, (n,); the smallest of equals, so that nothing is sent for nothing."""
    k: NDArray[np.intp] = np.argmax(utility - price_minor * np.arange(utility.shape[1]), axis=1)
    return k


def dose_price(rested: Rested, costs: Costs, k: NDArray[np.intp]) -> Array:
    """What a push takes from another one at the same moment, at the frequency ``k`` (n,), minor units, (n,)."""
    price: Array = _by_dose(rested, costs, _steady_doses(k)).sum(axis=1)
    return price


def future_cost(rested: Rested, costs: Costs, k: NDArray[np.intp]) -> Array:
    """F(k): what a push takes from the pushes after it at its person's frequency ``k`` (n,), minor units, (n,)."""
    dose = _steady_doses(k)
    cost: Array = (_by_dose(rested, costs, dose) * dose).sum(axis=1)
    return cost


def _steady_doses(k: NDArray[np.intp]) -> Array:
    doses: Array = np.array([steady_dosage(count) for count in range(int(k.max(initial=0)) + 1)])[k]
    return doses


def _by_dose(rested: Rested, costs: Costs, dose: Array) -> Array:
    """What one unit of each dosage costs a push at that dosage, (n, 3)."""
    pushed = _sigmoid(rested.eta + rested.effect - dose @ costs.kappa)
    leaves = _sigmoid(rested.hazard + (dose + 1.0) @ costs.hazard_dosage)
    by_dose = rested.worth_minor[:, None] * (pushed * (1.0 - pushed))[:, None] * costs.kappa
    by_leaving: Array = costs.opt_out_minor * (leaves * (1.0 - leaves))[:, None] * costs.hazard_dosage
    total: Array = by_dose + by_leaving
    return total
