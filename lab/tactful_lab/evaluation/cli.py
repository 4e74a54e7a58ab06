"""`tactful lab evaluate`: what would another policy have earned on the pushes of a log?"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from tactful_lab.evaluation import page
from tactful_lab.evaluation.compare import Finding, Plan, compare
from tactful_lab.evaluation.effects import Analysis, effects, multiplicity
from tactful_lab.evaluation.log import LoadedLog, read_log
from tactful_lab.evaluation.mapping import LogMap, read_map
from tactful_lab.evaluation.policies import FromColumn, Policy, parse_policy
from tactful_lab.evaluation.support import Limits, Refusal
from tactful_privacy.commands import require_writable
from tactful_privacy.errors import InvalidInput, TactfulError

Column = typer.Option(help="Column of it; stands over the mapping file, as every flag does.")
_DEFAULT = ("always", "never")
_WIDTH = 116  # the table of policies does not fit into less


def evaluate(
    log: Annotated[Path, typer.Argument(help="Push log: CSV or Parquet.")],
    mapping: Annotated[Path | None, typer.Option("--map", help="TOML or YAML: which column means what.")] = None,
    user: Annotated[str | None, Column] = None,
    time: Annotated[str | None, Column] = None,
    time_unit: Annotated[str | None, typer.Option(help="iso, or s, ms or us since 1970 in UTC.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="Of times without an offset; by default UTC.")] = None,
    action: Annotated[str | None, Column] = None,
    propensity: Annotated[str | None, Column] = None,
    propensity_of: Annotated[str | None, typer.Option(help="taken: of the action taken; send: of a send.")] = None,
    fixed_propensity: Annotated[float | None, typer.Option(help="Of a send, where the log has none.")] = None,
    available: Annotated[str | None, Column] = None,
    deterministic: Annotated[str | None, Column] = None,
    decision: Annotated[str | None, Column] = None,
    outcome: Annotated[list[str] | None, typer.Option(help="COLUMN or NAME=COLUMN; repeat it.")] = None,
    slot: Annotated[str | None, Column] = None,
    control: Annotated[list[str] | None, typer.Option(help="Column known before the decision; repeat it.")] = None,
    context: Annotated[list[str] | None, typer.Option(help="As --control, effects may differ by it.")] = None,
    dosage: Annotated[
        str | None, typer.Option(help="Column of recent pushes; by default computed from the log's own sends.")
    ] = None,
    small_sample: Annotated[bool, typer.Option(help="Correct standard errors of effects for few people.")] = True,
    scale: Annotated[
        str, typer.Option(help="Of effects: difference, or log-rr, the log of the ratio of means.")
    ] = "difference",
    missing_outcomes: Annotated[str | None, typer.Option(help="leave_out or zero.")] = None,
    certain_decisions: Annotated[str | None, typer.Option(help="Propensity 1: leave_out or keep.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Of a CSV file.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Of a CSV file.")] = None,
    policy: Annotated[
        list[str] | None, typer.Option(help="always, never, fixed:P, slot:S=P,*=P or column:NAME; repeat it.")
    ] = None,
    reference: Annotated[str, typer.Option(help="Differences are to this policy.")] = "logged",
    window_days: Annotated[
        float | None, typer.Option(help="Also weight per decision within windows, at most 7 days: stateful policies.")
    ] = None,
    switch_threshold: Annotated[float | None, typer.Option(help="Of switch-DR; by default chosen by the data.")] = None,
    min_effective_decisions: Annotated[float, typer.Option(help="With fewer, nothing is concluded.")] = 100.0,
    min_effective_users: Annotated[float, typer.Option(help="With fewer, nothing is concluded.")] = 30.0,
    min_event_users: Annotated[float, typer.Option(help="Of a rare outcome; with fewer, nothing is concluded.")] = 10.0,
    resamples: Annotated[int, typer.Option(help="Of the bootstrap over users.")] = 2_000,
    seed: Annotated[int, typer.Option(help="Of the bootstrap and of the model's folds.")] = 20_261,
    level: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    out: Annotated[Path | None, typer.Option(help="Write the JSON to this file too.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a report with figures to this file too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Evaluate a log of pushes: data problems first, then effects, then policies with intervals and effective sizes.

    Exit code 1 if nothing is concluded about one of the policies, 2 for wrong use or bad input.
    """
    flags = {"user": user, "time": time, "action": action, "available": available, "slot": slot}
    flags |= {"propensity": propensity, "deterministic": deterministic, "decision": decision, "dosage": dosage}
    choices = {"time_unit": time_unit, "time_zone": time_zone, "encoding": encoding, "delimiter": delimiter}
    choices |= {"propensity_of": propensity_of, "missing_outcomes": missing_outcomes}
    lists = {"outcomes": _pairs(outcome), "controls": control or None, "context": context or None}
    rest = {"fixed_propensity": fixed_propensity, "certain_decisions": certain_decisions}
    try:
        require_writable(out, make_folder=True)
        require_writable(html, make_folder=True)
        plan = read_map(mapping, {**flags, **choices, **lists, **rest})
        limits = Limits(min_effective_decisions, min_effective_users, min_event_users)
        how = Plan(window_days, switch_threshold, limits, resamples, seed, level)
        wanted = [parse_policy(words) for words in policy or _DEFAULT]
        base = parse_policy(reference)
        loaded = read_log(log, plan, _extra(wanted, base), plan.dosage)
        if not loaded.rows_read:
            raise InvalidInput("has a header and no rows", field=str(log), remedy="give a log with decisions")
        found = effects(loaded.log, level, small_sample=small_sample, dosage_column=plan.dosage, scale=scale)
        findings = compare(loaded.log, wanted, plan=how, reference=base)
    except TactfulError as error:
        _fail(error)
    extra = {"dosage": plan.dosage, "small_sample": small_sample, "scale": scale}
    plain = report(loaded, found, findings, plan, how, base, extra)
    if html is not None:
        page.write(html, loaded, found, findings, base.name, scale)
    if out is not None:
        out.write_text(json.dumps(plain, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    typer.echo(json.dumps(plain, ensure_ascii=False)) if as_json else _print(loaded, found, findings, base)
    if not all(finding.concluded for finding in findings):
        raise typer.Exit(1)


def _extra(wanted: list[Policy], base: Policy) -> list[str]:
    return [each.column for each in (*wanted, base) if isinstance(each, FromColumn)]


def _fail(error: TactfulError) -> NoReturn:
    typer.echo("error: " + " ".join(str(error).split()), err=True)
    raise typer.Exit(2) from error


def _pairs(outcomes: list[str] | None) -> dict[str, str] | None:
    """NAME=COLUMN or COLUMN, as the mapping wants it."""
    if not outcomes:
        return None
    return {name: column or name for name, _, column in (text.partition("=") for text in outcomes)}


def report(
    loaded: LoadedLog,
    found: tuple[Analysis, ...],
    findings: tuple[Finding, ...],
    plan: LogMap,
    how: Plan,
    reference: Policy,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The stable JSON of the command; values are mean outcomes per decision that chance decided.

    ``extra``: further options to tell.
    """
    options: dict[str, Any] = {"propensity_of": plan.propensity_of, "fixed_propensity": plan.fixed_propensity}
    options |= {"missing_outcomes": plan.missing_outcomes, "certain_decisions": plan.certain_decisions}
    options |= {"window_days": how.window_d, "resamples": how.resamples, "seed": how.seed, "level": how.level}
    limits = {
        "min_effective_decisions": how.limits.effective_decisions,
        "min_effective_users": how.limits.effective_users,
        "min_event_users": how.limits.event_users,
    }
    return {
        "data_problems": [problem.to_dict() for problem in loaded.problems],
        "log": loaded.counts(),
        "options": {**options, **limits, "reference": reference.name, **(extra or {})},
        "effects": [each.to_dict() for each in found],
        "multiplicity": multiplicity(found, how.level),
        "policies": [finding.to_dict() for finding in findings],
        "concluded": all(finding.concluded for finding in findings),
    }


def _print(loaded: LoadedLog, found: tuple[Analysis, ...], findings: tuple[Finding, ...], reference: Policy) -> None:
    console = Console(highlight=False, width=max(Console().width, _WIDTH))
    for line in _problem_lines(loaded):
        console.print(line, markup=False, soft_wrap=True)
    for name, value in loaded.counts().items():
        console.print(f"{name.replace('_', ' ')}: {value}", markup=False)
    _print_effects(console, found)
    tests = multiplicity(found, 0.95)["tests"]
    console.print(f"{tests} effects tested, intervals and p for each alone: with Bonferroni, multiply p by {tests}.\n")
    for outcome in dict.fromkeys(finding.outcome for finding in findings):
        rows = [finding for finding in findings if finding.outcome == outcome]
        console.print(_policy_table(outcome, rows, reference.name))
        for finding in rows:
            if isinstance(finding.result, Refusal):
                text = f"{finding.policy}, {finding.estimator}: no conclusion: {finding.result.text}"
                console.print(text, markup=False, soft_wrap=True)


def _print_effects(console: Console, found: tuple[Analysis, ...]) -> None:
    table = Table("outcome", "analysis", "effect of a push", title="Effects, where chance decided", box=None)
    table.title_justify = "left"
    for name in ("estimate", "standard error", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in found:
        if isinstance(each.result, str):
            table.add_row(each.outcome, each.analysis, f"no conclusion: {each.result}", "", "", "")
            continue
        for effect in each.result.effects:
            bounds = f"{effect.estimate:.4g} ({effect.low:.4g}, {effect.high:.4g})"
            row = (effect.name, bounds, f"{effect.standard_error:.3g}", f"{effect.p_value:.3g}")
            table.add_row(each.outcome, each.analysis, *row)
    console.print(table)


def _problem_lines(loaded: LoadedLog) -> list[str]:
    if not loaded.problems:
        return ["Data problems: none found", ""]
    lines = ["Data problems (rows counted from 1, without the header)"]
    for problem in loaded.problems:
        first = ", ".join(map(str, problem.rows[:5])) + (", …" if problem.count > 5 else "")
        lines.append(f"  {problem.kind}, column {problem.column}: {problem.count} rows ({first}), {problem.treatment}")
        lines.append(f"    {problem.text}")
    return [*lines, ""]


def _policy_table(outcome: str, findings: list[Finding], reference: str) -> Table:
    title = f"{outcome}: mean per decision, with 95 % intervals over users"
    level = next((f.result.value.level for f in findings if not isinstance(f.result, Refusal)), 0.95)
    table = Table(title=title.replace("95", f"{100 * level:g}"), title_justify="left", box=None)
    table.add_column("policy", max_width=28)
    table.add_column("estimator", no_wrap=True)
    for name in ("value", f"difference to {reference}", "eff. decisions", "eff. users"):
        table.add_column(name, justify="right", no_wrap=True)
    for finding in findings:
        sizes = (f"{finding.support.effective_decisions:,.0f}", f"{finding.support.effective_users:,.0f}")
        told = ("no conclusion", "")
        if not isinstance(finding.result, Refusal):
            told = (_bounds(finding.result.value), _bounds(finding.result.difference))
        table.add_row(finding.policy, finding.estimator, *told, *sizes)
    return table


def _bounds(interval: Any) -> str:
    return "–" if interval is None else f"{interval.value:.4g} ({interval.low:.4g}, {interval.high:.4g})"
