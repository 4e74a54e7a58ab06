"""The persons of a world: what each is like, drawn once from a seed, the same for every kind of world."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tactful_lab.worlds.parameters import Parameters

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

SLOT_H, NIGHT_H = 2.0, 12.0
"""Hours from the start of a slot to the next slot's: two by day, twelve from 20:00 to 8:00."""


@dataclass(slots=True, eq=False)
class People:
    """Arrays over N persons; drift changes ``rate``, ``share`` and what follows from them, nothing else changes.

    Attributes:
        rate: Organic sessions per day, (N,).
        share: Shares of the seven slots, (7, N), each column sums to 1.
        open_base: Open probability when rested, in an average slot, (N,).
        margin_minor: Margin of an order, (N,).
        half_life_d: Recovery time of fatigue, (N,).
        half_dose: Dose that halves opening, (N,).
        threshold: Dose beyond which a threshold world's person is tired, (N,).
        irritability: Factor on the opt-out hazard, mean 1, (N,).
        opted_in: Whether pushes are allowed at the start, (N,).
    """

    rate: Floats
    share: Floats
    open_base: Floats
    margin_minor: Floats
    half_life_d: Floats
    half_dose: Floats
    threshold: Floats
    irritability: Floats
    opted_in: Bools


def draw(n: int, parameters: Parameters, random: np.random.Generator) -> People:
    """Draw n persons."""
    p = parameters
    mean_rate = p.habits.baskets_per_day * p.organic.sessions_per_basket
    rate = draw_rates(n, parameters, random)
    open_base = p.opening.base * _spread(n, p.opening.base_log_sd, random)
    return People(
        rate=rate,
        share=draw_shares(n, parameters, random),
        open_base=(open_base * (rate / mean_rate) ** p.opening.activity_power).astype(np.float32),
        margin_minor=p.organic.margin_minor * _spread(n, p.organic.margin_log_sd, random, mean_one=True),
        half_life_d=p.fatigue.half_life_d * _spread(n, p.fatigue.half_life_log_sd, random),
        half_dose=p.fatigue.half_dose * _spread(n, p.fatigue.half_dose_log_sd, random),
        threshold=p.threshold.threshold * _spread(n, p.threshold.threshold_log_sd, random),
        irritability=_spread(n, p.opt_out.person_log_sd, random, mean_one=True),
        opted_in=random.random(n) < p.reach.opt_in,
    )


def draw_rates(n: int, parameters: Parameters, random: np.random.Generator) -> Floats:
    """Organic sessions per day of n persons, (n,), from the fitted gamma law."""
    mean = parameters.habits.baskets_per_day * parameters.organic.sessions_per_basket
    return random.gamma(parameters.habits.rate_shape, mean / parameters.habits.rate_shape, size=n).astype(np.float32)


def draw_shares(n: int, parameters: Parameters, random: np.random.Generator) -> Floats:
    """Slot shares of n persons, (7, n), from the fitted Dirichlet law."""
    alpha = parameters.habits.slot_concentration * np.array(parameters.habits.slot_share)
    return np.ascontiguousarray(random.dirichlet(alpha, size=n).T.astype(np.float32))


def decay(half_life_d: Floats | float, hours: float) -> Floats:
    """Factor by which a decayed count falls in some hours."""
    factor: Floats = np.exp2(np.float32(-hours / 24.0) / np.asarray(half_life_d, dtype=np.float32))
    return factor


def _spread(n: int, log_sd: float, random: np.random.Generator, *, mean_one: bool = False) -> Floats:
    """Log-normal factors (n,) with median 1, or with mean 1."""
    shift = -(log_sd**2) / 2 if mean_one else 0.0
    return np.exp(shift + log_sd * random.standard_normal(n)).astype(np.float32)
