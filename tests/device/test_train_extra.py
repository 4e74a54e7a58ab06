"""Where torch and Opacus are not installed, the modules that need them say what to install."""

import importlib
import sys
from types import ModuleType

import pytest

from tactful.training.extra import TrainExtraMissing
from tactful_privacy.errors import TactfulError


@pytest.mark.parametrize("absent", ["torch", "opacus"])
@pytest.mark.parametrize("module", ["torch_trainer", "opacus_trainer", "event_level"])
def test_the_error_names_the_extra(module, absent, monkeypatch):
    """Typed, an ImportError as well, and with the remedy; importing the rest of the room still works."""
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    for name in [name for name in sys.modules if name.partition(".")[0] == absent]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, absent, None)
    for each in ("torch_trainer", "opacus_trainer", "event_level"):
        monkeypatch.delitem(sys.modules, f"tactful.training.{each}", raising=False)
    with pytest.raises(TrainExtraMissing, match=r"pip install 'tactful\[train\]'") as caught:
        importlib.import_module(f"tactful.training.{module}")
    assert isinstance(caught.value, TactfulError)
    assert isinstance(caught.value, ImportError)
    assert caught.value.name == absent
