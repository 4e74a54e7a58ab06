"""The rehearsal's run can be resumed, its rows equal a recount, and its tables show losses and missed bars as such."""

import math
from dataclasses import replace

import numpy as np
import pytest
from benchmarks import rehearsal, rehearsal_cells, rehearsal_pictures, rehearsal_rows, rehearsal_table, worlds_table
from benchmarks._harness import Row
from benchmarks.rehearsal_cells import Cache, Cell, cell

from tactful_lab.worlds import Outcome, load, reporting_seeds, tuning_seeds
from tactful_privacy.errors import InvalidInput

WEEKS = 2


def _outcome(policy: str, seed: int, net: float, opt_outs: float = 2.0, sent: float = 300.0) -> Outcome:
    names = ("delivered", "expired", "opens", "sessions", "conversions")
    weekly = {name: np.zeros(WEEKS) for name in names} | {"sent": np.full(WEEKS, sent)}
    weekly["opt_outs"] = np.full(WEEKS, opt_outs)
    values = np.full(WEEKS, 100 * net)
    return Outcome("main", policy, seed, 100, WEEKS, 1, 0.001, "x", 60, values, values, weekly, 0, 0)


class Kept(Cache):
    """A cache that lives in memory and knows what each policy came to."""

    def __init__(self, gains: dict[str, float]) -> None:
        self._gains = gains

    def __contains__(self, wanted: Cell) -> bool:
        return _label(wanted) in self._gains

    def __getitem__(self, wanted: Cell) -> Outcome:
        noise = (wanted.seed % 7) / 100 * (1 + len(wanted.policy) % 3)
        gain = self._gains[_label(wanted)]
        sent = 300.0 * (1 - wanted.fleet_price_minor) * (1 + gain)
        mine = _outcome(wanted.policy, wanted.seed, 50 + gain + noise + wanted.seed % 5, 2 + gain, sent)
        return replace(mine, kind=wanted.kind, n=100)


def _label(wanted: Cell) -> str:
    return f"tactful {wanted.epsilon:g}" if wanted.policy == "tactful" else wanted.policy


GAINS = {"never": 0.0, "fixed_three": 1.0, "fixed_daily": 0.8, "histogram_three": 1.5, "histogram_daily": 1.6}
GAINS |= {"logistic_three": 2.0, "logistic_daily": 2.5, "local_only": 1.0, "central": 2.2}
GAINS |= {"tactful 1": 1.2, "tactful 2": 1.6, "tactful 4": 1.9, "tactful 8": 2.1}


def _values(rows: list[Row]) -> dict[str, float]:
    return {row.name: row.value for row in rows}


def test_a_cell_is_run_once_and_kept(tmp_path, monkeypatch):
    """A second run reads what the first wrote, number for number; a torn last line is run again."""
    seeds = tuning_seeds(2)
    cells = [cell("main", 100, name, seed) for name in ("never", "fixed_three") for seed in seeds]
    first = Cache(tmp_path)
    rehearsal_cells.run_all(cells, first, processes=1)
    lines = first.path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 4
    first.path.write_text("\n".join(lines[:3]) + "\n" + lines[3][:50], encoding="utf-8")
    again = Cache(tmp_path)
    assert [c in again for c in cells].count(False) == 1
    for wanted in cells:
        if wanted in again:
            assert rehearsal_cells.write(again[wanted]) == rehearsal_cells.write(first[wanted])
    rehearsal_cells.run_all(cells, again, processes=1)
    assert len(again.path.read_text(encoding="utf-8").splitlines()) == 4
    monkeypatch.setattr(rehearsal_cells, "ProcessPoolExecutor", None)  # nothing is started when nothing is missing
    rehearsal_cells.run_all(cells, Cache(tmp_path))


def test_cells_that_end_are_kept_when_another_fails(tmp_path):
    """The error of the bad cell is raised, and what has ended before it is on disk."""
    good, bad = cell("main", 50, "never", 1), cell("main", 50, "no such policy", 1)
    kept = Cache(tmp_path)
    with pytest.raises(InvalidInput, match="no such policy"):
        rehearsal_cells.run_all([good, bad], kept, processes=1)
    assert good in Cache(tmp_path)


def test_epsilon_and_price_are_part_of_a_cell_only_where_they_matter():
    """A histogram at ε 1 and 4 is one run; the learner is two; the central one has a price and no ε."""
    assert cell("main", 10, "never", 1, epsilon=1.0) == cell("main", 10, "never", 1, price=0.5)
    assert cell("main", 10, "tactful", 1, epsilon=1.0) != cell("main", 10, "tactful", 1)
    assert cell("main", 10, "central", 1, epsilon=1.0) == cell("main", 10, "central", 1)
    assert cell("main", 10, "central", 1, price=0.5) != cell("main", 10, "central", 1)


