"""Policies by name, as `tactful_lab.worlds.registry` lists them, with the price and warm-up that a rehearsal sets."""

from typing import Any, Protocol

import numpy as np

from tactful_lab.worlds import GreedyOracle, Policy, RandomTimes, World, registry
from tactful_lab.worlds.learner import make_learner
from tactful_lab.worlds.people import Bools, Floats
from tactful_lab.worlds.registry import LEARNERS, ORACLE_PRICE_MINOR, ORACLE_RESTS, POLICIES
from tactful_lab.worlds.seen import View

NEVER, ORACLE = "never", "greedy_oracle"
_WITHOUT_EPSILON = ("central", "local_only")
PRIVATE = tuple(name for name in LEARNERS if name not in _WITHOUT_EPSILON)
"""Policies that learn across people under the ε which is asked for."""
DELTA = 1e-6
"""δ of their promise."""
_OF_A_COIN = {"random_3": 3.0, "random_7": 7.0}


class Make(Protocol):
    """Makes a policy by name for one world."""

    def __call__(
        self, name: str, world: World, *, epsilon: float, fleet_price_minor: float, warmup_weeks: int
    ) -> Policy:
        """Return a new policy that has seen nothing."""


class Coins(RandomTimes):
    """`RandomTimes` that says with which probability it sent."""

    propensity: Floats = np.zeros(0, np.float32)

    def decide(self, view: View) -> Bools:
        """Each person by a coin; the coin is kept in ``propensity``, (N,)."""
        self.propensity = np.full(len(view.reachable), self._chance, np.float32)
        return super().decide(view)


def known() -> tuple[str, ...]:
    """Names of all policies."""
    return tuple(POLICIES)


def make(
    name: str, world: World, *, epsilon: float = 4.0, fleet_price_minor: float = 0.0, warmup_weeks: int = 4
) -> Policy:
    """Make a policy for one world.

    Args:
        name: One of `known`.
        world: A world at its first step.
        epsilon: Central ε at `DELTA` of the policies in `PRIVATE`.
        fleet_price_minor: ν; the oracle asks it on top of its own price.
        warmup_weeks: Weeks before the first push, from which the learner counts its rounds.

    Raises:
        InvalidInput: There is none of that name, or its package is not installed.
    """
    if name in _OF_A_COIN:
        return Coins(_OF_A_COIN[name], world.seed)
    if name == ORACLE:
        return GreedyOracle(world, ORACLE_PRICE_MINOR + fleet_price_minor, *ORACLE_RESTS)
    if name in LEARNERS:
        return make_learner(
            world,
            variant=LEARNERS[name],
            epsilon=epsilon,
            delta=DELTA,
            fleet_price_minor=fleet_price_minor,
            warmup_weeks=warmup_weeks,
        )
    return registry.make(name, world, epsilon=epsilon, fleet_price_minor=fleet_price_minor)


def states_chances(policy: Any) -> bool:
    """Whether a policy says with what probability it sent: ``propensity``, (N,), NaN where nothing was to decide."""
    return hasattr(policy, "propensity")
