"""The figures of a rehearsal show every policy and setting, with labels, and the sweeps hand ε and price through."""

from dataclasses import replace

import numpy as np
import pytest

from tactful_lab.rehearsal import figures, page, sweeps
from tactful_lab.rehearsal.options import Options
from tactful_lab.rehearsal.policies import make
from tactful_lab.rehearsal.run import Estimate, run
from tactful_lab.worlds import RandomTimes
from tactful_privacy.audit import style
from tactful_privacy.errors import InvalidInput

OPTIONS = Options(n=60, weeks=1, warmup_weeks=0, seeds=2)


def texts(drawn):
    return style.svg(drawn, "test")


def test_volume_and_regret_name_axes_and_policies():
    """A line for each policy, named in the legend."""
    weeks = {"one": np.array([1.0, 2.0]), "two": np.array([2.0, 1.0])}
    for drawn in (figures.weekly_volume(weeks), figures.regret({k: (v, v / 2) for k, v in weeks.items()})):
        assert len(drawn.axes[0].lines) >= 2
        for label in ("one", "two", "week"):
            assert f">{label}<" in texts(drawn)


def test_many_policies_differ_in_colour_or_dash():
    """Seventeen policies get seventeen looks."""
    looks = figures.looks([str(i) for i in range(17)])
    assert len({(look["color"], str(look["linestyle"])) for look in looks.values()}) == 17


def test_frontier_holds_every_family_at_every_setting():
    """Caps by frequency, the oracle by price; more pushes, more opt-outs in expectation are left to the reader."""
    rehearsal = run(OPTIONS)
    points = sweeps.frontier(OPTIONS, rehearsal.rows["never"])
    assert len(points) == 3 * len(sweeps.DAYS) + len(sweeps.PRICES_IN_PUSHES)
    caps = [point.pushes for point in points if point.family == "fixed cap"]
    assert caps == sorted(caps)
    drawn = figures.frontier(points)
    for family in ("random times, 1 to 7 a week", "fixed cap, 1 to 7 a week", "greedy_oracle, ν 1.6 to 0"):
        assert f">{family}<" in texts(drawn)


def test_curve_hands_epsilon_and_people_through(monkeypatch):
    """A toy learner records what it is made with; the time is foretold in proportion to the people."""
    asked, options = [], replace(OPTIONS)
    monkeypatch.setattr(sweeps, "PRIVATE", ("fixed_three",))
    options = replace(options, policies=("fixed_three",))

    def maker(name, world, *, epsilon, fleet_price_minor, warmup_weeks):
        if name == "fixed_three":
            asked.append((world.n, epsilon))
            return RandomTimes(min(epsilon, 7.0), world.seed)
        return make(name, world, epsilon=epsilon, fleet_price_minor=fleet_price_minor, warmup_weeks=warmup_weeks)

    cells = sweeps.curve(options, (30, 60), (0.5, 4.0), maker=maker)
    assert sorted(set(asked)) == [(30, 0.5), (30, 4.0), (60, 0.5), (60, 4.0)]
    assert [(cell.n, cell.epsilon) for cell in cells] == [(30, 0.5), (30, 4.0), (60, 0.5), (60, 4.0)]
    rows = run(options, maker=maker).rows
    short, long = (sweeps.curve_seconds(options, rows, (n,), (1.0,)) for n in (60, 600))
    assert np.isclose(long, 10 * short)
    drawn = figures.curve(cells, baselines={"histogram": 1.0})
    for label in ("N = 30", "N = 60", "histogram"):
        assert f">{label}<" in texts(drawn)


def test_curve_without_a_learner_is_refused():
    """There is no ε to vary."""
    with pytest.raises(InvalidInput, match="learns under an ε"):
        sweeps.curve_policies(OPTIONS)


def test_bounds_are_signed():
    """Gains and losses are told apart at a glance."""
    assert page.bounds(Estimate(-1.0, -2.0, 0.5)) == "-1.00 (-2.00 to +0.50)"


def test_a_policy_has_one_colour_in_all_figures():
    """Leaving another policy out of a figure does not repaint it."""
    weeks, order = {"two": np.array([2.0, 1.0])}, ["one", "two"]
    alone = figures.weekly_volume(weeks, order).axes[0].lines[0].get_color()
    beside = figures.regret({"two": (weeks["two"], weeks["two"])}, order).axes[0].lines[0].get_color()
    assert alone == beside == style.COLOURS[1]
