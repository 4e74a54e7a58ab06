"""Noise and masks take their randomness from the operating system; predictable generators cannot be reached."""

import ast
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tactful_privacy
from tactful_privacy.mechanisms import discrete_gaussian, grid

ROOT = Path(tactful_privacy.__file__).parent
ROOMS = [path for room in ("mechanisms", "secagg") for path in sorted((ROOT / room).glob("*.py"))]

BLOCKER = """
import sys, pkgutil, importlib
import numpy
for name in [n for n in sys.modules if n in ("random", "secrets") or n.startswith("numpy.random")]:
    del sys.modules[name]
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name in ("random", "secrets") or name.startswith("numpy.random"):
            raise AssertionError(name + " was imported")
sys.meta_path.insert(0, Blocker())
import tactful_privacy.mechanisms as room
for module in pkgutil.iter_modules(room.__path__):
    importlib.import_module(room.__name__ + "." + module.name)
from tactful_privacy.mechanisms import discrete_gaussian, grid
discrete_gaussian.sample(5, 100)
grid.encode_block(numpy.ones((3, 4)), clip_units=100, grid_exponent=4, norm_bound_squared=10000)
"""


def reached(path, seen):
    """Yield (file, imported name) of a module and of every module of this package that it imports."""
    if path in seen:
        return
    seen.add(path)
    package = ["tactful_privacy", *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            names = [stem, *(f"{stem}.{alias.name}" for alias in node.names)]
        for name in names:
            yield path, name
            if name.startswith("tactful_privacy"):
                inner = ROOT.joinpath(*name.split(".")[1:])
                for candidate in (inner.with_suffix(".py"), inner / "__init__.py"):
                    if candidate.exists():
                        yield from reached(candidate, seen)


def test_no_module_reaches_a_predictable_generator():
    """Walking all imports of the two rooms, relative ones included, meets neither `random` nor `numpy.random`."""
    found = [(path.name, name) for start in ROOMS for path, name in reached(start, set())]
    assert any(name == "os" for _, name in found)  # the walk does see imports
    assert not [pair for pair in found if pair[1].split(".")[0] == "random" or pair[1].startswith("numpy.random")]


def test_no_module_takes_the_generator_from_numpy_by_attribute():
    """Nor is `np.random` named anywhere in the two rooms."""
    named = [
        path.name
        for path in ROOMS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "random"
    ]
    assert not named


def test_mechanisms_work_where_generators_cannot_be_imported():
    """In a fresh process which forbids `random`, `secrets` and `numpy.random`, every mechanism imports and runs."""
    done = subprocess.run([sys.executable, "-c", BLOCKER], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", [random, np.random])
def test_mechanisms_work_while_generators_raise(module, monkeypatch):
    """With every function of a predictable generator replaced by one that raises, sampling and rounding go on."""

    def refuse(*args, **kwargs):
        raise AssertionError("a predictable generator was called")

    for name in dir(module):
        if not name.startswith("_") and callable(getattr(module, name)):
            monkeypatch.setattr(module, name, refuse)
    assert discrete_gaussian.sample(10**12, 1000).any()
    block = grid.encode_block(np.full((9, 4), 0.3), clip_units=100, grid_exponent=4, norm_bound_squared=10_000)
    assert block.accepted.all()
