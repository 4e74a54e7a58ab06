"""An evaluation's HTML report: one file, no network. Data problems come first; what is not concluded is said to be."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tactful_lab.evaluation import figures
from tactful_lab.evaluation.compare import Estimate, Finding
from tactful_lab.evaluation.effects import Analysis, doses, multiplicity
from tactful_lab.evaluation.excursion_figures import effect_along, effects_apart
from tactful_lab.evaluation.log import LoadedLog
from tactful_lab.evaluation.support import Refusal
from tactful_lab.slots.bootstrap import Interval
from tactful_privacy.audit import page
from tactful_privacy.audit.page import Facts, Picture, Prose, Section, Table

_DAY_S = 86_400.0
_SHARED_BAND = " The band holds point by point, not for the whole line at once."


def write(
    path: Path,
    loaded: LoadedLog,
    found: Sequence[Analysis],
    findings: Sequence[Finding],
    reference: str,
    scale: str = "difference",
) -> Path:
    """Write the report and return its path; ``reference``: to which differences are, ``scale``: of the effects."""
    counts = loaded.counts()
    lead = (
        f"{counts['decisions_evaluated']:,} decisions of {counts['users']:,} people that chance decided, of"
        f" {counts['rows_read']:,} rows read. What a push changed, and what other policies would have earned on them."
    )
    sections = [_problems(loaded), _log(loaded), *_effects(loaded, found, scale), *_policies(findings, reference)]
    return page.write(path, "Tactful: evaluation of a push log", lead, sections, footer="Made by tactful lab evaluate.")


def _problems(loaded: LoadedLog) -> Section:
    if not loaded.problems:
        return Section("Data problems", [Prose("None found.")])
    rows = [
        (
            each.kind,
            each.column,
            f"{each.count}",
            ", ".join(map(str, each.rows[:5])) + (", …" if each.count > 5 else ""),
            each.treatment,
            each.text,
        )
        for each in loaded.problems
    ]
    table = Table(("kind", "column", "rows", "first (from 1)", "treatment", "what"), rows)
    return Section("Data problems", [table])


def _log(loaded: LoadedLog) -> Section:
    counts, log = loaded.counts(), loaded.log
    share = counts["send_share"]
    pairs = [
        (f"{counts['decisions_evaluated']:,}", "decisions evaluated"),
        (f"{counts['users']:,}", "people"),
        ("–" if share is None else f"{100 * share:.1f} %", "of these decisions sent a push"),
        (f"{counts['rows_left_out']:,}", "rows left out"),
    ]
    if not log.randomised.any():
        return Section("The log", [Facts(pairs), Prose("Chance decided nowhere: nothing can be evaluated.")])
    caption = (
        "Where one of the two is empty the log is blind: a policy that acts there is refused. Propensities of 0 and 1"
        " stand in the outermost bins."
    )
    return Section("The log", [Facts(pairs), Picture(figures.overlap(log), "overlap", caption)])


def _effects(loaded: LoadedLog, found: Sequence[Analysis], scale: str) -> Iterator[Section]:
    """A section for each outcome, a picture for each analysis with one, and a table of all."""
    unit = "the log of mean " if scale == "log-rr" else ""
    for index, outcome in enumerate(dict.fromkeys(each.outcome for each in found)):
        own = [each for each in found if each.outcome == outcome]
        parts: list[page.Part] = [_effect_table(own)]
        for place, each in enumerate(own):
            parts += _picture(loaded, each, f"effect-{index}-{place}", f"{unit}{outcome}")
        tests = multiplicity(tuple(found), 0.95)["tests"]
        parts.append(Prose(f"{tests} effects are tested in all, each for itself: with Bonferroni, multiply p by it."))
        yield Section(f"Effects of a push on {unit}{outcome}", parts)


def _effect_table(own: Sequence[Analysis]) -> Table:
    rows = []
    for each in own:
        if isinstance(each.result, str):
            rows.append((each.analysis, f"no conclusion: {each.result}", "", ""))
            continue
        rows += [
            (each.analysis, e.name, f"{e.estimate:.4g} ({e.low:.4g} to {e.high:.4g})", f"{e.p_value:.3g}")
            for e in each.result.effects
        ]
    return Table(("analysis", "effect", "estimate", "p"), rows)


def _picture(loaded: LoadedLog, each: Analysis, name: str, outcome: str) -> list[page.Part]:
    if isinstance(each.result, str) or each.analysis == "average":
        return []
    if each.analysis == "by_slot":
        drawn = effects_apart(each.result, outcome=outcome, title="By slot")
        return [Picture(drawn, name, "The effect in each slot, with its interval.")]
    moderator = each.result.effects[-1].name
    log = loaded.log
    top, title, told = float(np.ptp(log.time_s)) / _DAY_S, "Over time", "The effect by day of the log, as a line."
    if each.analysis == "by_dosage":
        title, told = f"By {moderator}", "The effect by the person's decayed count of recent pushes, as a line."
        top = _largest_dose(loaded, moderator)
    drawn = effect_along(each.result.curve(np.linspace(0, top, 25).tolist()), outcome=outcome, title=title)
    return [Picture(drawn, name, told + _SHARED_BAND)]


def _largest_dose(loaded: LoadedLog, moderator: str) -> float:
    """The 95th percentile of the dosage where chance decided; the line is not drawn to where hardly anybody was."""
    log = loaded.log
    values = doses(log, moderator if moderator in log.columns else None)[moderator][log.randomised]
    return float(np.nanquantile(values, 0.95)) or 1.0


def _policies(findings: Sequence[Finding], reference: str) -> Iterator[Section]:
    for index, outcome in enumerate(dict.fromkeys(each.outcome for each in findings)):
        own = [each for each in findings if each.outcome == outcome]
        parts: list[page.Part] = []
        if any(isinstance(f.result, Estimate) and f.result.difference and f.policy != reference for f in own):
            drawn = figures.differences([f for f in own if f.policy != reference], reference)
            caption = "Intervals resample whole people, the same for every policy. Refused policies are not drawn."
            parts.append(Picture(drawn, f"policies-{index}", caption))
        columns = ("policy", "estimator", "value", f"difference to {reference}", "eff. decisions", "eff. users")
        parts.append(Table(columns, [_policy_row(each) for each in own]))
        refused = dict.fromkeys((f.policy, f.result.text) for f in own if isinstance(f.result, Refusal))
        parts += [Prose(f"{policy}: no conclusion: {text}.") for policy, text in refused]
        yield Section(f"Policies by {outcome}", parts)


def _policy_row(each: Finding) -> tuple[str, ...]:
    sizes = (f"{each.support.effective_decisions:,.0f}", f"{each.support.effective_users:,.0f}")
    if isinstance(each.result, Refusal):
        return (each.policy, each.estimator, "no conclusion", "", *sizes)
    return (each.policy, each.estimator, _bounds(each.result.value), _bounds(each.result.difference), *sizes)


def _bounds(interval: Interval | None) -> str:
    return "–" if interval is None else f"{interval.value:.4g} ({interval.low:.4g} to {interval.high:.4g})"
