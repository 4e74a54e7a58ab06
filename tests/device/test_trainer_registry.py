"""Trainers are chosen by name; a wrong name, or one of another model, is refused with what may be used instead."""

import sys
from importlib.util import find_spec

import pytest

from tactful.training.extra import TrainExtraMissing
from tactful.training.registry import GRU_MODEL, SLOTS_MODEL, TRAINERS, make_trainer
from tactful_privacy.errors import InvalidInput

TORCH = find_spec("torch") is not None and find_spec("opacus") is not None


def test_the_default_needs_numpy_alone():
    """Without a name it is the numpy trainer."""
    assert make_trainer().name == "numpy"


@pytest.mark.parametrize("name", sorted(TRAINERS))
def test_every_name_gives_a_trainer_or_names_the_extra(name):
    """Where torch is missing, the error says what to install; nothing falls back to numpy."""
    model = TRAINERS[name][0]
    if TORCH or name == "numpy":
        assert hasattr(make_trainer(name, model=model), "contributions")
    else:
        with pytest.raises(TrainExtraMissing, match=r"tactful\[train\]"):
            make_trainer(name, model=model)


@pytest.mark.parametrize(
    ("name", "model", "remedy"),
    [
        ("jax", SLOTS_MODEL, "numpy, torch, opacus"),
        ("gru", SLOTS_MODEL, "numpy, torch, opacus"),
        ("numpy", GRU_MODEL, "gru"),
    ],
)
def test_a_name_that_does_not_fit_is_refused(name, model, remedy):
    """The remedy lists the trainers of that model."""
    with pytest.raises(InvalidInput, match="trainer") as caught:
        make_trainer(name, model=model)
    assert remedy in str(caught.value)


def test_choosing_numpy_loads_no_torch(monkeypatch):
    """The other trainers are imported only when asked for."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("torch", "opacus")]:
        monkeypatch.setitem(sys.modules, name, None)
    assert make_trainer("numpy").name == "numpy"
