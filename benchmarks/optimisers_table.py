"""The tables of the optimisers' ablation: one for each task, a line for each variant, each ε side by side."""

import re
from collections.abc import Sequence
from typing import Any

_ROW = re.compile(r"(?P<task>\w+), ε = (?P<epsilon>[\d.]+): (?P<variant>.+) · test log-loss")


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Mean test log-loss ± its deviation over repetitions, the gap to the pooled logistic, rounds, ρ and ε charged."""
    values = {row["name"]: row["value"] for row in rows}
    found = [match for name in values if (match := _ROW.fullmatch(name))]
    lines: list[str] = []
    for task in dict.fromkeys(match["task"] for match in found):
        mine = [match for match in found if match["task"] == task]
        lines += [*_of_task(task, mine, values), ""]
    return lines[:-1]


def _of_task(task: str, found: Sequence[re.Match[str]], values: dict[str, float]) -> list[str]:
    epsilons = list(dict.fromkeys(match["epsilon"] for match in found))
    central = values[f"{task}: centralised, no noise · test log-loss"]
    heads = [f"log-loss, ε = {e} | gap · 10⁻⁴ | rounds | ρ | ε charged" for e in epsilons]
    households = values[f"{task}: households"]
    lines = [
        f"**{task}**, {households:,.0f} households; centralised without noise {central:.4f}",
        "",
        f"| variant | {' | '.join(heads)} |",
        "|---|" + "---:|" * 5 * len(epsilons),
    ]
    for variant in dict.fromkeys(match["variant"] for match in found):
        cells = [_cells(f"{task}, ε = {epsilon}: {variant}", values) for epsilon in epsilons]
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return lines


def _cells(name: str, values: dict[str, float]) -> str:
    loss, deviation, gap = (values[f"{name} · {key}"] for key in ("test log-loss", "deviation", "gap"))
    rounds, rho, epsilon = (values[f"{name} · {key}"] for key in ("chosen rounds", "ρ", "ε at δ = 1e-6"))
    shown = f"{loss:.4f} ± {deviation:.4f} | {1e4 * gap:+.1f} | {rounds:.0f} | {rho:.4f} | {epsilon:.3f}"
    return shown.replace("-", "−")
