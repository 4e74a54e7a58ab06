"""What share of the gain do small cohorts keep, beside what `accounting.signal` foretells?

Arithmetic only: the product's trainer, clip, calibration and optimiser on shopping households, with Gaussian noise of
the planned size in place of the protocol's, as in the shadows of `tactful_lab.audit.membership`. The gain is in
log-loss on households that took no part, from the public prior to what 1,500 households reach without noise. ``run()``
is what `make bench SUITE=cohort` writes; it takes two minutes.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks._harness import Row
from tactful.model import Model
from tactful.training.numpy_trainer import gradients, losses
from tactful_lab.audit.membership import Membership, Scale
from tactful_lab.datasets import completejourney
from tactful_privacy.accounting.signal import ALIGNMENT, Outlook, outlook_of
from tactful_privacy.mechanisms.clip import clip
from tactful_privacy.secagg.testing import make_plan, make_roster
from tactful_server.plans import RoundTerms

Array = NDArray[np.float64]
_ROUNDS, _HOSTS, _TAUGHT, _HOUSEHOLDS, _SEEDS = 30, 5, 1500, 2297, 9
_CASES = ((50, 1.0), (50, 2.0), (100, 1.0), (100, 2.0), (200, 2.0), (400, 2.0), (_TAUGHT, 4.0))


@dataclass(slots=True)
class _Shop:
    """The households, and the log-loss of those that take no part."""

    world: Membership
    unseen: NDArray[np.intp]

    def loss(self, alpha: Array) -> float:
        return float(np.nanmean(losses(self.world.table.select(self.unseen), alpha)))

    def terms(self, epsilon: float) -> RoundTerms:
        return self.world.learning.terms(epsilon=epsilon, delta=1e-6, rounds=_ROUNDS, n_min=4, colluders=1)

    def train(self, households: int, epsilon: float, seed: int) -> tuple[Array, list[float]]:
        """The released activity head, and each gradient round's norm of the mean over the clip norm."""
        learning, rng = self.world.learning, np.random.default_rng([seed, households])
        chosen = rng.permutation(_TAUGHT)[:households]
        table, packed = self.world.table.select(chosen), self.world.packed[chosen]
        optimiser, parameters, norms = learning.optimiser(_ROUNDS), Model.prior().to_parameters(), []
        directory, _ = make_roster(_HOSTS, planned_devices=-(-households // _HOSTS))
        for _ in range(_ROUNDS):
            task, alpha = optimiser.task, Model.from_parameters(parameters).alpha
            sums = (
                packed
                if task == "curvature"
                else clip(gradients(table, alpha) / learning.rows_scale, learning.clip_norm)
            )
            mean = sums.mean(axis=0)
            if task == "gradient":
                norms.append(float(np.linalg.norm(mean)) / learning.clip_norm)
            found = self.terms(epsilon).calibrate(directory, mean.size)
            std = math.ldexp(math.sqrt(_HOSTS * found.noise_variance_units), -found.grid_exponent) / households
            plan = make_plan(directory, n_min=4, task=task)
            parameters = optimiser.step(parameters, mean + std * rng.standard_normal(mean.size), plan, std)
        return Model.from_parameters(parameters).alpha, norms

    def outlook(self, households: int, epsilon: float) -> Outlook:
        directory, _ = make_roster(_HOSTS, planned_devices=households // _HOSTS)
        terms = self.terms(epsilon)
        size = Model.prior().alpha.size
        found = terms.calibrate(directory, size)
        return outlook_of(found, devices=households, survivors=_HOSTS, dimension=size, clip_norm=terms.clip_norm)


def _open() -> _Shop:
    baskets, _ = completejourney.load()
    world = Membership.prepare(baskets, Scale(households=_HOUSEHOLDS, rounds=_ROUNDS))
    return _Shop(world, np.arange(_TAUGHT, _HOUSEHOLDS))


def run() -> list[Row]:
    """The measured alignment, then for each cohort the share of the gain that is kept, beside the foretold one.

    The median of nine runs: the fewer the households, the wilder the noisy curvature lets a run go.
    """
    shop = _open()
    start = shop.loss(Model.prior().alpha)
    best, norms = shop.train(_TAUGHT, math.inf, 0)
    gain = start - shop.loss(best)
    rows = [Row("alignment in the first gradient round", norms[0], "fraction", "reckoned with", ALIGNMENT)]
    for households, epsilon in _CASES:
        losses_after = [shop.loss(shop.train(households, epsilon, seed)[0]) for seed in range(_SEEDS)]
        kept = (start - np.median(losses_after)) / gain
        seen = shop.outlook(households, epsilon)
        name = f"{households} households, ε = {epsilon:g}, signal to noise {seen.signal_to_noise:.2g}: gain kept"
        rows.append(Row(name, float(kept), "fraction", "foretold", seen.share_learned))
    return rows


if __name__ == "__main__":
    for row in run():
        print(f"{row.name:72} {row.value:8.3f} {row.reference} {row.reference_value:.3f}")
