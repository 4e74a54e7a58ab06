"""What the parts of Δp and Δh are made of: integrated gradients in closed form.

The method is integrated gradients (Sundararajan, Taly & Yan 2017, arXiv:1703.01365, eq. 1), which is Aumann–Shapley
along the straight line x(t) = t·x from the baseline x = 0 (no habit, no past pushes, the average person). For a
function g of one linear form, u(t) = u₀ + t·Σ wᵢxᵢ,

    IGᵢ = xᵢ ∫₀¹ ∂g/∂xᵢ dt = wᵢxᵢ ∫₀¹ g′(u(t)) dt = wᵢxᵢ · (g(u₁) − g(u₀)) / (u₁ − u₀),

the mean slope of g between the two ends times the input's own logit. The path integral is linear in the function, so
a difference of two such g's is attributed as the difference of the attributions. The sum over i telescopes to
g(u₁) − g(u₀): that is completeness, and nothing is ever rescaled to reach it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tactful.model import DOSAGE_HALF_LIVES_D, HAZARD_BASE_LOGIT, MESSAGE, OPEN_RATE_PRIOR
from tactful.scoring import Outlook, features, own_kappa
from tactful.types import DeviceView

Array = NDArray[np.float64]
# Below this distance of the ends the chord is rounding noise; the slope in the middle is exact to O(distance²).
_CHORD = 1e-5
_SERIES = 1e-2
PERSONAL = ("personal_activity", "personal_slot", "personal_response", "personal_slot_response")
MESSAGES = tuple(f"message_{name}" for name in MESSAGE)
DOSES = tuple(f"recent_pushes_{half_life:g}d" for half_life in DOSAGE_HALF_LIVES_D)
OTHERS = PERSONAL + MESSAGES + DOSES


@dataclass(frozen=True, slots=True, eq=False)
class Attribution:
    """``contributions[i]`` of ``names[i]``; with ``baseline`` they add up to the quantity attributed."""

    names: tuple[str, ...]
    contributions: Array
    baseline: float

    def scaled(self, factor: float) -> "Attribution":
        """Return the attribution of ``factor`` times the quantity (its unit changed, nothing else)."""
        return Attribution(self.names, factor * self.contributions, factor * self.baseline)


def logistic(u: float) -> float:
    """Return 1/(1 + e^−u) without overflow."""
    return 0.5 * (1.0 + math.tanh(0.5 * u))


def logistic_slope(u: float) -> float:
    """Return the derivative σ(1 − σ)."""
    return logistic(u) * (1.0 - logistic(u))


def bell(u: float) -> float:
    """Return σ(u)(1 − σ(u)), the shape of the prior effect."""
    return logistic_slope(u)


def bell_slope(u: float) -> float:
    """Return the derivative of `bell`, σ(1 − σ)(1 − 2σ)."""
    return logistic_slope(u) * (1.0 - 2.0 * logistic(u))


def mean_slope(g: Callable[[float], float], slope: Callable[[float], float], start: float, end: float) -> float:
    """Return ∫₀¹ g′(start + t(end − start)) dt: the chord of g, or the slope in the middle of a very short one."""
    if abs(end - start) < _CHORD:
        return slope(0.5 * (start + end))
    return (g(end) - g(start)) / (end - start)


def attribute(
    g: Callable[[float], float], slope: Callable[[float], float], parts: Array, start: float = 0.0
) -> tuple[Array, float]:
    """Attribute g(start + Σ parts) to its parts; returns contributions like ``parts`` and the baseline g(start)."""
    end = start + float(parts.sum())
    return parts * mean_slope(g, slope, start, end), g(start)


def weighted_bell_slope(end: float) -> float:
    """Return ∫₀¹ t·bell′(t·end) dt, by parts; near zero by its series, where the closed form loses digits."""
    if abs(end) < _SERIES:
        return -end / 24.0 + end**3 / 120.0
    return (bell(end) - mean_slope(logistic, logistic_slope, 0.0, end)) / end


def attribute_prior(eta: Array, effect: Array) -> tuple[Array, float]:
    """Attribute (r₀ + Σ effect)·bell(Σ eta) to both kinds of parts along one straight line from zero.

    With E = Σ eta and T = Σ effect, an input that adds eᵢ to η and wᵢ to T gets
    eᵢ·∫(r₀ + t·T)·bell′(t·E) dt + wᵢ·∫ bell(t·E) dt; summed over i the integrand is the derivative of the product.
    """
    end, whole = float(eta.sum()), float(effect.sum())
    by_eta = OPEN_RATE_PRIOR * mean_slope(bell, bell_slope, 0.0, end) + whole * weighted_bell_slope(end)
    by_effect = mean_slope(logistic, logistic_slope, 0.0, end)
    return eta * by_eta + effect * by_effect, OPEN_RATE_PRIOR * bell(0.0)


@lru_cache(maxsize=8)
def names(count: int) -> tuple[str, ...]:
    """Return the names of ``count`` features, then those of the personal layer, of the message and of the dosages."""
    return _feature_names(count) + OTHERS


def _feature_names(count: int) -> tuple[str, ...]:
    from tactful.features import FEATURES

    known = tuple(spec.name for spec in FEATURES)
    return known if len(known) == count else tuple(f"feature_{i:02d}" for i in range(count))


def _parts(view: DeviceView, ahead: Outlook, index: int) -> tuple[Array, Array, Array]:
    """Return what each named input adds to η, to T and to the hazard's logit, each (D + 4 + 2 + 3,)."""
    day, slot = int(ahead.openings.day[index]), int(ahead.openings.slot[index])
    phi, model, personal = features(view)[day, slot].astype(np.float64), view.model, view.personal
    count, doses, message = phi.size, ahead.doses[index], ahead.message
    size = count + len(OTHERS)
    eta, effect, hazard = np.zeros(size), np.zeros(size), np.zeros(size)
    eta[:count], effect[:count], hazard[:count] = phi * model.alpha, phi * model.effect_weights, phi * model.hazard
    eta[count : count + 2] = personal.activity_intercept, personal.activity_slots[slot]
    effect[count + 2 : count + 4] = personal.push_intercept, personal.push_slots[slot]
    effect[count + 4 : -3], hazard[count + 4 : -3] = message * model.message_effect, message * model.message_hazard
    effect[-3:], hazard[-3:] = -own_kappa(view) * doses, model.hazard_dosage * doses
    return eta, effect, hazard


