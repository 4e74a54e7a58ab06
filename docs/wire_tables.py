"""``python docs/wire_tables.py``: write the tables of ``docs/wire.md`` from the message types themselves."""

import typing
from pathlib import Path

from tactful_privacy.wire import MESSAGE_TYPES, Block, Statistic, codec
from tactful_privacy.wire.message import Nested
from tactful_privacy.wire.vectors import Vector

PAGE = Path(__file__).parent / "wire.md"
BEGIN, END = "<!-- wire:v1 -->\n", "<!-- /wire -->"


def words(kind: object) -> str:
    """One codec in words. Raises `TypeError` for a codec that this page cannot describe yet."""
    match kind:
        case codec.Unsigned():
            return f"u{kind.bits}" + (f", at least {kind.minimum}" if kind.minimum else "")
        case codec.Rational():
            return "i64 / u64 in lowest terms" if kind.signed else "u64 / u64 in lowest terms"
        case codec.Fixed():
            return f"{kind.size} bytes"
        case codec.Blob():
            return f"u32 length, {kind.at_least} to {kind.at_most} bytes"
        case codec.Text():
            return f"u32 length, UTF-8, {kind.at_least} to {kind.at_most} bytes"
        case codec.Choice():
            return "text, one of " + ", ".join(kind.words)
        case codec.Maybe():
            return f"optional: {words(kind.item)}"
        case codec.Pair():
            return f"({words(kind.first)}; {words(kind.second)})"
        case codec.Many():
            order = "sorted, unique" if kind.ordered else "unique, in the sender's order"
            return f"u32 count, {kind.at_least} to {kind.at_most}, {order}, of {words(kind.item)}"
        case Vector():
            return f"dtype byte {int(kind.dtype)} ({kind.dtype.name.lower()}), u32 count up to {kind.at_most}, data"
        case Nested():
            return f"{kind.record.__name__} without envelope"
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
    for title, record in [*titled, *((f"{r.__name__}, a record inside others", r) for r in (Block, Statistic))]:
        lines += ["", f"### {title}", "", "| field | form |", "|---|---|"]
        lines += [f"| `{name}` | {form} |" for name, form in fields(record)]
    return "\n".join([*lines, ""]) + "\n"




def filled(text: str) -> str:
    """The page with its tables replaced."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + tables() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
