"""A federation of shopping households: vaults, participants, Flower apps and the server, all of them the product's own.

Each host keeps the events of its households in an encrypted vault and takes part through the real participant; the
server's rounds run over Flower's message API in this process. Nothing is bypassed and nothing is simulated except the
weather: which host is away in which round.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tactful import Host
from tactful.federation import ContributionView, ParticipationPolicy, RoundParticipant
from tactful.federation.flower import client_app
from tactful.federation.vault_round import VaultRound
from tactful.model import Model
from tactful.testing import FrozenClock
from tactful.training import TASKS
from tactful_lab.datasets.completejourney import Baskets
from tactful_lab.slots import trainers
from tactful_lab.slots.learning import Learning
from tactful_privacy.errors import InvalidInput
from tactful_privacy.wire import HostEntry, sign
from tactful_server.federation import Exchange, Fault, Federation, RoundResult
from tactful_server.service import ModelSpec

ZONE = "America/New_York"
LEARN_FROM = datetime(2017, 11, 1, 5, tzinfo=UTC)
"""One in the night of 1 November 2017, local time: finished days, which alone are learned from, end on 31 October."""
COLLUDERS = 1
PURPOSES = ("on_device_personalisation", "federated_learning", "marketing_push")
POLICY_VERSION = "rehearsal-2017"

Observe = Callable[[str, ContributionView], None]


def smallest_quorum(n_hosts: int, colluders: int = COLLUDERS) -> int:
    """n_min, the least number of survivors for which 2·n_min > n + t."""
    return (n_hosts + colluders) // 2 + 1


@dataclass(frozen=True, slots=True)
class Setting:
    """What a run is: its promise, its size and its seeds.

    Attributes:
        epsilon: central ε over all rounds, infinite for a rehearsal without noise.
        delta: the δ beside it.
        rounds: how many rounds.
        hosts: how many hosts hold the households.
        seed: of the split of households over hosts; privacy noise has no seed.
        trainer: which one the hosts use, by name; see `trainers.NAMES`.
        event_noise: multiplier of the event-level noise which devices add before, by that trainer; 0 for none.
    """

    epsilon: float
    rounds: int
    delta: float = 1e-6
    hosts: int = 5
    seed: int = 0
    trainer: str = "numpy"
    event_noise: float = 0.0

    def __post_init__(self) -> None:
        if self.hosts < 3:
            raise InvalidInput(f"is {self.hosts}", field="hosts", remedy="use at least 3, since one may collude")
        if not self.epsilon > 0:
            raise InvalidInput(f"is {self.epsilon}", field="epsilon", remedy="give epsilon > 0")
        if self.rounds < 2:
            raise InvalidInput(f"is {self.rounds}", field="rounds", remedy="use at least 2")
        trainers.check(self.trainer, self.event_noise)

    @property
    def n_min(self) -> int:
        """Survivors without which nothing is opened."""
        return smallest_quorum(self.hosts)


@dataclass(slots=True)
class ShopHost:
    """One host: its vault, the households in it, and how it takes part."""

    host_id: str
    host: Host
    households: NDArray[np.intp]
    round_side: VaultRound
    participant: RoundParticipant


@dataclass(slots=True)
class ShopFederation:
    """Open with `build`; run with `run`; close it, or use it as a context manager."""

    setting: Setting
    server: Federation
    hosts: dict[str, ShopHost]
    clock: FrozenClock
    stack: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def build(
        cls,
        root: Path,
        baskets: Baskets,
        setting: Setting,
        learning: Learning,
        *,
        observe: Observe | None = None,
        on_host: Callable[[str, int], None] | None = None,
    ) -> Self:
        """Fill the vaults with every basket before November, start the server and enrol the hosts.

        Args:
            root: an empty or new directory.
            baskets: of all households.
            setting: of this run.
            learning: hyper-parameters.
            observe: sees each host's contribution before it leaves (host id, view).
            on_host: told (host id, events stored) when a vault is full.
        """
        stack = ExitStack()
        try:
            return cls._build(stack, root, baskets, setting, learning, observe, on_host)
        except BaseException:
            stack.close()
            raise

    @classmethod
    def _build(
        cls,
        stack: ExitStack,
        root: Path,
        baskets: Baskets,
        setting: Setting,
        learning: Learning,
        observe: Observe | None,
        on_host: Callable[[str, int], None] | None,
    ) -> Self:
        clock = FrozenClock(LEARN_FROM)
        server = stack.enter_context(_server(root, setting, learning))
        hosts: dict[str, ShopHost] = {}
        for host_id, households in split(len(baskets.household_ids), setting).items():
            host = stack.enter_context(_open_host(root, host_id, clock, setting))
            stored = fill(host, baskets, households, until=LEARN_FROM)
            if on_host is not None:
                on_host(host_id, stored)
            hosts[host_id] = _join(server, host_id, host, households, setting, observe)
        return cls(setting, server, hosts, clock, stack)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the vaults and the server."""
        self.stack.close()

    def run(self, away: Mapping[int, tuple[str, str]], rounds: int | None = None) -> Iterator[RoundResult]:
        """Run the rounds.

        Args:
            away: round number → (host id, stage at which it falls silent).
            rounds: how many; all by default.
        """

        def weather(exchange: Exchange) -> Fault | None:
            gone = away.get(exchange.round_number)
            silent = gone is not None and exchange.host_id == gone[0] and not _before(exchange.stage, gone[1])
            return Fault.LOSE_REQUEST if silent else None

        apps = {shop.host_id: client_app(_always(shop.participant)) for shop in self.hosts.values()}
        yield from self.server.run(apps, rounds=rounds or self.setting.rounds, faults=weather)

    def model(self) -> Model:
        """The newest released model, verified."""
        return Model.from_artifact(self.server.model())