def delta_p(view: DeviceView, ahead: Outlook, index: int) -> Attribution:
    """Attribute Δp of one opening: σ(η + T) − σ(η), or (r₀ + b + s)·σ(η)(1 − σ(η)) without a shared effect."""
    eta, effect, _ = _parts(view, ahead, index)
    labels = names(eta.size - len(OTHERS))
    if not ahead.known:
        own = effect.copy()
        own[-len(MESSAGES + DOSES) :] = 0.0  # nothing has taught μ_m or κ while the shared effect is zero
        return Attribution(labels, *attribute_prior(eta, own))
    pushed, pushed_base = attribute(logistic, logistic_slope, eta + effect)
    alone, alone_base = attribute(logistic, logistic_slope, eta)
    return Attribution(labels, pushed - alone, pushed_base - alone_base)


def delta_h(view: DeviceView, ahead: Outlook, index: int) -> Attribution:
    """Attribute Δh of one opening: the push's own hazard, or h(D + 1) − h(D) without a shared effect.

    The push itself is part of the baseline (of both ends), not of the path.
    """
    _, _, hazard = _parts(view, ahead, index)
    labels = names(hazard.size - len(OTHERS))
    one_more = HAZARD_BASE_LOGIT + float(view.model.hazard_dosage.sum())
    after, after_base = attribute(logistic, logistic_slope, hazard, one_more)
    if ahead.known:
        return Attribution(labels, after, after_base)
    before, before_base = attribute(logistic, logistic_slope, hazard, HAZARD_BASE_LOGIT)
    return Attribution(labels, after - before, after_base - before_base)
