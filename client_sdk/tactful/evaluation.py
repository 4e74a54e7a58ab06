"""What a round of the task ``evaluate`` asks of a device: clipped sums from which a server values other policies.

A device looks at its own logged decisions at which chance decided. For each decision it knows whether it sent (a), the
logged probability of a send (p) and what followed; its reward is r = ``reward_engaged``·(engaged) +
``reward_opted_out``·(opted out). A target policy is *public*, a form and a number on the plan, from which the device
works out the probability q of a send, and the weight w = q/p of a send, (1 − q)/(1 − p) of none:

``fixed``
    q is the number.
``odds``
    q/(1 − q) = number · p/(1 − p): pushes rarer or more frequent where they are now (Kennedy, JASA 2019). Its
    weights are at most max(number, 1/number): the one form that always has support.
``price``
    q = floor + (ceiling − floor)·σ((score − number)/softness) with the public model's score of the push in minor
    units: what a fleet price of that much would do.

Nothing here runs code that a server sent; a form that is not known is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tactful.training.protocol import UnknownTask
from tactful_privacy.validate import at_least, positive
from tactful_privacy.wire import Block

Floats = NDArray[np.float64]
TASK: Final = "evaluate"
FORMS: Final = ("fixed", "odds", "price")
MOST_TARGETS: Final = 16
LONGEST_WINDOW_D: Final = 7
_LIMIT = 1e9  # of any number on a plan: above it a sum might not be finite
_TARGET = "target"

SHARED: Final[Mapping[str, float]] = {
    "decisions": 0.7,
    "reward": 1.0,
    "reward_square": 0.5,
    "devices": 0.2,
    "clipped": 0.2,
    "lost_decisions": 0.2,
}
"""Coordinates that all targets share, and the half-range of each before all are scaled to one clip norm."""
EACH: Final[Mapping[str, float]] = {
    "value": 1.0,
    "gain": 1.0,
    "weight": 0.7,
    "snips_square": 0.5,
    "ips_square": 0.5,
    "dr_square": 0.5,
    "gain_square": 0.5,
    "weight_square": 0.2,
    "lost_weight": 0.2,
}
"""Coordinates of each target."""


@dataclass(frozen=True, slots=True)
class Target:
    """A policy to be valued: a form out of `FORMS` and its number."""

    form: str
    number: float

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise UnknownTask(f"{self.form!r} is no policy", field=_TARGET, remedy=f"use one of {', '.join(FORMS)}")
        upper = 1.0 if self.form == "fixed" else _LIMIT
        lower = -_LIMIT if self.form == "price" else 0.0
        if not lower <= self.number <= upper:
            remedy = f"give a number from {lower:g} to {upper:g}"
            raise UnknownTask(f"{self.form} {self.number!r} is out of range", field=_TARGET, remedy=remedy)

    @property
    def name(self) -> str:
        """Form and number: ``odds:0.5``."""
        return f"{self.form}:{self.number:g}"

    def probability(self, propensity: Floats, score: Floats | None, spec: "EvaluationSpec") -> Floats:
        """The probability q of a send at each decision, (rows,), from its logged one and the model's score.

        Raises:
            UnknownTask: a price, and decisions without a score.
        """
        if self.form == "fixed":
            return np.full(len(propensity), self.number)
        if self.form == "odds":
            odds = self.number * propensity
            return np.asarray(odds / (odds + 1.0 - propensity))
        if score is None:
            remedy = "ask for fixed or odds, or release a model that has learned the effect of a push"
            raise UnknownTask("needs a score of every decision", field=_TARGET, remedy=remedy)
        sure = 0.5 * (1.0 + np.tanh(0.5 * (score - self.number) / spec.softness_minor))
        return np.asarray(spec.floor + (spec.ceiling - spec.floor) * sure)


@dataclass(frozen=True, slots=True)
class EvaluationSpec:
    """The public numbers of an evaluation.

    Attributes:
        targets: the policies, at most 16.
        decisions_cap: decisions of one device that count in full; 2·this bounds its weights.
        reward_cap: bound of a device's summed reward, plain or weighted.
        gain_cap: bound of a device's summed gain over the logged policy, which is smaller: the smaller, the less noise.
        weight_cap: w above it counts as this.
        window_d: 0: each weight stands alone, for policies whose choice now does not change what comes next. 1 to 7:
            products of the weights since the start of the window of so many days.
        history_d: days of decisions that are looked at.
        reward_engaged: reward of an engagement, that of nothing being 0.
        reward_opted_out: reward of an opt-out, at most 0 as a rule.
        predicted_stay: expected reward without a push; any number is valid.
        predicted_send: the same with a push.
        model_predicts: 1: the public model's predictions (`tactful.evaluation_model`) take the place of the two.
        reference: a value per decision near what is expected: squares of (reward − reference·decisions) are smallest
            there, and so are the intervals.
        value_minor: of an engagement, in a score.
        opt_out_cost_minor: of a lost permission, in a score.
        softness_minor: of ``price``.
        floor: least probability of a send under ``price``.
        ceiling: greatest one.
    """

    targets: tuple[Target, ...]
    decisions_cap: float = 28.0
    reward_cap: float = 5.0
    gain_cap: float = 2.0
    weight_cap: float = 20.0
    window_d: int = 0
    history_d: int = 28
    reward_engaged: float = 1.0
    reward_opted_out: float = 0.0
    predicted_stay: float = 0.0
    predicted_send: float = 0.0
    model_predicts: int = 0
    reference: float = 0.0
    value_minor: float = 1_000.0
    opt_out_cost_minor: float = 200.0
    softness_minor: float = 1.0
    floor: float = 0.05
    ceiling: float = 0.8

    def __post_init__(self) -> None:
        names = {target.name for target in self.targets}
        if not 1 <= len(self.targets) <= MOST_TARGETS or len(names) < len(self.targets):
            remedy = f"name 1 to {MOST_TARGETS} policies, each once"
            raise UnknownTask(f"has {len(self.targets)} policies", field="targets", remedy=remedy)
        positive(decisions_cap=self.decisions_cap, reward_cap=self.reward_cap, gain_cap=self.gain_cap)
        positive(softness_minor=self.softness_minor)
        at_least(1, weight_cap=self.weight_cap, history_d=self.history_d)
        if not 0 <= self.window_d <= LONGEST_WINDOW_D:
            raise UnknownTask(f"is {self.window_d}", field="window_d", remedy="give 0 to 7 days")
        if not 0 <= self.floor <= self.ceiling <= 1:
            raise UnknownTask("is not below the ceiling", field="floor", remedy="give 0 <= floor <= ceiling <= 1")
        if any(abs(getattr(self, name)) > _LIMIT for name in _NUMBERS):
            raise UnknownTask(f"holds a number above {_LIMIT:g}", field="settings", remedy="choose smaller units")

    @property
    def needs_model(self) -> bool:
        """Whether the public model must look at each decision."""
        return bool(self.model_predicts) or any(target.form == "price" for target in self.targets)

    # On a plan

    def to_settings(self) -> tuple[tuple[str, Fraction], ...]:
        """The numbers as a plan carries them, sorted by name: ``target.0.odds`` is 1/2, and so on."""
        told = {name: getattr(self, name) for name in _NUMBERS}
        told |= {f"{_TARGET}.{k:02d}.{target.form}": target.number for k, target in enumerate(self.targets)}
        return tuple(sorted((name, _rational(value)) for name, value in told.items()))

    @classmethod
    def from_settings(cls, settings: Sequence[tuple[str, Fraction]]) -> "EvaluationSpec":
        """Read a plan's settings; what it does not say takes its default.

        Raises:
            UnknownTask, InvalidInput: a name is not known, or a number out of range.
        """
        numbers: dict[str, float | int] = {}
        targets: list[Target] = []
        for name, value in sorted(settings):
            kind, _, rest = name.partition(".")
            if kind == _TARGET:
                targets.append(Target(rest.rpartition(".")[2], float(value)))
            elif name in _NUMBERS:
                numbers[name] = round(value) if name in _WHOLE else float(value)
            else:
                raise UnknownTask(f"{name!r} is not known", field="settings", remedy="install the SDK it is for")
        return cls(tuple(targets), **numbers)  # type: ignore[arg-type]  # whole numbers where _WHOLE says so

    # The shape of a contribution

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Name of each coordinate: those of `SHARED`, then ``value.0``, ``gain.0``, … for each target."""
        return (*SHARED, *(f"{name}.{k}" for k in range(len(self.targets)) for name in EACH))

    @property
    def layout(self) -> tuple[Block, ...]:
        """The one block of a contribution."""
        return (Block(TASK, len(self.coordinates)),)

    @property
    def half_ranges(self) -> Floats:
        """Half-range of each coordinate at clip norm 1, (d,): their squares add up to just below 1.

        Each coordinate is a bounded number in [−1, 1] times its half-range, so clipping to the norm changes nothing.
        """
        shares = np.array([*SHARED.values(), *(list(EACH.values()) * len(self.targets))])
        return np.asarray(shares / np.linalg.norm(shares) * _BELOW)

    @property
    def units(self) -> Floats:
        """What 1 in [−1, 1] stands for in each coordinate, (d,)."""
        n, r, g = self.decisions_cap, self.reward_cap, self.gain_cap
        shared = (n, r, r * r, 1.0, 1.0, n)
        return np.array([*shared, *((r, g, 2 * n, r * r, r * r, r * r, g * g, 4 * n, 2 * n) * len(self.targets))])


_BELOW = 1 - 1e-3  # room for what the grid's rounding takes from the clip norm
_NUMBERS = tuple(f.name for f in fields(EvaluationSpec) if f.name != "targets")
_WHOLE = ("window_d", "history_d", "model_predicts")


def _rational(value: float) -> Fraction:
    """The number on the wire: exact where its denominator is below a million."""
    return Fraction(value).limit_denominator(1_000_000)
