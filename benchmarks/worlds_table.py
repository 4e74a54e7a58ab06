"""The simulator's tables: speed and anchors as they are, and the simple policies by world."""

from collections.abc import Sequence
from typing import Any

_FIGURES = (": gain over never", ": opt-out share", ": pushes")


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Speed and anchors, then one line for each world and policy."""
    values = {row["name"]: row["value"] for row in rows}
    heads = [name.removesuffix(_FIGURES[0]) for name in values if name.endswith(_FIGURES[0])]
    lines = ["| what | value | unit | beside |", "|---|---:|---|---|"]
    for row in rows:
        if not row["name"].startswith(tuple(heads)):
            beside = "–" if row["reference_value"] is None else f"{row['reference']}: {row['reference_value']:,.4g}"
            lines.append(f"| {row['name']} | {row['value']:,.4g} | {row['unit']} | {beside} |")
    lines += ["", "| world | policy | gain over never (95 %) | opt-out share | pushes per user-week |"]
    lines.append("|---|---|---:|---:|---:|")
    for head in heads:
        world, policy = head.split(", ", 1)
        gain, left, sent = (values[head + figure] for figure in _FIGURES)
        low, high = (values[f"{head}{_FIGURES[0]}, 95 % {end}"] for end in ("low", "high"))
        shown = f"{gain:+.2f} ({low:+.2f}, {high:+.2f})".replace("-", "−")
        lines.append(f"| {world} | {policy} | {shown} | {100 * left:.2f} % | {sent:.2f} |")
    return lines
