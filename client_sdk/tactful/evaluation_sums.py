"""From logged decisions to the clipped sums of one device each: see `tactful.evaluation` for what they are.

With ρ the weight of a decision (w, or the product of w since its window's start), ρ⁻ the one before it (1 at a start),
q̂ an expected reward that depends on nothing but the past, and q̂_π its mean under the target policy, a device adds up

    weight Σρ    value Σρ·r    gain Σ[ρ·(r − q̂) + ρ⁻·q̂_π − r]    decisions n    reward Σr

Σρ·r/n and Σρ·r/Σρ are IPS and SNIPS (`tactful_lab.evaluation.estimators` has the sources), (Σr + gain)/n is doubly
robust; with windows it is that of Jiang and Li, arXiv:1511.03722, with q̂ the reward of one decision.

One factor λ ≤ 1 for all of a device's sums brings the largest within its cap, so that ratios stay what they were. It
depends on all targets: one with wild weights clips for the others too. A weight above ``weight_cap`` counts as that.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tactful.evaluation import EACH, EvaluationSpec, Floats, Target
from tactful_privacy.errors import InvalidInput

_HUGE = 1e12  # a weight that is cut anyway; products of larger ones might not be finite


@dataclass(frozen=True, slots=True, eq=False)
class DecisionTable:
    """Logged decisions of n devices at which chance decided, device by device, in order of time.

    Attributes:
        sent: 1 where a push was sent, (rows,).
        propensity: logged probability of a send, strictly between 0 and 1, (rows,).
        engaged: 1 where the person engaged, (rows,).
        opted_out: 1 where the push cost the permission, (rows,).
        day: local day, a proleptic ordinal, (rows,).
        bounds: rows of device i are ``bounds[i]`` to ``bounds[i + 1]``, (n + 1,).
        predicted: a model's probability of engagement without and with a push, (rows, 2); None: the spec's numbers.
        score: a model's score of the push in minor units, (rows,); None: there is none.
    """

    sent: Floats
    propensity: Floats
    engaged: Floats
    opted_out: Floats
    day: NDArray[np.int64]
    bounds: NDArray[np.int64]
    predicted: Floats | None = None
    score: Floats | None = None

    def __post_init__(self) -> None:
        columns = (self.sent, self.propensity, self.engaged, self.opted_out, self.day, self.predicted, self.score)
        if any(c is not None and len(c) != self.bounds[-1] for c in columns):
            raise InvalidInput("columns differ in length", field="table", remedy="give one value for each decision")

    @property
    def n_devices(self) -> int:
        """Number of devices."""
        return len(self.bounds) - 1

    @property
    def device(self) -> NDArray[np.int64]:
        """Index of each row's device, (rows,)."""
        return np.repeat(np.arange(self.n_devices), np.diff(self.bounds))

    def checked(self) -> "DecisionTable":
        """The table without decisions that chance did not decide, or that hold a number which cannot be."""
        sound = np.isfinite(self.engaged) & np.isfinite(self.opted_out) & (self.propensity > 0) & (self.propensity < 1)
        for column in (self.predicted, self.score):
            if column is not None:
                sound &= np.isfinite(column.reshape(len(sound), -1)).all(axis=1)
        if sound.all():
            return self
        counts = np.bincount(self.device[sound], minlength=self.n_devices)
        return DecisionTable(
            self.sent[sound],
            self.propensity[sound],
            self.engaged[sound],
            self.opted_out[sound],
            self.day[sound],
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            None if self.predicted is None else self.predicted[sound],
            None if self.score is None else self.score[sound],
        )


@dataclass(frozen=True, slots=True, eq=False)
class DeviceSums:
    """What devices add up before anything is scaled, (n,) each; of each target (n, K).

    ``raw_weight`` is Σρ without the weights' cap, ``truncated`` whether the cap changed a weight.
    """

    decisions: Floats
    reward: Floats
    value: Floats
    gain: Floats
    weight: Floats
    weight_square: Floats
    raw_weight: Floats
    truncated: NDArray[np.bool_]


def device_sums(spec: EvaluationSpec, table: DecisionTable) -> DeviceSums:
    """Add up each device's decisions; nothing is clipped but single weights.

    Raises:
        UnknownTask: a target cannot be worked out from this table.
    """
    reward = spec.reward_engaged * table.engaged + spec.reward_opted_out * table.opted_out
    parts = [_target_sums(spec, table, reward, target) for target in spec.targets]
    value, gain, weight, square, raw, truncated = (np.stack(column, axis=1) for column in zip(*parts, strict=True))
    decisions = np.diff(table.bounds).astype(np.float64)
    return DeviceSums(decisions, _sum(table, reward), value, gain, weight, square, raw, truncated > 0)


