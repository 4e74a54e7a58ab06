"""Policies evaluated on one log: the same decisions, the same resampled people, intervals of values and differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tactful_lab.evaluation import bootstrap, checks, estimators, outcome_model, support
from tactful_lab.evaluation.estimators import Modelled, Terms
from tactful_lab.evaluation.log import PushLog
from tactful_lab.evaluation.policies import Logged, Policy
from tactful_lab.evaluation.support import Limits, Reason, Refusal, Support
from tactful_lab.slots.bootstrap import Interval
from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least, positive

Floats = NDArray[np.float64]
SINGLE = ("ips", "snips", "dr", "switch_dr")
WINDOWED = ("window_ips", "window_snips")


@dataclass(frozen=True, slots=True)
class Plan:
    """How policies are compared.

    Attributes:
        window_d: Length of the windows for policies whose choice changes the next decision's state, in days, at most
            7; None: no windows.
        switch_threshold: Weight above which switch-DR trusts the model; None: chosen from the data.
        limits: When nothing is concluded.
        resamples: Of the bootstrap.
        seed: Of the bootstrap and of the model's folds.
        level: Of the intervals.
    """

    window_d: float | None = None
    switch_threshold: float | None = None
    limits: Limits = field(default_factory=Limits)
    resamples: int = bootstrap.RESAMPLES
    seed: int = 20_261
    level: float = 0.95

    def __post_init__(self) -> None:
        at_least(0, seed=self.seed)
        if self.switch_threshold is not None:
            positive(switch_threshold=self.switch_threshold)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Mean outcome per decision, and its difference to the reference policy's by the same estimator.

    ``difference`` is None if nothing is concluded of the reference.
    """

    value: Interval
    difference: Interval | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"value": _plain(self.value), "difference": None if self.difference is None else _plain(self.difference)}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one estimator says about one policy and one outcome: an `Estimate`, or a `Refusal`."""

    policy: str
    outcome: str
    estimator: str
    support: Support
    result: Estimate | Refusal
    switch_threshold: float | None = None

    @property
    def concluded(self) -> bool:
        """Whether there is an estimate."""
        return isinstance(self.result, Estimate)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: ``value`` and ``difference`` with bounds, or both null and ``refusal``."""
        told = self.result.to_dict() if isinstance(self.result, Estimate) else {"value": None, "difference": None}
        refused = self.result.to_dict() if isinstance(self.result, Refusal) else None
        plain = {"policy": self.policy, "outcome": self.outcome, "estimator": self.estimator}
        extra = {"concluded": self.concluded, "refusal": refused, "switch_threshold": self.switch_threshold}
        return plain | told | extra | self.support.to_dict()


def _plain(interval: Interval) -> dict[str, float]:
    return {"estimate": interval.value, "low": interval.low, "high": interval.high, "level": interval.level}


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An estimate before its interval."""

    policy: str
    estimator: str
    support: Support
    terms: Terms
    person: NDArray[np.int64]
    threshold: float | None = None


def compare(
    log: PushLog, policies: Sequence[Policy], *, plan: Plan | None = None, reference: Policy | None = None
) -> tuple[Finding, ...]:
    """Evaluate policies on a log, outcome by outcome.

    Args:
        log: Decisions; only those that chance decided are evaluated.
        policies: Their names must differ.
        plan: How; by default `Plan()`.
        reference: Differences are to it; by default the logged policy. It is evaluated too, and stands first.

    Raises:
        InvalidInput: Names repeat, a policy does not fit the log, or the window is too long.
    """
    how, base = plan or Plan(), reference or Logged()
    everyone = [base, *(policy for policy in policies if policy.name != base.name)]
    if len({policy.name for policy in everyone}) < len(everyone):
        raise InvalidInput("two policies have one name", field="policies", remedy="give each a name of its own")
    targets = {policy.name: policy.send_probability(log) for policy in everyone}
    chance = log.randomised
    z = checks.contradiction_z(log.sent[chance], log.send_propensity[chance], log.user[chance])
    wrong = Refusal(Reason.PROPENSITIES_CONTRADICT_ACTIONS, "sends do not fit their logged propensities")
    doubt = wrong if abs(z) > checks.CONTRADICTION_Z else None
    x = outcome_model.features(log)
    found: list[Finding] = []
    for name, values in log.outcomes.items():
        candidates = _candidates(log, np.asarray(values), x, targets, how)
        found += _findings(candidates, name, base.name, how, doubt)
    return tuple(found)


def _candidates(log: PushLog, values: Floats, x: Floats, targets: Mapping[str, Floats], how: Plan) -> list[_Candidate]:
    """Every estimator's terms for every policy and one outcome, on the decisions that have it."""
    chance = log.randomised
    rows = np.flatnonzero(chance & np.isfinite(values))
    y, sent, logged, person = values[rows], log.sent[rows], log.send_propensity[rows], log.user[rows]
    model = outcome_model.cross_fitted(x[rows], y, sent, person, seed=how.seed)
    made = []
    for name, target in targets.items():
        w = np.ones(log.n)
        w[chance] = estimators.weights(log.sent[chance], log.send_propensity[chance], target[chance])
        seen = support.measure(y, w[rows], person, logged, target[rows])
        for kind, terms, threshold in _single(y, w[rows], model, sent, logged, target[rows], how):
            made.append(_Candidate(name, kind, seen, terms, person, threshold))
        if how.window_d is not None:
            made += _windowed(log, values, w, name, target, how.window_d)
    return made


