"""Noise and masks take their randomness from the operating system; predictable generators cannot be reached."""

import ast
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tactful
import tactful_privacy
from tactful_privacy.mechanisms import discrete_gaussian, grid

ROOT = Path(tactful_privacy.__file__).parent
ROOTS = {"tactful_privacy": ROOT, "tactful": Path(tactful.__file__).parent}
ROOMS = [path for room in ("mechanisms", "secagg", "selftest") for path in sorted((ROOT / room).glob("*.py"))]
PARTICIPANT = ROOTS["tactful"] / "federation" / "participant.py"
PREDICTABLE = ("random", "secrets", "numpy.random")  # `secrets` is sound, but it loads `random`
BY_NAME = {"import_module", "__import__", "find_spec", "exec", "eval", "compile"}

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
    """Yield (file, imported name) of a module and of every module of ours that it imports, anywhere in the file."""
    if path in seen:
        return
    seen.add(path)
    root = next(name for name, folder in ROOTS.items() if path.is_relative_to(folder))
    package = [root, *path.relative_to(ROOTS[root]).parts[:-1]]
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
            first, *rest = name.split(".")
            if first in ROOTS and rest:
                inner = ROOTS[first].joinpath(*rest)
                for candidate in (inner.with_suffix(".py"), inner / "__init__.py"):
                    if candidate.exists():
                        yield from reached(candidate, seen)


def files_from(starts):
    """All our files that the starts reach."""
    seen = set()
    for start in starts:
        list(reached(start, seen))
    return sorted(seen)


def is_predictable(name):
    return any(name == bad or name.startswith(f"{bad}.") for bad in PREDICTABLE)


@pytest.mark.parametrize("starts", [ROOMS, [PARTICIPANT]], ids=["rooms", "participant"])
def test_no_module_reaches_a_predictable_generator(starts):
    """Walking all imports from the rooms and from the participant meets no generator, relative imports included."""
    seen = set()
    found = [(path.name, name) for start in starts for path, name in reached(start, seen)]
    assert ("keys.py", "os") in found  # the walk does see imports, and comes as far as the secrets
    assert not [pair for pair in found if is_predictable(pair[1])]


def test_the_participant_reaches_noise_and_masks():
    """The walk from the participant covers the files in which noise and masks are made."""
    names = {path.name for path in files_from([PARTICIPANT])}
    assert {"discrete_gaussian.py", "grid.py", "clip.py", "entropy.py", "masks.py", "keys.py", "state.py"} <= names


@pytest.mark.parametrize("path", files_from([*ROOMS, PARTICIPANT]), ids=lambda path: "-".join(path.parts[-2:]))
def test_no_module_names_a_generator_in_another_way(path):
    """No reached file says `np.random`, `getattr(np, "random")`, "numpy.random", or imports by a computed name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("random", "default_rng", "RandomState"), ast.unparse(node)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert node.value not in ("random", "numpy.random")
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            computed = name in BY_NAME and not (name == "compile" and ast.unparse(node.func) == "re.compile")
            assert not computed, ast.unparse(node)


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
