"""The product in a world: it decides for N persons, and learns all heads in a rehearsed private federation.

Once a week each device's gradient and curvature of the week's decisions are clipped, summed and noised, and the server
takes a recursive Newton step. What the policy knows is what a shop's product would know: sessions, its own pushes and
what came of them, the session's usual value and C_out. Nothing of the world's truth or its parameters.
"""

import math
import tomllib
from collections.abc import Iterator
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tactful.features import DIMENSION
from tactful.model import Model
from tactful.training import heads
from tactful.training.tables import TrainingTable
from tactful_lab.datasets.completejourney import N_SLOTS
from tactful_lab.worlds.people import Bools
from tactful_lab.worlds.policy_block import Decisions, PolicyBlock, Rules
from tactful_lab.worlds.private_sums import PrivateSums, Promise
from tactful_lab.worlds.seen import Observed, View
from tactful_lab.worlds.world import World
from tactful_privacy.errors import InvalidInput
from tactful_server.recursive import RecursiveNewton

VARIANTS: dict[str, dict[str, Any]] = {
    "federated": {},
    "central": {},
    "local_only": {},
    "no_fatigue": {"policy": {"fatigue": False}},
    "cold_start": {},
    "no_personal_layer": {"policy": {"personal": False}},
    "no_forgetting": {"activity": {"forgetting": 1.0}, "effect": {"forgetting": 1.0}},
    "explores_more": {"policy": {"propensity_floor": 0.05, "propensity_ceiling": 0.8}},
}
"""What may be made, and the settings in which each differs. ``central`` pools in the clear: no clip, no noise.
``local_only`` learns its personal layer alone, on the warm start. ``cold_start`` begins with a model that knows nothing
of pushes but an open rate."""
WINDOW_STEPS = N_SLOTS
"""An open counts for a day after its push."""
PUSH_HEADS = ("effect", "hazard")
"""Heads that learn from decisions; the value head stays at the public start, since no values are gathered."""
LEARNED = ("activity", *PUSH_HEADS)
_BLOCK = 2_000


