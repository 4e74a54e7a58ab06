"""``python -m benchmarks.rehearsal_pictures``: the rehearsal's three figures, from the committed rows alone."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter

from benchmarks import _harness
from benchmarks.rehearsal_table import EPSILONS, GAIN, MAIN, Values
from tactful_privacy.audit import style

FOLDER = _harness.ROOT / "docs" / "images"
SHOWN = (
    *(
        "fixed_three",
        "fixed_daily",
        "histogram_three",
        "histogram_daily",
        "logistic_three",
        "logistic_daily",
        "logistic_paced",
    ),
    *("local_only", "thompson_no_fatigue", "central", "tactful, ε = 4"),
)
OFFSETS = {"tactful, ε = 4": (8, -4), "central": (-38, -11), "local_only": (-52, -2)}
"""Where the labels go of policies that lie side by side."""
SIZES = (500, 2_000, 10_000, 100_000)


def pictures(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """SVG text by file stem, for those figures that have rows."""
    values = {row["name"]: row["value"] for row in rows}
    drawn = {"frontier": _frontier, "epsilon": _epsilon, "weekly": _weekly}
    found = {}
    for name, draw in drawn.items():
        with style.styled():
            figure = style.figure(8.6 if name == "weekly" else 6.8, 3.9)
            panels = figure.subplots(1, 2) if name == "weekly" else figure.subplots()
            if draw(panels, values):
                found[f"rehearsal-{name}"] = style.svg(figure, f"rehearsal-{name}")
    return found


def _frontier(axes: Axes, values: Values) -> bool:
    """Gain against opt-outs, one point for each policy with its interval."""
    shown = [name for name in SHOWN if f"{MAIN} · {name} · {GAIN}" in values]
    for i, name in enumerate(shown):
        head = f"{MAIN} · {name}"
        x, y = 100 * values[f"{head} · opt-out share"], values[f"{head} · {GAIN}"]
        ends = [[y - values[f"{head} · {GAIN}, 95 % low"]], [values[f"{head} · {GAIN}, 95 % high"] - y]]
        colour = style.BLUE if name.startswith("tactful") else style.GREY
        axes.errorbar([x], [y], yerr=ends, fmt=style.MARKERS[i % len(style.MARKERS)], color=colour, capsize=2)
        axes.annotate(
            name, (x, y), xytext=OFFSETS.get(name, (6, 4)), textcoords="offset points", fontsize=8, color=style.MUTED
        )
    axes.set(xlabel="opted out in eight weeks", ylabel="gain over never, minor units per user-week")
    axes.set_title("What a policy brings, and whom it drives away")
    axes.xaxis.set_major_formatter(PercentFormatter(100, symbol=" %"))
    axes.margins(x=0.18)
    return bool(shown)


def _epsilon(axes: Axes, values: Values) -> bool:
    """Gain against ε, one line for each number of persons."""
    drawn = False
    for n, marker, colour in zip(SIZES, style.MARKERS, style.COLOURS, strict=False):
        label = f"main, N = {n:,}" if n >= 10_000 else f"ε-utility, N = {n:,}"
        points = [(float(p.rsplit(" ", 1)[1]), values.get(f"{label} · {p} · {GAIN}")) for p in EPSILONS]
        known = [(epsilon, gain) for epsilon, gain in points if gain is not None]
        if known:
            axes.plot(*zip(*known, strict=True), marker=marker, color=colour, label=f"N = {n:,}")
            drawn = True
        if (central := values.get(f"{label} · central · {GAIN}")) is not None:
            axes.axhline(central, color=colour, linewidth=1, linestyle=(0, (4, 3)))
    axes.set(xscale="log", xlabel="ε", ylabel="gain over never, minor units per user-week")
    axes.set_xticks([1, 2, 4, 8])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_title("What privacy costs; dashed: no noise, no clipping")
    if drawn:
        axes.legend()
    return drawn


def _weekly(panels: Any, values: Values) -> bool:
    """Gain and pushes sent, week by week."""
    heads = list(dict.fromkeys(name.split(" · week ")[0] for name in values if " · week " in name))
    for head, marker, colour in zip(heads, style.MARKERS, style.COLOURS, strict=False):
        weeks = [week for week in range(1, 100) if f"{head} · week {week} · {GAIN}" in values]
        for panel, figure in zip(panels, (GAIN, "pushes"), strict=True):
            heights = [values[f"{head} · week {week} · {figure}"] for week in weeks]
            panel.plot(weeks, heights, marker=marker, color=colour, label=head.rsplit(" · ", 1)[1])
    panels[0].set(title="Gain over never", xlabel="week", ylabel="minor units per user-week")
    panels[1].set(title="Pushes sent", xlabel="week", ylabel="per user-week", ylim=(0, None))
    if heads:
        panels[1].legend(fontsize=8)
    return bool(heads)


def write(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Write the figures under ``docs/images`` and return their names."""
    found = pictures(rows)
    for name, text in found.items():
        (FOLDER / f"{name}.svg").write_text(text, encoding="utf-8")
    return list(found)


if __name__ == "__main__":
    print("\n".join(write(_harness.read("rehearsal")["rows"])))
