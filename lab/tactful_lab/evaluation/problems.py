"""What is wrong with a log: counted, listed by row, and said what was done about it. Nothing goes silently."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
LISTED = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of problem.

    Attributes:
        kind: Stable code, e.g. ``impossible_propensity``.
        column: The column in which it stands.
        count: Rows that have it.
        rows: The first of them, counted from 1 without the header.
        treatment: ``left_out``, ``kept`` or what else was done, as a stable code.
        text: One sentence.
    """

    kind: str
    column: str
    count: int
    rows: tuple[int, ...]
    treatment: str
    text: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        plain: dict[str, Any] = {"kind": self.kind, "column": self.column, "count": self.count}
        return plain | {"rows": list(self.rows), "treatment": self.treatment, "text": self.text}


@dataclass(slots=True)
class Findings:
    """Collects problems while a log of ``n_rows`` rows is read.

    ``unusable`` marks rows that leave the log and cut their window; ``repeated`` marks rows that leave it and do not.
    """

    n_rows: int
    problems: list[Problem] = field(default_factory=list)
    unusable: Mask = field(init=False)
    repeated: Mask = field(init=False)

    def __post_init__(self) -> None:
        self.unusable = np.zeros(self.n_rows, dtype=bool)
        self.repeated = np.zeros(self.n_rows, dtype=bool)

    def note(self, kind: str, column: str, where: Mask, text: str, treatment: str = "kept") -> None:
        """Count and list the rows of a mask; none, no problem."""
        rows = np.flatnonzero(where)
        if len(rows):
            first = tuple(int(row) + 1 for row in rows[:LISTED])
            self.problems.append(Problem(kind, column, len(rows), first, treatment, text))

    def drop(self, kind: str, column: str, where: Mask, text: str) -> None:
        """As `note`, and the rows leave the log."""
        self.note(kind, column, where, text, "left_out")
        self.unusable |= where
