"""The score of a push in each opening of the coming days: S = v·Δp − C_out·Δh − fatigue − μ − ν, in minor units.

With η = α·φ + a_u + t_u[slot] the logit of being active anyway, m the features of the message, D the dosage at that
time, f_u the person's own fatigue and T = β·φ + b·(α·φ + 3) + μ_m·m − f_u·κ·D + b_u + s_u[slot] the effect of a push
on that logit, where the model knows an effect (the warm start's, or a learned one):

- Δp = σ(η + T) − σ(η);
- Δh = h = σ(h₀ + γ·φ + γ_m·m + γ_D·(D + 1)): without the push nobody opts out by it;
- v is the message's worth times 1 + value·φ, within [0.25, 4];
- fatigue = F(k), what the push takes from those after it at the person's weekly frequency k (`tactful.steady`).

Where the shared effect is zero:

- Δp = (r₀ + b_u + s_u[slot])·σ(η)(1 − σ(η)): the first-order form of the same difference, with the public open rate r₀
  as the prior mean of the effect. A person's first answers move it a little;
- Δh = h(D + 1) − h(D) ≥ 0 with h = σ(h₀ + γ·φ + γ_D·D), γ_D ≥ 0;
- fatigue = a price for each unit of dosage.

``basis`` says where the effect comes from: "learned" from data, "prior" as long as it is zero or the warm start's.
Everything is vectorised over the openings (P of them); of the candidate only ``v`` and ``m`` enter.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tactful.guardrails import Openings
from tactful.model import DOSAGE_HALF_LIVES_D, HAZARD_BASE_LOGIT, MESSAGE, OPEN_RATE_PRIOR, dosage, message_features
from tactful.settings import DAY_S
from tactful.types import Candidate, DeviceView

Array = NDArray[np.float64]
TERMS = ("value", "opt_out", "fatigue", "pacing", "fleet")
_HALF_LIVES_D = np.asarray(DOSAGE_HALF_LIVES_D, dtype=np.float64)
VALUE_FACTOR = (0.25, 4.0)
"""Within these the value head may move the stated value of an engagement."""
NO_MESSAGE = np.zeros(len(MESSAGE))


def sigmoid(x: Array) -> Array:
    """Return 1/(1 + e^−x) elementwise, without overflow."""
    result: Array = 0.5 * (1.0 + np.tanh(0.5 * x))
    return result


@dataclass(frozen=True, slots=True, eq=False)
class Forms:
    """Every opening before any push or message is counted, float64 (P,).

    ``eta``: η. ``effect``: T without −κ·D and μ_m·m. ``hazard``: logit of h without γ_D·D and γ_m·m. ``value_factor``:
    what the value head multiplies a stated value by. ``known``: whether the model knows an effect.
    """

    openings: Openings
    eta: Array
    effect: Array
    hazard: Array
    value_factor: Array
    known: bool
    basis: str


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """What the coming openings look like for one device, before any candidate: all arrays float64 (P,).

    ``eta``: activity logit. ``effect``: T. ``delta_p``, ``delta_h``: probabilities. ``doses``: (P, 3) dosage at each
    opening, if nothing is sent until then. ``fatigue_minor``: what the push takes from those after it. ``message``:
    (2,) features of the message. ``known``: which of the two forms of Δp and Δh. ``basis``: "prior" or "learned".
    """

    openings: Openings
    eta: Array
    effect: Array
    delta_p: Array
    delta_h: Array
    doses: Array
    fatigue_minor: Array
    value_factor: Array
    message: Array
    known: bool
    basis: str


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """The terms of S in each opening, signs included: (P,) arrays and two prices; ``total`` is their sum in order."""

    value: Array
    opt_out: Array
    fatigue: Array
    pacing: float
    fleet: float
    total: Array

    def terms(self, index: int) -> tuple[tuple[str, float], ...]:
        """Return (name, contribution) of one opening; adding them from the left gives ``total[index]`` exactly."""
        parts = (self.value[index], self.opt_out[index], self.fatigue[index], self.pacing, self.fleet)
        return tuple((name, float(part)) for name, part in zip(TERMS, parts, strict=True))


def basis(view: DeviceView) -> str:
    """Return "learned" once the shared effect comes from data, else "prior", whatever the person answered."""
    return "learned" if view.model.effect_learned else "prior"


def message_of(candidate: Candidate | None) -> Array:
    """Return the features m of a candidate's message, (2,); zeros where there is none."""
    return NO_MESSAGE if candidate is None else message_features(candidate.own_reason, candidate.campaign is not None)


def forms(view: DeviceView, openings: Openings) -> Forms:
    """Compute the linear forms of every opening in one pass over the features."""
    model, personal = view.model, view.personal
    weights = np.array((model.alpha, model.effect_weights, model.hazard, model.value))
    eta, effect, hazard, value = weights @ features(view)[openings.day, openings.slot].T
    eta += personal.activity_intercept + personal.activity_slots[openings.slot]
    effect += personal.push_intercept + personal.push_slots[openings.slot]
    factor = np.clip(1.0 + value, *VALUE_FACTOR)
    return Forms(openings, eta, effect, hazard + HAZARD_BASE_LOGIT, factor, model.knows_effect, basis(view))


