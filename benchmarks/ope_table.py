"""The table of the suite `ope`: for each kind of log the least coverage of any estimator and policy, and the mean."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Key = tuple[str, ...]
SORTS = ("single", "window")


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """One line for each world and size; by ε where there are several sizes. The result file has every estimator."""
    values, widths = (_ending(rows, end) for end in ("coverage", "half-width"))
    lines = [
        "| log | coverage, one decision: least, mean | a week: least, mean | half-width of snips, one decision |",
        "|---|---:|---:|---:|",
    ]
    groups = dict.fromkeys(_group(key, values) for key in values)
    for group in groups:
        cells = [_coverage(_of(values, group, sort)) for sort in SORTS]
        wide = _of({key: v for key, v in widths.items() if key[-1] == "snips"}, group, "single")
        span = f"{min(wide):.4f}" if max(wide) < 1.1 * min(wide) else f"{min(wide):.4f} to {max(wide):.4f}"
        lines.append(f"| {', '.join(group).replace('inf', '∞')} | {' | '.join(cells)} | {span} |")
    return lines


def _ending(rows: Sequence[dict[str, Any]], end: str) -> dict[Key, float]:
    """Values of the rows whose name ends so, by the parts of the name before it."""
    return {tuple(row["name"].split(" · ")[:-1]): row["value"] for row in rows if row["name"].endswith(f" · {end}")}


def _group(key: Key, values: Mapping[Key, float]) -> Key:
    """What a row's line is named for: all before the sort of weights, or less where ε has no lines of its own."""
    head = key[: next(place for place, part in enumerate(key) if part in SORTS)]
    sizes = {other[2] for other in values if other[:2] == key[:2]}
    return (*head[:3], "every ε") if key[0] == "federated" and len(sizes) == 1 else head


def _of(values: Mapping[Key, float], group: Key, sort: str) -> list[float]:
    shared = group[:-1] if group[-1] == "every ε" else group
    return [value for key, value in values.items() if key[: len(shared)] == shared and sort in key]


def _coverage(found: Sequence[float]) -> str:
    return f"{min(found):.3f}, {np.mean(found):.3f}"
