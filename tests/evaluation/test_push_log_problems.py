"""Every data problem is counted, listed by row and said what was done about it; no row goes silently."""

import numpy as np
import pandas as pd
import pytest

from tactful_lab.evaluation.log import read_log
from tactful_lab.evaluation.mapping import LogMap
from tactful_privacy.errors import InvalidInput

PLAN = {
    "user": "user",
    "time": "at",
    "action": "action",
    "propensity": "p",
    "outcomes": (("y", "y"),),
    "available": "can",
    "deterministic": "rule",
    "slot": "slot",
    "context": ("age",),
}
GOOD = {"user": "a", "at": "2026-03-01T10:00:00Z", "action": "send", "p": "0.4", "y": "1", "can": "1", "rule": "0"}
GOOD |= {"slot": "am", "age": "30", "other": "0.5"}


def read(folder, rows, *, columns=(), **options):
    """Read rows that differ from a good one; without a time of its own, row i is decided in minute i."""
    table = [GOOD | {"at": f"2026-03-01T10:{i:02d}:00Z"} | row for i, row in enumerate(rows)]
    path = folder / "log.csv"
    pd.DataFrame(table).to_csv(path, index=False)
    return read_log(path, LogMap(**(PLAN | options)), columns)


def only(loaded):
    assert len(loaded.problems) == 1, loaded.problems
    return loaded.problems[0]


LEAVES = [
    ({"user": ""}, "missing_user"),
    ({"at": "NA"}, "missing_time"),
    ({"at": "yesterday"}, "unreadable_time"),
    ({"action": ""}, "missing_action"),
    ({"action": "maybe"}, "unknown_action"),
    ({"can": ""}, "missing_availability"),
    ({"can": "2"}, "unknown_availability"),
    ({"rule": "?"}, "unknown_determinism"),
    ({"can": "0"}, "sent_while_unavailable"),
    ({"p": ""}, "missing_propensity"),
    ({"p": "0"}, "impossible_propensity"),
    ({"p": "-0.1"}, "impossible_propensity"),
    ({"p": "1.0001"}, "impossible_propensity"),
    ({"p": "inf"}, "impossible_propensity"),
    ({"p": "half"}, "impossible_propensity"),
    ({"rule": "1", "p": "0.4"}, "impossible_propensity_of_rule"),
]


@pytest.mark.parametrize(("change", "kind"), LEAVES, ids=[kind + str(i) for i, (_, kind) in enumerate(LEAVES)])
def test_a_row_that_cannot_be_used_leaves_and_is_listed(tmp_path, change, kind):
    """Row 2 of 3 has it: one problem, its row number, and the counts add up."""
    loaded = read(tmp_path, [{}, change, {}])
    problem = only(loaded)
    assert (problem.kind, problem.count, problem.rows, problem.treatment) == (kind, 1, (2,), "left_out")
    assert (loaded.rows_read, loaded.rows_left_out, loaded.log.n) == (3, 1, 2)


KEPT = [
    ({"y": ""}, "missing_outcome", "left_out_of_outcome"),
    ({"y": "many"}, "unreadable_outcome", "left_out_of_outcome"),
    ({"age": ""}, "missing_context", "column_mean"),
    ({"slot": ""}, "missing_slot", "own_slot"),
    ({"p": "1"}, "certain_decision", "deterministic"),
]


@pytest.mark.parametrize(("change", "kind", "treatment"), KEPT, ids=[kind for _, kind, _ in KEPT])
def test_a_row_that_stays_is_listed_too(tmp_path, change, kind, treatment):
    """With what stands in for the value."""
    loaded = read(tmp_path, [{}, change])
    assert (only(loaded).kind, only(loaded).rows, only(loaded).treatment) == (kind, (2,), treatment)
    assert loaded.log.n == 2


def test_a_row_with_two_problems_is_counted_under_both_and_leaves_once(tmp_path):
    """Counts are of problems, rows left out of rows."""
    loaded = read(tmp_path, [{"action": "?", "p": "2"}, {}])
    assert {problem.kind for problem in loaded.problems} == {"unknown_action", "impossible_propensity"}
    assert loaded.rows_left_out == 1


def test_equal_copies_leave_but_for_the_first_and_differing_ones_all(tmp_path):
    """Two kinds; the same instant written with another offset is the same decision."""
    same, other = {"at": "2026-03-02T10:00:00Z"}, {"at": "2026-03-03T10:00:00Z"}
    elsewhere = {"at": "2026-03-03T18:00:00+08:00", "y": "0"}
    loaded = read(tmp_path, [same, same, same, other, elsewhere, {}])
    kinds = {problem.kind: (problem.count, problem.rows) for problem in loaded.problems}
    assert kinds == {"duplicate_decision": (2, (2, 3)), "conflicting_decision": (2, (4, 5))}
    assert (loaded.log.n, loaded.rows_left_out) == (2, 4)


def test_a_decision_column_tells_decisions_apart(tmp_path):
    """Two decisions of one instant are no duplicates if they have names of their own; one without a name leaves."""
    at = {"at": "2026-03-02T10:00:00Z"}
    rows = [at | {"id": "x"}, at | {"id": "y"}, {"id": "x", "user": "b"}, {"id": ""}]
    loaded = read(tmp_path, rows, decision="id")
    assert {p.kind: p.rows for p in loaded.problems} == {"missing_decision": (4,), "conflicting_decision": (1, 3)}