def outlook(
    view: DeviceView,
    base: Forms,
    doses_now: Array | None = None,
    *,
    message: Array = NO_MESSAGE,
    future_minor: float = 0.0,
) -> Outlook:
    """Compute Δp, Δh and fatigue of every opening.

    Args:
        view: of the device.
        base: its linear forms.
        doses_now: (3,) replaces the dosage counted from the pushes.
        message: (2,) features of the message; zeros without any.
        future_minor: F(k), the fatigue where the model knows an effect.
    """
    model = view.model
    doses = _doses_ahead(view, base.openings, current_dosage(view) if doses_now is None else doses_now)
    effect = base.effect + float(message @ model.message_effect) - doses @ own_kappa(view)
    hazard = base.hazard + float(message @ model.message_hazard) + doses @ model.hazard_dosage
    after = sigmoid(hazard + float(model.hazard_dosage.sum()))
    if base.known:
        delta_p, delta_h = sigmoid(base.eta + effect) - sigmoid(base.eta), after
        fatigue = np.full(base.eta.shape, future_minor)
    else:
        # The form holds the personal terms alone, and nothing has taught κ either.
        delta_p, delta_h = _prior_delta_p(base.eta, base.effect), after - sigmoid(hazard)
        per_dose = view.settings.fatigue_minor_per_dose * view.personal.fatigue_multiplier / _HALF_LIVES_D.size
        fatigue = per_dose * doses.sum(axis=1)
    kept = (base.value_factor, message, base.known, base.basis)
    return Outlook(base.openings, base.eta, effect, delta_p, delta_h, doses, fatigue, *kept)


def own_kappa(view: DeviceView) -> Array:
    """Return f_u·κ, the fatigue per dosage of this person, (3,)."""
    kappa: Array = view.personal.fatigue_multiplier * view.model.kappa
    return kappa


def _doses_ahead(view: DeviceView, openings: Openings, doses_now: Array) -> Array:
    if not doses_now.any():
        return np.zeros((openings.start_s.size, doses_now.size))
    ahead_d = np.maximum(openings.start_s - view.now.timestamp(), 0.0) / DAY_S
    result: Array = doses_now * np.exp2(ahead_d[:, None] / -_HALF_LIVES_D)
    return result


def _prior_delta_p(eta: Array, effect: Array) -> Array:
    active = sigmoid(eta)
    prior: Array = (OPEN_RATE_PRIOR + effect) * active * (1.0 - active)
    return prior


def features(view: DeviceView) -> NDArray[Any]:
    """Return the feature block; only called for views that may be personalised."""
    if view.phi is None:
        raise TypeError("a view without features has no outlook")
    return view.phi


def current_dosage(view: DeviceView) -> Array:
    """Return the decayed count of past promotional pushes for each half-life, (3,)."""
    now_s = view.now.timestamp()
    ages = [max(0.0, now_s - push.at.timestamp()) / DAY_S for push in view.pushes if push.kind == "promotional"]
    return np.asarray(dosage(np.array(ages, dtype=np.float64)), dtype=np.float64)


def score(view: DeviceView, ahead: Outlook, worth_minor: float, price_minor: float) -> Scores:
    """Return S of every opening for a message worth ``worth_minor`` at the pacing price ``price_minor``."""
    value = worth_minor * ahead.value_factor * ahead.delta_p
    opt_out = -view.settings.opt_out_cost_minor * ahead.delta_h
    fatigue, pacing, fleet = -ahead.fatigue_minor, -price_minor, -view.fleet_price_minor
    return Scores(value, opt_out, fatigue, pacing, fleet, (((value + opt_out) + fatigue) + pacing) + fleet)


def deviation(view: DeviceView, ahead: Outlook, index: int, worth_minor: float) -> float:
    """Return the posterior standard deviation of S in one opening by the delta method, in minor units.

    Var S ≈ v²·[(∂Δp/∂η)²·Var η + (∂Δp/∂T)²·Var T]; Var η and Var T are the personal layer's (intercept plus slot
    offset). Without a shared effect T = r₀ + b_u + s_u[slot], and Var T is the square of ``prior_effect_deviation``.
    """
    slot, personal = 1 + int(ahead.openings.slot[index]), view.personal
    active = _logistic(float(ahead.eta[index]))
    slope = active * (1.0 - active)
    if not ahead.known:
        effect = OPEN_RATE_PRIOR + personal.push_intercept + float(personal.push_slots[slot - 1])
        by_eta, by_effect = effect * slope * (1.0 - 2.0 * active), slope
        effect_variance = view.settings.prior_effect_deviation**2
    else:
        pushed = _logistic(float(ahead.eta[index] + ahead.effect[index]))
        by_effect = pushed * (1.0 - pushed)
        by_eta = by_effect - slope
        effect_variance = float(personal.push_variance[0] + personal.push_variance[slot])
    eta_variance = float(personal.activity_variance[0] + personal.activity_variance[slot])
    worth_minor *= float(ahead.value_factor[index])
    return worth_minor * math.sqrt(by_eta**2 * eta_variance + by_effect**2 * effect_variance)


def _logistic(x: float) -> float:
    return 0.5 * (1.0 + math.tanh(0.5 * x))
