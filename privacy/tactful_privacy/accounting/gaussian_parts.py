"""What a release is to an accountant of Gaussians: one plain Gaussian, and Gaussians on samples, so many of each.

Squares of mu add up over plain Gaussians, also adaptively chosen (Dong, Roth and Su, arXiv:1905.02383, Corollary 3.3),
so all plain ones together are one. The three accountants beside zCDP start from here.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from tactful_privacy.accounting.events import (
    CorrelatedRunEvent,
    DiscreteGaussianSumEvent,
    Event,
    GaussianEvent,
    NonPrivateEvent,
    PoissonSampledEvent,
    UnknownEvent,
    leaves,
)
from tactful_privacy.accounting.zcdp import rho_of


@dataclass(frozen=True, slots=True)
class SampledPart:
    """One Gaussian of the given mu on a Poisson sample with a rate strictly between 0 and 1."""

    mu: float
    rate: float


@dataclass(frozen=True, slots=True)
class GaussianParts:
    """An event, taken apart.

    Attributes:
        mu: of all plain Gaussians together, 0 where there is none, infinite where one has no noise.
        sampled: the Gaussians on samples, and how often each happens.
        discrete: a plain part has discrete noise, for which the continuous Gaussian of the same rho stands in.
        discrete_sampled: the same in a sampled part.
    """

    mu: float
    sampled: Mapping[SampledPart, int] = field(default_factory=dict)
    discrete: bool = False
    discrete_sampled: bool = False

    @property
    def mu_without_sampling(self) -> float:
        """Of all parts, if every sample were everybody: what sampling, if any, can only lower."""
        return math.sqrt(self.mu**2 + math.fsum(times * part.mu**2 for part, times in self.sampled.items()))


def parts_of(event: Event) -> GaussianParts:
    """Return an event's parts.

    Raises:
        UnknownEvent: something in it is not Gaussian, or its sampled part is a correlated run, for which a sample drawn
            anew in each round is no sample of the run.
    """
    mu_squared: Fraction | float = Fraction(0)
    sampled: Counter[SampledPart] = Counter()
    discrete = discrete_sampled = False
    for leaf, times in leaves(event).items():
        match leaf:
            case NonPrivateEvent() | GaussianEvent() | CorrelatedRunEvent() | DiscreteGaussianSumEvent():
                mu_squared += times * 2 * rho_of(leaf)
                discrete = discrete or _is_discrete(leaf)
            case PoissonSampledEvent(event=inner, sampling_rate=rate):
                _refuse_runs(inner)
                within = parts_of(inner)
                if within.sampled:
                    raise _unknown(leaf, "is a sample of a sample")
                discrete_sampled = discrete_sampled or within.discrete
                if within.mu:
                    sampled[SampledPart(within.mu, float(rate))] += times
            case _:
                raise _unknown(leaf, "is not Gaussian")
    return GaussianParts(math.sqrt(mu_squared), sampled, discrete, discrete_sampled)


def _is_discrete(event: Event) -> bool:
    return isinstance(event, DiscreteGaussianSumEvent) or (isinstance(event, CorrelatedRunEvent) and event.discrete)


def _refuse_runs(event: Event) -> None:
    for leaf in leaves(event):
        if isinstance(leaf, CorrelatedRunEvent):
            raise _unknown(leaf, "is sampled")


def _unknown(event: Event, what: str) -> UnknownEvent:
    name = type(event).__name__
    return UnknownEvent(
        f"{name} {what}", field="event", remedy="describe it by a known event, or ask another accountant"
    )
