"""The audit report is one safe file in two languages that says what holds, what does not and what was not checked."""

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from tactful_privacy.audit.report import Findings, load_json, write_report
from tactful_privacy.audit.report.words import Words
from tactful_privacy.audit.reveals import REVEALS
from tactful_privacy.errors import InvalidInput

RUN = {
    "canaries": 1000,
    "guesses": 120,
    "correct": 83,
    "f_dp_mu": 0.62,
    "f_dp_epsilon": 3.1,
    "theory_mu": 0.79,
    "theory_epsilon": 4.0,
    "delta": 1e-6,
    "holds": True,
    "one_run_epsilon": 0.4,
    "gaussian_mu_estimate": 0.77,
    "gaussian_mu_estimate_low": 0.7,
    "gaussian_epsilon_estimate": None,
    "clopper_pearson_epsilon_estimate": 0.9,
    "rounds": 30,
    "noisy_hosts": 3,
}
FAULTS = {
    "runs": 20,
    "as_expected": True,
    "faults": [
        {
            "name": "noise_off",
            "title": "noise <off>",
            "caught_by": "self_test",
            "caught": 20,
            "runs": 20,
            "remark": "",
            "as_expected": True,
        },
        {
            "name": "one_missing",
            "title": "one host's noise missing",
            "caught_by": "no_violation",
            "caught": 0,
            "runs": 20,
            "remark": "enough shares remain",
            "as_expected": True,
        },
    ],
}
ATTACKS = {
    "within_theory": True,
    "rows": [
        {
            "attack": "reconstruction",
            "condition": "noise alone",
            "figure": "correlation with the true slot profile",
            "value": 0.02,
            "low": -0.1,
            "high": 0.14,
            "chance": 0.0,
            "limit": None,
            "succeeds": False,
            "within_theory": True,
        }
    ],
}
WIRE = {
    "bytes_total": 100,
    "sizes_independent_of_data": True,
    "messages": [
        {
            "stage": "keys",
            "size_bytes": 100,
            "fields": [{"field": "KeyOffer.mask_key", "size_bytes": 32, "reveals": REVEALS["KeyOffer.mask_key"]}],
        }
    ],
}
LEDGER = {"verified": True, "entries": 36, "releases": 30, "head": "ab" * 32}
ALL = {"run": RUN, "faults": FAULTS, "attacks": ATTACKS, "wire": WIRE, "ledger": LEDGER, "prices": [0.01] * 30}


class Page(HTMLParser):
    """Notes ids, links and scripts, and that every element is closed in order."""

    VOID = frozenset({"meta", "input", "br", "img", "link"})

    def __init__(self, text):
        super().__init__()
        self.ids, self.tags, self.open, self.out = [], set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.add(tag)
        self.ids += [values["id"]] if values.get("id") else []
        self.out += [values[name] for name in ("src", "href", "xlink:href") if name in values]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def written(tmp_path, **parts):
    path = write_report(tmp_path / "out" / "report.html", Findings(**parts), datetime(2026, 11, 25, tzinfo=UTC))
    return path.read_text(encoding="utf-8")


def test_one_file_without_network_or_script(tmp_path):
    """The page refers to nothing outside itself, runs no script, nests well and gives each id once."""
    page = Page(written(tmp_path, **ALL))
    assert "script" not in page.tags
    assert all(link.startswith("#") for link in page.out)
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)


def test_both_languages_say_the_same_sections(tmp_path):
    """English and Chinese have as many sections and figures, and the words of each."""
    text = written(tmp_path, **ALL)
    english, chinese = text.split('lang="zh"')
    for mark in ("<section", "<svg", "<tr>"):
        assert english.count(mark) == chinese.count(mark), mark
    assert "What is not protected" in english
    assert "不受保护的内容" in chinese
    assert "noise &lt;off&gt;" in english


