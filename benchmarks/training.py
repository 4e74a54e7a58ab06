"""How fast local training is: full-batch logistic steps of many devices on one thread, beside four other ways to do it.

All do the same: 1,000 devices, 100 rows of 40 features each, 5 epochs from the same weights, float32, and all give the
same changes, which is checked. The order of the ways is mixed anew in every repetition; a figure is the median, of
processor time, since the machine may be busy with other work.

Apple's ``pfl`` is timed by its own algorithm's ``train_one_user``, user by user, without what its simulator adds. It is
not among the extras: where it is not installed, its row is left out. Its package asks for torch of another extra, so
``pip install pfl`` beside ours is enough.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import statistics
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from benchmarks._harness import Row
from tactful.training.local_steps import local_steps
from tactful_lab.errors import ResultsInvalid

DEVICES, ROWS, FEATURES, EPOCHS, RATE = 1_000, 100, 40, 5, 0.5
REPEATS, SLOW_REPEATS = 31, 5
LOOP_BAR, BATCHED_BAR = 150.0, 7.0
TOLERANCE, SAME = 1e-6, 1e-5
Floats = NDArray[np.float32]
Way = Callable[[], Floats]


class Problem:
    """The rows of all devices: x (rows, FEATURES), y (rows,), and where everybody starts."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.x = rng.uniform(-1, 1, (DEVICES * ROWS, FEATURES)).astype(np.float32)
        self.y = (rng.random(DEVICES * ROWS) < 0.3).astype(np.float32)
        self.bounds = np.arange(DEVICES + 1, dtype=np.int64) * ROWS
        self.start = rng.normal(0, 0.3, FEATURES)

    def exact(self) -> NDArray[np.float64]:
        """The changes by a plain loop in double precision."""
        change = np.zeros((DEVICES, FEATURES))
        for device in range(DEVICES):
            rows = slice(device * ROWS, (device + 1) * ROWS)
            x, y, local = self.x[rows].astype(float), self.y[rows].astype(float), self.start.copy()
            for _ in range(EPOCHS):
                local += RATE * (y - 1.0 / (1.0 + np.exp(-(x @ local)))) @ x / ROWS
            change[device] = local - self.start
        return change

    def ours(self) -> Floats:
        return local_steps(self.x, self.y, self.bounds, self.start, RATE, EPOCHS).astype(np.float32)


def _seconds(ways: dict[str, Way], slow: Sequence[str]) -> dict[str, float]:
    """Median processor seconds of each way, over `REPEATS` turns of all in mixed order, fewer of the slow ones."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    rng = np.random.default_rng(1)
    for turn in range(REPEATS):
        names = [name for name in ways if name not in slow or turn < SLOW_REPEATS]
        for name in rng.permutation(names):
            started = time.process_time()
            ways[name]()
            taken[name].append(time.process_time() - started)
    return {name: statistics.median(values) for name, values in taken.items()}


def _check(ways: dict[str, Way], exact: NDArray[np.float64]) -> dict[str, float]:
    """The largest difference of each way's changes to those in double precision.

    Raises:
        ResultsInvalid: a way computes something else, and is not worth timing.
    """
    apart = {name: float(np.abs(way() - exact).max()) for name, way in ways.items()}
    for name, difference in apart.items():
        if not difference <= SAME:
            raise ResultsInvalid(f"differs by {difference:.2g}", field=name, remedy="mend the benchmark")
    return apart


def run() -> list[Row]:
    """Time all ways in one process and return milliseconds, and how many times ours is faster, beside the bars."""
    from benchmarks.training_torch import TorchWays  # needs the extra train

    problem = Problem()
    by_torch = TorchWays(problem.x, problem.y, problem.start)
    ways: dict[str, Way] = {
        "ours": problem.ours,
        "torch, a loop over devices": by_torch.loop,
        "torch, one batched product": by_torch.batched,
        "torch, batched in blocks": by_torch.blocks,
        "Opacus, device by device": by_torch.opacus,
    }
    if find_spec("pfl") is not None:
        ways[f"Apple's pfl {metadata.version('pfl')}, user by user"] = by_torch.pfl
    else:
        print("pfl is not installed: its row is left out")
    apart, slow = _check(ways, problem.exact()), [name for name in ways if name not in ("ours", *list(ways)[2:4])]
    took = _seconds(ways, slow)
    bars = {"torch, a loop over devices": LOOP_BAR, "torch, one batched product": BATCHED_BAR}
    rows = [Row(f"{name}: {DEVICES:,} devices", 1e3 * seconds, "ms") for name, seconds in took.items()]
    for name, seconds in took.items():
        if name != "ours":
            bar = ("bar", bars[name]) if name in bars else ("", None)
            rows.append(Row(f"ours against {name}", seconds / took["ours"], "times", *bar))
    rows.append(Row("largest error of ours against double precision", apart.pop("ours"), "1", "bar", TOLERANCE))
    return [*rows, Row("largest error of any other way", max(apart.values()), "1")]
