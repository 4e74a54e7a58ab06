"""The documents are true where a machine can tell: blocks and examples run, links resolve, tables are the results'."""

import doctest
import importlib
import pkgutil
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import tactful
import tactful_privacy

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("privacy", "client_sdk", "server", "lab", "tests", "benchmarks", "examples")
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / folder / "README.md" for folder in FOLDERS),
        *(ROOT / "examples").glob("*/README.md"),
    ]
)
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
FILLED = re.compile(r"<!-- bench:.*?<!-- /bench -->", re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCKS = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")
    for page in DOCUMENTS
    for number, block in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
]


def modules_with_examples():
    """Names of the modules of SDK and privacy room whose text holds a doctest."""
    for package in (tactful_privacy, tactful):
        root = Path(package.__file__).parent
        yield from (
            found.name
            for found in pkgutil.walk_packages([str(root)], f"{package.__name__}.")
            if ">>> " in _source(root, found.name)
        )


def _source(root, name):
    path = root.joinpath(*name.split(".")[1:])
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")


def anchors(page):
    """The anchors of a page's headings, as they are made on the web."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("block", BLOCKS)
def test_every_python_block_runs(block, tmp_path, monkeypatch):
    """Each Python block of a document runs as it is printed, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "block", "exec"), {"__name__": "block"})


@pytest.mark.parametrize("program", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_runs(program, tmp_path, monkeypatch):
    """Each example runs to its end, its assertions included."""
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(program), run_name="__main__")


@pytest.mark.parametrize("program", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short(program):
    """An example has fewer than 80 lines and asserts something."""
    text = program.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 80
    assert "assert " in text


@pytest.mark.parametrize("name", list(modules_with_examples()))
def test_doctests(name):
    """The examples in docstrings print what they say."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page):
    """Every link within the repository leads to a file, and its anchor to a heading."""
    for link in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


def test_the_figures_are_those_of_the_committed_benchmarks():
    """The tables of README and docs are what the committed result files make them, to the letter."""
    command = [sys.executable, "-m", "benchmarks.render_docs", "--check"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    for page in (ROOT / "README.md", ROOT / "docs" / "results.md"):
        assert "<!-- bench:slots -->" in page.read_text(encoding="utf-8")


def test_the_wire_tables_are_those_of_the_code():
    """The field tables of docs/wire.md are what the message types say."""
    script = runpy.run_path(str(ROOT / "docs" / "wire_tables.py"))
    text = (ROOT / "docs" / "wire.md").read_text(encoding="utf-8")
    assert script["filled"](text) == text


def test_the_readme_says_what_must_not_be_left_out():
    """README says that backends can decrypt, that no phone was tested, and where the data come from."""
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for words in (
        "which can decrypt",
        "no phone was tested",
        "simulated",
        "2,469 households",
        "not charged to ε",
        "basis: prior",
    ):
        assert words in text


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_document_fits_the_line(page):
    """Prose keeps to 125 columns; tables, and what a script wrote between markers, may be wider."""
    for line in FILLED.sub("", page.read_text(encoding="utf-8")).splitlines():
        assert len(line) <= 125 or line.startswith("|"), line
