"""Reconstruction: what one contribution says about the hours at which its household shops.

Each household is a phone of its own: a vault, a participant and a real round. The attacker sees the contribution as it
would be (1) without masks and noise, (2) with noise alone, (3) with masks alone, (4) with both, which is what leaves.
It knows half of the households, contributions and true profiles alike, and learns from them a linear map to the profile
from the direction of the contribution in the constant and the slots, which is where an honest reader of the model would
look; the other half is attacked.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tactful.features import FEATURES, SLOT_STARTS
from tactful.federation import ContributionView
from tactful.federation.wiretap import Tap
from tactful.testing import FrozenClock, memory_host
from tactful_lab.datasets.completejourney import N_SLOTS, Baskets
from tactful_lab.slots.federation import LEARN_FROM, ZONE, fill, user_id
from tactful_privacy.audit.attacks import (
    AttackRow,
    fit_linear,
    interval_of_mean,
    mean_correlation,
    predict_linear,
)
from tactful_privacy.validate import at_least

CONDITIONS = ("no masks, no noise", "noise alone", "masks alone", "masks and noise")
RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
_MODULUS = 2**32

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the attacker could see of each household.

    Attributes:
        contributions: per condition, grid units, shape (n, plan.dimension).
        profiles: share of a household's baskets in each slot, shape (n, 7).
    """

    contributions: dict[str, Array]
    profiles: Array


def observe(baskets: Baskets, households: NDArray[np.intp], progress: Callable[[int], None] | None = None) -> Seen:
    """Run every household through a round of its own.

    Args:
        baskets: of all households.
        households: indices of those observed, shape (n,).
        progress: told how many are done.
    """
    rows: dict[str, list[Array]] = {name: [] for name in CONDITIONS}
    for done, view in enumerate(_views(baskets, households), start=1):
        for name, vector in _states(view).items():
            rows[name].append(vector)
        if progress is not None:
            progress(done)
    profiles = np.stack([_profile(baskets, int(index)) for index in households])
    return Seen({name: np.stack(vectors) for name, vectors in rows.items()}, profiles)


def _views(baskets: Baskets, households: NDArray[np.intp]) -> Iterator[ContributionView]:
    for index in households:
        seen: list[ContributionView] = []
        with memory_host(clock=FrozenClock(LEARN_FROM), timezone=ZONE) as host:
            fill(host, baskets, np.array([index]), until=LEARN_FROM)
            Tap(host, user_id(baskets, int(index)), seen.append).run()
        yield seen[0]


def _states(view: ContributionView) -> dict[str, Array]:
    noise = view.noised - view.total
    masked_only = (view.masked - noise) % _MODULUS
    states = (view.total, view.noised, _centred(masked_only), _centred(view.masked))
    return {name: np.asarray(state, dtype=np.float64) for name, state in zip(CONDITIONS, states, strict=True)}


def _centred(residues: NDArray[np.int64]) -> NDArray[np.int64]:
    return (residues + _MODULUS // 2) % _MODULUS - _MODULUS // 2


def _profile(baskets: Baskets, household: int) -> Array:
    mine = (baskets.household == household) & (baskets.slot >= 0) & (baskets.at < np.datetime64(LEARN_FROM.date()))
    counts = np.bincount(baskets.slot[mine], minlength=N_SLOTS).astype(np.float64)
    return np.asarray(counts / max(counts.sum(), 1.0))


def attack(seen: Seen) -> list[AttackRow]:
    """Return, per condition, how well profiles are reconstructed: correlation with the truth, and the favourite slot.

    Raises:
        InvalidInput: fewer than 20 households.
    """
    n = len(seen.profiles)
    at_least(20, households=n)
    half = n // 2
    rows = []
    for condition, vectors in seen.contributions.items():
        looked_at = _direction(vectors)
        weights = _learned(looked_at[:half], seen.profiles[:half])
        found, true = predict_linear(weights, looked_at[half:]), seen.profiles[half:]
        rows += [_correlation(condition, found, true), _favourite(condition, found, true, seen.profiles[:half])]
    return rows


def _direction(vectors: Array) -> Array:
    """Clipping leaves the direction of a contribution, so the attacker looks at that, where slots have a coordinate."""
    names = [feature.name for feature in FEATURES]
    columns = [names.index("always"), *(names.index(f"slot_{hour:02d}") for hour in SLOT_STARTS)]
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors[:, columns] / np.where(length > 0, length, 1.0))


def _learned(vectors: Array, profiles: Array) -> Array:
    """Fit with the ridge that does best on a quarter of what the attacker knows."""
    cut = 3 * len(vectors) // 4

    def error(ridge: float) -> float:
        guess = predict_linear(fit_linear(vectors[:cut], profiles[:cut], ridge), vectors[cut:])
        return float(((guess - profiles[cut:]) ** 2).mean())

    return fit_linear(vectors, profiles, min(RIDGES, key=error))


def _correlation(condition: str, found: Array, true: Array) -> AttackRow:
    values = mean_correlation(found, true)
    low, high = interval_of_mean(values)
    figure = "correlation with the true slot profile"
    return AttackRow("reconstruction", condition, figure, float(values.mean()), low, high, 0.0, None, len(values))


def _favourite(condition: str, found: Array, true: Array, known: Array) -> AttackRow:
    hits = (found.argmax(axis=1) == true.argmax(axis=1)).astype(np.float64)
    low, high = interval_of_mean(hits)
    # Whoever knows only the average household says its favourite slot of everybody.
    chance = float((true.argmax(axis=1) == np.bincount(known.argmax(axis=1)).argmax()).mean())
    figure = "favourite slot found"
    return AttackRow("reconstruction", condition, figure, float(hits.mean()), low, high, chance, None, len(hits))