def _always(participant: RoundParticipant) -> Callable[[object], RoundParticipant]:
    return lambda _context: participant


STAGE_ORDER = ("keys", "shares", "contribution", "sign", "unmask")


def _before(stage: str, gone: str) -> bool:
    return stage not in STAGE_ORDER or STAGE_ORDER.index(stage) < STAGE_ORDER.index(gone)


def split(n_households: int, setting: Setting) -> dict[str, NDArray[np.intp]]:
    """Deal the households out to the hosts at random by the setting's seed; each host's indices in rising order."""
    order = np.random.default_rng([setting.seed, 17]).permutation(n_households)
    parts = np.array_split(order, setting.hosts)
    return {f"host-{number}": np.sort(part) for number, part in enumerate(parts, start=1)}


def drop_outs(setting: Setting, share: float) -> dict[int, tuple[str, str]]:
    """Which host falls silent at which stage, in about ``share`` of the rounds, by the setting's seed."""
    rng = np.random.default_rng([setting.seed, 23])
    away: dict[int, tuple[str, str]] = {}
    for number in range(1, setting.rounds + 1):
        gone, host, stage = rng.random() < share, rng.integers(setting.hosts), rng.integers(len(STAGE_ORDER))
        if gone:
            away[number] = (f"host-{host + 1}", STAGE_ORDER[stage])
    return away


def _server(root: Path, setting: Setting, learning: Learning) -> Federation:
    spec = ModelSpec("slots", Model.layout(), Model.prior().to_parameters(), Model.feature_units())
    terms = learning.terms(
        epsilon=setting.epsilon,
        delta=setting.delta,
        rounds=setting.rounds,
        n_min=setting.n_min,
        colluders=COLLUDERS,
    )
    if setting.event_noise:
        terms = replace(terms, statistics=())  # a reported loss would carry no event-level noise
    return Federation.open(
        root / "server", "shop", terms=terms, model=spec, optimiser=learning.optimiser(setting.rounds)
    )


def _open_host(root: Path, host_id: str, clock: FrozenClock, setting: Setting) -> Host:
    home = root / host_id
    home.mkdir(parents=True, exist_ok=True)
    # A rehearsal without noise spends nothing, whatever the ceiling.
    budget = (4.0 if np.isinf(setting.epsilon) else setting.epsilon, setting.delta)
    return Host.open(home / "vault.db", keys="file:host.key", clock=clock, timezone=ZONE, privacy_budget=budget)


def _policy(setting: Setting) -> ParticipationPolicy:
    rehearsal = np.isinf(setting.epsilon)
    return ParticipationPolicy(
        n_min=setting.n_min,
        colluders=COLLUDERS,
        epsilon=setting.epsilon,
        delta=setting.delta,
        participations=setting.rounds,
        modes=("distributed", "rehearsal-no-noise") if rehearsal else ("distributed",),
        tasks=TASKS,
        federation="shop",
        rehearsal=bool(rehearsal),
    )


def _join(
    server: Federation,
    host_id: str,
    host: Host,
    households: NDArray[np.intp],
    setting: Setting,
    observe: Observe | None,
) -> ShopHost:
    side = VaultRound(
        host,
        host_id=host_id,
        server_key=server.server_key,
        policy=_policy(setting),
        trainer=trainers.build(setting.trainer, setting.event_noise),
    )
    side.install(server.signed_model())
    public = side.identity_key.public_key().public_bytes_raw()
    server.enrol(sign(HostEntry(host_id, public, len(households)), side.identity_key))
    watch = None if observe is None else (lambda view: observe(host_id, view))
    return ShopHost(host_id, host, households, side, RoundParticipant(side, watch))


def user_id(baskets: Baskets, household: int) -> str:
    """The name by which the app knows a household."""
    return f"household-{int(baskets.household_ids[household])}"


def fill(host: Host, baskets: Baskets, households: NDArray[np.intp], *, until: datetime) -> int:
    """Enrol the households with consent and record every basket before ``until``; return the number of events."""
    users = {int(index): user_id(baskets, int(index)) for index in households}
    host.enrol_many(users.values(), timezone=ZONE, consents=PURPOSES, policy_version=POLICY_VERSION)
    return track(host, baskets, households, since=None, until=until)


def track(
    host: Host,
    baskets: Baskets,
    households: Sequence[int] | NDArray[np.intp],
    *,
    since: datetime | None,
    until: datetime,
) -> int:
    """Record the baskets of some households that start in [since, until) as purchases; return how many."""
    users = {int(index): user_id(baskets, int(index)) for index in households}
    at = baskets.at.astype("datetime64[us]")
    chosen = np.isin(baskets.household, list(users)) & (at < np.datetime64(until.replace(tzinfo=None)))
    if since is not None:
        chosen &= at >= np.datetime64(since.replace(tzinfo=None))
    rows = np.nonzero(chosen)[0]
    rows = rows[np.argsort(at[rows], kind="stable")]
    moments = [moment.replace(tzinfo=UTC) for moment in at[rows].tolist()]
    owners = [users[int(index)] for index in baskets.household[rows]]
    host.track_many((user, "purchase", moment, {}) for user, moment in zip(owners, moments, strict=True))
    return len(rows)


def local_midnight(day: date) -> datetime:
    """05:00 UTC of that date: after midnight in New York in winter, before anybody shops."""
    return datetime(day.year, day.month, day.day, 5, tzinfo=UTC)
