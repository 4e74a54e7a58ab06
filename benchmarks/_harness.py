"""The form of a result, the commit and machine it was measured on, and the file it is written to."""

import json
import math
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tactful_lab.errors import ResultsInvalid

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
LOOKS = ROOT / "benchmarks" / "looks.jsonl"
_ROW_KEYS = {"name", "value", "unit", "reference", "reference_value", "ratio"}


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: its value and unit, and what it is held against. ``ratio`` is value / reference_value."""

    name: str
    value: float
    unit: str
    reference: str = ""
    reference_value: float | None = None

    def as_dict(self) -> dict[str, Any]:
        ratio = None if not self.reference_value else self.value / self.reference_value
        return {**asdict(self), "ratio": ratio}


def commit() -> str:
    """Short hash of the checked-out commit, with a ``+`` if a tracked file was changed; "unknown" outside git."""
    try:
        head = _git("rev-parse", "--short", "HEAD")
        dirty = _git("status", "--porcelain", "--untracked-files=no", "--", "*.py", "*.toml")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if dirty else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603, S607
    return done.stdout.strip()


def machine() -> str:
    """Processor architecture, cores, system and Python: what a duration depends on, and nothing that names a person."""
    python = platform.python_version()
    return f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, Python {python}"


def write(suite: str, rows: Sequence[Row], folder: Path = RESULTS) -> Path:
    """Write one suite's results; a figure that is not finite is refused rather than written."""
    for row in rows:
        if not math.isfinite(row.value):
            raise ResultsInvalid("is not finite", field=row.name, remedy="mend the benchmark")
    document = {
        "commit": commit(),
        "machine": machine(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows": [row.as_dict() for row in rows],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{suite}.json"
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def read(suite: str, folder: Path = RESULTS) -> dict[str, Any]:
    """Read one suite's results and check their form."""
    path = folder / f"{suite}.json"
    remedy = f"make bench SUITE={suite}"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsInvalid("is not there, or not JSON", field=str(path), remedy=remedy) from error
    if not isinstance(document, dict) or set(document) != {"commit", "machine", "date", "rows"}:
        raise ResultsInvalid("does not have the agreed keys", field=str(path), remedy=remedy)
    if not all(isinstance(row, dict) and set(row) == _ROW_KEYS for row in document["rows"]):
        raise ResultsInvalid("a row does not have the agreed keys", field=str(path), remedy=remedy)
    return document