def test_c_out_of_a_cell_reaches_the_world():
    """The same world at twice the C_out loses exactly one C_out more for every opt-out."""
    plain = rehearsal_cells.run_cell(Cell("main", 400, "fixed_daily", 3, hazard=0.005))
    dear = rehearsal_cells.run_cell(Cell("main", 400, "fixed_daily", 3, hazard=0.005, cost_pushes=200.0))
    lost = load().opt_out_cost_minor * plain.weekly["opt_outs"].sum()
    assert plain.weekly["opt_outs"].sum() > 0
    assert plain.weekly_net_minor.sum() - dear.weekly_net_minor.sum() == pytest.approx(lost)


def test_a_ratio_over_seeds_has_the_interval_of_its_linearisation():
    """Coverage of the true ratio 0.8 over 2,000 trials of 20 pairs is within 0.95 ± 0.02 (four standard errors)."""
    random, inside = np.random.default_rng(3), 0
    for _ in range(2000):
        shared = random.normal(2.0, 0.2, 20)
        found = rehearsal_rows.ratio(0.8 * shared + random.normal(0, 0.1, 20), shared)
        inside += found.low <= 0.8 <= found.high
    assert abs(inside / 2000 - 0.95) < 0.02
    assert math.isnan(rehearsal_rows.ratio([1.0, 2.0], [0.0, 0.0]).value)


def test_rows_equal_a_recount():
    """Gain, difference, its share of the peer's net value and gain, and the kept share, from the outcomes by hand."""
    kept, plan = Kept(GAINS), rehearsal.Plan()
    values = _values(rehearsal.rows(kept, plan))
    seeds = reporting_seeds(20)
    net = {
        name: np.array([kept[cell("main", 10_000, name, s)].expected_value_per_user_week for s in seeds])
        for name in ("never", "logistic_daily", "tactful", "central")
    }
    head = "main, N = 10,000 · tactful, ε = 4"
    gap = (net["tactful"] - net["logistic_daily"]).mean()
    assert values[f"{head} · gain over never"] == pytest.approx((net["tactful"] - net["never"]).mean())
    assert values[f"{head} · minus logistic_daily"] == pytest.approx(gap)
    of_net = 100 * gap / net["logistic_daily"].mean()
    assert values[f"{head} · minus logistic_daily, of its net value"] == pytest.approx(of_net)
    of_gain = 100 * gap / (net["logistic_daily"] - net["never"]).mean()
    assert values[f"{head} · minus logistic_daily, of its gain"] == pytest.approx(of_gain)
    kept_share = (net["tactful"] - net["never"]).mean() / (net["central"] - net["never"]).mean()
    assert values["bar · main, N = 10,000 · tactful, ε = 4, share of central's gain kept"] == pytest.approx(kept_share)
    assert values["main, N = 10,000 · seeds"] == 20


def test_no_rows_are_made_of_comparisons_that_are_not_finished():
    """Without the learner's cells there are no bars and no rows of it; the baselines' rows are there."""
    values = _values(rehearsal.rows(Kept({k: v for k, v in GAINS.items() if "tactful" not in k}), rehearsal.Plan()))
    assert not [name for name in values if "tactful" in name]
    assert "main, N = 10,000 · logistic_daily · gain over never" in values


def test_the_fleet_price_is_chosen_on_tuning_seeds():
    """The lowest price at which the volume on tuning seeds is not above the cap's; none if no price does it."""
    kept, plan = Kept(GAINS), rehearsal.Plan()
    assert {c.seed for cells in plan.tuning().values() for c in cells} == set(tuning_seeds(rehearsal.PRICE_SEEDS))
    assert rehearsal.price_for(kept, plan, "fixed_three") == 0.4  # 300·(1 − ν)·2.9 ≤ 600 from ν = 0.31 on
    assert rehearsal.price_for(Kept({**GAINS, "fixed_three": -0.9}), plan, "fixed_three") is None


def test_every_bar_of_the_comparison_is_a_row_with_its_reference():
    """Four peers in the main world at ε 1, 2 and 4 and in four wrong worlds, two kept shares, two caps."""
    rows = [row for row in rehearsal.rows(Kept(GAINS), rehearsal.Plan()) if row.reference.startswith("bar")]
    of = {sense: [r for r in rows if r.reference == sense] for sense in ("bar, above", "bar, at least", "bar, at most")}
    assert len(of["bar, above"]) == 12
    assert sum(row.reference_value == -1.0 for row in of["bar, at least"]) == 16
    assert sorted(row.reference_value for row in of["bar, at least"])[-2:] == [0.8, 0.95]
    assert sorted(row.reference_value for row in of["bar, at most"]) == [0.8, 0.8, 1.0, 1.0]


