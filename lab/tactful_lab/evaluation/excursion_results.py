"""Estimated causal excursion effects, and what can be asked of them without the data."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from tactful_privacy.errors import InvalidInput

CONSTANT = "constant"


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect in units of the outcome, with its interval and the two-sided p-value of there being none."""

    name: str
    estimate: float
    standard_error: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """The test that effects are equal: a statistic, F with these degrees (χ²/first degree if there is no second)."""

    statistic: float
    degrees_of_freedom: tuple[int, int | None]
    p_value: float

    def to_dict(self) -> dict[str, Any]:
        """The test as JSON knows it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class EffectCurve:
    """The effect along one moderator, with a band that holds point by point and not for the whole curve at once."""

    moderator: str
    at: tuple[float, ...]
    estimate: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    level: float

    def to_dict(self) -> dict[str, Any]:
        """The curve as JSON knows it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Sample:
    """What effects rest on.

    Attributes:
        users: Who were available at least once.
        users_never_available: They tell nothing.
        rows: Decisions used: those at which the user was available.
        rows_unavailable: Decisions left out.
        share_sent: Of the rows used.
        max_weight: Largest W.
        effective_rows: (ΣW)²/ΣW².
        randomisation_z: Σ(A − p)/√Σp(1 − p): beyond ±4 the propensities are not those by which pushes were sent.
    """

    users: int
    users_never_available: int
    rows: int
    rows_unavailable: int
    share_sent: float
    max_weight: float
    effective_rows: float
    randomisation_z: float


@dataclass(frozen=True, slots=True)
class ExcursionFit:
    """Estimated effects.

    Attributes:
        effects: One for each column of f.
        covariance: Of their estimates, (p, p).
        controls: Names of the columns of g.
        sample: What was used.
        numerator: The constant p̃, or None if it varies.
        small_sample: Whether corrected.
        degrees_of_freedom: Of t; None for the normal distribution.
        level: Of the intervals.
    """

    effects: tuple[Effect, ...]
    covariance: tuple[tuple[float, ...], ...]
    controls: tuple[str, ...]
    sample: Sample
    numerator: float | None
    small_sample: bool
    degrees_of_freedom: int | None
    level: float

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON knows it."""
        return asdict(self)

    def effect(self, name: str) -> Effect:
        """The effect of that name.

        Raises:
            InvalidInput: There is none.
        """
        for effect in self.effects:
            if effect.name == name:
                return effect
        names = ", ".join(effect.name for effect in self.effects)
        raise InvalidInput(f"no effect {name!r}", field="name", remedy=f"there are: {names}")

    def combine(self, weights: Sequence[float], name: str) -> Effect:
        """The effect Σ weights·β, weights (p,), as (1, 10) for day 10 in `effect_over_time`."""
        w = np.asarray(weights, dtype=np.float64)
        if w.shape != (len(self.effects),):
            raise InvalidInput(f"need {len(self.effects)} weights, not {w.shape}", field="weights")
        estimate = float(w @ [effect.estimate for effect in self.effects])
        variance = float(w @ np.asarray(self.covariance) @ w)
        return effect_of(name, estimate, max(variance, 0.0) ** 0.5, self.degrees_of_freedom, self.level)

    def curve(self, at: Sequence[float]) -> EffectCurve:
        """The effect at values of the one moderator in which it is linear.

        Raises:
            InvalidInput: The effects are not a constant and one slope.
        """
        names = [effect.name for effect in self.effects]
        if len(names) != 2 or names[0] != CONSTANT:
            raise InvalidInput(
                f"no line in one moderator: {', '.join(names)}", field="effects", remedy="fit effect_over_time"
            )
        points = [self.combine((1.0, float(value)), f"{names[1]}={value:g}") for value in at]
        return EffectCurve(
            moderator=names[1],
            at=tuple(float(value) for value in at),
            estimate=tuple(point.estimate for point in points),
            low=tuple(point.low for point in points),
            high=tuple(point.high for point in points),
            level=self.level,
        )

    def equality(self) -> Contrast:
        """Test that all effects are the same, as after `effect_by_level`.

        A quadratic form in the differences from the first. With the small-sample correction it is taken for a
        Hotelling T² on the degrees of freedom of t, the approximation used for trials of this kind by Liao, Klasnja,
        Tewari and Murphy (2016), which they make with more degrees; without it, for χ².

        Raises:
            InvalidInput: There is one effect only, or too few users.
        """
        k = len(self.effects) - 1
        if k < 1:
            raise InvalidInput("needs two effects", field="effects", remedy="fit effect_by_level")
        differences = np.column_stack([-np.ones(k), np.eye(k)])
        gap = differences @ [effect.estimate for effect in self.effects]
        form = float(gap @ np.linalg.solve(differences @ np.asarray(self.covariance) @ differences.T, gap))
        if self.degrees_of_freedom is None:
            return Contrast(form / k, (k, None), float(stats.chi2.sf(form, k)))
        below = self.degrees_of_freedom - k + 1
        if below < 1:
            raise InvalidInput(f"too few users to compare {k + 1} effects", field="user", remedy="pool levels")
        statistic = form * below / (k * self.degrees_of_freedom)
        return Contrast(statistic, (k, below), float(stats.f.sf(statistic, k, below)))


def effect_of(name: str, estimate: float, error: float, freedom: int | None, level: float) -> Effect:
    """The effect with its interval: t with ``freedom`` degrees, normal if None."""
    law = stats.norm if freedom is None else stats.t(freedom)
    half = float(law.ppf((1 + level) / 2)) * error
    ratio = abs(estimate) / error if error > 0 else np.inf
    return Effect(name, estimate, error, estimate - half, estimate + half, float(2 * law.sf(ratio)))
