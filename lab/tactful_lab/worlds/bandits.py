"""Bandits off the shelf, one for each person: Vowpal Wabbit and MABWiser, both of the extra `bench`.

Every morning a person's bandit picks one of eight arms: a push in one of the seven slots, or none. Three mornings later
it is told what came of it: an open counts as one session of mean value, an opt-out as C_out, and every push costs
``price_minor``, without which no bandit of this kind would ever hold back: to it an unopened push is free. Nothing is
shared between persons, as nothing is in these products when each device runs its own.
"""

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tactful_lab.datasets.completejourney import N_SLOTS
from tactful_lab.worlds.people import Bools
from tactful_lab.worlds.seen import Observed, View
from tactful_lab.worlds.world import World
from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least

NONE = N_SLOTS
"""The arm that sends nothing."""
SETTLED_DAYS = 3
"""A day that a device may be away, a day in which an open counts, and the day itself."""
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class BanditSettings:
    """Chosen on tuning seeds in the main world.

    Attributes:
        price_minor: What a push costs the bandit, minor units.
        exploration: Vowpal Wabbit: share of the mornings with an arm drawn at random; MABWiser: α of UCB1.
    """

    price_minor: float = 0.8
    exploration: float = 0.05


MABWISER_SETTINGS = BanditSettings(exploration=0.2)


class Bandits(Protocol):
    """A bandit over eight arms for each person."""

    def choose(self, person: int, context: str) -> tuple[int, float]:
        """The arm, and with which probability it was chosen."""

    def learn(self, person: int, context: str, arm: int, probability: float, reward: float) -> None:
        """What came of an arm; rewards are in sessions of mean value."""


def vowpal_wabbit() -> ModuleType:
    """The package ``vowpalwabbit``. Raises `InvalidInput` where it is not installed."""
    try:
        return importlib.import_module("vowpalwabbit")
    except ImportError as error:
        raise _missing("vowpalwabbit") from error


def mabwiser() -> ModuleType:
    """The module ``mabwiser.mab``. Raises `InvalidInput` where it is not installed."""
    try:
        return importlib.import_module("mabwiser.mab")
    except ImportError as error:
        raise _missing("mabwiser") from error


def _missing(package: str) -> InvalidInput:
    return InvalidInput("is not installed", field=package, remedy="pip install 'tactful[bench]'")


LIBRARIES = {"Vowpal Wabbit": vowpal_wabbit, "MABWiser": mabwiser}


class VowpalWabbit:
    """A contextual bandit of Vowpal Wabbit with ε-greedy exploration: weekday, promotion and days since the last push.

    A workspace for each person takes 9 MB, so all share one: the name of every weight carries the person's number, and
    no other weight is learned. The models are apart but for collisions among 2^22 weights. Source: Vowpal Wabbit's
    ``--cb_explore_adf``, surveyed in arXiv:1802.04064.
    """

    def __init__(self, module: ModuleType, settings: BanditSettings, seed: int) -> None:
        model = "--cb_explore_adf -q CA --ignore_linear C --noconstant -b 22"
        chance = f"--epsilon {settings.exploration} --random_seed {seed % 2**31}"
        self._workspace = module.Workspace(f"{model} {chance} --quiet")
        self._random = np.random.default_rng(seed)

    def choose(self, person: int, context: str) -> tuple[int, float]:
        """Draw an arm from the distribution that Vowpal Wabbit gives."""
        chances = np.array(self._workspace.predict(_examples(person, context)), dtype=np.float64)
        arm = int(self._random.choice(len(chances), p=chances / chances.sum()))
        return arm, float(chances[arm])

    def learn(self, person: int, context: str, arm: int, probability: float, reward: float) -> None:
        """Costs are negative rewards."""
        examples = _examples(person, context)
        examples[1 + arm] = f"0:{-reward:.6f}:{probability:.6f} {examples[1 + arm]}"
        self._workspace.learn(examples)


