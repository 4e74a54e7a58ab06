"""The rehearsal's tables for ``docs/results.md``, from its rows alone; a loss keeps its sign, a missed bar is named.

Row names are ``group · policy · figure``; bars are ``bar · …`` with "bar, at least", "at most" or "above" as reference.
"""

from collections.abc import Iterator, Sequence
from typing import Any

Rows = Sequence[dict[str, Any]]
Values = dict[str, float]
MAIN = "main, N = 10,000"
GAIN = "gain over never"
PEERS = ("histogram_three", "histogram_daily", "logistic_three", "logistic_daily", "logistic_paced")
EPSILONS = ("tactful, ε = 1", "tactful, ε = 2", "tactful, ε = 4", "tactful, ε = 8")


def table(rows: Rows) -> list[str]:
    """All tables of the page, one after the other; those without rows are left out."""
    values = {row["name"]: row["value"] for row in rows}
    groups = list(dict.fromkeys(row["name"].split(" · ")[0] for row in rows if row["name"].endswith(" · seeds")))
    lines = _bars(rows)
    for label in groups:
        if "N = " in label and "utility" not in label:
            lines += ["", *_group(label, values)]
    lines += _wide("ε and N", [g for g in groups if "utility" in g or g.startswith("main, N")], values, utility=True)
    lines += _wide("opt-out hazard per push", [g for g in groups if g.startswith("hazard")], values)
    lines += _wide("C_out in values of a push", [g for g in groups if g.startswith("C_out")], values)
    return [*lines, *_weekly(values)]


def verdict(row: dict[str, Any]) -> str:
    """Whether a bar is met: "met", "**missed**", or nothing for a figure that only stands beside one."""
    sense, bar, value = row["reference"], row["reference_value"], row["value"]
    if bar is None:
        return "–"
    met = {"bar, at least": value >= bar, "bar, at most": value <= bar, "bar, above": value > bar}[sense]
    return "met" if met else "**missed**"


def _bars(rows: Rows) -> list[str]:
    lines = ["| bar | measured | bar | |", "|---|---:|---:|---|"]
    ends = (", 95 % low", ", 95 % high")
    values = {row["name"]: row["value"] for row in rows}
    for row in rows:
        name = row["name"]
        if not name.startswith("bar · ") or (row["reference_value"] is None and name.endswith(ends)):
            continue
        shown = _interval(name, values) if name + ends[0] in values else _number(row["value"])
        unit = "" if row["unit"] == "1" else f" {row['unit']}"
        bar = "–" if row["reference_value"] is None else f"{row['reference'][5:]} {_number(row['reference_value'])}"
        lines.append(f"| {name.removeprefix('bar · ')} | {shown}{unit} | {bar} | {verdict(row)} |")
    return lines if len(lines) > 2 else []


def _policies(label: str, values: Values) -> list[str]:
    tail = f" · {GAIN}"
    names = [name for name in values if name.startswith(f"{label} · ") and name.endswith(tail) and "week " not in name]
    return [name.removeprefix(f"{label} · ").removesuffix(tail) for name in names]


def _group(label: str, values: Values) -> Iterator[str]:
    """Gain, opt-out and volume of each policy, and the paired difference to the peers in % of their net value."""
    seeds = f"{values[f'{label} · seeds']:.0f} seeds"
    peers = " | ".join(f"− {peer}, % of its net value" for peer in PEERS)
    yield f"| {label}, {seeds} | gain over never (95 %) | opt-outs | pushes | {peers} |"
    yield "|---|" + "---:|" * (3 + len(PEERS))
    for policy in _policies(label, values):
        head = f"{label} · {policy}"
        gain = _interval(f"{head} · {GAIN}", values)
        left, sent = 100 * values[f"{head} · opt-out share"], values[f"{head} · pushes"]
        against = (f"{head} · minus {peer}, of its net value" for peer in PEERS)
        cells = " | ".join(_interval(name, values) if name in values else "–" for name in against)
        yield f"| {policy} | {gain} | {left:.2f} % | {sent:.2f} | {cells} |"


def _wide(title: str, groups: Sequence[str], values: Values, *, utility: bool = False) -> list[str]:
    """Gains over never: one line for each group, one column for each policy that is in any of them."""
    found = list(dict.fromkeys(policy for label in groups for policy in _policies(label, values)))
    wanted = ("histogram_daily", "logistic_paced", *EPSILONS, "central")
    columns = [policy for policy in (wanted if utility else found) if policy in found]
    if not groups or not columns:
        return []
    lines = ["", f"| {title} | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for label in groups:
        names = (f"{label} · {policy} · {GAIN}" for policy in columns)
        cells = " | ".join(_interval(name, values) if name in values else "–" for name in names)
        lines.append(f"| {label} | {cells} |")
    return lines


def _weekly(values: Values) -> list[str]:
    """Gain over never week by week in the main world: what a cold start costs."""
    heads = list(dict.fromkeys(name.split(" · week ")[0] for name in values if " · week " in name))
    if not heads:
        return []
    weeks = sum(f"{heads[0]} · week {week} · {GAIN}" in values for week in range(1, 100))
    numbers = [str(week) for week in range(1, weeks + 1)]
    lines = ["", f"| gain over never in week | {' | '.join(numbers)} |", "|---|" + "---:|" * weeks]
    for head in heads:
        cells = [_number(values[f"{head} · week {week} · {GAIN}"]) for week in numbers]
        lines.append(f"| {head.removeprefix(MAIN + ' · ')} | {' | '.join(cells)} |")
    return lines


def _interval(name: str, values: Values) -> str:
    low, high = (_number(values[f"{name}, 95 % {end}"]) for end in ("low", "high"))
    return f"{_number(values[name])} ({low}, {high})"


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
