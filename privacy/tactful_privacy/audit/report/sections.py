"""The sections of the report, in order, in one language."""

from collections.abc import Iterator, Sequence
from itertools import accumulate

from matplotlib.figure import Figure

from tactful_privacy.accounting.zcdp import epsilon as epsilon_of
from tactful_privacy.audit.page import Facts, Part, Picture, Prose, Section, Table
from tactful_privacy.audit.report import plots
from tactful_privacy.audit.report.findings import Findings, Json
from tactful_privacy.audit.report.words import Words, number

_DELTA = 1e-6
_CONTROL = "none"  # the row of the federation without a fault
_CORRELATION = "correlation with the true slot profile"


def all_sections(findings: Findings, words: Words) -> list[Section]:
    """Every section that the findings have something for, and those that name what is missing."""
    makers = (_claim, _verdicts, _cost, _audit, _attacks, _faults, _wire, _ledger)
    found = [section for maker in makers if (section := maker(findings, words)) is not None]
    return [*found, _not_protected(words), _versions(findings, words)]


def _claim(findings: Findings, words: Words) -> Section:
    run = findings.run
    if run is None:
        return Section(words("claim"), [Prose(words("claim_unknown")), Prose(words("assumptions"))])
    sentence = words(
        "claim_sentence",
        rounds=run["rounds"],
        epsilon=number(run["theory_epsilon"]),
        delta=number(run["delta"]),
    )
    return Section(words("claim"), [Prose(sentence), Prose(words("assumptions"))])


def _verdicts(findings: Findings, words: Words) -> Section:
    rows = [
        [words(question), answer, f"tactful audit {command}"] for question, answer, command in _answers(findings, words)
    ]
    return Section(words("verdicts"), [Table([words("question"), words("answer"), words("made_by")], rows)])


def _answers(findings: Findings, words: Words) -> Iterator[tuple[str, str, str]]:
    yield "q_wire", _wire_answer(findings.wire, words), "wire"
    yield "q_budget", _budget_answer(findings, words), "budget DEVICE"
    yield "q_attack", _audit_answer(findings.run, words), "run"
    yield "q_faults", _faults_answer(findings.faults, words), "faults"
    yield "q_attacks", _attacks_answer(findings.attacks, words), "attacks"
    yield "q_ledger", _ledger_answer(findings.ledger, words), "ledger FILE"


def _missing(words: Words, remedy: str) -> str:
    return words("not_given", remedy=remedy)


def _wire_answer(wire: Json | None, words: Words) -> str:
    if wire is None:
        return _missing(words, "tactful audit wire")
    key = "a_wire" if wire["sizes_independent_of_data"] else "a_wire_bad"
    return words(key, bytes=wire["bytes_total"], messages=len(wire["messages"]))


def _budget_answer(findings: Findings, words: Words) -> str:
    epsilons, delta = _epsilons(findings)
    if not epsilons:
        return _missing(words, "tactful audit report --ledger FILE")
    return words("a_budget", epsilon=number(epsilons[-1]), delta=number(delta), rounds=len(epsilons))


def _audit_answer(run: Json | None, words: Words) -> str:
    if run is None:
        return _missing(words, "tactful audit run")
    key = "a_attack" if run["holds"] else "a_attack_bad"
    return words(key, bound=number(run["f_dp_mu"]), theory=number(run["theory_mu"]))


def _faults_answer(faults: Json | None, words: Words) -> str:
    if faults is None:
        return _missing(words, "tactful audit faults")
    rows = [row for row in faults["faults"] if row["name"] != _CONTROL]
    slack = [row for row in rows if row["caught_by"] == "no_violation"]
    escaped = [str(row["name"]) for row in faults["faults"] if not row["as_expected"]]
    figures = {"planted": len(rows), "slack": len(slack)}
    if escaped:
        return words("a_faults_bad", escaped=len(escaped), names=", ".join(escaped))
    return words("a_faults", caught=len(rows) - len(slack), **figures)


def _attacks_answer(attacks: Json | None, words: Words) -> str:
    if attacks is None:
        return _missing(words, "tactful audit attacks")
    return words("a_attacks" if attacks["within_theory"] else "a_attacks_bad")


def _ledger_answer(ledger: Json | None, words: Words) -> str:
    if ledger is None:
        return _missing(words, "tactful audit report --ledger FILE")
    if not ledger["verified"]:
        return words("a_ledger_bad", reason=ledger["reason"])
    key = "a_ledger" if ledger.get("signed_entries") else "a_ledger_unsigned"
    return words(key, entries=ledger["entries"], releases=ledger["releases"])


def _epsilons(findings: Findings) -> tuple[list[float], float]:
    """ε after each round, from the ledger where there is one, else from the audited plan; and δ."""
    run = findings.run
    delta = float(run["delta"]) if run else _DELTA
    prices: Sequence[float] = findings.prices
    if not prices and run is not None:
        prices = [float(run["theory_mu"]) ** 2 / 2 / int(run["rounds"])] * int(run["rounds"])
    return [epsilon_of(rho, delta) for rho in accumulate(prices)], delta


