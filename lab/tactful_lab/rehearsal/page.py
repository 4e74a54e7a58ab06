"""The rehearsal's HTML report: one file, no network."""

from datetime import UTC, datetime
from pathlib import Path

from tactful_lab.plots import power
from tactful_lab.rehearsal import figures, words
from tactful_lab.rehearsal.policies import DELTA, NEVER, ORACLE, PRIVATE
from tactful_lab.rehearsal.run import Estimate, Rehearsal
from tactful_lab.rehearsal.sweeps import Cell, Point
from tactful_privacy.audit import page
from tactful_privacy.audit.page import Facts, Picture, Prose, Section, Table

_TO = "\u2060–\u2060"
"""An en dash at which no line is broken."""
COLUMNS = ("policy", "gain over never", "net value", "withdrew", "pushes", "open rate")


def write(path: Path, rehearsal: Rehearsal, points: list[Point] | None, cells: list[Cell] | None) -> Path:
    """Write the report and return its path."""
    options = rehearsal.options
    lead = (
        f"{len(options.to_run)} policies of how often and when to push, rehearsed in {options.seeds} simulated worlds"
        f" of {options.n:,} people each (“{options.world}”), {options.weeks} weeks after {options.warmup_weeks} without"
        " a push. All policies met the same people and the same moods, so that differences are paired."
    )
    sections = [_summary(rehearsal), _table(rehearsal)]
    sections += [_frontier(points)] if points else []
    sections += [_weeks(rehearsal)]
    sections += [_curve(rehearsal, cells)] if cells else []
    sections += [_limits(rehearsal)]
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return page.write(path, "Tactful: a rehearsal", lead, sections, footer=f"Made by tactful lab rehearse, {made}.")


def bounds(found: Estimate, digits: int = 2, *, scale: float = 1.0) -> str:
    """A value with its interval, signed where it is a difference."""
    low, high = (f"{scale * value:+.{digits}f}" for value in (found.low, found.high))
    return f"{scale * found.value:+.{digits}f} ({low} to {high})"


def cells_of(rehearsal: Rehearsal) -> list[tuple[str, ...]]:
    """The table's rows: `COLUMNS`, and the difference to the baseline."""
    rows: list[tuple[str, ...]] = []
    for row in rehearsal.shown:
        value = row.figure(lambda o: o.expected_value_per_user_week).value
        opt_out = row.figure(lambda o: o.opt_out_share)
        pushes = row.figure(lambda o: o.pushes_per_user_week).value
        rate = row.figure(lambda o: o.open_rate).value if pushes else 0.0
        same = row.policy == rehearsal.options.against
        rows.append(
            (
                row.policy,
                "–" if row.policy == NEVER else bounds(rehearsal.gain(row)),
                f"{value:.2f}",
                f"{100 * opt_out.value:.2f} %",
                f"{pushes:.2f}",
                f"{100 * rate:.1f} %" if pushes else "–",
                "–" if same else bounds(rehearsal.difference(row)),
            )
        )
    return rows


def _summary(rehearsal: Rehearsal) -> Section:
    base, options = rehearsal.rows[rehearsal.options.against], rehearsal.options
    able = [row for row in rehearsal.shown if row.policy not in (ORACLE,)]
    best = max(able, key=lambda row: rehearsal.gain(row).value)
    gain = rehearsal.gain(best)
    withdrew, theirs = (100 * row.figure(lambda o: o.opt_out_share).value for row in (best, base))
    low, high = f"{gain.low:+.2f}", f"{gain.high:+.2f}"
    pairs = [
        (
            f"{gain.value:+.2f}",
            f"minor units per person and week above no pushes: {best.policy} ({low} to {high})",
        ),
        (f"{rehearsal.gain(base).value:+.2f}", f"of {base.policy}, to which differences are"),
        (f"{withdrew:.2f} %", f"of the opted-in withdrew under {best.policy}, {theirs:.2f} % under {base.policy}"),
        (f"ε = {options.epsilon:g}", _promise(rehearsal)),
        (f"{options.seed_range[0]}{_TO}{options.seed_range[-1]}", f"seeds ({options.seed_kind})"),
    ]
    return Section("In short", [Facts(pairs)])


def _promise(rehearsal: Rehearsal) -> str:
    """Who keeps the promise, at which δ, and what was spent of it."""
    spent = [f"{row.policy} spent {row.epsilon_spent:.3g}" for row in rehearsal.shown if row.policy in PRIVATE]
    by = "; ".join(spent) or "none of these"
    return f"central, at δ = {power(DELTA)}, for policies that learn under it ({by}); others promise nothing"


def _table(rehearsal: Rehearsal) -> Section:
    options = rehearsal.options
    columns = (*COLUMNS, f"difference to {options.against}")
    note = (
        "Values in minor units per person and week, with 95 % Student intervals over seeds, paired by seed. Net value"
        f" is the margin of all orders, less {options.parameters().opt_out_cost_minor:g} for every opt-out; orders are"
        " counted by their chance, which has the same mean and less noise. Pushes count everybody, those out of reach"
        " included. “never” and the greedy oracle are always run: gain and regret are to them."
    )
    return Section("Policies compared", [Table(columns, cells_of(rehearsal)), Prose(note)])


def _frontier(points: list[Point]) -> Section:
    caption = (
        "Each curve is one family at several settings: pushes a week for caps, the fleet's price ν for policies that"
        " have one. Upper left is better: more value for fewer opt-outs. Bars: 95 % intervals of the gain."
    )
    return Section("Value against opt-outs", [Picture(figures.frontier(points), "frontier", caption)])


def _weeks(rehearsal: Rehearsal) -> Section:
    asked = [row for row in rehearsal.shown if row.policy != NEVER]
    order = [row.policy for row in rehearsal.shown]  # a policy has one colour in all of them
    volume = figures.weekly_volume({row.policy: row.weekly_pushes for row in asked}, order)
    below = {row.policy: rehearsal.regret(row) for row in rehearsal.shown if row.policy != ORACLE}
    return Section(
        "Week by week",
        [
            Picture(
                volume, "volume", "Pushes per person and week. Falling lines: people withdrew, or a learner held back."
            ),
            Picture(
                figures.regret(below, order),
                "regret",
                "Expected net value of the greedy oracle above each policy, with 95 % bands over seeds.",
            ),
        ],
    )


def _curve(rehearsal: Rehearsal, cells: list[Cell]) -> Section:
    base = rehearsal.rows[rehearsal.options.against]
    lines = {f"{base.policy} (N = {rehearsal.options.n:,})": rehearsal.gain(base).value}
    caption = "Gain over sending nothing against ε, by number of people. Bars: 95 % intervals over seeds."
    return Section("What privacy costs", [Picture(figures.curve(cells, baselines=lines), "curve", caption)])


def _limits(rehearsal: Rehearsal) -> Section:
    numbers = rehearsal.options.parameters()
    worlds = [[name, text] for name, text in words.WORLDS.items()]
    where = list(words.WORLDS).index(rehearsal.options.world)
    source = f"Parameters version {numbers.version}, SHA-256 {numbers.fingerprint[:16]}…"
    parts: list[page.Part] = [
        Prose(words.SIMULATED),
        Table(("world", "what holds in it"), worlds, strong=where),
        Prose(source),
    ]
    return Section("What this is, and what it is not", [*parts, Prose(words.NOT_TO_CONCLUDE)])
