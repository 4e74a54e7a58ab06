"""What was released, as frozen facts: apart from the mechanism that did it and from the accountant that prices it.

An accountant sees only events. One that it does not know fails closed, and one that is not private costs infinitely
much.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from tactful_privacy.errors import InvalidInput, TactfulError
from tactful_privacy.validate import at_least


class UnknownEvent(TactfulError):
    """An accountant met an event that it cannot price; nothing may be released on a guess."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something was computed from private data. Base of all events; by itself it says nothing and has no price."""


@dataclass(frozen=True, slots=True)
class NonPrivateEvent(Event):
    """Something was released without noise."""


@dataclass(frozen=True, slots=True)
class GaussianEvent(Event):
    """The continuous Gaussian mechanism.

    Attributes:
        noise_multiplier: z, the deviation of the noise over the Euclidean sensitivity; 0 is not private.
    """

    noise_multiplier: Fraction | float

    def __post_init__(self) -> None:
        at_least(0, noise_multiplier=float(self.noise_multiplier))


@dataclass(frozen=True, slots=True)
class DiscreteGaussianSumEvent(Event):
    """A sum over hosts of integer vectors, each host with independent discrete Gaussian noise in every coordinate.

    Attributes:
        norm_bound_squared: B^2 in squared grid units; what one device can change (zero-out), squared.
        noise_variance_units: sigma^2 of one host in squared grid units; 0 is not private.
        honest_hosts: hosts whose noise counts, n_min - t.
        dimension: coordinates, statistics included.
    """

    norm_bound_squared: int
    noise_variance_units: int
    honest_hosts: int
    dimension: int

    def __post_init__(self) -> None:
        at_least(0, norm_bound_squared=self.norm_bound_squared, noise_variance_units=self.noise_variance_units)
        at_least(1, honest_hosts=self.honest_hosts, dimension=self.dimension)


@dataclass(frozen=True, slots=True)
class ComposedEvent(Event):
    """The same event ``count`` times on the same device, possibly chosen adaptively."""

    event: Event
    count: int

    def __post_init__(self) -> None:
        if self.count < 0:
            raise InvalidInput(f"is {self.count}", field="count", remedy="give count >= 0")


@dataclass(frozen=True, slots=True)
class SequenceEvent(Event):
    """Different events one after the other on the same device, each possibly chosen in view of those before."""

    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class PoissonSampledEvent(Event):
    """An event on a sample into which each device comes independently with a secret, fair coin.

    Nothing in this project's protocol makes one: a server cannot prove to a device that it sampled fairly and keeps the
    sample to itself. It is here to price other people's training, and what a trusted server would give.

    Attributes:
        event: what is done with the sample; a composition of several draws the sample once for all of them.
        sampling_rate: probability of each device's coin, from 0 to 1.
    """

    event: Event
    sampling_rate: Fraction | float

    def __post_init__(self) -> None:
        if not 0 <= self.sampling_rate <= 1:
            remedy = "give 0 <= sampling_rate <= 1"
            raise InvalidInput(f"is {self.sampling_rate!r}", field="sampling_rate", remedy=remedy)


@dataclass(frozen=True, slots=True)
class CorrelatedRunEvent(Event):
    """A whole run of a matrix mechanism, whose Gaussian noise is correlated over the rounds: one release, not many.

    Releasing C x + sigma z and solving for x is post-processing of one Gaussian mechanism on the run (Kairouz et al.,
    arXiv:2103.00039; Choquette-Choo et al., arXiv:2306.08153), also with adaptively chosen gradients (Denisov et al.,
    arXiv:2202.08312, Theorem 2.1; numbers not checked). It is paid for at once, before the first round: there is no
    price of a part of it.

    Attributes:
        noise_multiplier: z of the run, sigma over the largest norm of C times one device's allowed participations.
        discrete: the noise is drawn on the integers, as `mechanisms.banded` does: the same zCDP price, but no exact
            Gaussian.
    """

    noise_multiplier: Fraction | float
    discrete: bool = True

    def __post_init__(self) -> None:
        at_least(0, noise_multiplier=float(self.noise_multiplier))


def leaves(event: Event) -> Mapping[Event, int]:
    """Return the events which are no composition, with how often each happens; order plays no part in any price.

    Sampling at rate 1 is no sampling and at rate 0 nothing; a composition zero times is nothing, whatever it composes.
    """
    counted: Counter[Event] = Counter()
    _count(event, 1, counted)
    return counted


def _count(event: Event, times: int, counted: Counter[Event]) -> None:
    match event:
        case ComposedEvent(event=inner, count=count):
            if count:
                _count(inner, times * count, counted)
        case SequenceEvent(events=events):
            for inner in events:
                _count(inner, times, counted)
        case PoissonSampledEvent(event=inner, sampling_rate=rate) if rate in (0, 1):
            if rate:
                _count(inner, times, counted)
        case _:
            counted[event] += times
