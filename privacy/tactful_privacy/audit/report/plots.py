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
    """What the audit proves and estimates of μ after each round, and the claim."""
    rows = run.get("after_each") or [{**run, "rounds": run.get("rounds", 1)}]
    rounds = [int(row["rounds"]) for row in rows]
    middle, low = _column(rows, "gaussian_mu_estimate"), _column(rows, "gaussian_mu_estimate_low")
    with style.styled(), quiet():
        drawn = style.figure(6.4, 3.2)
        axes = drawn.add_subplot()
        axes.plot(rounds, _column(rows, "theory_mu"), color=style.RED, linestyle="--", label=words("theory"))
        axes.fill_between(rounds, low, middle, color=style.GREY, alpha=0.3, linewidth=0)
        axes.plot(rounds, middle, color=style.GREY, marker=".", label=words("estimate_gauss"))
        axes.plot(rounds, _column(rows, "f_dp_mu"), color=style.BLUE, marker="o", label=words("bound_f_dp"))
        axes.set_xlabel(words("axis_round"))
        axes.set_ylabel("μ")
        axes.set_ylim(bottom=0)
        axes.legend(loc="upper left")
        return drawn


def _column(rows: Sequence[Json], key: str) -> list[float]:
    return [float("nan") if row.get(key) is None else float(row[key]) for row in rows]


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
