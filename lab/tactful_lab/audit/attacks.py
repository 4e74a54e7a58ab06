"""Both attacks, one after the other, and their table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tactful_lab.audit import reconstruction
from tactful_lab.audit.membership import Membership, Scale
from tactful_lab.datasets import completejourney
from tactful_privacy.audit.attacks import AttackRow
from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Attacks:
    """What the attacks found.

    Attributes:
        rows: one for each attack, condition and figure.
        epsilons: central ε of the membership attack; an infinity means no noise.
        scale: of the membership attack.
    """

    rows: tuple[AttackRow, ...]
    epsilons: tuple[float, ...]
    scale: Scale

    @property
    def within_theory(self) -> bool:
        """Whether no attack got more than the theory allows."""
        return all(row.within_theory for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: ``rows`` as `AttackRow.to_dict`, ``within_theory`` and the scale of the attack."""
        return {
            "within_theory": self.within_theory,
            "membership_households": self.scale.households,
            "membership_rounds": self.scale.rounds,
            "membership_shadows": self.scale.shadows,
            "membership_targets": self.scale.targets,
            "delta": self.scale.delta,
            "rows": [row.to_dict() for row in self.rows],
        }


def run_attacks(
    *, phones: int, epsilons: Sequence[float], scale: Scale, progress: Progress = lambda _text: None
) -> Attacks:
    """Run the reconstruction on ``phones`` households and the membership attack at each ε.

    Raises:
        InvalidInput: fewer than 20 phones.
        DatasetMissing: the shopping data are not installed.
    """
    at_least(20, phones=phones)
    at_least(2, households=scale.households, rounds=scale.rounds, shadows=scale.shadows)
    at_least(1, targets=scale.targets)
    for epsilon in epsilons:
        if not epsilon > 0:
            raise InvalidInput(f"is {epsilon}", field="epsilon", remedy="give epsilon > 0, or inf for no noise")
    baskets, _ = completejourney.load()
    at_most = len(baskets.household_ids)
    if max(phones, scale.households) > at_most:
        remedy = f"give at most {at_most}, as many as the data have"
        raise InvalidInput(f"are {phones} and {scale.households}", field="phones, households", remedy=remedy)
    chosen = np.random.default_rng([scale.seed, 3]).permutation(len(baskets.household_ids))[:phones]
    seen = reconstruction.observe(
        baskets, chosen, lambda done: progress(f"reconstruction: phone {done} of {len(chosen)}")
    )
    rows = reconstruction.attack(seen)
    pool = Membership.prepare(baskets, scale)
    for epsilon in epsilons:
        rows += pool.attack(epsilon, progress)
    return Attacks(tuple(rows), tuple(epsilons), scale)
