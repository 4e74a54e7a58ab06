"""The figures of a rehearsal. Each takes plain arrays and returns a figure; `tactful_privacy.audit.style` writes it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter
from numpy.typing import ArrayLike, NDArray

from tactful_lab.slots.metrics import CalibrationCurve
from tactful_privacy.audit import style

SLOT_LABELS = tuple(f"{hour}–{hour + 2}" for hour in range(8, 22, 2))
_BESIDE: Any = {"xytext": (6, 0), "textcoords": "offset points", "fontsize": 8.5, "color": style.MUTED}
_HEAT = LinearSegmentedColormap.from_list("calm", ["#f3f7fb", "#b9d7ec", "#56a3d0", "#0b5c94"])


def calibration(curves: Mapping[str, CalibrationCurve]) -> Figure:
    """Observed rate against mean score in equal-mass bins, on log axes: on the diagonal a score means what it says."""
    with style.styled():
        drawn = style.figure(5.4, 4.6)
        axes = drawn.subplots()
        values = np.concatenate([np.r_[c.mean_score, c.rate] for c in curves.values()])
        low, high = max(values[values > 0].min(), 1e-4) / 1.4, values.max() * 1.4
        axes.plot([low, high], [low, high], color=style.GREY, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.text(high / 1.25, high / 1.12, "as promised", color=style.MUTED, ha="right", va="bottom", fontsize=8.5)
        for (name, curve), marker, colour in zip(curves.items(), style.MARKERS, style.COLOURS, strict=False):
            axes.plot(curve.mean_score, curve.rate, marker=marker, color=colour, label=name, linewidth=1.6)
        axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
            axis.set_minor_locator(NullLocator())
        axes.set(xlabel="predicted probability", ylabel="observed rate", title="Does a probability mean what it says?")
        axes.legend(loc="lower right")
    return drawn


def precision_bars(precision: Mapping[str, Mapping[str, float]], base_rate: float) -> Figure:
    """Share of hits among the highest-scored slots: a group of bars for each cut-off, a bar for each method."""
    with style.styled():
        drawn = style.figure(6.8, 3.9)
        axes = drawn.subplots()
        cuts = list(next(iter(precision.values())))
        width = 0.8 / len(precision)
        for i, ((name, at), colour) in enumerate(zip(precision.items(), _ordered(len(precision)), strict=True)):
            x = np.arange(len(cuts)) - 0.4 + width * (i + 0.5)
            bars = axes.bar(x, [at[cut] for cut in cuts], width * 0.9, color=colour, label=name)
            axes.bar_label(
                bars, labels=[f"{100 * at[cut]:.1f}" for cut in cuts], fontsize=8, color=style.INK, padding=2
            )
        axes.axhline(base_rate, color=style.MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
        label = f"base rate\n{100 * base_rate:.1f} %"
        axes.annotate(label, (1, base_rate), xycoords=("axes fraction", "data"), va="center", **_BESIDE)
        axes.set_xticks(np.arange(len(cuts)), cuts)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
        axes.set(ylabel="a basket did start", title="Of the slots scored highest, how many were right?")
        axes.margins(y=0.22)
        axes.legend(loc="upper right", ncols=2)
        style.only_horizontal_grid(axes)
    return drawn


def _ordered(n: int) -> list[str]:
    """Colours of n methods from the plainest to ours: greys first, the accents last."""
    ladder = [style.GREY, style.ORANGE, style.GREEN, style.PINK, style.SKY]
    return [*ladder[: n - 1], style.BLUE] if n <= len(ladder) else list(style.COLOURS[:n])


def epsilon_over_rounds(
    rounds: ArrayLike, low: ArrayLike, median: ArrayLike, high: ArrayLike, *, budget: float, delta: float
) -> Figure:
    """ε spent by the devices as rounds pass: median, the range between the least and the most, and the promise."""
    with style.styled():
        drawn = style.figure()
        axes = drawn.subplots()
        axes.fill_between(rounds, low, high, color=style.SKY, alpha=0.35, linewidth=0, label="least to most spent")
        axes.plot(rounds, median, color=style.BLUE, label="median device")
        axes.axhline(budget, color=style.RED, linewidth=1.4, linestyle=(0, (4, 3)))
        axes.annotate(
            f"promised ceiling: ε = {budget:g}",
            (0, budget),
            xycoords=("axes fraction", "data"),
            xytext=(4, 4),
            textcoords="offset points",
            color=style.RED,
            fontsize=9,
        )
        axes.set(
            xlabel="round",
            ylabel=f"ε at δ = {power(delta)}",
            title="What learning has cost the devices so far",
            ylim=(0, budget * 1.18),
        )
        _whole_rounds(axes, rounds)
        axes.legend(loc="lower right")
        style.only_horizontal_grid(axes)
    return drawn


def _whole_rounds(axes: Axes, rounds: ArrayLike) -> None:
    """An axis of rounds from the first to the last, without halves of one."""
    axes.set_xlim(float(np.min(rounds)), float(np.max(rounds)))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def noise_against_signal(rounds: ArrayLike, signal: ArrayLike, noise: float | ArrayLike) -> Figure:
    """Length of the opened mean update and of the noise within it (root mean square), by round, on a log scale."""
    with style.styled():
        drawn = style.figure()
        axes = drawn.subplots()
        axes.plot(rounds, signal, color=style.BLUE, label="opened mean update")
        axes.plot(
            rounds,
            np.broadcast_to(noise, np.shape(rounds)),
            color=style.ORANGE,
            linestyle=(0, (5, 2)),
            label="noise in it, expected",
        )
        axes.set(xlabel="round", ylabel="Euclidean length", yscale="log", title="Noise against signal")
        _whole_rounds(axes, rounds)
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.legend(loc="upper right")
        style.only_horizontal_grid(axes)
    return drawn


def contribution_panels(before: ArrayLike, noised: ArrayLike, masked: ArrayLike, *, modulus_bits: int = 32) -> Figure:
    """One host's contribution, coordinate by coordinate: the sum, the sum plus its noise share, and what leaves.

    Args:
        before: Sum of the host's clipped updates, (d,).
        noised: The same plus the host's noise share, (d,).
        masked: What leaves the host, integers modulo 2^modulus_bits, (d,).
        modulus_bits: Of the masked vector.
    """
    with style.styled():
        drawn = style.figure(9.6, 3.1)
        panels = drawn.subplots(1, 3)
        unit = np.asarray(masked, dtype=np.float64) / 2.0**modulus_bits
        _stems(panels[0], np.asarray(before), style.BLUE, "1  The sum of its devices", "update")
        _stems(panels[1], np.asarray(noised), style.ORANGE, "2  With its share of noise", "")
        _stems(panels[2], unit, style.GREY, "3  Masked: what leaves", f"share of 2^{modulus_bits}")
        panels[2].set_ylim(0, 1.02)
        span = 1.1 * max(np.abs(before).max(), np.abs(noised).max(), 1e-12)
        for panel in panels[:2]:
            panel.set_ylim(-span, span)
    return drawn


def power(value: float) -> str:
    """A small number for a label: 1e-6 as 10⁻⁶."""
    exponent = round(float(np.log10(value)))
    if not np.isclose(value, 10.0**exponent):
        return f"{value:g}"
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _stems(axes: Axes, values: NDArray[np.float64], colour: str, title: str, label: str) -> None:
    where = np.arange(len(values))
    axes.vlines(where, 0, values, color=colour, linewidth=1.4, alpha=0.75)
    axes.plot(where, values, linestyle="none", marker="o", markersize=2.6, color=colour)
    axes.axhline(0, color=style.MUTED, linewidth=0.8)
    axes.set(xlabel="coordinate", ylabel=label, title=title)
    style.only_horizontal_grid(axes)


def week_plan(scores: ArrayLike, days: Sequence[str], sends: Sequence[tuple[int, int]]) -> Figure:
    """One household's week: probability of a basket by day and slot, the chosen sends framed.

    Args:
        scores: Probabilities, (days, slots).
        days: Label of each day.
        sends: (day index, slot index) of each chosen send.
    """
    with style.styled():
        values = np.asarray(scores, dtype=np.float64)
        drawn = style.figure(7.4, 3.7)
        axes = drawn.subplots()
        axes.pcolormesh(values.T, cmap=_HEAT, vmin=0, edgecolors="white", linewidth=2)
        for (day, slot), value in np.ndenumerate(values):
            dark = value > 0.6 * values.max()
            axes.text(
                day + 0.5,
                slot + 0.5,
                f"{100 * value:.0f}",
                ha="center",
                va="center",
                fontsize=8.5,
                color="white" if dark else "#33424f",
            )
        for day, slot in sends:
            axes.add_patch(
                Rectangle((day + 0.05, slot + 0.06), 0.9, 0.88, fill=False, edgecolor=style.RED, linewidth=2.6)
            )
        axes.set_xticks(np.arange(len(days)) + 0.5, days)
        axes.set_yticks(np.arange(values.shape[1]) + 0.5, SLOT_LABELS[: values.shape[1]])
        axes.invert_yaxis()
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_title("The coming week: chance of a basket, in %; framed: worth a push")
    return drawn