class Mabwiser:
    """MABWiser's UCB1 over the eight arms, without context; each arm starts from one trial worth ``guess``."""

    def __init__(self, module: ModuleType, settings: BanditSettings, seed: int, guess: float) -> None:
        self._module, self._settings, self._seed, self._guess = module, settings, seed, guess
        self._mabs: dict[int, Any] = {}

    def choose(self, person: int, context: str) -> tuple[int, float]:  # noqa: ARG002 (Bandits)
        """The arm with the highest upper bound, chosen for certain."""
        if person not in self._mabs:
            arms = list(range(NONE + 1))
            policy = self._module.LearningPolicy.UCB1(alpha=self._settings.exploration)
            self._mabs[person] = self._module.MAB(arms, policy, seed=(self._seed + person) % 2**31)
            self._mabs[person].fit(arms, [self._guess] * N_SLOTS + [0.0])
        return int(self._mabs[person].predict()), 1.0

    def learn(self, person: int, context: str, arm: int, probability: float, reward: float) -> None:  # noqa: ARG002
        """One trial more."""
        self._mabs[person].partial_fit([arm], [reward])


def _examples(person: int, context: str) -> list[str]:
    arms = [f"|A p{person}_{arm}" for arm in range(NONE + 1)]
    return [f"shared |C {context}", *arms]


@dataclass(slots=True)
class _Morning:
    """What was chosen on one morning: persons, contexts, arms, probabilities, and what has come of it."""

    who: Indices
    contexts: list[str]
    arms: NDArray[np.intp]
    chances: list[float]
    reward: NDArray[np.float64]


class PerUserBandits:
    """A bandit for everybody who allows pushes."""

    def __init__(self, world: World, library: str, settings: BanditSettings | None = None) -> None:
        self.name = f"{library}, one for each person"
        self._settings, self._library = settings or BanditSettings(), library
        at_least(0, price_minor=self._settings.price_minor, exploration=self._settings.exploration)
        if library not in LIBRARIES:
            raise InvalidInput(f"is not known: {library!r}", field="library", remedy=f"one of {', '.join(LIBRARIES)}")
        self._module = LIBRARIES[library]()
        p = world.parameters
        self._session, self._opt_out = p.session_minor, p.opt_out_cost_minor / p.session_minor
        self._price = self._settings.price_minor / self._session
        self._bandits = self._make(world.seed, p.opt_out.push_open_rate - self._price)
        self._mornings: dict[int, _Morning] = {}
        self._today = np.full(world.n, NONE, np.intp)
        self._last_day = np.full(world.n, -99, np.int64)

    def _make(self, seed: int, guess: float) -> Bandits:
        if self._library == "MABWiser":
            return Mabwiser(self._module, self._settings, seed, guess)
        return VowpalWabbit(self._module, self._settings, seed)

    def decide(self, view: View) -> Bools:
        """Choose for the day in the morning, then send to those whose slot has come."""
        if view.slot == 0:
            self._settle(view.day - SETTLED_DAYS)
            self._choose(view)
        send: Bools = (self._today == view.slot) & view.reachable
        self._last_day[send] = view.day
        sent = np.flatnonzero(send)
        self._credit(sent, self._last_day[sent], -self._price)
        return send

    def learn(self, view: View, send: Bools, observed: Observed) -> None:  # noqa: ARG002 (a Policy)
        """Credit opens and charge opt-outs to the mornings they come from."""
        opened = np.flatnonzero(observed.opens)
        self._credit(opened, observed.opened_step[opened] // N_SLOTS, 1.0)
        left = np.flatnonzero(observed.opt_outs)
        self._credit(left, self._last_day[left], -self._opt_out)

    def _choose(self, view: View) -> None:
        who = np.flatnonzero(view.reachable)
        gaps = np.minimum(view.day - self._last_day[who], 7)
        contexts = [f"day{view.weekday} gap{gap} promotion:{int(view.promotion)}" for gap in gaps]
        chosen = [self._bandits.choose(int(i), context) for i, context in zip(who, contexts, strict=True)]
        arms = np.array([arm for arm, _ in chosen], dtype=np.intp)
        self._today[:] = NONE
        self._today[who] = arms
        self._mornings[view.day] = _Morning(who, contexts, arms, [chance for _, chance in chosen], np.zeros(len(who)))

    def _credit(self, who: Indices, days: NDArray[np.integer[Any]], amount: float) -> None:
        for i, day in zip(who, days, strict=True):
            if morning := self._mornings.get(int(day)):
                morning.reward[np.searchsorted(morning.who, i)] += amount

    def _settle(self, day: int) -> None:
        """Tell the bandits what came of a day whose opens are all in."""
        morning = self._mornings.pop(day, None)
        if morning is None:
            return
        rows = zip(morning.who, morning.contexts, morning.arms, morning.chances, morning.reward, strict=True)
        for i, context, arm, chance, reward in rows:
            self._bandits.learn(int(i), context, int(arm), chance, float(reward))