def _target_sums(spec: EvaluationSpec, table: DecisionTable, reward: Floats, target: Target) -> list[Floats]:
    chance = target.probability(table.propensity, table.score, spec)
    sent = table.sent > 0
    w = np.where(sent, chance / table.propensity, (1.0 - chance) / (1.0 - table.propensity))
    raw, before = _products(spec, table, w)
    cap = spec.weight_cap
    rho, rho_before = np.minimum(raw, cap), np.minimum(before, cap)
    stay, send = _predicted(spec, table)
    here, under = np.where(sent, send, stay), stay + chance * (send - stay)
    gain = rho * (reward - here) + rho_before * under - reward
    columns = (rho * reward, gain, rho, rho * rho, raw, (raw > cap) | (before > cap))
    return [_sum(table, column) for column in columns]


def _predicted(spec: EvaluationSpec, table: DecisionTable) -> tuple[Floats, Floats]:
    """Expected reward without and with a push, (rows,) each."""
    if table.predicted is None or not spec.model_predicts:
        rows = len(table.sent)
        return np.full(rows, spec.predicted_stay), np.full(rows, spec.predicted_send)
    return spec.reward_engaged * table.predicted[:, 0], spec.reward_engaged * table.predicted[:, 1]


def _products(spec: EvaluationSpec, table: DecisionTable, w: Floats) -> tuple[Floats, Floats]:
    """ρ and ρ⁻ of each decision, (rows,) each; windows of ``window_d`` days are the same for everybody."""
    w = np.minimum(w, _HUGE)
    if spec.window_d == 0 or not len(w):
        return w, np.ones_like(w)
    window, device = table.day // spec.window_d, table.device
    starts = np.r_[True, (window[1:] != window[:-1]) | (device[1:] != device[:-1])]
    first = np.flatnonzero(starts)
    lengths = np.diff(np.r_[first, len(w)])
    place = np.arange(len(w)) - np.repeat(first, lengths)
    product, before = w.copy(), np.ones_like(w)
    for step in range(1, int(lengths.max())):  # the longest window's decisions: all windows at once, step by step
        rows = np.flatnonzero(place == step)
        before[rows] = product[rows - 1]
        product[rows] = np.minimum(product[rows] * before[rows], _HUGE)
    return product, before


def _sum(table: DecisionTable, column: NDArray[np.generic]) -> Floats:
    return np.bincount(table.device, weights=column, minlength=table.n_devices).astype(np.float64)


def contributions(spec: EvaluationSpec, sums: DeviceSums) -> Floats:
    """Each device's coordinates in [−1, 1], (n, d); ``half_ranges`` of the spec scale them to clip norm 1."""
    n, r = spec.decisions_cap, spec.reward_cap
    biggest = np.maximum.reduce([sums.decisions / n, abs(sums.reward) / r, *(_largest(spec, sums).T)])
    kept = 1.0 / np.maximum(biggest, 1.0)
    decisions, reward = kept * sums.decisions, kept * sums.reward
    clipped = (kept < 1.0) | sums.truncated.any(axis=1)
    shared = [
        decisions / n,
        reward / r,
        _square(reward - spec.reference * decisions, r),
        np.minimum(sums.decisions, 1.0),
        clipped.astype(np.float64),
        np.minimum((1.0 - kept) * sums.decisions / n, 1.0),
    ]
    each = [column for k in range(len(spec.targets)) for column in _each(spec, sums, kept, k)]
    return np.column_stack([*shared, *each])


def _largest(spec: EvaluationSpec, sums: DeviceSums) -> Floats:
    """By how much each target's sums exceed their caps at most, (n, K)."""
    parts = [abs(sums.value) / spec.reward_cap, abs(sums.gain) / spec.gain_cap, sums.weight / (2 * spec.decisions_cap)]
    return np.asarray(np.maximum.reduce(parts))


def _each(spec: EvaluationSpec, sums: DeviceSums, kept: Floats, k: int) -> list[Floats]:
    """The coordinates of target k in the order of `EACH`."""
    n, r, reference = spec.decisions_cap, spec.reward_cap, spec.reference
    value, gain, weight = kept * sums.value[:, k], kept * sums.gain[:, k], kept * sums.weight[:, k]
    decisions, reward = kept * sums.decisions, kept * sums.reward
    told = {
        "value": value / r,
        "gain": gain / spec.gain_cap,
        "weight": weight / (2 * n),
        "snips_square": _square(value - reference * weight, r),
        "ips_square": _square(value - reference * decisions, r),
        "dr_square": _square(reward + gain - reference * decisions, r),
        "gain_square": _square(gain, spec.gain_cap),
        "weight_square": np.minimum(kept * sums.weight_square[:, k] / (4 * n), 1.0),
        "lost_weight": np.minimum((sums.raw_weight[:, k] - weight) / (2 * n), 1.0),
    }
    return [told[name] for name in EACH]


def _square(total: Floats, cap: float) -> Floats:
    return np.asarray(np.minimum((total / cap) ** 2, 1.0))


def updates(spec: EvaluationSpec, table: DecisionTable, clip_norm: float) -> Floats:
    """Each device's contribution to a round, (n, d), of norm below ``clip_norm``; zeros without a decision."""
    sums = device_sums(spec, table.checked())
    return contributions(spec, sums) * (spec.half_ranges * clip_norm)
