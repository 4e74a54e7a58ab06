"""The data of a micro-randomised trial, checked once so that what is computed from them need not ask again."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tactful_privacy.errors import InvalidInput

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Decisions of users who were sent a push or not by a known, logged chance. A row is a decision.

    What stands in a row where the user was not available is not looked at and may be NaN.

    Attributes:
        user: Any label, (rows,): the unit that is independent of the others.
        available: Whether a push could have been sent, (rows,).
        action: 1 sent, 0 not, (rows,).
        propensity: Probability of action 1 given all that happened before the decision, (rows,).
        outcome: Proximal outcome after the decision, any number or 0 and 1, (rows,).
        controls: Known before the decision, without the constant; they make estimates more precise, (rows, q).
        moderators: Known before the decision: day, slot, dosage, … (rows, p).
        names: Of the columns of ``controls``, then of those of ``moderators``; within each, no name twice.

    Raises:
        InvalidInput: Lengths differ; nobody was ever available; an action that is neither 0 nor 1, a propensity that
            is not strictly between 0 and 1, or a value that is missing, in a row where the user was available.
    """

    user: NDArray[np.generic]
    available: NDArray[np.bool_]
    action: Array
    propensity: Array
    outcome: Array
    controls: Array
    moderators: Array
    names: tuple[str, ...]

    @classmethod
    def of(
        cls,
        *,
        user: ArrayLike,
        action: ArrayLike,
        propensity: ArrayLike,
        outcome: ArrayLike,
        available: ArrayLike | None = None,
        controls: Mapping[str, ArrayLike] | None = None,
        moderators: Mapping[str, ArrayLike] | None = None,
    ) -> "Trial":
        """A trial from columns by name; available at every decision unless told otherwise; one propensity or many."""
        users = _labels(user)
        rows = len(users)
        controls, moderators = controls or {}, moderators or {}
        return cls(
            user=users,
            available=np.ones(rows, bool) if available is None else _flags(available),
            action=_numbers("action", action),
            propensity=np.broadcast_to(_numbers("propensity", propensity), (rows,))
            if np.ndim(propensity) == 0
            else _numbers("propensity", propensity),
            outcome=_numbers("outcome", outcome),
            controls=_stack(controls, rows),
            moderators=_stack(moderators, rows),
            names=(*controls, *moderators),
        )

    @property
    def control_names(self) -> tuple[str, ...]:
        """Names of the columns of ``controls``."""
        return self.names[: self.controls.shape[1]]

    @property
    def moderator_names(self) -> tuple[str, ...]:
        """Names of the columns of ``moderators``."""
        return self.names[self.controls.shape[1] :]

    def moderator(self, name: str) -> Array:
        """One column of ``moderators``, (rows,).

        Raises:
            InvalidInput: There is none of that name.
        """
        if name not in self.moderator_names:
            known = ", ".join(self.moderator_names) or "none"
            raise InvalidInput(f"no moderator {name!r}", field="moderators", remedy=f"there are: {known}")
        column: Array = self.moderators[:, self.moderator_names.index(name)]
        return column

    def __post_init__(self) -> None:
        _check_shapes(self)
        here = self.available
        if not here.any():
            raise InvalidInput(
                "nobody was available at any decision", field="available", remedy="check how availability is coded"
            )
        _check_users(self.user)
        _refuse("action", here & (self.action != 0) & (self.action != 1), "is neither 0 nor 1")
        _refuse("propensity", here & ~((self.propensity > 0) & (self.propensity < 1)), "is not between 0 and 1")
        _refuse("outcome", here & ~np.isfinite(self.outcome), "is missing or not finite")
        for name, column in zip(self.names, np.hstack([self.controls, self.moderators]).T, strict=True):
            _refuse(name, here & ~np.isfinite(column), "is missing or not finite")


def _numbers(name: str, values: ArrayLike) -> Array:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput("is not a column of numbers", field=name, remedy="encode it as numbers") from error


def _labels(values: ArrayLike) -> NDArray[np.generic]:
    labels: NDArray[np.generic] = np.asarray(values)
    _check_users(labels)
    return labels.astype(np.str_) if labels.dtype.kind == "O" else labels


def _flags(values: ArrayLike) -> NDArray[np.bool_]:
    flags = _numbers("available", values)
    _refuse("available", (flags != 0) & (flags != 1), "is neither 0 nor 1")
    return np.asarray(flags == 1)


def _stack(columns: Mapping[str, ArrayLike], rows: int) -> Array:
    table = {name: _numbers(name, column) for name, column in columns.items()}
    for name, column in table.items():
        if column.shape != (rows,):
            raise InvalidInput(f"has shape {column.shape}, not ({rows},)", field=name, remedy="give one value per row")
    return np.column_stack(list(table.values())) if table else np.empty((rows, 0))


def _check_shapes(trial: Trial) -> None:
    rows = len(trial.user)
    for name in ("user", "available", "action", "propensity", "outcome"):
        shape = getattr(trial, name).shape
        if shape != (rows,):
            raise InvalidInput(f"has shape {shape}, not ({rows},)", field=name, remedy="give one value per row")
    if trial.available.dtype != np.bool_:
        raise InvalidInput("is not an array of bool", field="available", remedy="use Trial.of, which converts")
    for name in ("controls", "moderators"):
        table = getattr(trial, name)
        if table.ndim != 2 or len(table) != rows:
            raise InvalidInput(f"has shape {table.shape}, not ({rows}, columns)", field=name)
    if len(trial.names) != trial.controls.shape[1] + trial.moderators.shape[1]:
        raise InvalidInput(f"{len(trial.names)} names for another number of columns", field="names")
    for part in (trial.control_names, trial.moderator_names):
        if len(set(part)) < len(part):
            raise InvalidInput(f"a name comes twice: {', '.join(part)}", field="names")


def _check_users(user: NDArray[np.generic]) -> None:
    if user.dtype.kind == "O":
        missing = np.array([label is None or label != label for label in user], dtype=bool)
        _refuse("user", missing, "is missing")
    elif user.dtype.kind == "f":
        _refuse("user", ~np.isfinite(user.astype(np.float64)), "is missing")


def _refuse(field: str, wrong: NDArray[np.bool_], message: str) -> None:
    """Refuse rows marked as wrong: how many there are, and which is the first."""
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise InvalidInput(
            f"{message} in {int(wrong.sum())} rows, first in row {first} (from 0)",
            field=field,
            remedy="mend these rows or leave them out, and say so",
        )
