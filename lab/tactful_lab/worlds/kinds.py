"""The kinds of world: one in which a learner of the product's form is roughly right, four in which it is wrong.

None has the learner's form. The product is linear on the logit scale in dosages with three fixed half-lives; here
opening is a product of factors, fatigue a saturating power of a count that decays with a person's own half-life, and
the hazard a bounded logistic in yet another count.

- ``main``: as above; mild drift.
- ``no_fatigue``: neither opening nor the hazard depends on pushes received. To hold back is to lose.
- ``threshold_fatigue``: nothing is felt up to a personal dose; beyond it opening collapses and the hazard jumps.
- ``positive_habituation``: opening makes opening likelier, and pushes do not tire; the hazard is main's.
- ``heavy_drift``: main, but habits and rates change every few weeks.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tactful_lab.worlds.parameters import Drift, Parameters
from tactful_lab.worlds.people import Floats, People
from tactful_privacy.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Doses:
    """What a set of m persons has received: decayed counts, each (m,).

    Attributes:
        tired: Pushes, decayed with the person's own half-life.
        recent: Pushes, decayed with the hazard's common half-life.
        habit: Opens, decayed with the habituation's half-life.
        who: Index of each in the world, (m,).
    """

    tired: Floats
    recent: Floats
    habit: Floats
    who: NDArray[np.intp]


Factor = Callable[[Doses, People, Parameters], Floats]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of world: factors on the open probability and on the opt-out hazard, and how habits drift."""

    name: str
    opening: Factor
    hazard: Factor
    drift: Callable[[Parameters], Drift]


def saturating(doses: Doses, people: People, parameters: Parameters) -> Floats:
    """1 / (1 + (D / D50)^power)."""
    ratio = doses.tired / people.half_dose[doses.who]
    kept: Floats = 1.0 / (1.0 + ratio ** np.float32(parameters.fatigue.power))
    return kept


def logistic_hazard(doses: Doses, people: People, parameters: Parameters) -> Floats:  # noqa: ARG001 (a Factor)
    """Floor + rise × logistic((E − middle) / width)."""
    p = parameters.opt_out
    factor: Floats = p.floor + p.rise / (1.0 + np.exp((p.middle - doses.recent) / p.width))
    return factor.astype(np.float32)


def one(doses: Doses, people: People, parameters: Parameters) -> Floats:  # noqa: ARG001 (a Factor)
    """No dependence on what was received."""
    return np.ones_like(doses.tired)


def stepped(doses: Doses, people: People, parameters: Parameters) -> Floats:
    """1 up to the personal threshold, ``beyond`` above it."""
    over = doses.tired > people.threshold[doses.who]
    return np.where(over, np.float32(parameters.threshold.beyond), np.float32(1.0))


def stepped_hazard(doses: Doses, people: People, parameters: Parameters) -> Floats:
    """1 up to the personal threshold, ``hazard_beyond`` above it."""
    over = doses.tired > people.threshold[doses.who]
    return np.where(over, np.float32(parameters.threshold.hazard_beyond), np.float32(1.0))


def habituating(doses: Doses, people: People, parameters: Parameters) -> Floats:  # noqa: ARG001 (a Factor)
    """1 + gain × H / (1 + H)."""
    gain = np.float32(parameters.habituation.gain)
    return (1.0 + gain * doses.habit / (1.0 + doses.habit)).astype(np.float32)


def _mild(parameters: Parameters) -> Drift:
    return parameters.drift


def _heavy(parameters: Parameters) -> Drift:
    return parameters.heavy_drift


KINDS = {
    kind.name: kind
    for kind in (
        Kind("main", saturating, logistic_hazard, _mild),
        Kind("no_fatigue", one, one, _mild),
        Kind("threshold_fatigue", stepped, stepped_hazard, _mild),
        Kind("positive_habituation", habituating, logistic_hazard, _mild),
        Kind("heavy_drift", saturating, logistic_hazard, _heavy),
    )
}


def get(name: str) -> Kind:
    """The kind of this name.

    Raises:
        InvalidInput: There is none.
    """
    if name not in KINDS:
        raise InvalidInput(f"is not a kind of world: {name!r}", field="kind", remedy=f"one of {', '.join(KINDS)}")
    return KINDS[name]
