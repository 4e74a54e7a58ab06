"""Settings of the policy: validated when they are made, immutable afterwards, units in the names."""

import math
from dataclasses import dataclass, field
from datetime import time

from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least, fraction, positive

DAY_S = 86_400.0


def _between(low: float, high: float, **values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and low <= value <= high):
            remedy = f"give {low} <= {name} <= {high}"
            raise InvalidInput(f"must lie between {low} and {high}, not {value!r}", field=name, remedy=remedy)


@dataclass(frozen=True, slots=True)
class GuardrailSettings:
    """Hard limits on promotional pushes. No score, price or exploration ever overrides one.

    Windows are rolling (the last 3,600 s, 24 h, 7 d, 30 d), so that neither a change of the clock nor a journey
    across time zones opens a second allowance. Quiet hours are wall-clock times where the device is;
    ``quiet_from == quiet_until`` means that there are none.
    """

    quiet_from: time = time(22, 0)
    quiet_until: time = time(8, 0)
    minimum_gap_s: float = 4 * 3600.0
    max_per_hour: int = 1
    max_per_day: int = 2
    max_per_week: int = 7
    max_per_category_per_week: int = 3
    max_per_campaign_per_30d: int = 3
    duplicate_window_s: float = 7 * DAY_S

    def __post_init__(self) -> None:
        at_least(0, minimum_gap_s=self.minimum_gap_s, duplicate_window_s=self.duplicate_window_s)
        at_least(0, max_per_hour=self.max_per_hour, max_per_day=self.max_per_day, max_per_week=self.max_per_week)
        at_least(0, max_per_category_per_week=self.max_per_category_per_week)
        at_least(0, max_per_campaign_per_30d=self.max_per_campaign_per_30d)
        for name in ("quiet_from", "quiet_until"):
            value = getattr(self, name)
            if not isinstance(value, time) or value.tzinfo is not None:
                raise InvalidInput(f"must be a plain local time, not {value!r}", field=name, remedy="give time(22, 0)")


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """What a decision weighs, in minor units of money (cents), and how much of it is left to chance.

    Attributes:
        reference_value_minor: value of an engagement where a candidate does not state its own, and in the weekly
            budget, which belongs to the device and not to today's candidates.
        opt_out_cost_minor: ``C_out``, what losing the permission to push costs.
        fatigue_minor_per_dose: price of one unit of dosage (mean over its half-lives) at the moment of sending.
        future_cost_factor: what a push takes from those after it, F(k), is multiplied by this where the model knows an
            effect; 1.5 did best in rehearsal, since the score takes visits that a push merely moves for gained ones.
        budget_slack: pushes by which the weekly budget exceeds the best k there, so that a good week may be used; 5 did
            best in rehearsal, under a cap of 14 a week.
        discount_per_day: what a slot one day later is worth relative to now.
        prior_effect_deviation: standard deviation of the prior effect on the logit scale; drives exploration until
            pushes have been answered.
        propensity_floor, propensity_ceiling: limits of the exploring probability of a send.
        never_push_fraction, micro_randomised_fraction: shares of devices in the two stable groups.
        unknown_interest, minimum_interest: interest in a category never met; below the second a candidate is dropped.
        relevance_weight: λ of maximal marginal relevance (Carbonell & Goldstein 1998); 1 ignores diversity.
        novelty_half_life_d: how soon a category just pushed is new again.
        fallback_slot: index of the fixed daytime slot for devices without consent to personalisation.
        feedback_d: for how long "too often" and "wrong time" hold.
        pacing_step_minor: how far the dual price moves per push above or below the budget's pace.
        fleet_price_ceiling_minor: most that a push may be charged by the fleet, whatever the server's card says.
    """

    guardrails: GuardrailSettings = field(default_factory=GuardrailSettings)
    reference_value_minor: float = 1000.0
    opt_out_cost_minor: float = 200.0
    fatigue_minor_per_dose: float = 0.05
    future_cost_factor: float = 1.0
    budget_slack: int = 0
    discount_per_day: float = 0.9
    prior_effect_deviation: float = 0.05
    exploration: bool = True
    propensity_floor: float = 0.05
    propensity_ceiling: float = 0.80
    never_push_fraction: float = 0.01
    micro_randomised_fraction: float = 0.05
    micro_randomised_propensity: float = 0.5
    unknown_interest: float = 0.5
    minimum_interest: float = 0.05
    relevance_weight: float = 0.7
    novelty_half_life_d: float = 3.0
    fallback_slot: int = 2
    feedback_d: float = 28.0
    pacing_step_minor: float = 0.05
    fleet_price_ceiling_minor: float = 10.0
    excluded_tags: frozenset[str] = frozenset()
    excluded_categories: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        positive(reference_value_minor=self.reference_value_minor, prior_effect_deviation=self.prior_effect_deviation)
        positive(novelty_half_life_d=self.novelty_half_life_d, feedback_d=self.feedback_d)
        for name in ("opt_out_cost_minor", "fatigue_minor_per_dose", "pacing_step_minor", "fleet_price_ceiling_minor"):
            _between(0, 1e12, **{name: getattr(self, name)})
        _between(0, 100, future_cost_factor=self.future_cost_factor, budget_slack=self.budget_slack)
        fraction(propensity_floor=self.propensity_floor, propensity_ceiling=self.propensity_ceiling)
        fraction(micro_randomised_propensity=self.micro_randomised_propensity)
        for name in ("never_push_fraction", "micro_randomised_fraction", "unknown_interest", "minimum_interest"):
            _between(0, 1, **{name: getattr(self, name)})
        _between(0, 1, relevance_weight=self.relevance_weight, discount_per_day=self.discount_per_day)
        _between(0, 6, fallback_slot=self.fallback_slot)
        at_least(self.propensity_floor, propensity_ceiling=self.propensity_ceiling)
        total = self.never_push_fraction + self.micro_randomised_fraction
        _between(0, 1, **{"never_push_fraction + micro_randomised_fraction": total})
