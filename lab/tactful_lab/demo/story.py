"""What the demonstration does, step by step: the federation, the three incidents, and one household's week."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tactful import Candidate, ErasureReceipt, WeekPlan
from tactful.features import SLOTS
from tactful.federation import ContributionView
from tactful_lab.datasets.completejourney import Baskets
from tactful_lab.slots import trainers
from tactful_lab.slots.federation import LEARN_FROM, Setting, ShopFederation, drop_outs, local_midnight, track, user_id
from tactful_lab.slots.learning import Learning
from tactful_privacy.accounting.zcdp import epsilon as epsilon_of
from tactful_privacy.errors import InvalidInput
from tactful_privacy.ledger import LedgerReport, verify
from tactful_server.federation import RoundResult

DECEMBER = datetime(2017, 12, 1, 13, 5, tzinfo=UTC)
"""Five past eight on the first of December, local time."""
OFFER = Candidate(id="weekend-offer", category="groceries", value_minor=2_500, ttl_s=2 * 86_400)
LOWER_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Options:
    """What a reader may choose. ``seed`` sets splits and drop-outs, never privacy noise.

    ``trainer`` and ``event_noise`` are those of `Setting`.
    """

    epsilon: float
    rounds: int
    hosts: int
    dropout: float
    seed: int
    out: Path
    delta: float = 1e-6
    trainer: str = "numpy"
    event_noise: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise InvalidInput(f"is {self.dropout}", field="dropout", remedy="give a share from 0 to below 1")
        if not 2 <= self.rounds <= 500:
            raise InvalidInput(f"is {self.rounds}", field="rounds", remedy="give 2 to 500")
        if not 3 <= self.hosts <= 50:
            raise InvalidInput(f"is {self.hosts}", field="hosts", remedy="give 3 to 50: one of them may collude")
        if not 0.05 <= self.epsilon <= 100:
            raise InvalidInput(f"is {self.epsilon}", field="epsilon", remedy="give 0.05 to 100")
        if not 0 <= self.seed < 2**32:
            raise InvalidInput(f"is {self.seed}", field="seed", remedy="give a whole number from 0")
        trainers.check(self.trainer, self.event_noise)

    def setting(self) -> Setting:
        """The federation's setting."""
        return Setting(
            epsilon=self.epsilon,
            rounds=self.rounds,
            delta=self.delta,
            hosts=self.hosts,
            seed=self.seed,
            trainer=self.trainer,
            event_noise=self.event_noise,
        )


@dataclass(frozen=True, slots=True)
class RoundRow:
    """One round as the demonstration shows it.

    ``signal`` and ``noise``: lengths of the opened mean update and of the noise within it, model units.
    ``epsilon``: least, median and most spent by the devices so far.
    """

    result: RoundResult
    task: str
    signal: float
    noise: float
    epsilon: tuple[float, float, float]


@dataclass(slots=True)
class Story:
    """Everything that happened. ``event_epsilon``: of one row, apart from a household's ε and never added to it."""

    options: Options
    events: int = 0
    households: int = 0
    rounds: list[RoundRow] = field(default_factory=list)
    shown: ContributionView | None = None
    lower_user: str = ""
    lower_epsilon: float = 0.0
    lower_rounds: int = 0
    erased_user: str = ""
    receipt: ErasureReceipt | None = None
    erased_after: int = 0
    epsilon: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ledger: LedgerReport | None = None
    ledger_path: Path = Path()
    week_user: str = ""
    week: WeekPlan | None = None
    week_scores: NDArray[np.float64] = field(default_factory=lambda: np.zeros((7, SLOTS)))
    decision_text: dict[str, str] = field(default_factory=dict)
    decision_action: str = ""
    alpha: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    model_version: str = ""
    rho_per_round: float = 0.0
    event_epsilon: float | None = None

    @property
    def released(self) -> int:
        """Rounds whose sum was opened."""
        return sum(row.result.outcome == "released" for row in self.rounds)

    @property
    def bytes_up_per_device(self) -> float:
        """Payload bytes from hosts to the server over all rounds, for each household."""
        return sum(sum(row.result.bytes_up.values()) for row in self.rounds) / max(self.households, 1)


