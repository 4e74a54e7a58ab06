"""The figures of an evaluation's report: overlap, and policies with their intervals."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from tactful_lab.evaluation.compare import Estimate, Finding
from tactful_lab.evaluation.log import PushLog
from tactful_privacy.audit import style

# Edges between the multiples of 1/40, so that 0.2 and 1 − 0.8 share a bin.
_BINS = (np.arange(42) - 0.5) / 40


def overlap(log: PushLog) -> Figure:
    """Logged probability of a send, among the sent and the others, where chance decided: both must reach everywhere."""
    chance = log.randomised
    groups = (("sent", log.sent & chance, style.BLUE), ("not sent", ~log.sent & chance, style.ORANGE))
    with style.styled():
        drawn = style.figure(6.6, 3.5)
        axes = drawn.subplots()
        for name, mask, colour in groups:
            counts, _ = np.histogram(log.send_propensity[mask], _BINS)
            axes.stairs(counts, _BINS, fill=True, color=colour, alpha=0.3)
            axes.stairs(counts, _BINS, color=colour, linewidth=1.4, label=f"{name} ({int(mask.sum()):,})")
        axes.set(xlabel="logged probability of a send", ylabel="decisions", title="Where could either have happened?")
        axes.set_xlim(_BINS[0], _BINS[-1])
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        style.only_horizontal_grid(axes)
    return drawn


def differences(findings: Sequence[Finding], reference: str) -> Figure:
    """Difference of each policy to the reference, an interval for each estimator that concludes."""
    rows = [(f, f.result.difference) for f in findings if isinstance(f.result, Estimate) and f.result.difference]
    policies = list(dict.fromkeys(f.policy for f, _ in rows))
    kinds = list(dict.fromkeys(f.estimator for f, _ in rows))
    with style.styled():
        drawn = style.figure(7.4, 1.4 + 0.16 * len(rows) + 0.25 * len(policies))
        axes = drawn.subplots()
        for index, (kind, colour) in enumerate(zip(kinds, style.COLOURS, strict=False)):
            own = [(policies.index(f.policy), gap) for f, gap in rows if f.estimator == kind]
            shift = (index - (len(kinds) - 1) / 2) * 0.7 / len(kinds)
            heights = [place + shift for place, _ in own]
            axes.hlines(heights, [g.low for _, g in own], [g.high for _, g in own], color=colour, linewidth=1.6)
            marker = style.MARKERS[index]
            points = [g.value for _, g in own]
            axes.plot(points, heights, linestyle="none", marker=marker, markersize=4, color=colour, label=kind)
        axes.axvline(0, color=style.MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.set_yticks(range(len(policies)), policies)
        axes.set_ylim(len(policies) - 0.5, -0.5)
        axes.set(xlabel=f"mean outcome per decision, less that of {reference}", title="Policies against the reference")
        axes.grid(visible=False, axis="y")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawn
