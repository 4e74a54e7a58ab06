"""What a device says about pushes in a round: for each head of the model a gradient and a curvature, in one vector.

A row is one decision: the features φ of its opening, the message's features m, the dosage D before it, whether a push
was sent (a), with which probability (π), and what came of it. For a head with design x and parameters θ a device adds

    g = Σ residual · x          H = Σ weight · x xᵀ

over its rows; the server steps with them (`tactful_server.recursive`), and every row is used once.

``effect``
    Instrumented by the coin: residual (a − π)(y − σ(η + a·T)), weight a(1 − π)·σ′(η + T), with η the activity logit and
    T = β·φ + b·(α·φ + 3) + μ·m − κ·D. In expectation the sum is zero where P(y|send) − P(y|hold back) equals
    σ(η + T) − σ(η), which is what a decision computes; an error in η that does not depend on a cancels, since
    E[a − π] = 0. Centring the action is from Greenewald, Tewari, Klasnja & Murphy (arXiv:1711.03596) and Boruvka et
    al. (2018, JASA 113:1112).
``hazard``
    logistic regression over pushes sent: y = the person opted out, D including the push itself.
``value``
    least squares of value over stated value, less one, among engagements.
``activity``
    logistic regression of whether a slot was used, without any push.

Dosages enter divided by `DOSE_UNIT`, about the dosage under a push a day, and in the heads of pushes every feature but
the constant is multiplied by `PHI_UNIT`: rare answers teach little beyond the constant, the activity, the message and
the dosage, and a contribution's bounded length should be spent on these.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tactful.features import DIMENSION, NAMES
from tactful.model import ACTIVITY_CENTRE, DOSAGE_HALF_LIVES_D, HAZARD_BASE_LOGIT, MESSAGE, Model
from tactful.training.tables import TrainingTable
from tactful_privacy.errors import InvalidInput

Array = NDArray[np.float64]
Rows = NDArray[np.float32]

DOSE_UNIT = (1.0, 4.0, 20.0)
PHI_UNIT = 0.3
_PHI_UNITS = np.array([1.0 if name == "always" else PHI_UNIT for name in NAMES])
MOST_VALUE = 4.0
"""Values beyond so many times the stated value are cut to it (winsorised)."""

HEADS: dict[str, tuple[str, ...]] = {
    "activity": ("alpha",),
    "effect": ("beta", "activity_effect", "message_effect", "kappa"),
    "hazard": ("hazard", "message_hazard", "hazard_dosage"),
    "value": ("value",),
}
"""Blocks of the model that each head trains, in the order of its design."""
_PUSH_SIZE = DIMENSION + len(MESSAGE) + len(DOSAGE_HALF_LIVES_D)
_SIZES = {"activity": DIMENSION, "effect": _PUSH_SIZE + 1, "hazard": _PUSH_SIZE, "value": DIMENSION}


def head_size(head: str) -> int:
    """Number of parameters of a head."""
    return _SIZES[head]


def head_units(head: str) -> Array:
    """What one unit of each of the head's parameters is in the model: what its input was multiplied by."""
    units = np.ones(head_size(head))
    if head in ("effect", "hazard"):
        units[:DIMENSION] = _PHI_UNITS
        units[-len(DOSE_UNIT) :] = 1.0 / np.array(DOSE_UNIT)
    return units


@dataclass(frozen=True, slots=True, eq=False)
class PushTable:
    """Decisions of n devices, device by device; float32 throughout, NaN where an outcome is not known.

    Attributes:
        phi: features of the opening, (rows, DIMENSION).
        message: message features, (rows, len(MESSAGE)).
        doses: dosage before the decision, (rows, 3).
        offset: the personal layer's part of the activity logit, (rows,).
        sent: a, 0 or 1, (rows,).
        propensity: π, probability of sending, (rows,); rules without chance have π = a.
        engaged: y, 0 or 1, (rows,).
        opted_out: 0 or 1, (rows,).
        value: value of the engagement over the stated one, (rows,).
        bounds: int64 (n + 1,): rows of device i are ``bounds[i]`` to ``bounds[i + 1]``.
    """

    phi: Rows
    message: Rows
    doses: Rows
    offset: Rows
    sent: Rows
    propensity: Rows
    engaged: Rows
    opted_out: Rows
    value: Rows
    bounds: NDArray[np.int64]

    def __post_init__(self) -> None:
        rows = len(self.phi)
        shapes = {"phi": (rows, DIMENSION), "message": (rows, len(MESSAGE)), "doses": (rows, len(DOSE_UNIT))}
        for name in ("phi", "message", "doses", "offset", "sent", "propensity", "engaged", "opted_out", "value"):
            wanted, given = shapes.get(name, (rows,)), getattr(self, name).shape
            if given != wanted:
                raise InvalidInput(f"has shape {given}", field=name, remedy=f"give shape {wanted}")
        if self.bounds.ndim != 1 or self.bounds[0] != 0 or self.bounds[-1] != rows or (np.diff(self.bounds) < 0).any():
            raise InvalidInput("do not cover the rows", field="bounds", remedy="start at 0, rise, end at the rows")

    @property
    def n_devices(self) -> int:
        """Number of devices n."""
        return len(self.bounds) - 1

    def devices(self, first: int, last: int) -> "PushTable":
        """The rows of devices ``first`` to ``last``, the last not among them."""
        rows = slice(int(self.bounds[first]), int(self.bounds[last]))
        columns = {name: getattr(self, name)[rows] for name in self.__slots__ if name != "bounds"}
        return PushTable(**columns, bounds=self.bounds[first : last + 1] - self.bounds[first])


@dataclass(frozen=True, slots=True, eq=False)
class HeadRows:
    """One head's rows, ready to be summed: design float32 (rows, d), residual and weight float32 (rows,), bounds."""

    design: Rows
    residual: Rows
    weight: Rows
    bounds: NDArray[np.int64]


def _sigmoid(logits: Rows) -> Rows:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), dtype=np.float32)


def _push_design(table: PushTable, doses: Rows, *between: Rows) -> Rows:
    phi = table.phi * _PHI_UNITS.astype(np.float32)
    scaled = doses / np.array(DOSE_UNIT, dtype=np.float32)
    return np.concatenate([phi, *between, table.message, scaled], axis=1, dtype=np.float32)


def _theta(model: Model, head: str) -> Rows:
    """The head's parameters in its own units, float32 (d,)."""
    vector = np.concatenate([getattr(model, block) for block in HEADS[head]]) / head_units(head)
    return vector.astype(np.float32)


def effect_rows(table: PushTable, model: Model) -> HeadRows:
    """Rows of the effect head at the model's parameters; see the module."""
    shared = table.phi @ model.alpha.astype(np.float32)
    design = _push_design(table, -table.doses, (shared + np.float32(ACTIVITY_CENTRE))[:, None])
    p = _sigmoid(shared + table.offset + table.sent * (design @ _theta(model, "effect")))
    known = np.isfinite(table.engaged) & (table.propensity > 0) & (table.propensity < 1)
    residual = np.where(known, (table.sent - table.propensity) * (table.engaged - p), 0.0)
    weight = np.where(known, table.sent * (1.0 - table.propensity) * p * (1.0 - p), 0.0)
    return HeadRows(design, residual.astype(np.float32), weight.astype(np.float32), table.bounds)


def hazard_rows(table: PushTable, model: Model) -> HeadRows:
    """Rows of the opt-out head at the model's parameters."""
    design = _push_design(table, table.doses + np.float32(1))
    p = _sigmoid(np.float32(HAZARD_BASE_LOGIT) + design @ _theta(model, "hazard"))
    known = (table.sent > 0) & np.isfinite(table.opted_out)
    residual = np.where(known, table.opted_out - p, 0.0)
    weight = np.where(known, p * (1.0 - p), 0.0)
    return HeadRows(design, residual.astype(np.float32), weight.astype(np.float32), table.bounds)


def value_rows(table: PushTable, model: Model) -> HeadRows:
    """Rows of the value head at the model's parameters."""
    known = (table.engaged > 0) & np.isfinite(table.value)
    expected = 1.0 + table.phi @ _theta(model, "value")
    residual = np.where(known, np.clip(table.value, 0.0, MOST_VALUE) - expected, 0.0)
    return HeadRows(table.phi, residual.astype(np.float32), known.astype(np.float32), table.bounds)


def activity_rows(table: TrainingTable, model: Model, offset: Rows | None = None) -> HeadRows:
    """Rows of the activity head; ``offset`` (rows,) is added to the logit."""
    logits = table.x @ _theta(model, "activity")
    p = _sigmoid(logits if offset is None else logits + offset)
    return HeadRows(table.x, (table.y - p).astype(np.float32), (p * (1.0 - p)).astype(np.float32), table.bounds)


def gradients(rows: HeadRows) -> Array:
    """Sum of residual · x for each device, (n, d)."""
    total = np.zeros((len(rows.bounds) - 1, rows.design.shape[1]))
    some = np.flatnonzero(rows.bounds[1:] > rows.bounds[:-1])
    if some.size:
        each = rows.residual[:, None] * rows.design
        total[some] = np.add.reduceat(each, rows.bounds[some], axis=0, dtype=np.float64)
    return total


def curvatures(rows: HeadRows) -> Array:
    """Packed upper triangle of the sum of weight · x xᵀ for each device, √2 off the diagonal, (n, d(d + 1)/2)."""
    upper_rows, upper_columns = np.triu_indices(rows.design.shape[1])
    flat = upper_rows * rows.design.shape[1] + upper_columns
    factor = np.where(upper_rows == upper_columns, 1.0, np.sqrt(2.0))
    weighted = rows.design * np.sqrt(rows.weight)[:, None]
    packed = np.zeros((len(rows.bounds) - 1, flat.size))
    for device, (start, stop) in enumerate(zip(rows.bounds[:-1], rows.bounds[1:], strict=True)):
        if stop > start:
            part = weighted[start:stop]
            packed[device] = (part.T @ part).ravel()[flat]
    return packed * factor


def contribution(rows: HeadRows, curvature_scale: float, rows_scale: float) -> Array:
    """Return [g | curvature_scale · H] / rows_scale of each device, (n, d + d(d + 1)/2); nothing is clipped."""
    return np.concatenate([gradients(rows), curvature_scale * curvatures(rows)], axis=1) / rows_scale


PUSH_ROWS: dict[str, Callable[[PushTable, Model], HeadRows]] = {
    "effect": effect_rows,
    "hazard": hazard_rows,
    "value": value_rows,
}
"""How the rows of each head of pushes are made from a table of decisions."""
