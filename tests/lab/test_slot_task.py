"""Rows, labels and splits are those of the task, and the baselines see the past alone."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from tactful_lab.datasets import completejourney
from tactful_lab.errors import SettingsInvalid
from tactful_lab.slots import baselines, settings, task
from tactful_lab.slots.evaluate import compare, evaluate
from tactful_lab.slots.looks import Looks
from tactful_privacy.errors import InvalidInput


@pytest.fixture(scope="module")
def baskets():
    return completejourney.load()[0]


@pytest.fixture(scope="module")
def full(baskets):
    return task.build(baskets)


@pytest.fixture(scope="module")
def small(full):
    return full.take(np.arange(0, full.n_households, 40))


def test_labels_say_whether_a_basket_starts(baskets, full):
    """Every basket inside the slots sets its label, every set label has a basket."""
    inside = baskets.slot >= 0
    expected = {
        (int(h), int(d) - full.start_ordinal, int(s))
        for h, d, s in zip(baskets.household[inside], baskets.day[inside], baskets.slot[inside], strict=True)
    }
    assert expected == set(zip(*(axis.tolist() for axis in np.nonzero(full.activity)), strict=True))


def test_the_splits_are_the_months_they_claim(full):
    """Training ends on 31 October, tuning is November, the test December; 2.2 % of December's labels are positive."""
    days = [
        [date.fromordinal(full.start_ordinal + d) for d in (r.start, r.stop - 1)]
        for r in map(full.days, ("train", "tune", "test"))
    ]
    assert days[0][1] == date(2017, 10, 31)
    assert days[1:] == [[date(2017, 11, 1), date(2017, 11, 30)], [date(2017, 12, 1), date(2017, 12, 31)]]
    assert full.labels("test")[full.rows("test")].mean() == pytest.approx(0.0218, abs=5e-5)
    assert full.rows("test").all()


def test_training_rows_start_on_the_28th_day_after_the_first_basket(full):
    """Before it a household has no training row, from it on every day has one."""
    rows, first = full.rows("train"), full.first_day
    for household in range(0, full.n_households, 97):
        expected = [d >= first[household] + 28 for d in full.days("train")]
        assert rows[household].tolist() == expected


def test_weekdays_are_the_calendar_s(full):
    """Day 0, the first of January 2017, was a Sunday (6 with Monday = 0)."""
    assert full.weekday[0] == 6
    assert full.weekday[1] == 0


def test_the_decayed_past_equals_a_loop_and_ends_the_evening_before(small):
    """Counts and exposure equal a sum over earlier days, weighted by age: today's baskets change nothing today."""
    days = range(310, 313)
    past = baselines.decayed_past(small, 30.0, days)
    for household in (0, 17):
        for day in days:
            before = range(day)
            weight = [2.0 ** (-(day - 1 - d) / 30.0) for d in before]
            count = sum(w * small.activity[household, d].astype(float) for w, d in zip(weight, before, strict=True))
            exposure = sum(w for w, d in zip(weight, before, strict=True) if d >= small.first_day[household])
            assert past.counts[household, day - 310] == pytest.approx(count, rel=1e-4, abs=1e-6)
            assert past.exposure_d[household, day - 310] == pytest.approx(exposure, rel=1e-4)


def test_scores_do_not_move_with_the_future(small):
    """Filling every slot from 10 December on leaves the scores up to and including that day as they were."""
    day = date(2017, 12, 10).toordinal() - small.start_ordinal
    changed = small.activity.copy()
    changed[:, day:] = 1
    other = replace(small, activity=changed)
    chosen = settings.load()
    for make in (baselines.histogram, baselines.day_rate_times_share):
        before, after = make(small, chosen).scores("test"), make(other, chosen).scores("test")
        assert np.array_equal(before[:, :10], after[:, :10])
        assert not np.array_equal(before[:, 10:], after[:, 10:])


def test_the_histograms_reach_their_references_on_the_tuning_month(full):
    """On November: global .1039, histogram below .0943, day rate × share below .0939, which is significantly better."""
    chosen = replace(settings.load(), histogram_half_life_d=(75.0,), day_rate_half_life_d=(45.0,))
    made = (
        baselines.global_rate(full),
        baselines.histogram(full, chosen),
        baselines.day_rate_times_share(full, chosen),
    )
    rows = [evaluate(full, "tune", b.scores("tune"), name=b.name, settings=chosen) for b in made]
    assert rows[0].metrics.log_loss == pytest.approx(0.10388, abs=1e-5)
    assert rows[1].metrics.log_loss < 0.0943
    assert rows[2].metrics.log_loss < 0.0939
    assert compare(rows[2], rows[1], chosen).below_zero


def test_each_look_at_december_is_written_down(small, tmp_path):
    """Evaluating the test month needs a place for the look, and the count grows by one each time."""
    chosen = settings.load()
    scores = baselines.global_rate(small).scores("test")
    with pytest.raises(InvalidInput, match="looks"):
        evaluate(small, "test", scores, name="global", settings=chosen)
    looks = Looks(tmp_path / "looks.jsonl", commit="abc")
    for expected in (1, 2):
        evaluate(small, "test", scores, name="global", settings=chosen, looks=looks)
        assert looks.count == expected


def test_settings_that_cannot_be_used_name_the_value(tmp_path):
    """A missing key, a negative half-life and broken TOML are each a typed error."""
    file = tmp_path / "settings.toml"
    for text, part in (
        ("", "histogram.half_life_d"),
        ("[histogram]\nhalf_life_d=[-1.0]", "half_life_d"),
        ("[", "TOML"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(SettingsInvalid, match=part):
            settings.load(file)
