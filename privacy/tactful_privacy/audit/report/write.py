"""From findings to the page: both languages in one file, switched without a script."""

import html
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from tactful_privacy.audit.page import Section
from tactful_privacy.audit.report.findings import Findings
from tactful_privacy.audit.report.plots import quiet
from tactful_privacy.audit.report.sections import all_sections
from tactful_privacy.audit.report.words import LANGUAGES, Words

_SWITCH = """
.tongue{position:absolute;opacity:0}
.switch{max-width:60rem;margin:0 auto;padding:1rem 1.25rem 0;display:flex;gap:.4rem;justify-content:flex-end}
.switch label{border:1px solid var(--grid);border-radius:999px;padding:.15rem .8rem;cursor:pointer;font-size:.9rem}
.said{display:none}
#say-en:checked~.said[lang=en],#say-zh:checked~.said[lang=zh]{display:block}
#say-en:checked~.switch label[for=say-en],#say-zh:checked~.switch label[for=say-zh]{background:var(--accent);color:#fff}
.tongue:focus-visible~.switch label{outline:2px solid var(--accent)}
@media print{.said{display:block}.switch{display:none}}
"""


def write_report(path: Path, findings: Findings, made_at: datetime | None = None) -> Path:
    """Write the report to ``path``, making its folder, and return the path.

    Args:
        path: of the HTML file; it needs no other file and no network.
        findings: what was checked.
        made_at: the time it names; now by default.
    """
    made = (made_at or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC")
    bodies = [_body(Words(language), findings, made) for language in LANGUAGES]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_page(bodies), encoding="utf-8")
    return path


def _body(words: Words, findings: Findings, made: str) -> str:
    lead = words("lead_holds" if findings.holds else "lead_fails")
    with quiet():
        inner = "".join(_section(section, words.language) for section in all_sections(findings, words))
    title = html.escape(words("title"))
    return (
        f'<div class="said" lang="{words.language}"><header><h1>{title}</h1><p>{html.escape(lead)}</p></header>'
        f"<main>{inner}</main><footer>{html.escape(words('footer', date=made))}</footer></div>"
    )


def _section(section: Section, language: str) -> str:
    # The same headings stand in both languages' parts, and an id may stand on a page only once.
    return section.to_html().replace('<section id="', f'<section id="{language}-', 1)


def _page(bodies: Sequence[str]) -> str:
    css = (resources.files("tactful_privacy.audit") / "page.css").read_text(encoding="utf-8")
    inputs = "".join(
        f'<input class="tongue" type="radio" name="tongue" id="say-{language}"{" checked" if not place else ""}>'
        for place, language in enumerate(LANGUAGES)
    )
    labels = "".join(f'<label for="say-{language}">{name}</label>' for language, name in LANGUAGES.items())
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>Tactful: privacy audit · 隐私审计</title><style>{css}{_SWITCH}</style></head>"
        f'<body>{inputs}<nav class="switch">{labels}</nav>{"".join(bodies)}</body></html>\n'
    )
