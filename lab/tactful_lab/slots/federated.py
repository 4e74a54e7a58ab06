"""One federated run for the results table: real vaults, participants, secure aggregation and noise."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tactful_lab.datasets.completejourney import Baskets
from tactful_lab.slots import learning
from tactful_lab.slots.baselines import Scores
from tactful_lab.slots.federation import Setting, ShopFederation
from tactful_lab.slots.scores import model_scores
from tactful_lab.slots.task import SlotTask, Split


@dataclass(frozen=True, slots=True, eq=False)
class FederatedRun:
    """What a federation learned.

    Attributes:
        task: the households.
        alpha: the released activity head, shape (D,).
        released: rounds that were released.
    """

    task: SlotTask
    alpha: NDArray[np.float64]
    released: int

    def scores(self, split: Split, *, personal: bool) -> Scores:
        """Probabilities, shape (N, days of the split, 7); see `model_scores`."""
        return model_scores(self.task, self.alpha, split, personal=personal)


def run_federated(
    task: SlotTask,
    baskets: Baskets,
    *,
    epsilon: float,
    seed: int,
    delta: float = 1e-6,
    trainer: str = "numpy",
    rounds: int | None = None,
) -> FederatedRun:
    """Run a whole federation in a temporary directory.

    Args:
        task: the households.
        baskets: the same ones'.
        epsilon: central ε over all rounds.
        seed: of the split over hosts, never of the noise.
        delta: the δ beside it.
        trainer: of the hosts, by name.
        rounds: how many; as tuned by default.
    """
    chosen = learning.load()
    setting = Setting(epsilon=epsilon, delta=delta, rounds=rounds or chosen.rounds, seed=seed, trainer=trainer)
    with (
        tempfile.TemporaryDirectory(prefix="tactful-") as folder,
        ShopFederation.build(Path(folder), baskets, setting, chosen) as federation,
    ):
        released = sum(result.outcome == "released" for result in federation.run({}))
        return FederatedRun(task, federation.model().alpha, released)