def test_a_missed_bar_is_said_to_be_missed_and_a_loss_keeps_its_sign():
    """The planted learner loses to logistic_daily: its bar is missed, and the table shows a minus."""
    rows = [row.as_dict() for row in rehearsal.rows(Kept(GAINS), rehearsal.Plan())]
    lines = rehearsal_table.table(rows)
    lost = next(line for line in lines if "tactful, ε = 4 minus logistic_daily" in line)
    won = next(line for line in lines if "tactful, ε = 4 minus histogram_three" in line)
    assert "**missed**" in lost
    assert "−0." in lost
    assert won.rstrip(" |").endswith("met")
    assert "missed" not in won


def test_a_bar_is_judged_by_its_sense():
    """At least and at most include the bar, above does not; a figure without a bar is not judged."""
    for sense, value, said in (
        ("bar, at least", 0.8, "met"),
        ("bar, at most", 0.8, "met"),
        ("bar, above", 0.8, "**missed**"),
        ("bar, at most", 0.81, "**missed**"),
        ("bar, at least", 0.79, "**missed**"),
    ):
        assert rehearsal_table.verdict(Row("x", value, "1", sense, 0.8).as_dict()) == said
    assert rehearsal_table.verdict(Row("x", 1.0, "1").as_dict()) == "–"


def test_every_number_of_the_tables_is_a_row():
    """Each figure in the tables is the rounding of some row's value or reference."""
    import re

    rows = [row.as_dict() for row in rehearsal.rows(Kept(GAINS), rehearsal.Plan())]
    known = {f"{scale * x:.2f}" for r in rows for x in (r["value"], r["reference_value"] or 0.0) for scale in (1, 100)}
    for line in rehearsal_table.table(rows):
        cells = " ".join(cell for cell in line.split("|")[2:] if "seeds" not in cell)
        for number in re.findall(r"[−-]?\d+\.\d\d", cells):
            assert number.replace("−", "-") in known, line


def test_the_figures_are_drawn_from_rows_and_are_the_same_each_time():
    """Three figures with rows, none without; drawing twice gives the same bytes."""
    rows = [row.as_dict() for row in rehearsal.rows(Kept(GAINS), rehearsal.Plan())]
    once = rehearsal_pictures.pictures(rows)
    assert set(once) == {"rehearsal-frontier", "rehearsal-epsilon", "rehearsal-weekly"}
    assert once == rehearsal_pictures.pictures(rows)
    assert rehearsal_pictures.pictures([]) == {}


def test_the_simulators_table_holds_every_policy_once():
    """One line a world and policy with gain, interval, opt-outs and pushes; speed and anchors stay rows."""
    head = "main, random, 3 a week"
    rows = [Row("speed, main, 10,000 persons", 4e6, "person-slots per second", "bar", 2e6)]
    rows += [Row(f"{head}: gain over never", -0.5, "minor"), Row(f"{head}: gain over never, 95 % low", -0.7, "minor")]
    rows += [Row(f"{head}: gain over never, 95 % high", -0.3, "minor"), Row(f"{head}: opt-out share", 0.01, "1")]
    rows += [Row(f"{head}: pushes", 1.8, "per user-week")]
    lines = worlds_table.table([row.as_dict() for row in rows])
    assert lines[-1] == "| main | random, 3 a week | −0.50 (−0.70, −0.30) | 1.00 % | 1.80 |"
    assert lines[2] == "| speed, main, 10,000 persons | 4e+06 | person-slots per second | bar: 2e+06 |"


def test_a_trial_uses_tuning_seeds_and_a_report_does_not():
    """With fewer seeds than the plan's no reporting seed is run; with all of them only the price sees tuning seeds."""

    def seeds_of(plan):
        groups = [group for stage in rehearsal.STAGES for group in plan.stage(stage)]
        return {c.seed for group in groups for cells in group.cells.values() for c in cells}

    assert seeds_of(rehearsal.Plan(2)) == set(tuning_seeds(2))
    assert seeds_of(rehearsal.Plan()) == set(reporting_seeds(20))


def test_fewer_seeds_are_never_written(monkeypatch, capsys):
    """With --seeds below the plan the figures are printed only, whatever --write says."""
    monkeypatch.setattr(rehearsal, "Cache", lambda: Kept(GAINS))
    monkeypatch.setattr(rehearsal, "execute", lambda *a: None)
    monkeypatch.setattr(rehearsal._harness, "write", lambda *a: pytest.fail("written"))
    assert rehearsal.main(["--seeds", "2", "--write"]) == 0
    assert "gain over never" in capsys.readouterr().out
