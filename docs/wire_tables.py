"""``python docs/wire_tables.py``: write the tables of ``docs/wire.md`` from the message types themselves."""

import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tactful_privacy.wire import MESSAGE_TYPES, Block, HeadLink, Statistic, codec
from tactful_privacy.wire.message import Nested
from tactful_privacy.wire.vectors import Vector

PAGE = Path(__file__).parent / "wire.md"
BEGIN, END = "<!-- wire:v1 -->\n", "<!-- /wire -->"


WORDS: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (codec.Unsigned, lambda c: f"u{c.bits}" + (f", at least {c.minimum}" if c.minimum else "")),
    (codec.Rational, lambda c: f"{'i64' if c.signed else 'u64'} / u64 in lowest terms"),
    (codec.Fixed, lambda c: f"{c.size} bytes"),
    (codec.Blob, lambda c: f"u32 length, {c.at_least} to {c.at_most} bytes"),
    (codec.Text, lambda c: f"u32 length, UTF-8, {c.at_least} to {c.at_most} bytes"),
    (codec.Choice, lambda c: "text, one of " + ", ".join(c.words)),
    (codec.Maybe, lambda c: f"optional: {words(c.item)}"),
    (codec.Pair, lambda c: f"({words(c.first)}; {words(c.second)})"),
    (codec.Many, lambda c: f"u32 count, {c.at_least} to {c.at_most}, {_order(c)}, of {words(c.item)}"),
    (Vector, lambda c: f"dtype byte {int(c.dtype)} ({c.dtype.name.lower()}), u32 count up to {c.at_most}, data"),
    (Nested, lambda c: f"{c.record.__name__} without envelope"),
)


def _order(many: Any) -> str:
    return "sorted, unique" if many.ordered else "unique, in the sender's order"


def words(kind: object) -> str:
    """One codec in words. Raises `TypeError` for a codec that this page cannot describe yet."""
    for described, say in WORDS:
        if isinstance(kind, described):
            return say(kind)
    raise TypeError(f"docs/wire_tables.py cannot describe {kind!r}: add a case")


def fields(record: type) -> list[tuple[str, str]]:
    """Name and form of every field, in the order of the bytes."""
    hints = typing.get_type_hints(record, include_extras=True)
    annotated = {name: hint for name, hint in hints.items() if hasattr(hint, "__metadata__")}
    return [(name, words(hint.__metadata__[0])) for name, hint in annotated.items()]


def tables() -> str:
    """All messages in order of their kind byte, then the records inside them."""
    messages = sorted(MESSAGE_TYPES, key=lambda message: message.KIND)
    titled = [(f"{m.__name__}, kind 0x{int(m.KIND):02x}, at most {m.MAX_BYTES:,} bytes", m) for m in messages]
    lines = []
    inner = [(f"{record.__name__}, a record inside others", record) for record in (Block, Statistic, HeadLink)]
    for title, record in [*titled, *inner]:
        lines += ["", f"### {title}", "", "| field | form |", "|---|---|"]
        lines += [f"| `{name}` | {form} |" for name, form in fields(record)]
    return "\n".join([*lines, ""]) + "\n"


def filled(text: str) -> str:
    """The page with its tables replaced."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + tables() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