@pytest.mark.parametrize("part", ["run", "faults", "attacks", "wire", "ledger"])
def test_what_does_not_hold_is_said_first(tmp_path, part):
    """One bad part turns the leading sentence, and its answer is marked in both languages."""
    verdict = {
        "run": {"holds": False},
        "faults": {
            "as_expected": False,
            "faults": [FAULTS["faults"][0] | {"as_expected": False, "caught_by": "none", "caught": 0}],
        },
        "attacks": {"within_theory": False},
        "wire": {"sizes_independent_of_data": False},
        "ledger": {"verified": False, "reason": "line 7 was edited"},
    }
    text = written(tmp_path, **(ALL | {part: ALL[part] | verdict[part]}))
    assert "Something that was checked does not hold" in text
    assert "有检查项不成立" in text
    assert "Everything that was checked holds" not in text
    for page in text.split('lang="zh"'):
        assert page.partition("<table>")[2].partition("</table>")[0].count("✗") == 1


def test_what_was_not_checked_is_named(tmp_path):
    """Without any finding every question says by which command it would be answered."""
    text = written(tmp_path)
    for command in ("audit wire", "audit run", "audit faults", "audit attacks", "audit report --ledger FILE"):
        assert f"not checked: tactful {command}" in text
    assert "What is not protected" in text


def test_the_catalogues_match():
    """Both languages know the same sentences with the same blanks; every field that leaves has its Chinese sentence."""
    english, chinese = Words("en")._said, Words("zh")._said
    assert english.keys() == chinese.keys()
    for key, sentence in english.items():
        if isinstance(sentence, str):
            assert set(re.findall(r"{\w+}", sentence)) == set(re.findall(r"{\w+}", chinese[key])), key
    assert len(english["np"]) == len(chinese["np"])
    assert chinese["reveals"].keys() >= REVEALS.keys()


def test_a_file_of_another_command_is_refused(tmp_path):
    """A file that is missing, is no JSON or lacks a key is named with the command that makes it."""
    path = tmp_path / "x.json"
    with pytest.raises(InvalidInput, match="tactful audit run --json"):
        load_json(path, "run")
    path.write_text("no")
    with pytest.raises(InvalidInput, match="--faults"):
        load_json(path, "faults")
    path.write_text(json.dumps(WIRE))
    with pytest.raises(InvalidInput, match="within_theory"):
        load_json(path, "attacks")
    assert load_json(path, "wire") == WIRE


@pytest.mark.parametrize(
    ("part", "plain", "named"),
    [
        ("run", {key: value for key, value in RUN.items() if key != "rounds"}, "rounds"),
        ("run", RUN | {"rounds": 0}, "rounds"),
        ("run", RUN | {"holds": "false"}, "holds"),
        ("run", RUN | {"f_dp_mu": float("nan")}, "f_dp_mu"),
        ("run", RUN | {"after_each": [{}]}, r"after_each\[0\]\.rounds"),
        ("faults", FAULTS | {"faults": [1]}, r"faults\[0\]"),
        ("wire", WIRE | {"messages": [{}]}, r"messages\[0\]\.stage"),
        ("attacks", [], "within_theory"),
    ],
)
def test_a_figure_of_the_wrong_kind_is_named(tmp_path, part, plain, named):
    """A file whose figures are absent or of another kind is refused, and makes no page."""
    path = tmp_path / "x.json"
    path.write_text(json.dumps(plain))
    with pytest.raises(InvalidInput, match=named):
        load_json(path, part)


@pytest.mark.parametrize(("part", "plain"), [("run", RUN), ("faults", FAULTS), ("attacks", ATTACKS), ("wire", WIRE)])
def test_what_a_command_prints_is_read(tmp_path, part, plain):
    """Each command's own figures pass, an infinite one as null included."""
    path = tmp_path / "x.json"
    path.write_text(json.dumps(plain))
    assert load_json(path, part) == plain


def test_a_ledger_that_nobody_signed_is_said_to_be_so(tmp_path):
    """The page speaks of verified signatures only where there are some."""
    assert "nobody signed a head" in written(tmp_path, ledger=LEDGER)
    signed = written(tmp_path, ledger=LEDGER | {"signed_entries": 36})
    assert "every link and signature verified" in signed
