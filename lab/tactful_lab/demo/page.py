"""The demonstration's HTML report: one file, no network."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from tactful_lab import plots
from tactful_lab.demo.story import DECEMBER, Story
from tactful_lab.demo.table import CENTRAL, DAY_RATE, GLOBAL, HISTOGRAM, DecemberTable
from tactful_lab.slots.federation import COLLUDERS, ZONE
from tactful_privacy.audit import page
from tactful_privacy.audit.page import Facts, Picture, Prose, Quote, Section, Table

_TO = "\u2060–\u2060"
"""An en dash at which no line is broken."""

LEAD = (
    "Pushes that know when to stay quiet, learned across devices without the data leaving them. {hosts} app backends"
    " hold the shopping households of The Complete Journey in encrypted vaults; together they learned when people shop,"
    " under differential privacy and secure aggregation. This is what happened, measured."
)


def write(path: Path, story: Story, table: DecemberTable, caveat: str) -> Path:
    """Write the report and return its path."""
    sections = [
        _summary(story, table),
        _december(table),
        _privacy(story),
        _incidents(story),
        _contribution(story),
        _week(story),
        _limits(caveat),
    ]
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    lead = LEAD.format(hosts=story.options.hosts)
    return page.write(path, "Tactful: the demonstration", lead, sections, footer=f"Made by tactful demo, {made}.")


def _summary(story: Story, table: DecemberTable) -> Section:
    ours, histogram = table.row(table.ours).metrics, table.row(HISTOGRAM).metrics
    least, median, most = story.epsilon
    pairs = [
        (
            f"{ours.precision_top_5_percent:.3f}",
            f"hits in the top 5 % of slots (histogram {histogram.precision_top_5_percent:.3f})",
        ),
        (f"{ours.log_loss:.4f}", f"log-loss on December (histogram {histogram.log_loss:.4f})"),
        (f"{median:.2f}", f"ε spent by the median device (least {least:.2f}, most {most:.2f})"),
        (f"{story.released} of {len(story.rounds)}", "rounds opened; the others opened nothing"),
        (f"{story.bytes_up_per_device:.0f}", "bytes sent per household over all rounds"),
        ("verified" if story.ledger else "broken", f"ledger of {story.ledger.entries if story.ledger else 0} entries"),
    ]
    return Section("In short", [Facts(pairs)])


def _december(table: DecemberTable) -> Section:
    columns = ("method", "log-loss", "95 %", "AUC", "Brier", "calibration", "top 5 %", "top slot")
    rows = []
    for row in table.rows:
        m = row.metrics
        bounds = f"{row.log_loss.low:.4f}{_TO}{row.log_loss.high:.4f}"
        small = (f"{m.auc:.3f}", f"{m.brier:.5f}", f"{m.calibration_error:.4f}")
        tail = (f"{m.precision_top_5_percent:.3f}", f"{m.top_slot_hit_rate:.3f}")
        rows.append((row.name, f"{m.log_loss:.4f}", bounds, *small, *tail))
    compared = ", ".join(_difference(table, name) for name in (HISTOGRAM, DAY_RATE, CENTRAL))
    shown = (GLOBAL, HISTOGRAM, DAY_RATE, table.ours)
    curves = {name: table.curves[name] for name in (HISTOGRAM, table.ours)}
    return Section(
        "When do people shop? December, unseen",
        [
            Prose(
                "For each household, each day and each two-hour slot from 8:00 to 22:00: does a basket start? Learned"
                " on data to the end of October, tuned on November, measured on December 2017. Intervals are a"
                " bootstrap over households; calibration is the mean gap between a stated and an observed rate."
            ),
            Table(columns, rows, strong=len(rows) - 1),
            Prose(f"Log-loss of ours minus theirs, paired by household, with 95 % intervals: {compared}."),
            Picture(
                plots.precision_bars({n: table.precision[n] for n in shown}, table.base_rate),
                "precision",
                "Share of slots with a basket among those scored highest.",
            ),
            Picture(plots.calibration(curves), "calibration", "Do the probabilities mean what they say?"),
        ],
    )


def _difference(table: DecemberTable, name: str) -> str:
    interval = table.against(name)
    return f"{name} {interval.value:+.5f} ({interval.low:+.5f} to {interval.high:+.5f})"


def _privacy(story: Story) -> Section:
    rounds = [row.result.round_number for row in story.rounds]
    low, median, high = np.array([row.epsilon for row in story.rounds]).T
    opened = [row for row in story.rounds if row.signal > 0]
    options = story.options
    claim = (
        f"Claim: over all {options.rounds} rounds a household's whole contribution is protected with ε ≤"
        f" {options.epsilon:g} at δ = {plots.power(options.delta)} (zero-out adjacency, zCDP, exact discrete Gaussian"
        f" noise shared by the hosts), against the server and up to {COLLUDERS} colluding host. Hosts here are app"
        " backends: each can read the data of its own households. Hyper-parameters were chosen on November, which is"
        " not charged."
    )
    numbers = [row.result.round_number for row in opened]
    return Section(
        "What it cost, and what the noise did",
        [
            Prose(claim + _by_event(story)),
            Picture(
                plots.epsilon_over_rounds(rounds, low, median, high, budget=options.epsilon, delta=options.delta),
                "epsilon",
                "Privacy spent by the devices, round by round.",
            ),
            Picture(
                plots.noise_against_signal(numbers, [row.signal for row in opened], [row.noise for row in opened]),
                "noise",
                "Length of the opened mean update and of the noise in it. The first rounds estimate curvature.",
            ),
        ],
    )


def _by_event(story: Story) -> str:
    if story.event_epsilon is None:
        return ""
    return (
        " Besides, and never added to it: each row of a device, one slot of one day, is protected with"
        f" ε ≤ {story.event_epsilon:.2f} at the same δ against whoever sees that device's contribution alone."
    )


def _incidents(story: Story) -> Section:
    gone = [
        f"round {row.result.round_number}: {host} fell silent at the stage {drop.stage}"
        for row in story.rounds
        for host, drop in row.result.dropped.items()
    ]
    receipt = story.receipt
    parts: list[page.Part] = [
        Prose(
            f"Hosts that dropped out: {'; '.join(gone) if gone else 'none'}. As long as enough hosts answer, the sum of"
            " those in it opens exactly; otherwise the round is void and nothing is opened."
        ),
        Prose(
            f"{story.lower_user} had set a ceiling of ε = {story.lower_epsilon:g} of its own. It took part in"
            f" {story.lower_rounds} rounds; from then on its device refused, and still received every model."
        ),
    ]
    if receipt is not None:
        parts.append(
            Prose(
                f"{story.erased_user} erased itself after round {story.erased_after}: {receipt.rows} rows deleted, the"
                f" key destroyed, receipt signed ({receipt.signature[:16]}…). {receipt.cannot_undo}"
            )
        )
    return Section("Three incidents", parts)


def _contribution(story: Story) -> Section:
    view = story.shown
    if view is None:
        return Section("One contribution", [Prose("No gradient round was reached.")])
    size = view.plan.dimension - len(view.plan.statistics)
    scale = view.plan.grid
    figure = plots.contribution_panels(view.total[:size] * scale, view.noised[:size] * scale, view.masked[:size])
    words = f"The sum of {view.devices} households on one host, its share of the noise, and the integers that left."
    return Section("One contribution, before and after", [Picture(figure, "contribution", words)])


def _week(story: Story) -> Section:
    plan = story.week
    if plan is None:
        return Section("One household's week", [Prose("No plan was made.")])
    local = DECEMBER.astimezone(ZoneInfo(ZONE))
    days = [(local + timedelta(days=ahead)).strftime("%a %d") for ahead in range(7)]
    sends = [(slot.day, slot.slot) for slot in plan.chosen if slot.day < len(days)]
    parts: list[page.Part] = [
        Prose(
            f"{story.week_user}, on the morning of 1 December: a weekly budget of {plan.budget} pushes. Push responses"
            f" are not part of these data, so the effect of a push rests on a public prior (basis: {plan.basis})."
        ),
        Picture(plots.week_plan(story.week_scores, days, sends), "week", "Chance of a basket by day and slot."),
        Quote(story.decision_text["en"], "en", f"the decision now: {story.decision_action}"),
        Quote(story.decision_text["zh"], "zh"),
    ]
    for slot in plan.chosen:
        parts += [Quote(slot.text("en"), "en", "basis: prior"), Quote(slot.text("zh"), "zh")]
    return Section("One household's coming week", parts)


def _limits(caveat: str) -> Section:
    return Section(
        "What this does not show",
        [
            Prose(caveat),
            Prose(
                "No pushes were sent and nobody's response to one was measured. A better top-slot hit rate is not"
                " promised: it depends on the month. The drop-outs were staged. No phone took part. The software has"
                " had no external security audit."
            ),
        ],
    )
