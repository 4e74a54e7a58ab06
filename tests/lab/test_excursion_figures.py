"""Figures of effects draw the numbers of the fit."""

import numpy as np
import pytest
from tests.lab.excursion_world import draw

from tactful_lab.evaluation import excursion, excursion_figures
from tactful_privacy.audit import style


@pytest.fixture(scope="module")
def trial():
    return draw(1, users=30, decisions=20, slope=0.02)


def test_the_effect_over_time_is_drawn_with_its_band(trial):
    """The line is the estimate, the band its interval, the axes say what they show."""
    curve = excursion.effect_over_time(trial).curve(range(20))
    drawn = excursion_figures.effect_along(curve, outcome="minutes")
    axes = drawn.axes[0]
    line = axes.lines[0]
    assert line.get_xdata() == pytest.approx(range(20))
    assert line.get_ydata() == pytest.approx(curve.estimate)
    corners = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (corners.min(), corners.max()) == pytest.approx((min(curve.low), max(curve.high)))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("day", "change in minutes")
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["95 % interval at each point", "estimate"]


def test_the_band_is_narrowest_where_the_data_are(trial):
    """The curve is a straight line and its band is wider at both ends than within."""
    curve = excursion.effect_over_time(trial).curve(range(20))
    assert np.diff(curve.estimate, 2) == pytest.approx(np.zeros(18), abs=1e-12)
    width = np.subtract(curve.high, curve.low)
    assert width.argmin() not in (0, 19)


def test_effects_by_level_are_drawn_apart(trial):
    """One dot and one bar for each level, named."""
    fit = excursion.effect_by_level(trial, "third")
    axes = excursion_figures.effects_apart(fit).axes[0]
    assert axes.lines[0].get_xdata() == pytest.approx([effect.estimate for effect in fit.effects])
    assert len(axes.collections[0].get_paths()) == 3
    assert [label.get_text() for label in axes.get_yticklabels()] == ["third=0", "third=1", "third=2"]


def test_figures_are_written_in_the_house_style(trial, tmp_path):
    """Both figures become SVG and PNG, and drawn again the same bytes."""
    curve = excursion.effect_over_time(trial).curve(range(20))
    levels = excursion.effect_by_level(trial, "third")
    for figure, result in ((excursion_figures.effect_along, curve), (excursion_figures.effects_apart, levels)):
        paths = style.save(figure(result), tmp_path / "effect")
        assert all(path.stat().st_size > 1_000 for path in paths)
        assert style.svg(figure(result), "effect") == paths[0].read_text(encoding="utf-8")
