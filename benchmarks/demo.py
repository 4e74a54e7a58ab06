"""The demonstration as a newcomer runs it, in a process of its own: how long, how much memory, and what it reached."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks._harness import Row

BAR_S, BAR_GIB = 180.0, 2.0
METHODS = ("household histogram", "centralised logistic")


def run() -> list[Row]:
    """Run ``tactful demo`` once with its defaults and return its figures beside their bars."""
    with tempfile.TemporaryDirectory() as folder:
        shown, duration_s, peak_gib = _demo(Path(folder))
    rows = {row["name"]: row for row in shown["december"]}
    epsilon = shown["options"]["epsilon"]
    ours = rows[f"federated, ε = {epsilon:g} + personal layer"]
    figures = [
        Row("duration", duration_s, "s", "bar", BAR_S),
        Row("peak memory", peak_gib, "GiB", "bar", BAR_GIB),
        Row("bytes sent per household over all rounds", shown["bytes_up_per_device"], "B"),
        Row("ε spent by the median device", shown["central_epsilon_spent"]["median"], "1", "promise", epsilon),
        Row("rounds opened", shown["rounds_released"], "rounds", "rounds run", len(shown["rounds"])),
    ]
    top = ours["precision_top_5_percent"]
    against = [
        Row(f"precision in the top 5 %, against the {name}", top, "1", name, rows[name]["precision_top_5_percent"])
        for name in METHODS
    ]
    return figures + against


def _demo(folder: Path) -> tuple[dict[str, Any], float, float]:
    """The figures, wall-clock seconds of the whole process, and its largest resident memory."""
    file = folder / "figures.json"
    command = [str(Path(sys.executable).with_name("tactful")), "demo", "--out", str(folder), "--json", str(file)]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
    _, status, usage = os.wait4(process.pid, 0)
    duration_s = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return json.loads(file.read_text(encoding="utf-8")), duration_s, usage.ru_maxrss / 1024**2
