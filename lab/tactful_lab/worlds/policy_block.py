"""The product's decision for N persons of a world at once: the SDK's features, personal layer, score and frequency.

Each person has one message a day, offered in the morning, which may wait for the best slot of its day; and a message
with a reason of the person's own is decided upon when it comes. The score is the SDK's:

    S = v · (σ(η + T) − σ(η)) − C_out · σ(h) − F(k) − ν,   π = Φ(S / s) within its limits, 0 without budget,

with F(k) what a push takes from those after it at the person's best frequency (`tactful.steady`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from tactful import steady
from tactful.features import FeatureBlock
from tactful.model import DOSAGE_HALF_LIVES_D, HAZARD_BASE_LOGIT, Model
from tactful.personal import PersonalBlock, PersonalPrior
from tactful_lab.datasets.completejourney import N_SLOTS
from tactful_lab.worlds.people import NIGHT_H, SLOT_H, Bools
from tactful_lab.worlds.seen import View
from tactful_privacy.errors import InvalidInput

Array = NDArray[np.float64]
FIRST_ORDINAL = 736_330
"""A Monday, the date of the worlds' first day as the SDK's features count days."""
SLOTS_PER_WEEK = 7 * N_SLOTS


@dataclass(frozen=True, slots=True)
class Rules:
    """Guardrails, exploration and prices of the policy; money in minor units.

    Attributes:
        most_per_week: Largest weekly budget, and the longest k that the utility is asked for.
        gap_slots: Least slots between two pushes.
        most_per_day: Pushes a day.
        propensity_floor: Least probability of a send where a message is due.
        propensity_ceiling: Largest one.
        micro_randomised: Share of devices whose due messages are sent by a coin.
        micro_propensity: That coin.
        never_push: Share of devices to which nothing is sent.
        opt_out_minor: C_out.
        session_minor: What the shop says that a session is worth.
        push_variance: Prior variance of a person's own response, for each of intercept and slot.
        cost_factor: F(k) is multiplied by it.
        own_prior: Messages with an own reason that a person without a history is taken to get in the first week.
        budget_slack: Pushes by which the weekly budget exceeds the best k, so that a good week may be used.
        fleet_price_minor: ν.
        fatigue: Whether dosages count at all.
        personal: Whether the personal layer is used.
    """

    most_per_week: int
    gap_slots: int
    most_per_day: int
    propensity_floor: float
    propensity_ceiling: float
    micro_randomised: float
    micro_propensity: float
    never_push: float
    opt_out_minor: float
    session_minor: float
    push_variance: float
    cost_factor: float
    own_prior: float
    budget_slack: int
    fleet_price_minor: float = 0.0
    fatigue: bool = True
    personal: bool = True


@dataclass(slots=True, eq=False)
class Decisions:
    """Decisions of one slot: persons ``who`` in rising order (m,), and what a row of the table of pushes holds."""

    step: int
    who: NDArray[np.intp]
    phi: NDArray[np.float32]
    message: NDArray[np.float32]
    doses: NDArray[np.float32]
    offset: NDArray[np.float32]
    expected: NDArray[np.float32]
    propensity: NDArray[np.float32]
    sent: Bools
    engaged: Bools
    opted_out: Bools


@dataclass(slots=True, eq=False)
class Day:
    """What the morning works out: features (N, 7, D), the forms, worth and personal part (N, 7), best slots (N,).

    A best slot of −1 says that the day's message will not be sent any more.
    """

    phi: NDArray[np.float32]
    eta: Array
    effect: Array
    hazard: Array
    worth: Array
    offset: Array
    best: NDArray[np.intp]


class PolicyBlock:
    """State of N devices and their decisions; ``random`` draws the coins and the groups."""

    def __init__(self, n: int, model: Model, rules: Rules, random: np.random.Generator) -> None:
        self.n, self.model, self.rules, self._random = n, model, rules, random
        self.features = FeatureBlock.empty(n)
        self.personal = PersonalBlock(n, PersonalPrior(push_variance=rules.push_variance))
        self.doses = np.zeros((len(DOSAGE_HALF_LIVES_D), n))
        place = random.random(n)
        self.never: Bools = place < rules.never_push
        self.micro: Bools = ~self.never & (place < rules.never_push + rules.micro_randomised)
        self.last_step = np.full(n, -SLOTS_PER_WEEK, np.int64)
        self.sent_today, self.sent_week = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self.budget, self.cost = np.zeros(n, np.int64), np.zeros(n)
        self.own_seen = np.zeros(n)
        self._day: Day | None = None

    @property
    def day(self) -> Day:
        """Today, as the morning worked it out; raises `InvalidInput` before the first morning."""
        if self._day is None:
            raise InvalidInput("has not begun", field="day", remedy="call morning() first")
        return self._day

    @property
    def kappa(self) -> Array:
        """κ (3,), zero for a policy without fatigue."""
        return self.model.kappa if self.rules.fatigue else np.zeros_like(self.model.kappa)

    @property
    def hazard_dosage(self) -> Array:
        """γ_D (3,), zero for a policy without fatigue."""
        return self.model.hazard_dosage if self.rules.fatigue else np.zeros_like(self.model.hazard_dosage)

    def morning(self, view: View) -> None:
        """Work out the day's features and forms; on Mondays the weekly budget too."""
        self._day = self._forms(view)
        self.sent_today[:] = 0
        message = np.array([0.0, float(view.promotion)])
        self._day.best = np.argmax(self._ahead(message, np.arange(self.n), 0), axis=1)
        if view.weekday == 0:
            self._plan_week(view, message)

    def _forms(self, view: View) -> Day:
        model, phi = self.model, self.features.design(FIRST_ORDINAL + view.day)
        weights = np.array((model.alpha, model.effect_weights, model.hazard, model.value), dtype=np.float32)
        eta, effect, hazard, value = np.moveaxis(np.asarray(phi @ weights.T, dtype=np.float64), -1, 0)
        offset = np.zeros((self.n, N_SLOTS))
        if self.rules.personal:
            offset = self.personal.offsets()
            effect = effect + self.personal.push_mean[:, :1] + self.personal.push_mean[:, 1:]
        worth = self.rules.session_minor * np.clip(1.0 + value, 0.25, 4.0)
        nobody = np.zeros(self.n, np.intp)
        return Day(phi, eta + offset, effect, hazard + HAZARD_BASE_LOGIT, worth, offset, nobody)

    def _ahead(self, message: Array, who: NDArray[np.intp], slot: int) -> Array:
        """S before prices of a message in each slot of the day if nothing is sent before it, (m, 7)."""
        day = self.day
        hours = np.maximum(SLOT_H * (np.arange(N_SLOTS) - slot), 0.0)
        decay = np.exp2(-hours[:, None] / 24.0 / np.array(DOSAGE_HALF_LIVES_D))
        doses = self.doses[:, who].T
        tired = doses @ (decay * self.kappa).T
        leaving = doses @ (decay * self.hazard_dosage).T + self.hazard_dosage.sum()
        pushed = _sigmoid(day.eta[who] + day.effect[who] + message @ self.model.message_effect - tired)
        hazard = _sigmoid(day.hazard[who] + message @ self.model.message_hazard + leaving)
        gain: Array = day.worth[who] * (pushed - _sigmoid(day.eta[who])) - self.rules.opt_out_minor * hazard
        return gain

    def _plan_week(self, view: View, message: Array) -> None:
        """The weekly budget k and what a push takes from those after it, from the rested person's utility."""
        costs = steady.Costs(self.kappa, self.hazard_dosage, self.rules.opt_out_minor)
        generic, own = (self._rested(m) for m in (message, np.array([1.0, message[1]])))
        own_rate = (self.own_seen + self.rules.own_prior) / (view.day / 7.0 + 1.0)
        utility = steady.steady_utility(generic, costs, self.rules.most_per_week, own, own_rate)
        k = steady.best_frequency(utility, self.rules.fleet_price_minor)
        self.cost = self.rules.cost_factor * steady.future_cost(generic, costs, k)
        self.budget = k.astype(np.int64) + (k > 0) * self.rules.budget_slack
        self.sent_week[:] = 0

    def _rested(self, message: Array) -> steady.Rested:
        day = self.day
        who = np.arange(self.n)
        effect = day.effect[who, day.best] + message @ self.model.message_effect
        hazard = day.hazard[who, day.best] + message @ self.model.message_hazard
        return steady.Rested(day.eta[who, day.best], effect, hazard, day.worth[who, day.best])

    def decide(self, view: View) -> Decisions:
        """Decide for everybody whose message is due now; nobody else is touched."""
        if view.slot == 0:
            self.morning(view)
        day = self.day
        free = view.reachable & ~self.never & (self.sent_today < self.rules.most_per_day)
        free &= view.step - self.last_step >= self.rules.gap_slots
        free &= self.micro | (self.sent_week < self.budget)
        own = free & view.contextual
        generic = free & ~own & (day.best == view.slot)
        who = np.flatnonzero(own | generic)
        made = self._decide(view, day, who, own[who])
        self._offer_again(view, day, made.who[~made.sent & ~own[who]])
        return made

    def _offer_again(self, view: View, day: Day, who: NDArray[np.intp]) -> None:
        """Let a message that was held back wait for the best later slot of its day, if that is worth a push."""
        later = self._ahead(np.array([0.0, float(view.promotion)]), who, view.slot)
        later[:, : view.slot + 1] = -np.inf
        best = np.argmax(later, axis=1)
        worth_it = later[np.arange(len(who)), best] - self.cost[who] - self.rules.fleet_price_minor > 0
        day.best[who] = np.where(worth_it, best, -1)

    def _decide(self, view: View, day: Day, who: NDArray[np.intp], own: Bools) -> Decisions:
        slot, model, doses = view.slot, self.model, self.doses[:, who].T
        message = np.column_stack([own, np.full(len(who), view.promotion)]).astype(np.float64)
        eta = day.eta[who, slot]
        effect = day.effect[who, slot] + message @ model.message_effect - doses @ self.kappa
        hazard = day.hazard[who, slot] + message @ model.message_hazard + (doses + 1.0) @ self.hazard_dosage
        pushed = _sigmoid(eta + effect)
        worth = day.worth[who, slot]
        score = worth * (pushed - _sigmoid(eta)) - self.rules.opt_out_minor * _sigmoid(hazard)
        score -= self.cost[who] + self.rules.fleet_price_minor
        propensity = self._propensity(who, slot, score, worth * pushed * (1.0 - pushed))
        sent = self._random.random(self.n)[who] < propensity
        return Decisions(
            view.step,
            who,
            day.phi[who, slot],
            message.astype(np.float32),
            doses.astype(np.float32),
            day.offset[who, slot].astype(np.float32),
            pushed.astype(np.float32),
            propensity.astype(np.float32),
            sent,
            np.zeros(len(who), np.bool_),
            np.zeros(len(who), np.bool_),
        )

    def _propensity(self, who: NDArray[np.intp], slot: int, score: Array, slope: Array) -> Array:
        variance = 1.0 / self.personal.push_precision[who, 0] + 1.0 / self.personal.push_precision[who, 1 + slot]
        spread = np.maximum(slope * np.sqrt(variance), 1e-9)
        sure = np.clip(ndtr(score / spread), self.rules.propensity_floor, self.rules.propensity_ceiling)
        return np.where(self.micro[who], self.rules.micro_propensity, sure)

    def sent(self, who: NDArray[np.intp], step: int) -> None:
        """Count pushes that left now."""
        self.doses[:, who] += 1.0
        self.last_step[who] = step
        self.sent_today[who] += 1
        self.sent_week[who] += 1

    def pass_time(self, slot: int) -> None:
        """Let the dosages decay to the next slot."""
        hours = NIGHT_H if slot == N_SLOTS - 1 else SLOT_H
        self.doses *= np.exp2(-hours / 24.0 / np.array(DOSAGE_HALF_LIVES_D))[:, None]

    def evening(self, day: int, used: NDArray[np.uint8]) -> None:
        """Close a day: the personal layer learns from it, then the features take it in; used (N, 7)."""
        self.personal.update_activity(self.day.eta - self.day.offset, used)
        self.features.close_day(FIRST_ORDINAL + day, used)


def _sigmoid(x: Array) -> Array:
    result: Array = 0.5 * (1.0 + np.tanh(0.5 * x))
    return result
