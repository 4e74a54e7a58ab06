"""The report's figures."""

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np
from matplotlib.figure import Figure

from tactful_privacy.audit import style
from tactful_privacy.audit.report.findings import Json
from tactful_privacy.audit.report.words import Words


def quiet() -> AbstractContextManager[object]:
    """A context for drawing Chinese text: only its width is guessed, since the page's own font sets it."""
    return warnings.catch_warnings(action="ignore", category=UserWarning)


def epsilon_over_rounds(epsilons: Sequence[float], promise: float | None, words: Words) -> Figure:
    """ε after each round as a line, the promise as another."""
    with style.styled(), quiet():
        drawn = style.figure(6.4, 3.0)
        axes = drawn.add_subplot()
        rounds = np.arange(len(epsilons) + 1)
        axes.step(rounds, [0.0, *epsilons], where="post", color=style.BLUE)
        if promise is not None:
            axes.axhline(promise, color=style.ORANGE, linestyle="--")
            axes.annotate(words("promise"), (0, promise), xytext=(4, 4), textcoords="offset points", color=style.INK)
        axes.set_xlabel(words("axis_round"))
        axes.set_ylabel(words("axis_epsilon"))
        axes.set_ylim(bottom=0)
        axes.set_xlim(0, max(len(epsilons), 1))
        return drawn


def bound_against_theory(run: Json, words: Words) -> Figure:
    """What the audit proves and estimates of μ, and the claim as a line across."""
    with style.styled(), quiet():
        drawn = style.figure(6.4, 2.2)
        axes = drawn.add_subplot()
        low, middle = run.get("gaussian_mu_estimate_low"), run.get("gaussian_mu_estimate")
        names, values, colours = [words("bound_f_dp")], [float(run["f_dp_mu"])], [style.BLUE]
        if middle is not None:
            names.append(words("estimate_gauss"))
            values.append(float(middle))
            colours.append(style.GREY)
        places = range(len(names))
        axes.barh(places, values, color=colours, height=0.5)
        if middle is not None and low is not None:
            axes.plot([low, middle], [1, 1], color=style.INK, linewidth=1.2)
        axes.axvline(float(run["theory_mu"]), color=style.RED, linestyle="--")
        axes.annotate(
            words("theory"), (float(run["theory_mu"]), len(names) - 0.6), xytext=(4, 0), textcoords="offset points"
        )
        axes.set_yticks(list(places), names)
        axes.invert_yaxis()
        axes.set_xlabel("μ")
        axes.set_xlim(0, 1.25 * max(float(run["theory_mu"]), *values))
        axes.grid(visible=False, axis="y")
        return drawn


def reconstruction(rows: Sequence[Json], words: Words) -> Figure:
    """Correlation reached under each protection, with its interval."""
    with style.styled(), quiet():
        drawn = style.figure(6.4, 2.6)
        axes = drawn.add_subplot()
        for place, row in enumerate(rows):
            colour = style.RED if row["succeeds"] else style.BLUE
            axes.plot([row["low"], row["high"]], [place, place], color=colour)
            axes.plot([row["value"]], [place], marker="o", color=colour)
        axes.axvline(0.0, color=style.MUTED, linewidth=1)
        axes.set_yticks(range(len(rows)), [words.name(str(row["condition"])) for row in rows])
        axes.invert_yaxis()
        axes.set_xlabel(words("reached"))
        axes.grid(visible=False, axis="y")
        return drawn
