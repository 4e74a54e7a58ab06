"""The figures of a rehearsal: volume, regret, frontier and ε-utility curve; each takes results and returns a figure."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator, PercentFormatter
from numpy.typing import NDArray

from tactful_lab.rehearsal.sweeps import Cell, Point
from tactful_privacy.audit import style

_DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)))


def looks(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour, marker and dash of each name: all seven colours first, then again with dashes."""
    made: dict[str, dict[str, Any]] = {}
    for i, (name, colour, marker) in enumerate(zip(names, cycle(style.COLOURS), cycle(style.MARKERS), strict=False)):
        dash = _DASHES[i // len(style.COLOURS) % len(_DASHES)]
        made[name] = {"color": colour, "marker": marker, "linestyle": dash}
    return made


def weekly_volume(pushes: Mapping[str, NDArray[np.float64]], order: Sequence[str] = ()) -> Figure:
    """Pushes per person and week, (weeks,), a line for each policy; ``order``: all policies, for steady colours."""
    with style.styled():
        drawn = style.figure(7.2, 3.9)
        axes = drawn.subplots()
        look = looks(order or list(pushes))
        for name in pushes:
            axes.plot(_weeks(pushes[name]), pushes[name], label=name, markersize=4, **look[name])
        axes.set(xlabel="week", ylabel="pushes per person", title="How much is sent, week by week")
        axes.set_ylim(bottom=0)
        _weekly(axes)
    return drawn


def regret(gaps: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]], order: Sequence[str] = ()) -> Figure:
    """What the greedy oracle has above each policy, week by week: (mean, half-width), each (weeks,).

    ``order``: all policies, for steady colours.
    """
    with style.styled():
        drawn = style.figure(7.2, 3.9)
        axes = drawn.subplots()
        look = looks(order or list(gaps))
        for name, (mean, half) in gaps.items():
            axes.plot(_weeks(mean), mean, label=name, markersize=4, **look[name])
            colour = look[name]["color"]
            axes.fill_between(_weeks(mean), mean - half, mean + half, color=colour, alpha=0.15, linewidth=0)
        axes.axhline(0, color=style.MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
        axes.set(xlabel="week", ylabel="minor units per person", title="What the greedy oracle earns above each")
        _weekly(axes)
    return drawn


def _weeks(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.arange(1, len(values) + 1)


def _weekly(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    style.only_horizontal_grid(axes)


def frontier(points: Sequence[Point]) -> Figure:
    """Gain over sending nothing against the share that withdrew: a curve for each family, its settings in the legend.

    Points on its upper left are better: more value for fewer opt-outs.
    """
    with style.styled():
        drawn = style.figure(8.4, 4.4)
        axes = drawn.subplots()
        for name, look in looks(list(dict.fromkeys(point.family for point in points))).items():
            family = [point for point in points if point.family == name]
            x, y = [p.opt_out.value for p in family], [p.gain.value for p in family]
            spread = [[p.gain.value - p.gain.low for p in family], [p.gain.high - p.gain.value for p in family]]
            _thin_bars(axes.errorbar(x, y, yerr=spread, label=_settings(family), elinewidth=0.9, linewidth=1.5, **look))
        axes.axhline(0, color=style.MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
        axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        axes.set(xlabel="of the opted-in, withdrew by the end", ylabel="gain, minor units per person and week")
        axes.set_title("Value against opt-outs, by pushes a week or price ν")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawn


def _settings(family: Sequence[Point]) -> str:
    """What a legend says: the family and the range of its settings, in the direction of more pushes."""
    values = sorted(point.value for point in family)
    low, high = f"{values[0]:g}", f"{values[-1]:g}"
    by_cap = family[0].setting == "pushes_per_week"
    return f"{family[0].family}, " + (f"{low} to {high} a week" if by_cap else f"ν {high} to {low}")


def _thin_bars(drawn: ErrorbarContainer) -> None:
    """Bars behind, so that points stay legible where many intervals overlap."""
    for bars in drawn.lines[2]:
        bars.set_alpha(0.4)


def curve(cells: Sequence[Cell], *, baselines: Mapping[str, float]) -> Figure:
    """Gain over sending nothing against ε, a line for each policy and number of people; dashed: policies without ε."""
    with style.styled():
        drawn = style.figure(7.2, 4.2)
        axes = drawn.subplots()
        several = len({cell.policy for cell in cells}) > 1
        lines = dict.fromkeys((cell.policy, cell.n) for cell in cells)
        names = {key: f"{key[0]}, N = {key[1]:,}" if several else f"N = {key[1]:,}" for key in lines}
        for i, (key, look) in enumerate(zip(lines, looks(list(names.values())).values(), strict=True)):
            mine = [cell for cell in cells if (cell.policy, cell.n) == key]
            apart = 1.025 ** (i - (len(lines) - 1) / 2)  # side by side, so that no interval hides another
            x = [apart * cell.epsilon for cell in mine]
            y = np.array([cell.gain.value for cell in mine])
            spread = [[c.gain.value - c.gain.low for c in mine], [c.gain.high - c.gain.value for c in mine]]
            _thin_bars(axes.errorbar(x, y, yerr=spread, label=names[key], elinewidth=0.9, linewidth=1.5, **look))
        for name, gain in baselines.items():
            axes.axhline(gain, color=style.MUTED, linewidth=1.2, linestyle=(0, (4, 3)), label=name)
        _epsilons(axes, sorted({cell.epsilon for cell in cells}))
        axes.set(ylabel="gain, minor units per person and week", title="What privacy costs")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawn


def _epsilons(axes: Axes, values: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(list(values))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("central ε over the whole rehearsal")
