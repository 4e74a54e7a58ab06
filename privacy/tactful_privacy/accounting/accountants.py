"""Four accountants behind one protocol: the same events in, an epsilon out, and why it may be believed.

==========  =====================================================  ====================================================
accountant  knows                                                  formal for
==========  =====================================================  ====================================================
``zcdp``    every event; sampling is not credited                  everything; the device's filter composes in it
``rdp``     every event but sampled correlated runs                discrete noise too, unless it is sampled
``pld``     the same; delta from 1e-12                             continuous Gaussians, sampled or not
``gdp``     events without sampling                                continuous Gaussians
==========  =====================================================  ====================================================

The adjacency is the event's: zero-out in this project. Where a continuous Gaussian stands in for discrete noise the
figure is tighter, but no claim: the report says ``formal=False``.
"""

from dataclasses import dataclass
from typing import Protocol

from tactful_privacy.accounting import gaussian, pld, rdp, zcdp
from tactful_privacy.accounting.events import Event, PoissonSampledEvent, UnknownEvent, leaves
from tactful_privacy.accounting.gaussian_parts import GaussianParts, parts_of
from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import fraction

STAND_IN = "continuous Gaussian stand-in for discrete noise: an indication, the formal claim is zCDP's"


class Accountant(Protocol):
    """Prices events."""

    @property
    def name(self) -> str:
        """As in the registry."""
        ...

    @property
    def validity(self) -> str:
        """In one sentence, what its figures rest on."""
        ...

    def epsilon(self, event: Event, delta: float) -> float:
        """Return a central epsilon that the event has at ``delta``: 0 for nothing, infinite for no privacy.

        Raises:
            UnknownEvent: the accountant cannot price something in it; fail closed.
            InvalidInput: delta out of range.
        """
        ...

    def stands_in_for(self, event: Event) -> bool:
        """Return whether a continuous Gaussian stands in for something discrete, so that the figure is no claim."""
        ...


@dataclass(frozen=True, slots=True)
class PrivacyReport:
    """A figure with its grounds.

    Attributes:
        epsilon: central epsilon at ``delta``, infinite where something is not private.
        delta: of the same.
        accountant: who said so.
        why_valid: on what grounds, for this event.
        formal: it is a claim; otherwise an indication that may stand beside one.
    """

    epsilon: float
    delta: float
    accountant: str
    why_valid: str
    formal: bool


@dataclass(frozen=True, slots=True)
class ZcdpAccountant:
    """Sums of rho, converted by Canonne, Kamath and Steinke."""

    name: str = "zcdp"
    validity: str = (
        "rho adds up over adaptive steps (arXiv:1605.02065, Lemma 2.3); Gaussian, discrete and summed discrete noise "
        "have it (arXiv:2004.00010, arXiv:2102.06387); epsilon by arXiv:2004.00010, Proposition 12"
    )

    def epsilon(self, event: Event, delta: float) -> float:
        """See `Accountant`."""
        return zcdp.epsilon(zcdp.rho_of(event), delta)

    def stands_in_for(self, event: Event) -> bool:
        """Never: see `zcdp.rho_of`."""
        zcdp.rho_of(event)
        return False


@dataclass(frozen=True, slots=True)
class RdpAccountant:
    """The Renyi curve of each step, added, and the best order."""

    name: str = "rdp"
    validity: str = (
        "Renyi divergences add up over adaptive steps (arXiv:1702.07476, Proposition 1); sampled Gaussians by "
        "arXiv:1908.10530, sums of discrete ones by their zCDP price; epsilon by arXiv:2004.00010, Proposition 12"
    )

    def epsilon(self, event: Event, delta: float) -> float:
        """See `Accountant`."""
        fraction(delta=delta)
        return rdp.epsilon_of_parts(parts_of(event), delta)

    def stands_in_for(self, event: Event) -> bool:
        """For a sampled sum of discrete Gaussians: the amplification is proven for continuous noise."""
        return parts_of(event).discrete_sampled


@dataclass(frozen=True, slots=True)
class PldAccountant:
    """Privacy losses on a grid, convolved."""

    name: str = "pld"
    validity: str = (
        "a Gaussian (on a Poisson sample) dominates each step, and dominating pairs compose adaptively "
        "(arXiv:2106.08567); discretised from above by connecting the dots (arXiv:2207.04380)"
    )

    def epsilon(self, event: Event, delta: float) -> float:
        """See `Accountant`."""
        fraction(delta=delta)
        return pld.epsilon_of_parts(parts_of(event), delta)

    def stands_in_for(self, event: Event) -> bool:
        """For all discrete noise."""
        return _discrete(parts_of(event))


@dataclass(frozen=True, slots=True)
class GdpAccountant:
    """Exact trade-off functions of Gaussians, without sampling."""

    name: str = "gdp"
    validity: str = (
        "mu-GDP, exact for Gaussians and closed under adaptive composition, squares of mu added (arXiv:1905.02383, "
        "Corollary 3.3); epsilon exact by arXiv:1805.06530, Theorem 8"
    )

    def epsilon(self, event: Event, delta: float) -> float:
        """See `Accountant`."""
        return gaussian.epsilon_of_mu(self.mu(event), delta)

    def mu(self, event: Event) -> float:
        """Return the event's mu.

        Raises:
            UnknownEvent: something in it is not Gaussian, or is sampled.
        """
        parts = parts_of(event)
        if parts.sampled:
            remedy = "ask pld or rdp"
            raise UnknownEvent("a sampled Gaussian has no finite description in mu", field="event", remedy=remedy)
        return parts.mu

    def stands_in_for(self, event: Event) -> bool:
        """For all discrete noise."""
        self.mu(event)
        return _discrete(parts_of(event))


_ACCOUNTANTS: tuple[Accountant, ...] = (ZcdpAccountant(), RdpAccountant(), PldAccountant(), GdpAccountant())
ACCOUNTANTS = tuple(each.name for each in _ACCOUNTANTS)
"""The names that `accountant` knows."""


def accountant(name: str) -> Accountant:
    """Return the accountant of a name in `ACCOUNTANTS`.

    Raises:
        InvalidInput: there is none.
    """
    for each in _ACCOUNTANTS:
        if each.name == name:
            return each
    raise InvalidInput(f"is {name!r}", field="accountant", remedy=f"give one of {', '.join(ACCOUNTANTS)}")


def report(name: str, event: Event, delta: float) -> PrivacyReport:
    """Return one accountant's figure for an event, with its grounds.

    Raises:
        UnknownEvent: the accountant cannot price the event.
        InvalidInput: an unknown accountant, or delta out of range.
    """
    chosen = accountant(name)
    epsilon = chosen.epsilon(event, delta)
    stand_in = chosen.stands_in_for(event)
    return PrivacyReport(epsilon, delta, name, _grounds(chosen, event, stand_in=stand_in), not stand_in)


def _grounds(chosen: Accountant, event: Event, *, stand_in: bool) -> str:
    grounds = [STAND_IN] if stand_in else []
    if any(isinstance(leaf, PoissonSampledEvent) for leaf in leaves(event)):
        credited = "is not credited" if chosen.name == "zcdp" else "is credited: it must be Poisson, fair and secret"
        grounds.append(f"sampling {credited}")
    return "; ".join([*grounds, chosen.validity])


def _discrete(parts: GaussianParts) -> bool:
    return parts.discrete or parts.discrete_sampled
