"""Which trainer the hosts of a rehearsal use, and the event-level noise that one of them can add."""

import math
from typing import TYPE_CHECKING

from tactful.training import Trainer
from tactful.training.registry import SLOTS_MODEL, TRAINERS, make_trainer
from tactful_privacy.errors import InvalidInput

if TYPE_CHECKING:
    from tactful.training.event_level import EventLevel

NAMES = tuple(name for name, (model, _) in TRAINERS.items() if model == SLOTS_MODEL)
LABELS = {"numpy": "", "torch": ", torch trainer", "opacus": ", torch + Opacus trainer"}
"""What a row of a table adds to its name."""
ROW_BOUND, ROW_CURVATURE_BOUND = 2.0, 0.5
"""Bounds on what one row adds to its device's sums under event-level noise; chosen before any result was seen."""


def check(trainer: str, event_noise: float) -> None:
    """Raise `InvalidInput` for a name that is not in `NAMES`, or for noise that this trainer cannot add."""
    if trainer not in NAMES:
        raise InvalidInput(f"is {trainer!r}", field="trainer", remedy=f"use one of {', '.join(NAMES)}")
    if not (math.isfinite(event_noise) and event_noise >= 0):
        remedy = "give a noise multiplier above 0, or 0 for none"
        raise InvalidInput(f"is {event_noise}", field="event_level", remedy=remedy)
    if event_noise and trainer != "opacus":
        raise InvalidInput(f"is not for the trainer {trainer!r}", field="event_level", remedy="add --trainer opacus")


def event_level(event_noise: float) -> "EventLevel":
    """Return the rehearsal's event-level settings: every row in every step, one step a round.

    Raises:
        TrainExtraMissing: torch or Opacus is not installed.
    """
    from tactful.training.event_level import EventLevel

    return EventLevel(
        event_noise, ROW_BOUND, sampling_rate=1.0, steps=1, expected_rows=1.0, max_curvature_norm=ROW_CURVATURE_BOUND
    )


def build(trainer: str, event_noise: float) -> Trainer:
    """Return the trainer that a setting names.

    Raises:
        TrainExtraMissing: it needs torch or Opacus, which are not installed.
    """
    if not event_noise:
        return make_trainer(trainer)
    from tactful.training.event_level import EventLevelTrainer

    return EventLevelTrainer(event_level(event_noise))