class Learner:
    """A policy of `tactful_lab.worlds.policies`; make it with `make_learner`."""

    def __init__(
        self, world: World, *, variant: str, promise: Promise, rules: Rules, settings: dict[str, Any], model: Model
    ) -> None:
        self.name = variant
        self.settings, self.variant = settings, variant
        streams = np.random.SeedSequence([world.seed, 71]).spawn(2)
        coins, noise = (np.random.Generator(np.random.SFC64(s)) for s in streams)
        self.block = PolicyBlock(world.n, model, rules, coins)
        self.sums = PrivateSums(promise, world.n, noise)
        self.propensity = np.full(world.n, np.nan, np.float32)
        self._start: Model = model
        self._optimisers = {head: self._optimiser(head) for head in LEARNED}
        self._open: dict[int, Decisions] = {}
        self._closed: dict[str, list[Decisions]] = {head: [] for head in PUSH_HEADS}
        self._used = np.zeros((world.n, N_SLOTS), np.uint8)
        self._days: list[tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float64]]] = []
        self._begun = False

    @property
    def model(self) -> Model:
        """The newest released model."""
        return self.block.model

    @property
    def epsilon_spent(self) -> float:
        """ε at the promise's δ of all rounds so far."""
        return self.sums.epsilon_spent

    def _optimiser(self, head: str) -> RecursiveNewton:
        own, start = self.settings[head], self._start
        prior = np.concatenate([getattr(start, block) for block in heads.HEADS[head]])
        return RecursiveNewton(
            Model.layout(),
            head,
            heads.HEADS[head],
            self.sums.devices,
            prior,
            _precision(head, own),
            heads.head_units(head),
            curvature_scale=own["curvature_scale"],
            rows_scale=own["rows_scale"],
            forgetting=own["forgetting"],
            non_negative=3 if head == "hazard" else 0,
        )

    # Deciding

    def decide(self, view: View) -> Bools:
        """Send by the product's rule; remembers the decisions until a day has passed."""
        self._begun = True
        made = self.block.decide(view)
        self.propensity[:] = np.nan
        self.propensity[made.who] = made.propensity
        self._open[view.step] = made
        sends: Bools = np.zeros(self.block.n, np.bool_)
        sends[made.who[made.sent]] = True
        return sends

    def learn(self, view: View, send: Bools, observed: Observed) -> None:
        """Take in one slot; at the end of a day and of a week, what is due then."""
        block = self.block
        if view.slot == 0 and not self._begun:
            block.morning(view)
        block.own_seen += view.contextual
        block.sent(np.flatnonzero(send & view.reachable), view.step)
        self._outcomes(view, observed)  # after the sends: who leaves at once leaves by the push of this very slot
        self._used[:, view.slot] = observed.sessions > observed.opens
        block.pass_time(view.slot)
        if view.slot == N_SLOTS - 1:
            self._evening(view)

    def _outcomes(self, view: View, observed: Observed) -> None:
        now = self._open.get(view.step)
        if now is not None:
            now.engaged |= observed.sessions[now.who] > 0
        opened = np.flatnonzero(observed.opens)
        for step in np.unique(observed.opened_step[opened]):
            self._mark(int(step), opened[observed.opened_step[opened] == step], "engaged")
        left = np.flatnonzero(observed.opt_outs)
        for step in np.unique(self.block.last_step[left]):
            self._mark(int(step), left[self.block.last_step[left] == step], "opted_out")
        for step in [s for s in self._open if s <= view.step - WINDOW_STEPS]:
            self._close(self._open.pop(step))

    def _mark(self, step: int, who: NDArray[np.intp], what: str) -> None:
        made = self._open.get(step)
        if made is None or not len(made.who):
            return
        place = np.minimum(np.searchsorted(made.who, who), len(made.who) - 1)
        getattr(made, what)[place[made.who[place] == who]] = True

    def _close(self, made: Decisions) -> None:
        for waiting in self._closed.values():
            waiting.append(made)
        if self.block.rules.personal:
            sent = made.sent
            slot = np.full(int(sent.sum()), made.step % N_SLOTS, np.intp)
            expected = np.clip(made.expected[sent].astype(np.float64), 1e-6, 1 - 1e-6)
            self.block.personal.update_pushes(made.who[sent], slot, expected, made.engaged[sent].astype(np.float64))

    # Learning

    def _evening(self, view: View) -> None:
        day = self.block.day
        self._days.append((day.phi, self._used.copy(), day.offset))
        self.block.evening(view.day, self._used)
        if view.weekday == 6:
            self._week(view.day // 7)
            self._days.clear()

    def _week(self, number: int) -> None:
        """Run the rounds that are due after this week of the world."""
        warm = self.settings["warmup"]["weeks"]
        week, rounds = number - warm, self.settings["rounds"]
        if self.variant == "local_only":
            for waiting in self._closed.values():
                waiting.clear()
            return
        if week in rounds["activity_weeks"]:
            self._round("activity", self._activity())
        for head, waiting in self._closed.items():
            if week in rounds[f"{head}_weeks"] and waiting:
                self._round(head, self._pushes(head, _table(waiting, self.block.n)))
                waiting.clear()

    def _round(self, head: str, blocks: Iterator[NDArray[np.float64]]) -> None:
        size = heads.head_size(head)
        dimension = size + size * (size + 1) // 2
        model = self.block.model
        moved = self.sums.round(self._optimisers[head], model.to_parameters(), blocks, dimension)
        self.block.model = Model.from_parameters(moved, version="learned")

    def _activity(self) -> Iterator[NDArray[np.float64]]:
        own, model, week = self.settings["activity"], self.block.model, len(self._days)
        for start in range(0, self.block.n, _BLOCK):
            part = slice(start, start + _BLOCK)
            x = np.stack([phi[part] for phi, _, _ in self._days], axis=1)
            y = np.stack([used[part] for _, used, _ in self._days], axis=1)
            offset = np.stack([o[part] for _, _, o in self._days], axis=1).astype(np.float32)
            bounds = np.arange(len(x) + 1, dtype=np.int64) * week * N_SLOTS
            table = TrainingTable(x.reshape(-1, DIMENSION), (y.reshape(-1) > 0).astype(np.float32), bounds)
            rows = heads.activity_rows(table, model, offset.ravel() if self.block.rules.personal else None)
            yield heads.contribution(rows, own["curvature_scale"], own["rows_scale"])

    def _pushes(self, head: str, table: heads.PushTable) -> Iterator[NDArray[np.float64]]:
        own, make = self.settings[head], heads.PUSH_ROWS[head]
        for start in range(0, table.n_devices, _BLOCK):
            part = _part(table, start, min(start + _BLOCK, table.n_devices))
            yield heads.contribution(make(part, self.block.model), own["curvature_scale"], own["rows_scale"])


def _precision(head: str, own: dict[str, Any]) -> NDArray[np.float64]:
    """How firmly the public start holds each of the head's parameters, (d,)."""
    firm = np.full(heads.head_size(head), float(own["prior_precision"]))
    if head in ("effect", "hazard"):
        firm[0] = own["main_precision"]
        firm[DIMENSION:] = own["main_precision"]
        firm[-3:] = own["dosage_precision"]
    return firm


def _table(made: list[Decisions], n: int) -> heads.PushTable:
    who = np.concatenate([d.who for d in made])
    order = np.argsort(who, kind="stable")

    def column(name: str) -> NDArray[np.float32]:
        return np.concatenate([getattr(d, name) for d in made])[order].astype(np.float32)

    bounds = np.concatenate([[0], np.cumsum(np.bincount(who, minlength=n))]).astype(np.int64)
    names = ("phi", "message", "doses", "offset", "sent", "propensity", "engaged", "opted_out")
    columns = {name: column(name) for name in names}
    return heads.PushTable(**columns, value=np.full(len(who), np.nan, np.float32), bounds=bounds)


def _part(table: heads.PushTable, first: int, last: int) -> heads.PushTable:
    rows = slice(int(table.bounds[first]), int(table.bounds[last]))
    names = ("phi", "message", "doses", "offset", "sent", "propensity", "engaged", "opted_out", "value")
    columns = {name: getattr(table, name)[rows] for name in names}
    return heads.PushTable(**columns, bounds=table.bounds[first : last + 1] - table.bounds[first])


def load_settings() -> dict[str, Any]:
    """Read the committed settings."""
    return tomllib.loads((resources.files("tactful_lab.worlds") / "learner.toml").read_text(encoding="utf-8"))


def make_learner(
    world: World,
    *,
    variant: str = "federated",
    epsilon: float = 4.0,
    delta: float = 1e-6,
    fleet_price_minor: float = 0.0,
    opt_out_cost_minor: float | None = None,
    warmup_weeks: int = 4,
    settings: dict[str, Any] | None = None,
) -> Learner:
    """Make the product's policy for one world.

    Args:
        world: A world at its first step.
        variant: One of `VARIANTS`.
        epsilon: Central ε of one device over the whole rehearsal, warm-up included.
        delta: Its δ.
        fleet_price_minor: ν, what a push costs the fleet.
        opt_out_cost_minor: C_out, by default the world's.
        warmup_weeks: Weeks before the first push, as `rehearse` is told.
        settings: As ``learner.toml``, by default the committed ones.

    Raises:
        InvalidInput: The variant is not known, or a number is out of range.
    """
    if variant not in VARIANTS:
        raise InvalidInput(f"is not known: {variant!r}", field="variant", remedy=f"one of {', '.join(VARIANTS)}")
    base = settings or load_settings()
    chosen = {name: part | VARIANTS[variant].get(name, {}) for name, part in base.items()}
    rounds = sum(len(chosen["rounds"][f"{head}_weeks"]) for head in LEARNED)
    promise = Promise(math.inf if variant == "central" else epsilon, delta, rounds)
    cost = world.parameters.opt_out_cost_minor if opt_out_cost_minor is None else opt_out_cost_minor
    rules = Rules(
        **chosen["policy"],
        opt_out_minor=cost,
        session_minor=world.parameters.session_minor,
        fleet_price_minor=fleet_price_minor,
    )
    model = Model.prior() if variant == "cold_start" else Model.warm_start()
    chosen["warmup"] = {"weeks": warmup_weeks}
    return Learner(world, variant=variant, promise=promise, rules=rules, settings=chosen, model=model)
