"""The one module that names dp_accounting: Renyi curves and privacy loss distributions of sampled Gaussians.

Under zero-out a contribution becomes 0, which in a sum is the same as its absence; so the library's relation is
ADD_OR_REMOVE_ONE. Imported lazily by those who need it: a device needs none of it.
"""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dp_accounting
from dp_accounting.pld import privacy_loss_distribution
from dp_accounting.rdp import RdpAccountant

from tactful_privacy.accounting.gaussian_parts import GaussianParts

_IN_ONE_STAGE = 10_000
_RELATION = dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE


@dataclass(frozen=True, slots=True)
class SampledGaussian:
    """One Gaussian on a Poisson sample; without sampling where the rate is 1.

    Attributes:
        noise_multiplier: z, finite and above 0.
        sampling_rate: above 0, at most 1.
    """

    noise_multiplier: float
    sampling_rate: float = 1.0


def steps_of(parts: GaussianParts) -> dict[SampledGaussian, int]:
    """Return the parts as steps; every mu is finite, and the plain part is one step."""
    steps = {SampledGaussian(1 / part.mu, part.rate): times for part, times in parts.sampled.items()}
    return steps | ({SampledGaussian(1 / parts.mu): 1} if parts.mu else {})


def renyi_epsilon(steps: Mapping[SampledGaussian, int], delta: float, orders: Sequence[float]) -> tuple[float, float]:
    """Return epsilon at ``delta`` from the Renyi divergences of the given orders, and the order that gave it.

    Mironov, Talwar and Zhang, arXiv:1908.10530, for the divergences; arXiv:2004.00010, Proposition 12, for epsilon.

    Args:
        steps: how often each happens.
        delta: strictly between 0 and 1.
        orders: each above 1.
    """
    accountant = RdpAccountant(orders=list(orders), neighboring_relation=_RELATION)
    with _without_warnings():
        for step, times in steps.items():
            gaussian = dp_accounting.GaussianDpEvent(step.noise_multiplier)
            sampled = dp_accounting.PoissonSampledDpEvent(step.sampling_rate, gaussian)
            accountant.compose(sampled if step.sampling_rate < 1 else gaussian, times)
    epsilon, order = accountant.get_epsilon_and_optimal_order(delta)
    return float(epsilon), float(order)


def loss_distribution_epsilon(
    steps: Mapping[SampledGaussian, int], delta: float, *, interval: float, tail: float
) -> float:
    """Return epsilon at ``delta`` from the composed, discretised privacy losses, rounded so as not to understate.

    "Connect the dots", Doroshenko et al., arXiv:2207.04380: at the points of the grid the discretised mechanism has the
    true delta, between them more.

    Args:
        steps: how often each happens, not empty.
        delta: strictly between 0 and 1.
        interval: distance of the grid's points, in units of the privacy loss.
        tail: probability beyond which one step's noise is cut off; it is counted as a loss without bound.
    """
    composed: Any = None
    for step, times in steps.items():
        one = privacy_loss_distribution.from_gaussian_mechanism(
            step.noise_multiplier,
            value_discretization_interval=interval,
            log_mass_truncation_bound=math.log(tail),
            sampling_prob=step.sampling_rate,
            neighboring_relation=_RELATION,
        )
        several = _self_compose(one, times)
        composed = several if composed is None else composed.compose(several)
    return float(composed.get_epsilon_for_delta(delta))


def _self_compose(one: Any, times: int) -> Any:
    """Return a distribution composed with itself, in two stages if often: one stage takes ten times as long there.

    The library bounds a composition's support by moments of orders that suit a thousand steps, not a million.
    """
    if times <= _IN_ONE_STAGE:
        return one.self_compose(times)
    inner = math.isqrt(times)
    outer, rest = divmod(times, inner)
    composed = one.self_compose(inner).self_compose(outer)
    return composed.compose(one.self_compose(rest)) if rest else composed


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep the library from warning that a fractional order did not converge: that order then counts as infinite."""
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
