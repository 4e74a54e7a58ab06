"""The fleet price ν: what every device is asked to gain at least by a push, so that the fleet keeps to its volume.

Each device maximises U(k) − νk for itself (`tactful.pacing`); ν is the multiplier of the one shared constraint, mean
pushes of a device-week ≤ target, and moves along the dual's subgradient (Shor 1985; Nedić & Ozdaglar 2009):

    ν ← min(ceiling, max(0, ν + step · k^-decay · τ²/(τ² + σ²) · (n̂ − target))),   k = 1, 2, … counting rounds

n̂ is the noised mean that the round's one sum holds: charged, and all that is looked at. With decay in (½, 1] the steps
are those of Robbins & Monro (1951), so that the noise of n̂ averages out; 0 keeps following a fleet that changes. σ is
the noise in n̂, known from the plan, and the factor τ²/(τ² + σ²) (that of a linear estimator of a deviation of size τ)
shortens a step that would be mostly noise. Where the constraint does not bind, the projection leaves the positive part
of the noise: ν then hovers near 0, a little above it.
"""

import json
from dataclasses import dataclass

from tactful_privacy.errors import InvalidInput
from tactful_privacy.mechanisms.sends import MOST_SENDS
from tactful_privacy.validate import at_least, positive


@dataclass(frozen=True, slots=True)
class PriceState:
    """ν in minor units, and how many rounds have moved it."""

    price_minor: float = 0.0
    rounds: int = 0

    def dump(self) -> bytes:
        """The state, exact."""
        return json.dumps([float(self.price_minor).hex(), self.rounds]).encode()

    @classmethod
    def load(cls, data: bytes) -> "PriceState":
        """Undo `dump`; empty bytes are the state before the first round. Raises `InvalidInput` for anything else."""
        if not data:
            return cls()
        try:
            price, rounds = json.loads(data)
            return cls(float.fromhex(price), int(rounds))
        except (ValueError, TypeError) as error:
            raise InvalidInput(f"unreadable: {error}", field="state", remedy="give what dump() returned") from error


@dataclass(frozen=True, slots=True)
class FleetPrice:
    """The terms of the price.

    Attributes:
        target_per_week: promotional pushes of a planned device in seven days that ν aims at or below.
        step_minor: first step, minor units per push that a device-week is off the target.
        decay: exponent of the shrinking steps, in [0, 1].
        tolerance_per_week: τ, the deviation worth reacting to.
        ceiling_minor: ν never rises above it. Devices have a limit of their own (`fleet_price_ceiling_minor`).
        cap: at most so many pushes of a device are counted; give the devices' ``max_per_week``.
        half_range_share: the statistic's half-range over the clip norm: 0.2 costs 2 % more noise in everything else.
    """

    target_per_week: float
    step_minor: float = 1.0
    decay: float = 0.6
    tolerance_per_week: float = 0.5
    ceiling_minor: float = 10.0
    cap: int = 7
    half_range_share: float = 0.2

    def __post_init__(self) -> None:
        at_least(0, target_per_week=self.target_per_week)
        positive(step_minor=self.step_minor, tolerance_per_week=self.tolerance_per_week)
        positive(ceiling_minor=self.ceiling_minor, half_range_share=self.half_range_share)
        if not 0 <= self.decay <= 1:
            raise InvalidInput(f"is {self.decay}", field="decay", remedy="give 0 <= decay <= 1")
        if not 1 <= self.cap <= MOST_SENDS:
            raise InvalidInput(f"is {self.cap}", field="cap", remedy=f"give 1 to {MOST_SENDS} pushes")

    def step(self, state: PriceState, sends_per_week: float | None, noise_std: float) -> PriceState:
        """Return the state after a round.

        Args:
            state: before it.
            sends_per_week: the noised mean over planned devices; None where the round did not report it: ν stays.
            noise_std: standard deviation of the noise in it, in pushes of a device-week.
        """
        if sends_per_week is None:
            return state
        trust = self.tolerance_per_week**2 / (self.tolerance_per_week**2 + noise_std**2)
        moved = self.step_minor * (state.rounds + 1) ** -self.decay * trust * (sends_per_week - self.target_per_week)
        price = min(self.ceiling_minor, max(0.0, state.price_minor + moved))
        return PriceState(price, state.rounds + 1)
