"""The figure of a case: how much of what people bought each method had among its first ten."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from tactful_lab.slots.bootstrap import Interval
from tactful_privacy.audit import style


def recall(panels: Mapping[str, Sequence[tuple[str, Interval]]]) -> Figure:
    """A panel for each title; a point with its interval for each method, in the given order from the top."""
    with style.styled():
        rows = max(len(methods) for methods in panels.values())
        drawn = style.figure(8.4, 0.9 + 0.36 * rows)
        places = drawn.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, (title, methods) in zip(places, panels.items(), strict=True):
            for y, (name, found) in enumerate(methods):
                colour = style.GREY if name in ("popularity", "random") else style.BLUE
                spread = [[found.value - found.low], [found.high - found.value]]
                axes.errorbar(found.value, y, xerr=spread, fmt="o", color=colour, capsize=3, linewidth=1.4)
            axes.axvline(methods[0][1].value, color=style.MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
            axes.set_yticks(range(len(methods)), [name for name, _ in methods])
            axes.set_ylim(len(methods) - 0.5, -0.5)
            axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
            axes.grid(visible=False, axis="y")
            axes.set_title(title)
            axes.set_xlabel("recall@10")
    return drawn