def _single(
    y: Floats, w: Floats, model: Modelled, sent: NDArray[np.bool_], logged: Floats, target: Floats, how: Plan
) -> list[tuple[str, Terms, float | None]]:
    tau = how.switch_threshold
    if tau is None:
        tau = np.inf
        if len(y):
            tau = estimators.switch_threshold(y, w, model, sent=sent, send_propensity=logged, target=target)
    shared: dict[str, Any] = {"sent": sent, "target": target}
    robust = estimators.doubly_robust(y, w, model, **shared)
    switched = estimators.switch_doubly_robust(y, w, model, **shared, threshold=tau)
    plain = [(SINGLE[0], estimators.ips(y, w), None), (SINGLE[1], estimators.snips(y, w), None)]
    return [*plain, (SINGLE[2], robust, None), (SINGLE[3], switched, float(tau) if np.isfinite(tau) else None)]


def _windowed(log: PushLog, values: Floats, w: Floats, name: str, target: Floats, window_d: float) -> list[_Candidate]:
    products, whole = estimators.window_weights(log, w, window_d)
    rows = np.flatnonzero(log.randomised & whole & np.isfinite(values))
    rho, y, person = products[rows], values[rows], log.user[rows]
    seen = support.measure(y, rho, person, log.send_propensity[rows], target[rows])
    both = (estimators.ips(y, rho), estimators.snips(y, rho))
    return [_Candidate(name, kind, seen, terms, person) for kind, terms in zip(WINDOWED, both, strict=True)]


def _findings(
    candidates: Sequence[_Candidate], outcome: str, reference: str, how: Plan, doubt: Refusal | None
) -> list[Finding]:
    """Intervals for the candidates that have enough support, refusals for the others."""
    refused = [doubt or support.refusal(each.support, how.limits) for each in candidates]
    sound = [each for each, no in zip(candidates, refused, strict=True) if no is None]
    draws = dict(zip(((c.policy, c.estimator) for c in sound), _draws(sound, how), strict=True))
    values = {(c.policy, c.estimator): c.terms.value for c in sound}
    found = []
    for each, no in zip(candidates, refused, strict=True):
        key, other = (each.policy, each.estimator), (reference, each.estimator)
        result: Estimate | Refusal
        if no is not None:
            result = no
        else:
            difference = None
            if other in draws:
                gap = values[key] - values[other]
                difference = bootstrap.percentile_interval(gap, draws[key] - draws[other], level=how.level)
            result = Estimate(bootstrap.percentile_interval(values[key], draws[key], level=how.level), difference)
        found.append(Finding(each.policy, outcome, each.estimator, each.support, result, each.threshold))
    return found


def _draws(candidates: Sequence[_Candidate], how: Plan) -> list[Floats]:
    """Resampled estimates of each candidate, (resamples,), all from the same draws of people."""
    if not candidates:
        return []
    people = np.unique(np.concatenate([each.person for each in candidates]))
    tops, bottoms = [], []
    for each in candidates:
        where = np.searchsorted(people, each.person)
        tops.append(bootstrap.person_sums(each.terms.numerator, where, len(people)))
        bottoms.append(bootstrap.person_sums(each.terms.denominator, where, len(people)))
    table = np.column_stack(tops), np.column_stack(bottoms)
    ratios = bootstrap.resampled_ratios(*table, seed=how.seed, resamples=how.resamples)
    return list(ratios.T)
