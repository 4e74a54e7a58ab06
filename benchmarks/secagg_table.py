"""The tables and the picture of the benchmark of secure aggregation, from its rows."""

import re
from collections.abc import Sequence
from typing import Any

COMPLETE, GRAPH = "complete graph", "neighbour graph"
SAME, FLOWER = "ours at that degree", "Flower SecAgg+"
_CASE = re.compile(r"^(?P<layout>.+), (?P<hosts>[\d,]+) hosts, d = (?P<dimension>\d+) · (?P<figure>.+)$")
STAGES = ("keys", "shares", "contribution", "sign", "endorse", "unmask")

Rows = Sequence[dict[str, Any]]
Key = tuple[str, int, int]


def cases(rows: Rows) -> dict[Key, dict[str, float]]:
    """Per (layout, hosts, coordinates) its figures by name; ``threshold`` beside them."""
    found: dict[Key, dict[str, float]] = {}
    for row in rows:
        if match := _CASE.match(row["name"]):
            key = match["layout"], int(match["hosts"].replace(",", "")), int(match["dimension"])
            figures = found.setdefault(key, {})
            figures[match["figure"]] = row["value"]
            if match["figure"] == "shares of a secret":
                figures["threshold"] = row["reference_value"]
    return found


def table(rows: Rows) -> list[str]:
    """Three tables: figures with a bar and estimates; all cases; all stages of a hundred hosts."""
    found = cases(rows)
    lines = ["| what | value | unit | bar |", "|---|---:|---|---:|"]
    for row in rows:
        if not _CASE.match(row["name"]):
            bar = "–" if row["reference_value"] is None else f"{row['reference_value']:,.4g}"
            lines.append(f"| {row['name']} | {row['value']:,.4g} | {row['unit']} | {bar} |")
    return [*lines, "", *_cases_table(found), "", *_stages_table(found)]


def _cases_table(found: dict[Key, dict[str, float]]) -> list[str]:
    lines = [
        "| scheme | hosts | d | shares (threshold) | all hosts, CPU s | a host, CPU ms | server, CPU s | opening "
        "| sent by a host, KiB | received, KiB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    order = (COMPLETE, GRAPH, SAME, FLOWER)
    for (layout, hosts, dimension), x in sorted(found.items(), key=lambda kept: (order.index(kept[0][0]), kept[0][1:])):
        opening = f"{x['opening']:.2f}" if "opening" in x else "–"
        lines.append(
            f"| {layout} | {hosts:,} | {dimension} | {x['shares of a secret']:.0f} ({x['threshold']:.0f}) "
            f"| {x['all hosts']:.2f} | {1e3 * x['all hosts'] / hosts:.1f} | {x['server']:.2f} | {opening} "
            f"| {x['sent by a host'] / 1024:.1f} | {x['received by a host'] / 1024:.1f} |"
        )
    return lines


def _stages_table(found: dict[Key, dict[str, float]]) -> list[str]:
    lines = [
        "| stage, 100 hosts, d = 512 | scheme | all hosts, CPU s | server, CPU s | sent by a host, B | received, B |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for stage in STAGES:
        for layout in (COMPLETE, GRAPH, SAME, FLOWER):
            x = found.get((layout, 100, 512), {})
            if f"{stage} · sent" in x:
                server = f"{x[f'{stage} · server']:.3f}" if f"{stage} · server" in x else "–"
                lines.append(
                    f"| {stage} | {layout} | {x[f'{stage} · all hosts']:.3f} | {server} "
                    f"| {x[f'{stage} · sent']:,.0f} | {x[f'{stage} · received']:,.0f} |"
                )
    return lines


def picture(rows: Rows) -> str:
    """Growth in n at d = 512 as SVG: CPU milliseconds, and bytes either way, per host."""
    from tactful_privacy.audit import style

    found = cases(rows)
    with style.styled():
        figure = style.figure(8.4, 3.8)
        time_axes, bytes_axes = figure.subplots(1, 2)
        for layout, marker, colour in zip((COMPLETE, GRAPH, SAME, FLOWER), style.MARKERS, style.COLOURS, strict=False):
            points = sorted((hosts, x) for (name, hosts, d), x in found.items() if (name, d) == (layout, 512))
            sizes = [hosts for hosts, _ in points]
            look = {"marker": marker, "color": colour, "label": layout}
            time_axes.loglog(sizes, [1e3 * (x["all hosts"] + x["server"]) / n for n, x in points], **look)
            kib = [(x["sent by a host"] + x["received by a host"]) / 1024 for _, x in points]
            bytes_axes.loglog(sizes, kib, **look)
        time_axes.set(title="CPU time", xlabel="hosts", ylabel="ms per host, server's share included")
        bytes_axes.set(title="Traffic", xlabel="hosts", ylabel="KiB per host, both ways")
        time_axes.legend()
    return style.svg(figure, "secagg-growth")