def _cost(findings: Findings, words: Words) -> Section | None:
    epsilons, delta = _epsilons(findings)
    if not epsilons:
        return None
    promise = None if findings.run is None else float(findings.run["theory_epsilon"])
    source = words("from_ledger" if findings.prices else "from_plan")
    drawn = plots.epsilon_over_rounds(epsilons, promise, words)
    caption = words("epsilon_caption", delta=number(delta), source=source)
    return Section(words("epsilon_over_rounds"), [_picture(drawn, "epsilon", caption, words)])


def _picture(drawn: Figure, name: str, caption: str, words: Words) -> Picture:
    return Picture(drawn, f"{name}-{words.language}", caption)


def _audit(findings: Findings, words: Words) -> Section | None:
    run = findings.run
    if run is None:
        return None
    figures = {key: run[key] for key in ("canaries", "guesses", "correct", "noisy_hosts")}
    text = words("audit_text", confidence=f"{100 * run.get('confidence', 0.95):g} %", **figures)
    rows = [
        (words("row_theory"), run["theory_epsilon"]),
        (words("row_f_dp"), run.get("f_dp_epsilon")),
        (words("row_one_run"), run.get("one_run_epsilon")),
        (words("row_gauss"), run.get("gaussian_epsilon_estimate")),
        (words("row_cp"), run.get("clopper_pearson_epsilon_estimate")),
    ]
    table = Table([words("figure"), words("value")], [[name, number(value)] for name, value in rows])
    picture = _picture(plots.bound_against_theory(run, words), "bound", words("audit_caption"), words)
    return Section(words("audit"), [Prose(text), picture, table])


def _attacks(findings: Findings, words: Words) -> Section | None:
    if findings.attacks is None:
        return None
    columns = [words(key) for key in ("attack", "condition", "figure", "reached", "chance", "limit", "verdict")]
    rows = [_attack_row(row, words) for row in findings.attacks["rows"]]
    parts: list[Part] = [Prose(words("attacks_text"))]
    drawn = [row for row in findings.attacks["rows"] if row["figure"] == _CORRELATION]
    if drawn:
        picture = plots.reconstruction(drawn, words)
        parts.append(_picture(picture, "reconstruction", words("attack_caption"), words))
    return Section(words("attacks"), [*parts, Table(columns, rows)])


def _attack_row(row: Json, words: Words) -> list[str]:
    verdict = "beyond" if not row["within_theory"] else "works" if row["succeeds"] else "fails"
    return [
        words.name(str(row["attack"])),
        words.name(str(row["condition"])),
        words.name(str(row["figure"])),
        f"{row['value']:.2f} ({row['low']:.2f}, {row['high']:.2f})",
        f"{row['chance']:.2f}",
        "–" if row["limit"] is None else f"{row['limit']:.2f}",
        words(verdict),
    ]


def _faults(findings: Findings, words: Words) -> Section | None:
    faults = findings.faults
    if faults is None:
        return None
    columns = [words(key) for key in ("fault", "caught_by", "power", "remark")]
    rows = [
        [
            words.name(str(row["title"])),
            words.name(str(row["caught_by"])),
            f"{row['caught']}/{row['runs']}",
            words.name(str(row["remark"])),
        ]
        for row in faults["faults"]
    ]
    return Section(words("faults"), [Prose(words("faults_text", runs=faults["runs"])), Table(columns, rows)])


def _wire(findings: Findings, words: Words) -> Section | None:
    if findings.wire is None:
        return None
    rows, told = [], set()
    for message in findings.wire["messages"]:
        for piece in message["fields"]:
            if piece["field"] not in told and not piece["field"].endswith((".header", ".length")):
                told.add(piece["field"])
                rows.append(
                    [
                        words.name(message["stage"]),
                        piece["field"],
                        str(piece["size_bytes"]),
                        words.reveals(piece["field"], piece["reveals"]),
                    ]
                )
    columns = [words(key) for key in ("stage", "field", "bytes", "could_reveal")]
    facts = Facts([(str(message["size_bytes"]), words.name(message["stage"])) for message in findings.wire["messages"]])
    return Section(words("wire"), [Prose(words("wire_text")), facts, Table(columns, rows)])


def _ledger(findings: Findings, words: Words) -> Section | None:
    ledger = findings.ledger
    if ledger is None:
        return None
    status = words("verified") if ledger["verified"] else f"{words('broken')}: {ledger['reason']}"
    rows = [[words("status"), status]]
    rows += [[words(key), str(ledger[key])] for key in ("entries", "releases", "head") if key in ledger]
    return Section(words("ledger"), [Table([words("figure"), words("value")], rows)])


def _not_protected(words: Words) -> Section:
    return Section(words("not_protected"), [Prose(line) for line in words.list("np")])


def _versions(findings: Findings, words: Words) -> Section:
    rows = [list(pair) for pair in findings.versions]
    return Section(words("versions"), [Table([words("part"), words("version")], rows)])
