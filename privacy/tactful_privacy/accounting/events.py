"""What was released, as frozen facts: apart from the mechanism that did it and from the accountant that prices it.

An accountant sees only events. One that it does not know fails closed, and one that is not private costs infinitely
much.
"""

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
