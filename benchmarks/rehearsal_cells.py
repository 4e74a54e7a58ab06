"""Cells of the rehearsal: one policy in one world with one seed, run by a pool and kept, so that a run can be resumed.

The cache is a file of JSON lines, one for each finished cell. Its name holds a fingerprint of everything a cell can
depend on: the sources and settings of the four rooms, and numpy's and scipy's versions. No other code's cell is used.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks._harness import ROOT, commit
from tactful_lab.worlds import Outcome, World, load, rehearse
from tactful_lab.worlds.registry import LEARNERS, make

WEEKS, WARMUP_WEEKS = 8, 4
OUT = ROOT / "out" / "rehearsal"
_SOURCES = ("lab/tactful_lab", "client_sdk/tactful", "server/tactful_server", "privacy/tactful_privacy")
_ARRAYS = ("weekly_net_minor", "weekly_expected_minor")


@dataclass(frozen=True, slots=True)
class Cell:
    """One run. ``epsilon`` is 0 where the policy spends none; hazard and C_out are None for the parameters' own."""

    kind: str
    n: int
    policy: str
    seed: int
    epsilon: float = 0.0
    fleet_price_minor: float = 0.0
    hazard: float | None = None
    cost_pushes: float | None = None

    @property
    def key(self) -> str:
        """The cell as one line of text."""
        return json.dumps(asdict(self), sort_keys=True)


def cell(kind: str, n: int, policy: str, seed: int, *, epsilon: float = 4.0, price: float = 0.0, **world: Any) -> Cell:
    """A cell with ε and price where they matter, so that one run serves every question it can answer."""
    private = policy in LEARNERS and policy not in ("central", "local_only")
    return Cell(kind, n, policy, seed, epsilon if private else 0.0, price if policy in LEARNERS else 0.0, **world)


def run_cell(wanted: Cell) -> Outcome:
    """Live through one world."""
    parameters = load()
    if wanted.cost_pushes is not None:
        parameters = replace(parameters, opt_out=replace(parameters.opt_out, cost_pushes=wanted.cost_pushes))
    world = World(wanted.kind, wanted.n, wanted.seed, hazard=wanted.hazard, parameters=parameters)
    epsilon = wanted.epsilon or 4.0
    policy = make(wanted.policy, world, epsilon=epsilon, fleet_price_minor=wanted.fleet_price_minor)
    return rehearse(world, policy, WEEKS, warmup_weeks=WARMUP_WEEKS)


@cache
def fingerprint() -> str:
    """SHA-256 over the sources and settings a cell can depend on, its first 16 digits."""
    digest = hashlib.sha256(f"{np.__version__} {scipy.__version__} {WEEKS} {WARMUP_WEEKS}".encode())
    for folder in _SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".toml"):
                digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


class Cache:
    """Finished cells of this code."""

    def __init__(self, folder: Path = OUT) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{fingerprint()}.jsonl"
        self._outcomes: dict[str, Outcome] = {}
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        if whole != text:  # the last line was being written when the run was stopped
            self.path.write_text(whole, encoding="utf-8")
        for line in whole.splitlines():
            stored = json.loads(line)
            self._outcomes[stored["key"]] = read(stored["outcome"])

    def __contains__(self, wanted: Cell) -> bool:
        return wanted.key in self._outcomes

    def __getitem__(self, wanted: Cell) -> Outcome:
        return self._outcomes[wanted.key]

    def add(self, done: Cell, outcome: Outcome) -> None:
        """Keep an outcome, on disk at once."""
        line = json.dumps({"key": done.key, "commit": commit(), "outcome": write(outcome)})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        self._outcomes[done.key] = outcome

    def outcomes(self, wanted: Iterable[Cell]) -> list[Outcome]:
        """Outcomes of cells in their order; empty unless every one is there."""
        cells = list(wanted)
        return [self[c] for c in cells] if all(c in self for c in cells) else []


def write(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON."""
    plain = {f.name: getattr(outcome, f.name) for f in fields(outcome)}
    plain |= {name: plain[name].tolist() for name in _ARRAYS}
    return plain | {"weekly": {name: series.tolist() for name, series in outcome.weekly.items()}}


def read(plain: Mapping[str, Any]) -> Outcome:
    """The outcome that `write` wrote."""
    arrays: dict[str, Any] = {name: np.array(plain[name]) for name in _ARRAYS}
    weekly = {name: np.array(series) for name, series in plain["weekly"].items()}
    return Outcome(**{**plain, **arrays, "weekly": weekly})


def run_all(cells: Sequence[Cell], kept: Cache, *, processes: int = 2, title: str = "rehearsal") -> None:
    """Run what is not there yet; every cell that ends is kept, whatever happens to the others."""
    unique = list(dict.fromkeys(cells))
    missing = [c for c in unique if c not in kept]
    if not missing:
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn()) as progress:
        task = progress.add_task(title, total=len(unique), completed=len(unique) - len(missing))
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            pending = {pool.submit(run_cell, c): c for c in missing}
            try:
                for future in as_completed(pending):
                    kept.add(pending[future], future.result())
                    progress.advance(task)
            finally:
                pool.shutdown(cancel_futures=True)
