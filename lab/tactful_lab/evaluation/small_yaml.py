"""The part of YAML that a mapping file needs, read strictly: nested keys, lists, quoted and plain scalars, comments.

No anchors, tags, multi-line text or documents: what is not understood is refused with its line number and never
guessed at. ``yes`` and ``no`` are words here, as in YAML 1.2.
"""

import re
from typing import Any

from tactful_privacy.errors import InvalidInput

_COMMENT = re.compile(r"""^((?:[^"'#]|"[^"]*"|'[^']*'|(?<=\S)[#'"])*?)(?:(?:^|\s)#.*)?$""")
_KEY = re.compile(r"""^("[^"]*"|'[^']*'|[^\s"'\[\]{},:#&*!|>%@`-][^:]*?)\s*:(?:\s+(.*))?$""")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
_Line = tuple[int, int, str]  # line number from 1, indentation, text


def parse(text: str) -> dict[str, Any]:
    """The mapping that a small YAML text holds.

    Raises:
        InvalidInput: A line is outside the part of YAML that is read; the message names it.
    """
    lines = list(_lines(text))
    if not lines:
        return {}
    value, rest = _block(lines, lines[0][1])
    if rest or not isinstance(value, dict):
        raise _refusal((rest or lines)[0], "expected `key: value`")
    return value


def _lines(text: str) -> Any:
    for number, raw in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        found = _COMMENT.match(raw)
        content = (found.group(1) if found else raw).rstrip()
        if not content.strip() or content.strip() == "---":
            continue
        stripped = content.lstrip(" ")
        if stripped.startswith("\t"):
            raise _refusal((number, 0, raw), "indent with spaces")
        yield number, len(content) - len(stripped), stripped


def _refusal(line: _Line, message: str) -> InvalidInput:
    return InvalidInput(
        message, field=f"mapping, line {line[0]}", remedy="use `key: value`, lists and comments, or a TOML file"
    )


def _block(lines: list[_Line], indent: int) -> tuple[Any, list[_Line]]:
    """The list or mapping that starts at the first line, and the lines after it."""
    if lines[0][2] == "-" or lines[0][2].startswith("- "):
        return _list(lines, indent)
    found: dict[str, Any] = {}
    while lines and lines[0][1] == indent:
        line, lines = lines[0], lines[1:]
        match = _KEY.match(line[2])
        if match is None:
            raise _refusal(line, "expected `key: value`")
        key = str(_scalar(match.group(1), line, plain=True))
        if key in found:
            raise _refusal(line, f"the key {key!r} stands twice")
        if match.group(2):
            found[key] = _value(match.group(2), line)
        elif lines and (lines[0][1] > indent or (lines[0][1] == indent and lines[0][2].startswith("- "))):
            found[key], lines = _block(lines, lines[0][1])
        else:
            found[key] = None
    if lines and lines[0][1] > indent:
        raise _refusal(lines[0], "indented further than its block")
    return found, lines


def _list(lines: list[_Line], indent: int) -> tuple[list[Any], list[_Line]]:
    items = []
    while lines and lines[0][1] == indent and lines[0][2].startswith("- "):
        items.append(_value(lines[0][2][2:].strip(), lines[0]))
        lines = lines[1:]
    return items, lines


def _value(text: str, line: _Line) -> Any:
    if text.startswith("[") and text.endswith("]"):
        return [_scalar(part, line) for part in _parts(text[1:-1], line)]
    if text.startswith("{") and text.endswith("}"):
        matches = [_KEY.match(part) for part in _parts(text[1:-1], line)]
        if not all(matches):
            raise _refusal(line, "expected {key: value}")
        return {str(_scalar(m[1], line, plain=True)): _scalar(m[2] or "", line) for m in matches if m}
    return _scalar(text, line)


def _parts(text: str, line: _Line) -> list[str]:
    """The parts between the commas that stand outside quotes; a comma after the last one is allowed."""
    parts, quote = [""], ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and (not parts[-1].strip() or parts[-1].rstrip().endswith(":")):
            quote = letter
        elif letter in "[]{}":
            raise _refusal(line, "a list within a list is not read")
        elif letter == ",":
            parts.append("")
            continue
        parts[-1] += letter
    if quote:
        raise _refusal(line, "a quotation mark is not closed")
    return [part.strip() for part in (parts if parts[-1].strip() else parts[:-1])]


def _scalar(text: str, line: _Line, *, plain: bool = False) -> Any:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    if text[:1] in set("&*!|>%@`\"'[]{}"):
        raise _refusal(line, f"cannot read {text!r}")
    if plain:
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
