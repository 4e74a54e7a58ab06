"""Figures of causal excursion effects. `tactful_privacy.audit.style` writes them."""

from matplotlib.figure import Figure

from tactful_lab.evaluation.excursion_results import EffectCurve, ExcursionFit
from tactful_privacy.audit import style


def effect_along(curve: EffectCurve, *, outcome: str = "outcome", title: str = "What a push changes") -> Figure:
    """The effect along a moderator, decision day say, with its pointwise band and a line at no effect.

    Args:
        curve: From `ExcursionFit.curve`.
        outcome: Name and unit of the outcome.
        title: Of the figure.
    """
    with style.styled():
        drawn = style.figure()
        axes = drawn.subplots()
        band = f"{100 * curve.level:g} % interval at each point"
        axes.fill_between(curve.at, curve.low, curve.high, color=style.SKY, alpha=0.35, linewidth=0, label=band)
        axes.plot(curve.at, curve.estimate, color=style.BLUE, label="estimate")
        axes.axhline(0, color=style.MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.set(xlabel=curve.moderator, ylabel=f"change in {outcome}", title=title)
        axes.set_xlim(min(curve.at), max(curve.at))
        axes.legend(loc="best")
        style.only_horizontal_grid(axes)
    return drawn


def effects_apart(
    fit: ExcursionFit, *, outcome: str = "outcome", title: str = "What a push changes, by level"
) -> Figure:
    """Each effect of a fit with its interval, as after `effect_by_level`, and a line at no effect."""
    with style.styled():
        drawn = style.figure(6.4, 1.4 + 0.36 * len(fit.effects))
        axes = drawn.subplots()
        heights = range(len(fit.effects))
        axes.hlines(heights, [e.low for e in fit.effects], [e.high for e in fit.effects], color=style.SKY, linewidth=3)
        axes.plot([e.estimate for e in fit.effects], heights, linestyle="none", marker="o", color=style.BLUE)
        axes.axvline(0, color=style.MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.set_yticks(heights, [e.name for e in fit.effects])
        axes.set_ylim(len(fit.effects) - 0.5, -0.5)
        axes.set(xlabel=f"change in {outcome}, with {100 * fit.level:g} % interval", title=title)
        axes.grid(visible=False, axis="y")
    return drawn
