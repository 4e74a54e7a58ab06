"""A case under stable names, for ``--json``, and as an HTML report of one file."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tactful_lab.cases import figures, measure, words
from tactful_lab.cases.study import Study
from tactful_lab.rehearsal import page as rehearsal_page
from tactful_lab.rehearsal import report as rehearsal_report
from tactful_lab.slots.bootstrap import Interval
from tactful_privacy.audit import page
from tactful_privacy.audit.page import Picture, Prose, Quote, Section, Table


def as_dict(study: Study, duration_s: float) -> dict[str, Any]:
    """Return what was found: plain JSON values, units in the keys. Documented in docs/case-studies.md."""
    values = {
        name: {key: {"value": each.value, "low_95": each.low, "high_95": each.high} for key, each in row.items()}
        for name, row in study.values.items()
    }
    return {
        "case": study.name,
        "data": words.DATA[study.name],
        "how": words.HOW,
        "items": study.items,
        "households": study.households,
        "baskets": study.baskets,
        "tuned": study.tuned,
        "offers": measure.as_dict(study.offers),
        "basket_value_log_dollars": values or None,
        "frequency": rehearsal_report.as_dict(study.frequency, None, None, None, duration_s),
        "device": study.told.as_dict(),
        "duration_s": duration_s,
    }


def write(path: Path, study: Study) -> Path:
    """Write the report and return its path."""
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    sections = [_offers(study), *([_values(study)] if study.values else []), _frequency(study), _device(study)]
    sections.append(Section("What not to conclude", [Prose(words.NOT_TO_CONCLUDE)]))
    title = f"Tactful: a case study, {study.name}"
    return page.write(path, title, words.DATA[study.name], sections, footer=f"Made by tactful lab case, {made}.")


def bounds(found: Interval, *, signed: bool = False) -> str:
    """A value with its interval."""
    sign = "+" if signed else ""
    return f"{found.value:{sign}.3f} ({found.low:{sign}.3f} to {found.high:{sign}.3f})"


def offer_cells(study: Study) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the table of methods."""
    base = study.offers[0]
    columns = ["method", "recall@10", "new: recall@10", "new: AUC", "new: recall@10 − popularity"]
    rows = [
        [
            row.name,
            *(bounds(row.interval(key)) for key in measure.MEASURES),
            "–" if row is base else bounds(row.against(base, "recall_at_10_new"), signed=True),
        ]
        for row in study.offers
    ]
    return columns, rows


def _offers(study: Study) -> Section:
    columns, rows = offer_cells(study)
    panels = {
        title: [(row.name, row.interval(key)) for row in study.offers]
        for title, key in (("All that they bought", "recall_at_10"), ("New to the household", "recall_at_10_new"))
    }
    size = f"{study.households:,} households, {study.items} items, {study.baskets:,} baskets. "
    caption = "Share of what a household bought in the held-out weeks among the ten items scored highest."
    return Section(
        "What to offer",
        [
            Prose(size + words.HOW),
            Table(columns, rows),
            Picture(figures.recall(panels), "recall", caption),
            Prose(words.PRIVACY),
        ],
    )


def value_cells(study: Study) -> list[list[str]]:
    """Rows of the regression's table: method, root mean squared error, difference of squared errors."""
    return [
        [
            name,
            f"{row['mean_squared_error'].value ** 0.5:.3f}",
            "–" if name == "overall mean" else bounds(row["difference_to_overall_mean"], signed=True),
        ]
        for name, row in study.values.items()
    ]


def _values(study: Study) -> Section:
    columns = ("guess", "RMSE, log(1 + dollars)", "mean squared error − overall mean's")
    note = (
        "Below 0 is better. The regression sees the household's own mean, its last basket, how many there were,"
        " how long ago the last was, and the weekend."
    )
    return Section("What the next basket is worth", [Table(columns, value_cells(study)), Prose(note)])


def _frequency(study: Study) -> Section:
    against = study.frequency.options.against
    columns = (*rehearsal_page.COLUMNS, f"difference to {against}")
    table = Table(columns, rehearsal_page.cells_of(study.frequency))
    return Section("How often", [Prose(words.FREQUENCY[study.name]), table])


def _device(study: Study) -> Section:
    told = study.told
    offers = Table(("offer", "fit to the person's vector"), [[item, f"{fit:.2f}"] for item, fit in told.offers])
    label = f"{told.action}, basis: {told.basis}"
    return Section("On the device", [Prose(words.DEVICE), offers, Quote(told.en, "en", label), Quote(told.zh, "zh")])
