"""``python -m benchmarks.render_docs [--check]``: fill the tables of the pages from the committed results.

A table stands between ``<!-- bench:SUITE -->`` and ``<!-- /bench -->``. Rows named ``method · metric`` become a table
of methods by metrics; the line under it names commit, date, machine and, for the slots, the count of looks at December.
With ``--check`` nothing is written, and the exit code is 1 if a page is not what the results make it.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import (
    _harness,
    contacts_table,
    faults,
    ope_table,
    optimisers_table,
    rehearsal_table,
    secagg_table,
    worlds_table,
)
from benchmarks.slots import OF_FEW
from tactful_lab.errors import ResultsInvalid
from tactful_lab.slots.looks import Looks

MARKED = re.compile(r"(<!-- bench:(?P<suite>[a-z_]+) -->\n).*?(<!-- /bench -->)", re.DOTALL)
INTERVAL = (", 95 % low", ", 95 % high")
TITLES = {
    "log_loss": ("log-loss", "{:.4f}"),
    "auc": ("AUC", "{:.3f}"),
    "brier": ("Brier", "{:.5f}"),
    "calibration_error": ("calibration error", "{:.4f}"),
    "precision_top_5_percent": ("precision, top 5 %", "{:.3f}"),
    "top_slot_hit_rate": ("top-slot hit rate", "{:.3f}"),
}
TABLES = {
    "contacts": contacts_table.table,
    "ope": ope_table.table,
    "optimisers": optimisers_table.table,
    "rehearsal": rehearsal_table.table,
    "secagg": secagg_table.table,
    "worlds": worlds_table.table,
}
"""Suites with tables of their own; all others share `table`."""


def pages() -> list[Path]:
    """The pages that may hold a marker."""
    found = [_harness.ROOT / "README.md", *sorted((_harness.ROOT / "docs").rglob("*.md"))]
    return [page for page in found if page.exists()]


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Methods by metrics, or planted faults by checks, or every row as a plain list of figures."""
    if any(row["name"].endswith(" · self_test") for row in rows):
        return faults.table(rows)
    values = {row["name"]: row["value"] for row in rows}
    methods = list(dict.fromkeys(name.split(" · ")[0] for name in values if name.endswith(" · log_loss")))
    if not methods:
        return _plain(rows)
    head = "| method | " + " | ".join(title for title, _ in TITLES.values()) + " | log-loss − histogram (95 %) |"
    lines = [head, "|---|" + "---:|" * (len(TITLES) + 1)]
    for method in methods:
        cells = [form.format(values[f"{method} · {key}"]) for key, (_, form) in TITLES.items()]
        lines.append(f"| {method} | " + " | ".join([*cells, _difference(method, values)]) + " |")
    asked = [row for row in rows if row["reference"] == "bar"]
    return lines + (["", *_plain(asked)] if asked else [])


def _plain(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Every row as a line of its own, an interval's two ends with their value."""
    values = {row["name"]: row["value"] for row in rows}
    return ["| what | value | unit | beside |", "|---|---:|---|---|"] + [
        f"| {row['name']} | {_with_interval(row, values)} | {row['unit']} | {_beside(row)} |"
        for row in rows
        if not row["name"].endswith(INTERVAL)
    ]


def _with_interval(row: dict[str, Any], values: dict[str, float]) -> str:
    low, high = (values.get(row["name"] + end) for end in INTERVAL)
    return f"{row['value']:.4g}" if low is None or high is None else f"{row['value']:.3g} ({low:.3g}, {high:.3g})"


def _beside(row: dict[str, Any]) -> str:
    if row["reference_value"] is None:
        return "–"
    return f"{row['reference']}: {row['reference_value']:.4g}"


def _difference(method: str, values: dict[str, float]) -> str:
    # Methods on fewer households are compared with the histogram of those, which is named alike.
    starts = [f"{method} − household histogram{end} · log_loss difference" for end in ("", OF_FEW)]
    name = next((name for name in starts if name in values), None)
    if name is None:
        return "–"
    value, low, high = (1e4 * values[name + end] for end in ("", " 95 % low", " 95 % high"))
    return f"{value:+.1f} ({low:+.1f}, {high:+.1f}) · 10⁻⁴".replace("-", "−")


def render(suite: str, folder: Path = _harness.RESULTS) -> str:
    """The text between the markers of one suite."""
    document = _harness.read(suite, folder)
    source = f"Commit {document['commit']}, {document['date'][:10]}, {document['machine']}."
    if suite == "slots":
        # Counted anew, not taken from the run: looks by hand are entered in the file as well.
        source += f" December has been looked at {Looks(_harness.LOOKS).count} times (`benchmarks/looks.jsonl`)."
    drawn = TABLES.get(suite, table)(document["rows"])
    return "\n".join(["", *drawn, "", source, ""]) + "\n"


def fill(text: str, folder: Path = _harness.RESULTS) -> str:
    """A page with every marked table replaced. Raises `ResultsInvalid` if a marker is not closed."""
    if len(re.findall(r"<!-- bench:[a-z_]+ -->", text)) != len(MARKED.findall(text)):
        raise ResultsInvalid("is not closed", field="<!-- bench:… -->", remedy="add <!-- /bench -->")
    return MARKED.sub(lambda m: m[1] + render(m["suite"], folder) + m[3], text)


def main(arguments: Sequence[str]) -> int:
    """Fill the pages, or compare them."""
    stale = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        filled = fill(text)
        if filled != text:
            stale.append(page)
            if "--check" not in arguments:
                page.write_text(filled, encoding="utf-8")
    for page in stale:
        print(
            f"{'differs from the results' if '--check' in arguments else 'filled'}: {page.relative_to(_harness.ROOT)}"
        )
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
