"""The contact-response tables: methods by metrics, and the paired differences of the federation at ε = 4."""

from collections.abc import Sequence
from typing import Any

_METRICS = {"auc": ("AUC", 4), "log_loss": ("log-loss", 4), "brier": ("Brier", 4)}


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """One line for each method; the counts of the data and of looks stand in the result file."""
    values = {row["name"]: row["value"] for row in rows}
    methods = list(dict.fromkeys(name.removesuffix(" · auc") for name in values if name.endswith(" · auc")))
    head = "| method | " + " | ".join(title for title, _ in _METRICS.values()) + " | rounds |"
    lines = [head, "|---|" + "---:|" * (len(_METRICS) + 1)]
    for method in methods:
        cells = [_cell(values, f"{method} · {key}", digits) for key, (_, digits) in _METRICS.items()]
        rounds = values.get(f"{method} · rounds")
        lines.append(f"| {method} | {' | '.join(cells)} | {'–' if rounds is None else f'{rounds:.0f}'} |")
    return [*lines, "", *_differences(values)]


def _differences(values: dict[str, float]) -> list[str]:
    """Mean difference and its interval for each pair of methods."""
    labels = [name for name in values if name.endswith(" difference")]
    lines = ["| difference | value | 95 % interval, households resampled |", "|---|---:|---:|"] if labels else []
    for label in labels:
        low, high = values[f"{label}, 95 % low"], values[f"{label}, 95 % high"]
        shown = f"{values[label]:+.4f} | {low:+.4f} to {high:+.4f} |".replace("-", "−")
        lines.append(
            f"| {label.replace(' · ', ': ').removesuffix(' difference').replace('log_loss', 'log-loss')} | {shown}"
        )
    for name in (name for name in values if name.endswith(", deviations from the rehearsed mean")):
        shown = f"{values[name]:+.2f}".replace("-", "−")
        lines.append(f"| {name.replace(' · ', ': ').replace('log_loss', 'log-loss')} | {shown} | – |")
    return lines


def _cell(values: dict[str, float], name: str, digits: int) -> str:
    deviation = values.get(f"{name} deviation")
    shown = f"{values[name]:.{digits}f}"
    return shown if not deviation else f"{shown} ± {deviation:.{digits}f}"
