"""The demonstration on 90 households: everything that it shows happened, through the product's own path."""

import dataclasses
import json

import numpy as np
import pytest

from tactful_lab.datasets import completejourney
from tactful_lab.demo import figures, page
from tactful_lab.demo.story import Options, Teller
from tactful_lab.demo.table import DAY_RATE, HISTOGRAM, DecemberTable
from tactful_lab.slots import learning
from tactful_lab.slots.federation import drop_outs, split
from tactful_lab.slots.task import build
from tactful_privacy.errors import InvalidInput, LedgerBroken
from tactful_privacy.ledger import verify

HOUSEHOLDS = 90
ROUNDS = 10


@pytest.fixture(scope="module")
def baskets():
    full, _ = completejourney.load()
    kept = full.household < HOUSEHOLDS
    rows = {name: getattr(full, name)[kept] for name in ("household", "day", "slot", "at")}
    return dataclasses.replace(full, household_ids=full.household_ids[:HOUSEHOLDS], **rows)


@pytest.fixture(scope="module")
def told(baskets, tmp_path_factory):
    """One whole story: four hosts, ten rounds, a generous ε so that 90 households learn something."""
    options = Options(epsilon=50.0, rounds=ROUNDS, hosts=4, dropout=0.3, seed=3, out=tmp_path_factory.mktemp("demo"))
    teller = Teller(options, baskets, learning.load())
    teller.build(lambda host_id, events: None)
    list(teller.run())
    teller.week()
    teller.close()
    table = DecemberTable(build(baskets), options.epsilon)
    list(table.fill(teller.story.alpha))
    return teller.story, table


def test_every_basket_before_november_is_in_a_vault_and_every_household_in_one_host(told, baskets):
    """Counts against the data set itself; the split covers each household once."""
    story, _ = told
    before = baskets.at < np.datetime64("2017-11-01T04:00")
    assert story.events == int(before.sum())
    parts = split(HOUSEHOLDS, story.options.setting()).values()
    assert sorted(np.concatenate(list(parts))) == list(range(HOUSEHOLDS))


def test_the_planned_drop_outs_happened_and_the_sum_of_the_others_opened(told):
    """Who is away when follows from the seed; with one of four away, n_min = 3 are left and the round is released."""
    story, _ = told
    away = drop_outs(story.options.setting(), story.options.dropout)
    assert away
    for row in story.rounds:
        gone = away.get(row.result.round_number)
        assert set(row.result.dropped) == ({gone[0]} if gone else set())
        assert row.result.outcome == "released"
        stayed = 4 if gone is None or gone[1] in ("sign", "unmask") else 3
        assert len(row.result.survivors) == stayed


def test_a_household_with_a_lower_ceiling_stops_and_never_overspends(told):
    """Half the ε buys fewer rounds than there were; its spent ε stays at or below its own ceiling."""
    story, _ = told
    assert 0 < story.lower_rounds < ROUNDS
    least, median, most = story.epsilon
    assert least <= story.lower_epsilon
    assert median <= most <= story.options.epsilon * (1 + 1e-9)


def test_a_household_erased_itself_and_holds_a_receipt_that_verifies(told):
    """The signature is the host's; the receipt says what cannot be undone."""
    story, _ = told
    receipt = story.receipt
    assert receipt is not None
    assert receipt.rows > 0
    assert receipt.verify(bytes.fromhex(receipt.host_public_key))
    assert story.erased_after == ROUNDS // 2
    assert "cannot" in receipt.cannot_undo


def test_the_ledger_verifies_and_breaks_when_a_line_is_removed(told, tmp_path):
    """One release per released round; without one line the chain is broken."""
    story, _ = told
    assert story.ledger is not None
    assert story.ledger.releases == story.released
    lines = story.ledger_path.read_text().splitlines(keepends=True)
    cut = tmp_path / "cut.jsonl"
    cut.write_text("".join(lines[:3] + lines[4:]))
    with pytest.raises(LedgerBroken):
        verify(cut)


def test_noise_and_masks_are_in_what_left(told):
    """The shown contribution: sum, sum plus noise, and integers modulo 2^32 that look like neither."""
    story, _ = told
    view = story.shown
    assert view is not None
    assert view.plan.task == "gradient"
    assert (view.total != view.noised).mean() > 0.9
    assert ((view.noised - view.masked) % 2**32 != 0).mean() > 0.9
    assert len(set(view.masked.tolist())) == view.masked.size
    assert view.masked.max() < 2**32


def test_one_household_gets_a_week_with_reasons_in_both_languages(told):
    """Budget and sentences; the effect of a push rests on the prior, and the sentence in Chinese is Chinese."""
    story, _ = told
    assert story.week is not None
    assert story.week.basis == "prior"
    assert len(story.week.chosen) == story.week.budget
    for slot in story.week.chosen:
        assert slot.text("en")
        assert any("\u4e00" <= letter <= "\u9fff" for letter in slot.text("zh"))
    assert story.week_scores.shape == (7, 7)


def test_learning_beats_the_prior_it_started_from(told, baskets):
    """The released model is better on December than the public prior, and as good as the pooled one within noise."""
    _, table = told
    assert table.row(table.ours).metrics.log_loss < table.row("global slot rate").metrics.log_loss
    assert table.row(table.shared).metrics.log_loss < table.row("centralised logistic").metrics.log_loss + 0.004


def test_figures_are_plain_json_and_the_page_stands_alone(told, tmp_path):
    """Every figure survives JSON; the page loads nothing from anywhere."""
    story, table = told
    plain = json.loads(json.dumps(figures.as_dict(story, table, 1.0)))
    assert plain["households"] == HOUSEHOLDS
    assert plain["ledger"]["verified"] is True
    assert {row["name"] for row in plain["december"]} >= {HISTOGRAM, DAY_RATE, table.ours}
    text = page.write(tmp_path / "report.html", story, table, "a caveat").read_text(encoding="utf-8")
    assert "a caveat" in text
    assert "<script" not in text
    assert 'src="http' not in text
    assert 'href="http' not in text


@pytest.mark.parametrize(
    "wrong",
    [{"epsilon": 0.0}, {"epsilon": float("nan")}, {"rounds": 1}, {"hosts": 2}, {"dropout": 1.0}, {"seed": -1}],
)
def test_wrong_options_name_their_field_and_the_remedy(wrong, tmp_path):
    """Each is refused before anything is written."""
    right = {"epsilon": 4.0, "rounds": 5, "hosts": 5, "dropout": 0.2, "seed": 0, "out": tmp_path / "never"}
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        Options(**right | wrong)
    assert not (tmp_path / "never").exists()