class Teller:
    """Runs the story; each step is a method, so that a display can follow."""

    def __init__(self, options: Options, baskets: Baskets, learning: Learning) -> None:
        self.options = options
        self.baskets = baskets
        self.learning = learning
        self.story = Story(options)
        self._views: list[tuple[str, ContributionView]] = []
        self._epsilon_of: dict[Fraction, float] = {}
        self._federation: ShopFederation | None = None

    @property
    def federation(self) -> ShopFederation:
        """The running federation."""
        if self._federation is None:
            raise InvalidInput("is not built", field="federation", remedy="call build() first")
        return self._federation

    def build(self, on_host: Callable[[str, int], None]) -> None:
        """Fill the vaults and choose the two households of the incidents."""
        home = self.options.out / "federation"
        if home.exists():
            shutil.rmtree(home)

        def count(host_id: str, events: int) -> None:
            self.story.events += events
            on_host(host_id, events)

        self._federation = ShopFederation.build(
            home,
            self.baskets,
            self.options.setting(),
            self.learning,
            observe=lambda host_id, view: self._views.append((host_id, view)),
            on_host=count,
        )
        self.story.households = len(self.baskets.household_ids)
        self._choose()

    def _choose(self) -> None:
        hosts = list(self.federation.hosts.values())
        self.story.lower_user = user_id(self.baskets, int(hosts[1].households[0]))
        self.story.erased_user = user_id(self.baskets, int(hosts[2].households[0]))
        self.story.lower_epsilon = self.options.epsilon * LOWER_SHARE
        hosts[1].host.find(self.story.lower_user).set_privacy_budget(self.story.lower_epsilon, self.options.delta)
        active = np.bincount(self.baskets.household, minlength=self.story.households)[hosts[0].households]
        ranked = hosts[0].households[np.argsort(active, kind="stable")]
        self.story.week_user = user_id(self.baskets, int(ranked[int(0.9 * len(ranked))]))

    def run(self) -> Iterator[RoundRow]:
        """Run the rounds; halfway one household erases itself."""
        halfway = self.options.rounds // 2
        away = drop_outs(self.options.setting(), self.options.dropout)
        for result in self.federation.run(away):
            row = self._row(result)
            self.story.rounds.append(row)
            if result.round_number == halfway:
                self._erase(halfway)
            yield row
        spent = self.federation.hosts["host-2"].host.find(self.story.lower_user).privacy_budget()
        self.story.lower_rounds = spent.rounds_joined
        self.story.epsilon = self.story.rounds[-1].epsilon

    def _erase(self, after: int) -> None:
        device = self.federation.hosts["host-3"].host.find(self.story.erased_user)
        self.story.receipt, self.story.erased_after = device.erase(), after

    def _row(self, result: RoundResult) -> RoundRow:
        views, self._views = self._views, []
        if not views:
            return RoundRow(result, "", 0.0, 0.0, self._epsilons())
        plan = views[0][1].plan
        if plan.task == "gradient" and self.story.shown is None:
            self.story.shown = views[0][1]
        signal = noise = 0.0
        if result.total is not None:
            size = plan.dimension - len(plan.statistics)
            scale = plan.grid / result.planned_devices
            signal = float(np.linalg.norm(result.total[:size].astype(np.float64))) * scale
            noise = (len(result.survivors) * plan.noise_variance_units * size) ** 0.5 * scale
        self.story.rho_per_round = float(plan.rho)
        return RoundRow(result, plan.task, signal, noise, self._epsilons())

    def _epsilons(self) -> tuple[float, float, float]:
        spent = [
            self._epsilon(shop.host.rounds.account(number).spent)
            for shop in self.federation.hosts.values()
            for number in shop.host.vault.device_ids()
        ]
        return min(spent), float(np.median(spent)), max(spent)

    def _epsilon(self, rho: Fraction) -> float:
        if rho not in self._epsilon_of:
            self._epsilon_of[rho] = epsilon_of(rho, self.options.delta) if rho else 0.0
        return self._epsilon_of[rho]

    def week(self) -> None:
        """Bring one household to the first of December and ask its device for the coming week."""
        shop, clock = self.federation.hosts["host-1"], self.federation.clock
        clock.set(DECEMBER)
        names = {user_id(self.baskets, int(index)): int(index) for index in shop.households}
        chosen = [names[self.story.week_user]]
        track(shop.host, self.baskets, chosen, since=LEARN_FROM, until=local_midnight(date(2017, 12, 1)))
        device = shop.host.find(self.story.week_user)
        self.story.week = device.week_plan([OFFER])
        decision = device.decide([OFFER])
        self.story.decision_action = decision.action
        self.story.decision_text = {lang: decision.text(lang) for lang in ("en", "zh")}
        view = device.view()
        if view.phi is not None:
            layer = view.personal
            logits = view.model.activity_logit(view.phi[:7]) + layer.activity_intercept + layer.activity_slots
            self.story.week_scores = 1.0 / (1.0 + np.exp(-logits))

    def close(self) -> None:
        """Take model and ledger over, verify the ledger, and close all vaults."""
        federation = self.federation
        model = federation.model()
        self.story.alpha, self.story.model_version = model.alpha, model.version
        self.story.ledger_path = federation.server.ledger_path
        self.story.ledger = verify(self.story.ledger_path, federation.server.office.ledger.head)
        if self.options.event_noise:
            level = trainers.event_level(self.options.event_noise)
            self.story.event_epsilon = level.report(rounds=len(self.story.rounds), delta=self.options.delta).epsilon
        federation.close()