def test_stated_options_decide_about_gaps(tmp_path):
    """Missing outcomes as zero, a fixed propensity for the missing ones, certain decisions kept: each is still said."""
    zero = read(tmp_path, [{"y": ""}, {}], missing_outcomes="zero")
    assert (only(zero).treatment, zero.log.outcomes["y"].tolist()) == ("zero", [0.0, 1.0])
    fixed = read(tmp_path, [{"p": ""}, {"p": "", "action": "wait"}], fixed_propensity=0.3)
    assert (only(fixed).treatment, fixed.log.send_propensity.tolist()) == (
        "fixed_propensity",
        [0.3, pytest.approx(0.3)],
    )
    kept = read(tmp_path, [{"p": "1"}], certain_decisions="keep")
    assert kept.problems == ()
    assert kept.log.randomised.all()


def test_certain_decisions_are_set_apart_unless_kept(tmp_path):
    """Propensity 1: listed, no longer left to chance and counted as deterministic; by option it is evaluated."""
    loaded = read(tmp_path, [{"p": "1"}, {}])
    assert loaded.log.randomised.tolist() == [False, True]
    assert loaded.counts()["decisions_deterministic"] == loaded.counts()["decisions_evaluated"] == 1


def test_a_log_without_propensities_takes_the_fixed_one(tmp_path):
    """No problem is made of what was asked for; with 1, a decision not to send is impossible."""
    loaded = read(tmp_path, [{}, {"action": "quiet"}], propensity=None, fixed_propensity=0.25)
    assert loaded.problems == ()
    assert loaded.log.propensity == pytest.approx([0.25, 0.75])
    sure = read(tmp_path, [{}, {"action": "quiet"}], propensity=None, fixed_propensity=1.0, certain_decisions="keep")
    assert (only(sure).kind, only(sure).rows) == ("impossible_propensity", (2,))


def test_a_propensity_of_a_send_is_turned_into_that_of_the_action(tmp_path):
    """0.4 of a send is 0.6 of none; 1 of a send that was not made is impossible."""
    loaded = read(tmp_path, [{}, {"action": "wait"}, {"action": "wait", "p": "1"}], propensity_of="send")
    assert loaded.log.propensity == pytest.approx([0.4, 0.6])
    assert (only(loaded).kind, only(loaded).rows) == ("impossible_propensity", (3,))


def test_forced_decisions_stay_and_are_not_evaluated(tmp_path):
    """Unavailable and ruled decisions need no propensity, and are counted apart."""
    rows = [{}, {"can": "0", "action": "wait", "p": ""}, {"rule": "1", "p": ""}, {"rule": "1", "p": "0"}]
    loaded = read(tmp_path, rows)
    assert loaded.problems == ()
    assert loaded.log.randomised.tolist() == [True, False, False, False]
    assert (loaded.unavailable, loaded.deterministic) == (1, 2)


def test_a_policy_column_must_hold_probabilities(tmp_path):
    """Missing or outside 0 to 1 where chance decided: the row leaves, and is listed."""
    loaded = read(tmp_path, [{}, {"other": "1.2"}, {"other": ""}], columns=["other"])
    assert (only(loaded).kind, only(loaded).rows) == ("impossible_policy_probability", (2, 3))
    assert loaded.log.columns["other"].tolist() == [0.5]


def test_rows_that_leave_cut_their_window(tmp_path):
    """The person and time of a dropped row are kept, of a mere copy not."""
    same = {"at": "2026-03-02T10:00:00Z"}
    loaded = read(tmp_path, [{}, {"p": "0", "at": "2026-03-04T00:00:00Z"}, same, same, {"user": "b", "p": "0"}])
    assert loaded.log.cut_user.tolist() == [0]
    assert loaded.log.cut_time_s.tolist() == [pd.Timestamp("2026-03-04", tz="UTC").timestamp()]


def test_propensities_that_contradict_the_actions_are_found(tmp_path):
    """Propensities of a send given as those of the action: 400 persons, sends at 0.2, found at 6 standard errors."""
    random = np.random.default_rng(1)
    sent = random.random(400) < 0.2
    rows = [
        {"user": str(i), "at": "2026-03-01T10:00:00Z", "p": "0.2", "action": "send" if s else "wait"}
        for i, s in enumerate(sent)
    ]
    assert only(read(tmp_path, rows)).kind == "propensities_contradict_actions"
    assert read(tmp_path, rows, propensity_of="send").problems == ()


def test_an_absent_column_is_an_error(tmp_path):
    """One line that names it and what there is."""
    with pytest.raises(InvalidInput, match=r"no column 'chance'.*it has user"):
        read(tmp_path, [{}], propensity="chance")


def test_a_log_without_a_usable_row_is_an_error(tmp_path):
    """It names the commonest problem; a log with no rows at all is empty and no error."""
    with pytest.raises(InvalidInput, match=r"at: none of the 3 rows can be used.*3 rows, unreadable_time.*time_unit"):
        read(tmp_path, [{"at": "1772359200"}, {"at": "1772359201", "p": "0"}, {"at": "1772359202"}])
    path = tmp_path / "empty.csv"
    path.write_text(",".join(GOOD) + "\n")
    loaded = read_log(path, LogMap(**PLAN))
    assert (loaded.rows_read, loaded.log.n, loaded.problems) == (0, 0, ())
    assert loaded.counts()["send_share"] is None
