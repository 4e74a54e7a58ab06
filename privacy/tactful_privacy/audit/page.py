"""A report in one HTML file: figures as inline SVG, styles inline, dark or light as the reader's system, no network."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from matplotlib.figure import Figure

from tactful_privacy.audit import style


@dataclass(frozen=True, slots=True)
class Prose:
    """A paragraph of plain text."""

    text: str

    def to_html(self) -> str:
        """The paragraph, escaped."""
        return f"<p>{html.escape(self.text)}</p>"


@dataclass(frozen=True, slots=True)
class Facts:
    """A row of figures that stand for themselves: (value, what it is)."""

    pairs: Sequence[tuple[str, str]]

    def to_html(self) -> str:
        """Cards side by side."""
        cards = (
            f"<div><b>{html.escape(value)}</b><span>{html.escape(what)}</span></div>" for value, what in self.pairs
        )
        return f'<div class="facts">{"".join(cards)}</div>'


@dataclass(frozen=True, slots=True)
class Table:
    """A table; columns whose every cell is a number are set to the right. ``strong``: index of the row to stress."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    strong: int | None = None

    def to_html(self) -> str:
        """The table, escaped, in a box which scrolls on narrow screens."""
        right = [all(_is_number(row[i]) for row in self.rows) for i in range(len(self.columns))]
        head = "".join(_cell("th", text, r) for text, r in zip(self.columns, right, strict=True))
        body = "".join(
            f"<tr{' class=strong' if i == self.strong else ''}>"
            + "".join(_cell("td", text, r) for text, r in zip(row, right, strict=True))
            + "</tr>"
            for i, row in enumerate(self.rows)
        )
        caption = f"<caption>{html.escape(self.caption)}</caption>" if self.caption else ""
        return f'<div class="scroll"><table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure with its caption, which is also what a screen reader says; ``name`` is unique in the report."""

    figure: Figure
    name: str
    caption: str

    def to_html(self) -> str:
        """The inline SVG with its caption."""
        label = html.escape(self.caption)
        return (
            f'<figure role="img" aria-label="{label}">{style.inline_svg(self.figure, self.name)}'
            f"<figcaption>{label}</figcaption></figure>"
        )


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence as a person would be told it, with its language and an optional label."""

    text: str
    language: str = "en"
    label: str = ""

    def to_html(self) -> str:
        """The sentence, escaped."""
        label = f"<span>{html.escape(self.label)}</span>" if self.label else ""
        return f'<blockquote lang="{html.escape(self.language)}">{html.escape(self.text)}{label}</blockquote>'


Part = Prose | Facts | Table | Picture | Quote


@dataclass(frozen=True, slots=True)
class Section:
    """A titled section of the report."""

    title: str
    parts: Sequence[Part]

    def to_html(self) -> str:
        """The section with an anchor made of its title."""
        anchor = re.sub(r"\W+", "-", self.title.lower()).strip("-")
        inner = "".join(part.to_html() for part in self.parts)
        return f'<section id="{html.escape(anchor)}"><h2>{html.escape(self.title)}</h2>{inner}</section>'


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[−–+\-]?[\d.,  ]*\d\s?(%|s|MB|KiB|B|×)?|∞|–|—|", text.strip()))


def _cell(tag: str, text: str, right: bool) -> str:
    return f"<{tag}{' class=n' if right else ''}>{html.escape(text)}</{tag}>"


def render(title: str, lead: str, sections: Sequence[Section], *, footer: str = "") -> str:
    """The whole page as text: title, one leading sentence, sections in order, a footer line."""
    css = (resources.files("tactful_privacy.audit") / "page.css").read_text(encoding="utf-8")
    body = "".join(section.to_html() for section in sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{html.escape(title)}</title><style>{css}</style></head>"
        f"<body><header><h1>{html.escape(title)}</h1><p>{html.escape(lead)}</p></header>"
        f"<main>{body}</main><footer>{html.escape(footer)}</footer></body></html>\n"
    )


def write(path: Path, title: str, lead: str, sections: Sequence[Section], *, footer: str = "") -> Path:
    """Write the page to ``path``, making its folder, and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(title, lead, sections, footer=footer), encoding="utf-8")
    return path
