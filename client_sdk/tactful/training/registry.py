"""Trainers by name. A name that is not known, or whose packages are missing, is refused: nothing falls back."""

from collections.abc import Callable
from typing import cast

from tactful.training.numpy_trainer import NumpyTrainer
from tactful.training.protocol import Trainer
from tactful_privacy.errors import InvalidInput

SLOTS_MODEL = "slots"
"""The three linear heads of `tactful.model.Model`."""
GRU_MODEL = "slots-gru"
"""The recurrent model of `tactful.training.gru`, which the SDK trains and never decides with."""


def _torch() -> Trainer:
    from tactful.training.torch_trainer import TorchTrainer

    return TorchTrainer()


def _opacus() -> Trainer:
    from tactful.training.opacus_trainer import OpacusTrainer

    return OpacusTrainer()


def _gru() -> Trainer:
    from tactful.training.gru_trainer import GruTrainer

    return cast(Trainer, GruTrainer())  # of another model and table: the caller asked for that model


TRAINERS: dict[str, tuple[str, Callable[[], Trainer]]] = {
    "numpy": (SLOTS_MODEL, NumpyTrainer),
    "torch": (SLOTS_MODEL, _torch),
    "opacus": (SLOTS_MODEL, _opacus),
    "gru": (GRU_MODEL, _gru),
}
"""Name → the model that it trains, and how it is made."""


def make_trainer(name: str = "numpy", *, model: str = SLOTS_MODEL) -> Trainer:
    """Return the trainer of that name.

    Args:
        name: one of `TRAINERS`.
        model: which model it is to train. The trainer of `GRU_MODEL` takes that model and its own table.

    Raises:
        InvalidInput: no trainer has that name, or it trains another model.
        TrainExtraMissing: it needs torch or Opacus, which are not installed.
    """
    fitting = [each for each, (of, _) in TRAINERS.items() if of == model]
    if name not in fitting:
        what = f"{name!r} trains another model than {model!r}" if name in TRAINERS else f"{name!r} is not known"
        remedy = f"use one of {', '.join(fitting)}" if fitting else f"there is no trainer for {model!r}"
        raise InvalidInput(what, field="trainer", remedy=remedy)
    return TRAINERS[name][1]()
