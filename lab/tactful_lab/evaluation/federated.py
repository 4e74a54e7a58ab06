"""What a server reads off the noisy sums of a round ``evaluate``: policies' values, with intervals that hold for both.

Each estimate is a ratio θ = X/Y of two opened sums. Its variance, by the delta method, has two parts:

    [ Σ_u (X_u − θY_u)²  +  σ_X² + θ²·σ_Y² ] / Y²

The first is what other people would have brought: devices are independent, and its sum of squares is a coordinate of
the same vector, with the public ``reference`` in the place of θ. The second is the noise of the round, known from the
plan. The sum of squares is noisy too: one standard deviation of its noise is added to it, so that an interval is rather
too wide than too narrow where noise drowns it.

    logged  Σr / n        snips  Σρ·r / Σρ        ips  Σρ·r / n        dr  (Σr + gain) / n        gain  gain / n

``gain`` is the difference to the policy that logged, and narrower than either, since both meet the same people.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from tactful.evaluation import TASK, EvaluationSpec, Floats
from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import fraction, positive
from tactful_server.service import Office

LOGGED = "logged"
ESTIMATORS: Mapping[str, tuple[tuple[str, ...], str, str]] = {
    "snips": (("value",), "weight", "snips_square"),
    "ips": (("value",), "decisions", "ips_square"),
    "dr": (("reward", "gain"), "decisions", "dr_square"),
    "gain": (("gain",), "decisions", "gain_square"),
}
"""Summands of the numerator, denominator, and sum of squares of each."""
_LEAST_DENOMINATOR = 5.0  # of its noise's deviations: below it a ratio is not nearly normal
_LEAST_DECISIONS = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class NoisySums:
    """The sums over all devices of a round, in their own units.

    Attributes:
        spec: of the round.
        total: of each coordinate, (d,).
        noise_std: deviation of the noise in each, (d,).
    """

    spec: EvaluationSpec
    total: Floats
    noise_std: Floats

    def of(self, name: str) -> tuple[float, float]:
        """A coordinate's sum and the deviation of its noise."""
        place = self.spec.coordinates.index(name)
        return float(self.total[place]), float(self.noise_std[place])


def read_sums(
    spec: EvaluationSpec, mean: Floats, *, planned_devices: int, noise_std: float, clip_norm: float
) -> NoisySums:
    """Undo the scaling of a round's opened mean.

    Args:
        spec: as the plan's settings say it.
        mean: contribution averaged over planned devices, in model units, (d,): `Opened.update` of the server.
        planned_devices: what the sum was divided by.
        noise_std: deviation of the noise in each number of the mean, in model units.
        clip_norm: of the plan.

    Raises:
        InvalidInput: the shape is not the spec's.
    """
    positive(planned_devices=planned_devices, clip_norm=clip_norm)
    scale = spec.half_ranges * clip_norm / spec.units / planned_devices
    if mean.shape != scale.shape:
        raise InvalidInput(f"has shape {mean.shape}", field="mean", remedy=f"give shape {scale.shape}")
    return NoisySums(spec, mean / scale, noise_std / scale)


def read_release(office: Office) -> NoisySums:
    """The sums of a federation's newest release, which must be a round of the task ``evaluate``.

    Raises:
        InvalidInput: there is no release, or the newest one is a round of another task.
    """
    machine = office.last_release()
    if machine is None or machine.plan.task != TASK:
        raise InvalidInput("is no evaluation", field="release", remedy="run a round of the task 'evaluate' first")
    plan, opened = machine.plan, office.opened(machine)
    return read_sums(
        EvaluationSpec.from_settings(plan.settings),
        opened.update,
        planned_devices=opened.planned_devices,
        noise_std=opened.noise_std,
        clip_norm=plan.clip_norm,
    )


