"""Every policy of the comparison by name, made for one world; what needs more than numpy is imported when it is asked.

The learner's variants are made by `tactful_lab.worlds.learner`; Vowpal Wabbit and MABWiser must be installed by hand.
"""

import importlib
from collections.abc import Callable
from typing import Protocol, cast

from tactful_lab.worlds.bandits import MABWISER_SETTINGS, PerUserBandits
from tactful_lab.worlds.logistic import DAILY, PACED, THREE, GlobalLogistic
from tactful_lab.worlds.policies import BASELINES, GreedyOracle, Policy
from tactful_lab.worlds.world import World
from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least

LEARNERS = {
    "tactful": "federated",
    "central": "central",
    "local_only": "local_only",
    "thompson_no_fatigue": "no_fatigue",
    "cold_start": "cold_start",
    "no_personal_layer": "no_personal_layer",
    "no_forgetting": "no_forgetting",
    "explores_more": "explores_more",
}
"""Policies that are variants of the learner, and the variants' names."""


ORACLE_PRICE_MINOR, ORACLE_RESTS = 0.6, (7, 1)
"""The oracle's price, and its rests in slots without and with a reason, chosen on tuning seeds in the main world."""


class Maker(Protocol):
    """Makes a policy for one world."""

    def __call__(self, world: World, *, epsilon: float, fleet_price_minor: float) -> Policy:
        """ε is central, for the whole rehearsal; the price is what a push costs the fleet, minor units."""


def _plain(maker: Callable[[World], Policy]) -> Maker:
    def made(world: World, *, epsilon: float, fleet_price_minor: float) -> Policy:  # noqa: ARG001 (a Maker)
        return maker(world)

    return made


def _learner(variant: str) -> Maker:
    def made(world: World, *, epsilon: float, fleet_price_minor: float) -> Policy:
        module = importlib.import_module("tactful_lab.worlds.learner")
        return cast(
            Policy, module.make_learner(world, variant=variant, epsilon=epsilon, fleet_price_minor=fleet_price_minor)
        )

    return made


POLICIES: dict[str, Maker] = {
    **{name: _plain(maker) for name, maker in BASELINES.items()},
    "greedy_oracle": _plain(lambda world: GreedyOracle(world, ORACLE_PRICE_MINOR, *ORACLE_RESTS)),
    "logistic_three": _plain(lambda world: GlobalLogistic(world.n, 3, world.seed, THREE)),
    "logistic_daily": _plain(lambda world: GlobalLogistic(world.n, 7, world.seed, DAILY)),
    "logistic_paced": _plain(lambda world: GlobalLogistic(world.n, 7, world.seed, PACED)),
    "vowpal_wabbit": _plain(lambda world: PerUserBandits(world, "Vowpal Wabbit")),
    "mabwiser": _plain(lambda world: PerUserBandits(world, "MABWiser", MABWISER_SETTINGS)),
    **{name: _learner(variant) for name, variant in LEARNERS.items()},
}


def make(name: str, world: World, *, epsilon: float = 4.0, fleet_price_minor: float = 0.0) -> Policy:
    """The policy of this name for a new world; ε and the fleet's price matter to the learner's variants only.

    Raises:
        InvalidInput: There is none of this name, a number is out of range, or a package is missing.
    """
    if name not in POLICIES:
        raise InvalidInput(f"is not a policy: {name!r}", field="policy", remedy=f"one of {', '.join(POLICIES)}")
    at_least(0, epsilon=epsilon, fleet_price_minor=fleet_price_minor)
    return POLICIES[name](world, epsilon=epsilon, fleet_price_minor=fleet_price_minor)
