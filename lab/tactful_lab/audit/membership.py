"""Membership: from the released model, was this household in the training?

LiRA at the level of a whole household (arXiv:2112.03570). Shadow federations with a random half of the households give,
for each household, the distribution of its log-loss under the released model with and without it; target federations,
run on the product's own path with vaults, participants, secure aggregation and noise, are attacked. The shadows repeat
only the arithmetic, clip, sum, noise and Newton steps, since an attacker may train its shadows as it likes.

The attacker knows every household's data, the hyper-parameters and all the public figures of a plan. It does not know
the coins. That is more than a server or another household knows.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tactful.model import Model
from tactful.training import TrainingTable, build_table
from tactful.training.numpy_trainer import curvatures, gradients, losses
from tactful_lab.datasets.completejourney import FIRST_DAY, Baskets
from tactful_lab.slots import task as slot_task
from tactful_lab.slots.federation import COLLUDERS, Setting, ShopFederation
from tactful_lab.slots.learning import Learning
from tactful_lab.slots.learning import load as load_learning
from tactful_privacy.accounting.calibration import Calibration
from tactful_privacy.audit.attacks import (
    AttackRow,
    auc,
    auc_limit,
    likelihood_ratio,
    true_positive_limit,
    true_positive_rate,
)
from tactful_privacy.errors import InvalidInput
from tactful_privacy.mechanisms.clip import clip
from tactful_privacy.secagg.testing import make_plan, make_roster

LAST_TRAIN = date(2017, 10, 31)
FALSE_POSITIVES = 0.01
BOOTSTRAP = 400
_HOSTS = 5

Array = NDArray[np.float64]
Coins = NDArray[np.bool_]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the attack is.

    Attributes:
        households: in the pool; each is in with probability one half.
        rounds: of every federation.
        shadows: shadow federations.
        targets: attacked federations, each on the real path.
        seed: of pool and coins; privacy noise has none.
    """

    households: int = 160
    rounds: int = 10
    shadows: int = 64
    targets: int = 6
    seed: int = 0
    delta: float = 1e-6


