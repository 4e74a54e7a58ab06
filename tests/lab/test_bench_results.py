"""Results have the agreed form, pages are filled from them alone, and repetitions are averaged row by row."""

from pathlib import Path

import numpy as np
import pytest

from tactful_lab.errors import ResultsInvalid
from tactful_lab.slots import baselines, settings
from tactful_lab.slots.bootstrap import Interval
from tactful_lab.slots.evaluate import Evaluation, average, evaluate
from tactful_lab.slots.looks import Looks
from tactful_lab.slots.metrics import Metrics
from tactful_lab.slots.task import SlotTask

ROOT = Path(__file__).resolve().parents[2]
ROW_KEYS = {"name", "value", "unit", "reference", "reference_value", "ratio"}


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import _harness, render_docs, run, slots

    class Rooms:
        harness, render, run_, slots_ = _harness, render_docs, run, slots

    return Rooms


def test_a_result_file_has_exactly_the_agreed_keys(bench, tmp_path):
    """Commit, machine, date and rows; each row with its ratio to the reference, or none."""
    rows = [bench.harness.Row("a", 2.0, "s", "b", 4.0), bench.harness.Row("c", 1.0, "1")]
    bench.harness.write("trial", rows, tmp_path)
    document = bench.harness.read("trial", tmp_path)
    assert set(document) == {"commit", "machine", "date", "rows"}
    assert [set(row) for row in document["rows"]] == [ROW_KEYS, ROW_KEYS]
    assert [row["ratio"] for row in document["rows"]] == [0.5, None]


def test_a_figure_that_is_not_finite_is_not_written(bench, tmp_path):
    """NaN is refused by name, and no file appears."""
    with pytest.raises(ResultsInvalid, match="broken"):
        bench.harness.write("trial", [bench.harness.Row("broken", float("nan"), "1")], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_damaged_result_names_the_remedy(bench, tmp_path):
    """Missing file, missing key and wrong row keys each say which suite to run."""
    for text in (None, "{}", '{"commit": "", "machine": "", "date": "", "rows": [{"name": "x"}]}'):
        if text is not None:
            (tmp_path / "trial.json").write_text(text, encoding="utf-8")
        with pytest.raises(ResultsInvalid, match="make bench SUITE=trial"):
            bench.harness.read("trial", tmp_path)


def _evaluation(name: str, loss: float) -> Evaluation:
    losses = np.full((6, 7), loss, dtype=np.float32)
    measured = Metrics(loss, 0.7, 0.02, 0.001, 0.1, 0.3)
    return Evaluation(name, measured, losses, np.arange(6, dtype=np.int32), Interval(loss, loss, loss))


def test_a_page_is_filled_between_its_markers_and_nowhere_else(bench, tmp_path):
    """Methods become lines, metrics columns; filling twice changes nothing; an open marker is refused."""
    chosen = settings.load()
    both = [_evaluation("household histogram", 0.1), _evaluation("ours", 0.09)]
    rows = [row for e in both for row in bench.slots_.metric_rows(e, both[0])]
    rows += bench.slots_.paired_rows(both[1], both[:1], chosen)
    rows.append(bench.harness.Row("evaluations on December so far", 7.0, "looks"))
    bench.harness.write("slots", rows, tmp_path)
    page = "before\n<!-- bench:slots -->\nSTALE\n<!-- /bench -->\nafter\n"
    filled = bench.render.fill(page, tmp_path)
    assert filled.startswith("before\n<!-- bench:slots -->\n")
    assert filled.endswith("<!-- /bench -->\nafter\n")
    assert "| ours | 0.0900 | 0.700 | 0.02000 | 0.0010 | 0.100 | 0.300 | −100.0 (−100.0, −100.0) · 10⁻⁴ |" in filled
    counted = Looks(bench.harness.LOOKS).count
    assert f"looked at {counted} times" in filled
    assert "STALE" not in filled
    assert bench.render.fill(filled, tmp_path) == filled
    with pytest.raises(ResultsInvalid, match="not closed"):
        bench.render.fill("<!-- bench:slots -->\n", tmp_path)


def test_the_pages_hold_what_the_results_say(bench):
    """README and docs are exactly what the committed results make them."""
    assert bench.render.main(["--check"]) == 0


def test_an_unknown_suite_is_wrong_use(bench, capsys):
    """Exit code 2 and one line naming the suites there are."""
    assert bench.run_.main(["no-such-suite"]) == 2
    assert "slots" in capsys.readouterr().err


def test_repetitions_are_averaged_label_by_label():
    """The row of three repetitions has mean metrics, mean losses and an interval round the mean."""
    random = np.random.default_rng(8)
    activity = (random.uniform(size=(30, 365, 7)) < 0.05).astype(np.uint8)
    task = SlotTask(activity, np.zeros(30, dtype=np.int32), np.arange(30))
    chosen = settings.load()
    scores = baselines.global_rate(task).scores("tune")
    found = [evaluate(task, "tune", scores * f, name="x", settings=chosen) for f in (0.8, 1.0, 1.2)]
    mean = average("mean", found, chosen)
    assert mean.metrics.log_loss == pytest.approx(np.mean([f.metrics.log_loss for f in found]))
    assert mean.losses == pytest.approx(np.mean([f.losses for f in found], axis=0), rel=1e-5)
    assert mean.log_loss.value == pytest.approx(mean.metrics.log_loss, rel=1e-5)
    assert mean.log_loss.low < mean.log_loss.value < mean.log_loss.high
