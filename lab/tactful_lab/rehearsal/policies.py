"""Policies by name, which of them learn under a stated ε, and which can be logged."""

import importlib
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from tactful_lab.worlds import BASELINES, GreedyOracle, Policy, RandomTimes, World
from tactful_lab.worlds.people import Bools, Floats
from tactful_lab.worlds.seen import View
from tactful_privacy.errors import InvalidInput

NEVER, ORACLE = "never", "greedy_oracle"
PRIVATE = ("tactful", "cold_start", "thompson_no_fatigue")
"""Policies that learn across people under the ε which is asked for."""
LEARNERS = (*PRIVATE, "central", "local_only")
"""Policies with the product's model; all others are what shops do today, or a bound."""
_OF_A_COIN = {"random_3": 3.0, "random_7": 7.0}


class Make(Protocol):
    """Makes a policy by name for one world."""

    def __call__(self, name: str, world: World, *, epsilon: float, fleet_price_minor: float) -> Policy:
        """Return a new policy that has seen nothing."""


class Coins(RandomTimes):
    """`RandomTimes` that says with which probability it sent."""

    propensity: Floats = np.zeros(0, np.float32)

    def decide(self, view: View) -> Bools:
        """Each person by a coin; the coin is kept in ``propensity``, (N,)."""
        self.propensity = np.full(len(view.reachable), self._chance, np.float32)
        return super().decide(view)


def _registry() -> ModuleType | None:
    """The worlds' own list of policies, learners included, where this installation has it."""
    try:
        return importlib.import_module("tactful_lab.worlds.registry")
    except ModuleNotFoundError as error:
        if error.name != "tactful_lab.worlds.registry":
            raise
        return None


def known() -> tuple[str, ...]:
    """Names of all policies."""
    registry = _registry()
    return tuple(BASELINES if registry is None else registry.POLICIES)


def make(name: str, world: World, *, epsilon: float = 4.0, fleet_price_minor: float = 0.0) -> Policy:
    """Make a policy for one world.

    Raises:
        InvalidInput: There is none of that name.
    """
    if name not in known():
        remedy = f"one of {', '.join(known())}"
        raise InvalidInput(f"is not a known policy: {name!r}", field="--policy", remedy=remedy)
    if name in _OF_A_COIN:
        return Coins(_OF_A_COIN[name], world.seed)
    if name == ORACLE:
        return GreedyOracle(world, fleet_price_minor)
    registry = _registry()
    if registry is None:
        return BASELINES[name](world)
    try:
        made: Policy = registry.make(name, world, epsilon=epsilon, fleet_price_minor=fleet_price_minor)
    except ModuleNotFoundError as error:
        message = f"{name} needs {error.name}, which is not installed"
        raise InvalidInput(message, field="--policy", remedy="install it, or choose another policy") from error
    return made


def states_chances(policy: Any) -> bool:
    """Whether a policy says with what probability it sent: ``propensity``, (N,), NaN where nothing was to decide."""
    return hasattr(policy, "propensity")
