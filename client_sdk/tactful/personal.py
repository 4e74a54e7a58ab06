"""The personal layer: what is true of this person beyond the shared model. It never leaves the device.

Terms on the logit scale, an intercept and one offset for each slot, with the shared model as the prior mean (all terms
zero) and independent normal priors. After each finished day one Newton step on that day's log-posterior moves the means
and adds the day's information p(1 − p) to the precisions (the extended Kalman filter of a logistic observation,
diagonal; West, Harrison & Migon 1985). Old information is forgotten with a half-life, so that the layer follows a
person whose habits drift, and falls back to the prior when nothing is seen.

Answers to pushes move three terms the same way, with p = σ(η + T) as the decision stated it: the person's response, its
slot's, and how much faster than others the person tires. This multiplier f of the shared fatigue κ·D has the shared
model as its prior, f ~ N(1, s²), and enters T as −f·κ·D, so one answer y adds p(1 − p)(κ·D)² to its precision and moves
its mean by −κ·D·(y − p) over that. A decision reads it within [0, `MOST_FATIGUE`].
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tactful.features import SLOTS
from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import positive

Array = NDArray[np.float64]

_FORMAT = 2
MOST_FATIGUE = 4.0


@dataclass(frozen=True, slots=True)
class PersonalPrior:
    """Prior variances on the logit scale, and how fast old information is forgotten. Tuned on November 2017.

    Attributes:
        intercept_variance: of the person's own level of activity.
        slot_variance: of each slot's offset.
        push_variance: of the person's own response to pushes, intercept and slots.
        fatigue_variance: of the multiplier of the shared fatigue, s².
        half_life_d: days after which a day's information counts half.
    """

    intercept_variance: float = 0.01
    slot_variance: float = 0.03
    push_variance: float = 0.04
    half_life_d: float = 120.0
    fatigue_variance: float = 0.25

    def __post_init__(self) -> None:
        positive(
            intercept_variance=self.intercept_variance,
            slot_variance=self.slot_variance,
            push_variance=self.push_variance,
            half_life_d=self.half_life_d,
            fatigue_variance=self.fatigue_variance,
        )


@dataclass(frozen=True, slots=True, eq=False)
class PersonalLayer:
    """One person's terms, as a decision reads them; variances hold the intercept first, then the seven slots."""

    activity_intercept: float = 0.0
    activity_slots: Array = field(default_factory=lambda: np.zeros(SLOTS))
    activity_variance: Array = field(default_factory=lambda: np.array([0.01] + [0.03] * SLOTS))
    push_intercept: float = 0.0
    push_slots: Array = field(default_factory=lambda: np.zeros(SLOTS))
    push_variance: Array = field(default_factory=lambda: np.full(1 + SLOTS, 0.04))
    fatigue_multiplier: float = 1.0

    @classmethod
    def prior(cls) -> Self:
        """Return the layer of somebody nothing is known about."""
        return cls()