@dataclass(slots=True)
class Membership:
    """The pool, its training rows, and what every run needs."""

    scale: Scale
    baskets: Baskets
    pool: NDArray[np.intp]
    learning: Learning
    table: TrainingTable
    packed: Array

    @classmethod
    def prepare(cls, baskets: Baskets, scale: Scale) -> "Membership":
        """Choose the pool at random and build its rows."""
        pool = np.random.default_rng([scale.seed, 5]).permutation(len(baskets.household_ids))[: scale.households]
        activity = slot_task.build(baskets).activity[pool]
        table = build_table(activity, FIRST_DAY.toordinal(), LAST_TRAIN.toordinal())
        chosen = replace(load_learning(), rounds=scale.rounds)
        packed = curvatures(table, Model.prior().alpha) * (chosen.curvature_scale / chosen.rows_scale)
        return cls(scale, baskets, pool, chosen, table, clip(packed, chosen.clip_norm))

    def attack(self, epsilon: float, progress: Progress) -> list[AttackRow]:
        """Run shadows and targets at that central ε over all rounds (infinite: no noise) and score them."""
        coins = np.random.default_rng([self.scale.seed, 7])
        inside = coins.random((self.scale.shadows + self.scale.targets, self.scale.households)) < 0.5
        statistic = np.empty(inside.shape)
        for run, members in enumerate(inside):
            shadow = run < self.scale.shadows
            alpha = self._shadow(members, epsilon) if shadow else self._target(members, epsilon)
            statistic[run] = losses(self.table, alpha)
            progress(f"membership, ε = {epsilon:g}: {'shadow' if shadow else 'target'} {run + 1} of {len(inside)}")
        usable = np.isfinite(statistic).all(axis=0)
        return self._rows(statistic[:, usable], inside[:, usable], epsilon)

    def _calibration(self, members: int, epsilon: float, task: str) -> tuple[Calibration, int]:
        setting = self._setting(epsilon)
        directory, _ = make_roster(_HOSTS, planned_devices=-(-members // _HOSTS))
        terms = self.learning.terms(
            epsilon=epsilon,
            delta=self.scale.delta,
            rounds=self.scale.rounds,
            n_min=setting.n_min,
            colluders=COLLUDERS,
        )
        size = self.packed.shape[1] if task == "curvature" else self.table.x.shape[1]
        return terms.calibrate(directory, size), _HOSTS

    def _setting(self, epsilon: float) -> Setting:
        return Setting(epsilon=epsilon, rounds=self.scale.rounds, delta=self.scale.delta, hosts=_HOSTS)

    def _shadow(self, members: Coins, epsilon: float) -> Array:
        """The released activity head of a shadow federation, shape (D,)."""
        optimiser, parameters = self.learning.optimiser(self.scale.rounds), Model.prior().to_parameters()
        directory, _ = make_roster(_HOSTS)
        rng, count = np.random.default_rng(), int(members.sum())
        for _ in range(self.scale.rounds):
            task = optimiser.task
            calibration, hosts = self._calibration(count, epsilon, task)
            std = (hosts * calibration.noise_variance_units) ** 0.5 * 2.0**-calibration.grid_exponent
            total = self._contributions(task, Model.from_parameters(parameters).alpha)[members].sum(axis=0)
            mean = (total + std * rng.standard_normal(total.shape)) / count
            plan = make_plan(directory, n_min=self._setting(epsilon).n_min, task=task)
            parameters = optimiser.step(parameters, mean, plan, std / count)
        return Model.from_parameters(parameters).alpha

    def _contributions(self, task: str, alpha: Array) -> Array:
        if task == "curvature":
            return self.packed
        return clip(gradients(self.table, alpha) / self.learning.rows_scale, self.learning.clip_norm)

    def _target(self, members: Coins, epsilon: float) -> Array:
        """The same from a real federation of vaults and participants."""
        baskets = taken(self.baskets, self.pool[members])
        with (
            tempfile.TemporaryDirectory(prefix="tactful-") as folder,
            ShopFederation.build(Path(folder), baskets, self._setting(epsilon), self.learning) as federation,
        ):
            outcomes = [result.outcome for result in federation.run({})]
            if set(outcomes) != {"released"}:
                remedy = "look at the refusals in the log; an attack on no training would find nothing"
                raise InvalidInput(f"rounds ended as {sorted(set(outcomes))}", field="targets", remedy=remedy)
            return federation.model().alpha

    def _rows(self, statistic: Array, inside: Coins, epsilon: float) -> list[AttackRow]:
        shadows = self.scale.shadows
        scores = likelihood_ratio(
            statistic[shadows:],
            np.where(inside[:shadows], statistic[:shadows], np.nan),
            np.where(inside[:shadows], np.nan, statistic[:shadows]),
        )
        truth, mu = inside[shadows:], self._mu(epsilon)
        condition = "no noise" if np.isinf(epsilon) else f"ε = {epsilon:g}"

        def row(figure: str, value: Callable[[Array, Coins], float], chance: float, limit: float) -> AttackRow:
            low, high = _interval(scores, truth, value)
            bound = None if np.isinf(epsilon) else limit
            return AttackRow(
                "membership (LiRA)", condition, figure, value(scores, truth), low, high, chance, bound, truth.size
            )

        return [
            row("AUC", lambda s, m: auc(s.ravel(), m.ravel()), 0.5, auc_limit(mu)),
            row(
                f"true positives at {FALSE_POSITIVES:.0%} false positives",
                lambda s, m: true_positive_rate(s.ravel(), m.ravel(), FALSE_POSITIVES),
                FALSE_POSITIVES,
                true_positive_limit(mu, FALSE_POSITIVES),
            ),
        ]

    def _mu(self, epsilon: float) -> float:
        """μ of the whole run as calibrated: √(2ρ), for a worst case of n_min − t noisy hosts."""
        if np.isinf(epsilon):
            return float("inf")
        calibration, _ = self._calibration(self.scale.households // 2, epsilon, "gradient")
        return float((2.0 * self.scale.rounds * calibration.rho_per_round) ** 0.5)


def _interval(scores: Array, truth: Coins, value: Callable[[Array, Coins], float]) -> tuple[float, float]:
    """95 % bootstrap interval over households, whose runs hang together."""
    rng, n = np.random.default_rng(11), scores.shape[1]
    draws = []
    for _ in range(BOOTSTRAP):
        chosen = rng.integers(n, size=n)
        draws.append(value(scores[:, chosen], truth[:, chosen]))
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def taken(baskets: Baskets, households: NDArray[np.intp]) -> Baskets:
    """The baskets of some households alone, renumbered in rising order."""
    kept = np.sort(households)
    rows = np.isin(baskets.household, kept)
    renumbered = np.searchsorted(kept, baskets.household[rows]).astype(np.int32)
    return Baskets(renumbered, baskets.day[rows], baskets.slot[rows], baskets.at[rows], baskets.household_ids[kept])