@dataclass(frozen=True, slots=True)
class FederatedEstimate:
    """One estimator's word on one policy: reward per decision.

    Attributes:
        policy: name of the target; ``logged`` for the policy that wrote the log.
        estimator: ``logged`` or one of `ESTIMATORS`.
        value: estimate; NaN where ``refusal`` says why there is none.
        low: of the interval.
        high: of the interval.
        sampling_error: standard error for want of more people.
        noise_error: standard error of the round's noise.
        bias_bound: how far clipping and capped weights may have moved the value, as far as the sums can tell.
        refusal: empty, ``too_noisy`` or ``effective_sample_too_small``.
    """

    policy: str
    estimator: str
    value: float
    low: float
    high: float
    sampling_error: float
    noise_error: float
    bias_bound: float
    refusal: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For JSON: null in the place of what is not concluded."""
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class FederatedEvaluation:
    """What a round said.

    Attributes:
        estimates: ``logged`` first, then four for each target.
        devices: that had a decision, estimated.
        decisions: of them.
        clipped_share: share of devices not all of whose decisions count in full, estimated.
        effective_decisions: (Σρ)²/Σρ² by target, estimated.
        level: of the intervals.
    """

    estimates: tuple[FederatedEstimate, ...]
    devices: float
    decisions: float
    clipped_share: float
    effective_decisions: Mapping[str, float]
    level: float

    def estimate(self, policy: str, estimator: str) -> FederatedEstimate:
        """The estimate of these names; raises `InvalidInput` where there is none."""
        for one in self.estimates:
            if (one.policy, one.estimator) == (policy, estimator):
                return one
        raise InvalidInput(f"no {estimator!r} of {policy!r}", field="policy", remedy="name a target of the round")

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        plain = asdict(self)
        return plain | {"estimates": [one.to_dict() for one in self.estimates]}


def evaluate_sums(sums: NoisySums, *, level: float = 0.95) -> FederatedEvaluation:
    """Estimate every target's value from a round's sums.

    Raises:
        InvalidInput: The level is not between 0 and 1.
    """
    fraction(level=level)
    spec = sums.spec
    found = [_estimate(sums, LOGGED, LOGGED, (("reward",), "decisions", "reward_square"), "", level)]
    sizes = {}
    for k, target in enumerate(spec.targets):
        sizes[target.name] = size = _effective(sums, f".{k}")
        for name, parts in ESTIMATORS.items():
            one = _estimate(sums, target.name, name, parts, f".{k}", level)
            found.append(_refused(one, "effective_sample_too_small") if size < _LEAST_DECISIONS else one)
    devices, decisions, clipped = (sums.of(name)[0] for name in ("devices", "decisions", "clipped"))
    share = min(1.0, max(0.0, clipped / devices)) if devices > 0 else 0.0
    return FederatedEvaluation(tuple(found), devices, decisions, share, sizes, level)


def _effective(sums: NoisySums, mark: str) -> float:
    """(Σρ)²/Σρ², at most the number of decisions: noise may take the sum of squares below anything possible."""
    weight, square, decisions = (sums.of(n)[0] for n in (f"weight{mark}", f"weight_square{mark}", "decisions"))
    least = max(weight * weight / max(decisions, 1.0), 1e-12)
    return max(0.0, weight) ** 2 / max(square, least)


def _estimate(
    sums: NoisySums, policy: str, name: str, parts: tuple[tuple[str, ...], str, str], mark: str, level: float
) -> FederatedEstimate:
    summands, below, square = parts
    tops = [sums.of(_marked(part, mark)) for part in summands]
    top, top_noise = sum(t for t, _ in tops), math.hypot(*(noise for _, noise in tops))
    bottom, bottom_noise = sums.of(_marked(below, mark))
    squares, squares_noise = sums.of(_marked(square, mark))
    if bottom <= _LEAST_DENOMINATOR * bottom_noise or bottom <= 0:
        none = math.nan
        return FederatedEstimate(policy, name, none, none, none, none, none, none, "too_noisy")
    value = top / bottom
    sampling = math.sqrt(max(squares, 0.0) + squares_noise) / bottom
    noise = math.hypot(top_noise, value * bottom_noise) / bottom
    half = NormalDist().inv_cdf((1 + level) / 2) * math.hypot(sampling, noise)
    bound = _bias_bound(sums, name, value, bottom, mark)
    return FederatedEstimate(policy, name, value, value - half, value + half, sampling, noise, bound)


def _marked(name: str, mark: str) -> str:
    return name if name in ("decisions", "reward", "reward_square") else name + mark


def _bias_bound(sums: NoisySums, name: str, value: float, bottom: float, mark: str) -> float:
    """Bound from the weight and the decisions that did not count, rewards being bounded.

    A self-normalised estimate is a weighted mean of rewards: what was lost could at most have pulled it towards the
    least or the greatest of them. The others lose at most as much reward as there was in what they lost.
    """
    spec = sums.spec
    rewards = [a + b for a in (0.0, spec.reward_engaged) for b in (0.0, spec.reward_opted_out)]
    most = max(map(abs, rewards))
    decisions = max(0.0, sums.of("lost_decisions")[0])
    weight = max(0.0, sums.of(f"lost_weight{mark}")[0]) if mark else 0.0
    if name == "snips":
        return weight / (bottom + weight) * max(max(rewards) - value, value - min(rewards))
    return (decisions * (abs(value) + (most if name != "ips" else 0.0)) + weight * most) / (bottom + decisions)


def _refused(one: FederatedEstimate, why: str) -> FederatedEstimate:
    none = math.nan
    return FederatedEstimate(one.policy, one.estimator, none, none, none, none, none, none, one.refusal or why)


def simulated_round(
    spec: EvaluationSpec, contributions: Floats, noise_multiple: float, random: np.random.Generator
) -> NoisySums:
    """Sums of contributions (n, d) in [−1, 1] with normal noise, for simulations; real noise never comes from a seed.

    Args:
        spec: of the round.
        contributions: of `tactful.evaluation_sums.contributions`.
        noise_multiple: deviation of the noise in each coordinate of the sum over the clip norm.
        random: of the simulation.
    """
    scale = spec.half_ranges / spec.units
    std = noise_multiple / scale
    total = contributions.sum(axis=0) * spec.units
    return NoisySums(spec, total + random.standard_normal(len(total)) * std, std)
