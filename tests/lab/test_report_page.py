"""The report is one safe file that needs no network, and the figures are what they say."""

import re
from contextlib import closing
from html.parser import HTMLParser

import numpy as np
import pytest

from tactful_lab import plots
from tactful_lab.audit.target import open_target
from tactful_lab.slots.metrics import CalibrationCurve
from tactful_privacy.audit import page as pages
from tactful_privacy.audit import style
from tactful_privacy.audit.report.words import Words

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Nesting(HTMLParser):
    """Checks that every element is closed in order and collects ids."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.ids += [value for key, value in attrs if key == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.ids += [value for key, value in attrs if key == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def figures():
    x = np.geomspace(0.003, 0.2, 12)
    curve = CalibrationCurve(x, x * 1.1, np.ones(12, dtype=np.int64))
    rounds = np.arange(1, 9)
    vector = np.linspace(-1, 1, 16)
    return {
        "calibration": plots.calibration({"ours": curve, "theirs": curve}),
        "precision": plots.precision_bars({"a": {"top 5 %": 0.1}, "b": {"top 5 %": 0.2}}, base_rate=0.02),
        "epsilon": plots.epsilon_over_rounds(rounds, rounds / 4, rounds / 3, rounds / 2, budget=4.0, delta=1e-6),
        "noise": plots.noise_against_signal(rounds, 1.0 / rounds, 0.1),
        "contribution": plots.contribution_panels(vector, vector * 3, np.arange(16) * 2**28),
        "week": plots.week_plan(np.full((7, 7), 0.1), list("MTWTFSS"), [(1, 4)]),
    }


@pytest.fixture(scope="module")
def page():
    pictures = [pages.Picture(drawn, name, f"figure {name} & more") for name, drawn in figures().items()]
    parts = [
        pages.Prose("<script>alert(1)</script>"),
        pages.Facts([(".0922", "log-loss <in> December")]),
        pages.Table(["method", "log-loss"], [["a <b>", ".1035"], ["ours", ".0922"]], "December", strong=1),
        pages.Quote("周二 <16–18> 点", "zh", "basis: prior"),
        *pictures,
    ]
    return pages.render("A & B", "lead <b>", [pages.Section("One", parts)], footer="commit <x>")


def test_text_is_escaped(page):
    """No text of a caller becomes markup."""
    assert "<script" not in page
    for text in (
        "&lt;script&gt;",
        "lead &lt;b&gt;",
        "a &lt;b&gt;",
        "A &amp; B",
        "周二 &lt;16–18&gt; 点",
        "commit &lt;x&gt;",
    ):
        assert text in page


def test_the_page_is_well_nested_and_its_ids_are_unique(page):
    """Every element is closed in order, and no id occurs twice though six figures are inline."""
    nesting = Nesting()
    nesting.feed(page)
    assert not nesting.open
    assert len(nesting.ids) == len(set(nesting.ids))


def test_the_page_needs_no_network(page):
    """No element loads anything: the only URLs are XML name spaces, and references are local."""
    without_namespaces = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert "http" not in without_namespaces
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', page))
    assert not re.search(r"<(link|img|iframe|script)|@import|url\((?!#)", page)


def test_every_local_reference_has_its_target(page):
    """A clip path or marker that a figure uses is in the page."""
    ids = set(re.findall(r'id="([^"]+)"', page))
    used = set(re.findall(r'href="#([^"]+)"', page)) | set(re.findall(r"url\(#([^)]+)\)", page))
    assert used
    assert used <= ids


def test_figures_take_the_page_s_ink(page):
    """Ink, grid and the main blue are the page's variables, so a dark page has light figures."""
    inline = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert "var(--ink)" in inline
    assert "var(--grid)" in inline
    assert style.INK not in inline


def test_the_same_figure_gives_the_same_bytes():
    """SVG output is reproducible: no dates, no random ids."""
    first, second = (style.inline_svg(figures()["week"], "week") for _ in range(2))
    assert first == second


def test_a_figure_is_saved_as_svg_and_png(tmp_path):
    """Both files are written under the stem."""
    svg, png = style.save(figures()["noise"], tmp_path / "noise")
    assert svg.read_text(encoding="utf-8").startswith("<?xml")
    assert png.read_bytes().startswith(b"\x89PNG")


def test_numbers_stand_right_and_words_left():
    """A column is set to the right only if all its cells are numbers."""
    table = pages.Table(["m", "v"], [["a", "−.0016"], ["b", "11.7 %"]]).to_html()
    assert "<th>m</th><th class=n>v</th>" in table
    assert "<td class=n>−.0016</td>" in table


def test_every_planted_fault_has_its_chinese_name():
    """Title and remark of each fault stand in the Chinese page in Chinese."""
    words = Words("zh")
    with closing(open_target(canaries=2, rounds=1)) as target:
        said = [text for fault in target.faults() for text in (fault.title, fault.remark) if text]
    assert [text for text in said if words.name(text) == text] == []


def test_an_axis_of_two_rounds_has_no_halves():
    """Ticks at 1 and 2."""
    rounds = np.array([1.0, 2.0])
    for drawn in (
        plots.noise_against_signal(rounds, rounds, 0.1),
        plots.epsilon_over_rounds(rounds, rounds, rounds, rounds, budget=4.0, delta=1e-6),
    ):
        axes = drawn.axes[0]
        inside = [tick for tick in axes.get_xticks() if 1 <= tick <= 2]
        assert inside == [1.0, 2.0]