class PersonalBlock:
    """The activity and push terms of n devices side by side.

    Attributes:
        n: number of devices.
        mean: activity, shape (n, 8): intercept, then slots.
        precision: activity, shape (n, 8).
        push_mean: response to pushes, shape (n, 8).
        push_precision: shape (n, 8).
        fatigue_mean: the multiplier, shape (n,).
        fatigue_precision: shape (n,).
    """

    __slots__ = ("fatigue_mean", "fatigue_precision", "mean", "n", "precision", "prior", "push_mean", "push_precision")

    def __init__(self, n: int, prior: PersonalPrior | None = None) -> None:
        self.n = n
        self.prior = prior or PersonalPrior()
        self.mean = np.zeros((n, 1 + SLOTS))
        self.precision = np.tile(self._prior_precision(), (n, 1))
        self.push_mean = np.zeros((n, 1 + SLOTS))
        self.push_precision = np.full((n, 1 + SLOTS), 1.0 / self.prior.push_variance)
        self.fatigue_mean = np.ones(n)
        self.fatigue_precision = np.full(n, 1.0 / self.prior.fatigue_variance)

    def _prior_precision(self) -> Array:
        return np.array([1.0 / self.prior.intercept_variance] + [1.0 / self.prior.slot_variance] * SLOTS)

    def offsets(self) -> Array:
        """Return what the layer adds to the shared activity logit of each slot, shape (n, 7)."""
        total: Array = self.mean[:, :1] + self.mean[:, 1:]
        return total

    def update_activity(self, logits: Array, used: NDArray[np.uint8], known: NDArray[np.bool_] | None = None) -> None:
        """Learn from one finished day.

        Args:
            logits: the shared model's logits of that day's slots, shape (n, 7).
            used: (n, 7), above zero where the device was active.
            known: (n,), False for devices that were not enrolled yet and are left alone; None: all were.
        """
        weight = np.ones((self.n, 1)) if known is None else known.astype(np.float64)[:, None]
        p = 1.0 / (1.0 + np.exp(-(logits + self.offsets())))
        residual = ((used > 0) - p) * weight
        information = p * (1.0 - p) * weight
        gradient = np.concatenate([residual.sum(axis=1, keepdims=True), residual], axis=1)
        curvature = np.concatenate([information.sum(axis=1, keepdims=True), information], axis=1)
        self._step(gradient, curvature, weight)

    def _step(self, gradient: Array, curvature: Array, weight: Array) -> None:
        prior = self._prior_precision()
        forget = (1.0 - 2.0 ** (-1.0 / self.prior.half_life_d)) * weight
        self.precision = self.precision + forget * (prior - self.precision) + curvature
        # Forgetting also draws the mean back towards the prior's zero, by the prior's share of the precision.
        self.mean = self.mean + (gradient - forget * prior * self.mean) / self.precision
        self._forget_pushes(forget)

    def _forget_pushes(self, forget: Array) -> None:
        prior, fatigue, once = 1.0 / self.prior.push_variance, 1.0 / self.prior.fatigue_variance, forget[:, 0]
        self.push_precision = self.push_precision + forget * (prior - self.push_precision)
        self.push_mean = self.push_mean - forget * prior * self.push_mean / self.push_precision
        self.fatigue_precision = self.fatigue_precision + once * (fatigue - self.fatigue_precision)
        self.fatigue_mean = self.fatigue_mean - once * fatigue * (self.fatigue_mean - 1.0) / self.fatigue_precision

    def update_push(self, index: int, slot: int, expected: float, engaged: bool, strain: float = 0.0) -> None:
        """Learn from the outcome of one push.

        Args:
            index: of the device.
            slot: in which the push was sent.
            expected: probability of engagement that the decision stated, in (0, 1).
            engaged: whether the person opened it.
            strain: κ·D when it was sent, without the person's multiplier; 0 leaves the multiplier alone.
        """
        if not 0.0 < expected < 1.0:
            raise InvalidInput(f"is {expected}", field="expected", remedy="give a probability between 0 and 1")
        if not np.isfinite(strain):
            raise InvalidInput(f"is {strain}", field="strain", remedy="give the fatigue that the decision stated")
        one = (np.array([index]), np.array([slot]), np.array([expected]), np.array([float(engaged)]))
        self.update_pushes(*one, np.array([strain]))

    def update_pushes(
        self,
        index: NDArray[np.intp],
        slot: NDArray[np.intp],
        expected: Array,
        engaged: Array,
        strain: Array | None = None,
    ) -> None:
        """Learn from one push each of several devices, arrays (m,), no device twice; see `update_push`."""
        information, residual = expected * (1.0 - expected), engaged - expected
        for term in (np.zeros_like(slot), 1 + slot):
            self.push_precision[index, term] += information
            self.push_mean[index, term] += residual / self.push_precision[index, term]
        if strain is not None:
            self.fatigue_precision[index] += information * strain**2
            self.fatigue_mean[index] -= strain * residual / self.fatigue_precision[index]

    def layer(self, index: int) -> PersonalLayer:
        """Return one device's terms as a decision reads them."""
        mean, push = self.mean[index], self.push_mean[index]
        return PersonalLayer(
            activity_intercept=float(mean[0]),
            activity_slots=mean[1:].copy(),
            activity_variance=1.0 / self.precision[index],
            push_intercept=float(push[0]),
            push_slots=push[1:].copy(),
            push_variance=1.0 / self.push_precision[index],
            fatigue_multiplier=float(np.clip(self.fatigue_mean[index], 0.0, MOST_FATIGUE)),
        )

    def to_bytes(self) -> bytes:
        """Return the state as a snapshot; `from_bytes` reads it back exactly."""
        head = np.array([_FORMAT, self.n], dtype="<f8").tobytes()
        arrays: list[NDArray[np.float64]] = [self.mean, self.precision, self.push_mean, self.push_precision]
        arrays += [self.fatigue_mean, self.fatigue_precision]
        return head + b"".join(array.astype("<f8").tobytes() for array in arrays)

    @classmethod
    def from_bytes(cls, data: bytes, prior: PersonalPrior | None = None) -> Self:
        """Read a snapshot; one of format 1 knows nothing of fatigue. Raises `InvalidInput` for any other."""
        numbers = np.frombuffer(data, dtype="<f8") if len(data) % 8 == 0 else np.empty(0)
        known = numbers.size > 2 and numbers[0] in (1, _FORMAT) and 0 <= numbers[1] <= numbers.size
        n = int(numbers[1]) if known else -1
        size = 4 * n * (1 + SLOTS)
        if n < 0 or numbers.size != 2 + size + (2 * n if numbers[0] == _FORMAT else 0):
            raise InvalidInput("is of another version", field="snapshot", remedy="rebuild it from the events")
        block = cls(n, prior)
        parts = numbers[2 : 2 + size].reshape(4, n, 1 + SLOTS).astype(np.float64)
        block.mean, block.precision, block.push_mean, block.push_precision = (part.copy() for part in parts)
        if numbers[0] == _FORMAT:
            fatigue = numbers[2 + size :].reshape(2, n).astype(np.float64)
            block.fatigue_mean, block.fatigue_precision = fatigue[0].copy(), fatigue[1].copy()
        return block
