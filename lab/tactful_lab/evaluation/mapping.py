"""Which column of a push log means what: a frozen description, read from a small TOML or YAML file and from flags.

A mapping file is flat, or groups its keys under ``columns``, ``codes`` and ``options``; the keys are the fields of
`LogMap`.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from tactful_lab.evaluation import small_yaml
from tactful_privacy.errors import InvalidInput

_GROUPS = ("columns", "codes", "options")
_CHOICES = {
    "propensity_of": ("taken", "send"),
    "missing_outcomes": ("leave_out", "zero"),
    "certain_decisions": ("leave_out", "keep"),
    "time_unit": ("iso", "s", "ms", "us"),
    "decimal": (".", ","),
}
_LISTS = ("controls", "context", "sent_codes", "not_sent_codes", "yes_codes", "no_codes", "missing_codes")


@dataclass(frozen=True, slots=True)
class LogMap:
    """Columns, codes and options of a push log. Codes are compared without regard to case and outer blanks.

    Attributes:
        user: Column of the person, the unit of the intervals.
        time: Column of the decision time.
        action: Column of what was done.
        outcomes: (name, column) of each outcome; a number, larger is more of it.
        propensity: Column of the propensity, or None.
        propensity_of: ``taken``: probability of the action that was taken; ``send``: probability of a send.
        fixed_propensity: Probability of a send where the log holds none.
        available: Column that says whether a push was possible; without it, always.
        deterministic: Column that says whether a rule decided, without chance.
        decision: Column that identifies a decision; without it, user and time do.
        slot: Column of the slot, or None.
        dosage: Column of recent pushes; without it, computed from the log's own sends.
        controls: Numeric columns known before the decision, which only make the outcome models better.
        context: As ``controls``, by which effects may differ.
        sent_codes: What ``action`` holds for a send.
        not_sent_codes: What ``action`` holds for no send.
        yes_codes: What ``available`` and ``deterministic`` hold for yes.
        no_codes: What they hold for no.
        missing_codes: What stands for a missing value, in every column.
        missing_outcomes: ``leave_out`` the decision from that outcome, or count a ``zero``.
        certain_decisions: Decisions logged with propensity 1 of their action: ``leave_out`` (they show nothing of
            the other action) or ``keep`` (a policy that differs there has no support).
        time_unit: ``iso`` text, or seconds, milliseconds or microseconds since 1970 in UTC.
        time_zone: Zone of times without an offset.
        encoding: Of a CSV file.
        delimiter: Of a CSV file, one character.
        decimal: Decimal mark of a CSV file.
    """

    user: str
    time: str
    action: str
    outcomes: tuple[tuple[str, str], ...]
    propensity: str | None = None
    propensity_of: Literal["taken", "send"] = "taken"
    fixed_propensity: float | None = None
    available: str | None = None
    deterministic: str | None = None
    decision: str | None = None
    slot: str | None = None
    dosage: str | None = None
    controls: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    sent_codes: tuple[str, ...] = ("1", "true", "send", "sent", "push", "yes")
    not_sent_codes: tuple[str, ...] = ("0", "false", "wait", "quiet", "not_sent", "no")
    yes_codes: tuple[str, ...] = ("1", "true", "yes")
    no_codes: tuple[str, ...] = ("0", "false", "no")
    missing_codes: tuple[str, ...] = ("", "na", "n/a", "nan", "nat", "null", "none", "<na>")
    missing_outcomes: Literal["leave_out", "zero"] = "leave_out"
    certain_decisions: Literal["leave_out", "keep"] = "leave_out"
    time_unit: Literal["iso", "s", "ms", "us"] = "iso"
    time_zone: str = "UTC"
    encoding: str = "utf-8-sig"
    delimiter: str = ","
    decimal: Literal[".", ","] = "."

    def __post_init__(self) -> None:
        if not self.outcomes:
            raise InvalidInput("is not set", field="outcomes", remedy="name at least one outcome column")
        if self.propensity is None and self.fixed_propensity is None:
            remedy = "name the propensity column, or give fixed_propensity"
            raise InvalidInput("is not set", field="propensity", remedy=remedy)
        if self.fixed_propensity is not None and not 0 < self.fixed_propensity <= 1:
            message = f"must be above 0 and at most 1, not {self.fixed_propensity!r}"
            raise InvalidInput(message, field="fixed_propensity", remedy="give the probability of a send")
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                message = f"must be one of {', '.join(allowed)}, not {getattr(self, name)!r}"
                raise InvalidInput(message, field=name, remedy=f"set {name} to one of them")
        self._check_codes()
        self._check_names()

    def _check_codes(self) -> None:
        for one, other in (("sent_codes", "not_sent_codes"), ("yes_codes", "no_codes")):
            both = _folded(getattr(self, one)) & _folded(getattr(self, other))
            if both:
                message = f"{sorted(both)} stand in {other} too"
                raise InvalidInput(message, field=one, remedy="a code means one thing")

    def _check_names(self) -> None:
        try:
            "".encode(self.encoding)  # knows encodings of text alone
        except LookupError as error:
            raise InvalidInput(f"unknown: {self.encoding!r}", field="encoding", remedy="e.g. utf-8, gb18030") from error
        try:
            ZoneInfo(self.time_zone)
        except (KeyError, ValueError, OSError) as error:
            raise InvalidInput(
                f"unknown: {self.time_zone!r}", field="time_zone", remedy="e.g. Asia/Shanghai"
            ) from error
        if len(self.delimiter) != 1:
            raise InvalidInput("must be one character", field="delimiter", remedy='e.g. ";"')

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the mapping names, each once, in the order of the fields."""
        single = (self.user, self.time, self.action, self.propensity, self.available, self.deterministic)
        named = (*single, self.decision, self.slot, *(c for _, c in self.outcomes), *self.controls, *self.context)
        return tuple(dict.fromkeys(column for column in named if column is not None))


def _folded(codes: tuple[str, ...]) -> set[str]:
    return {code.strip().casefold() for code in codes}


def read_map(path: Path | None = None, flags: Mapping[str, Any] | None = None) -> LogMap:
    """Read a mapping file (``.toml``, ``.yaml`` or ``.yml``); a flag that is not None stands over the file's value.

    Raises:
        InvalidInput: The file cannot be read, a key is unknown, missing or of the wrong kind.
    """
    table = {} if path is None else _flat(_parse(path))
    table |= {key: value for key, value in (flags or {}).items() if value is not None}
    known = {field.name for field in fields(LogMap)}
    unknown = sorted(set(table) - known)
    if unknown:
        raise InvalidInput(f"unknown: {unknown[0]!r}", field="mapping", remedy=f"keys are {', '.join(sorted(known))}")
    for needed in ("user", "time", "action", "outcomes"):
        if table.get(needed) is None:
            raise InvalidInput("is not set", field=needed, remedy="name its column in the mapping file or by a flag")
    return LogMap(**{key: _typed(key, value) for key, value in table.items() if value is not None})


def _parse(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot be read: {error}", field=str(path), remedy="give a UTF-8 text file") from error
    if path.suffix.lower() in {".yaml", ".yml"}:
        return small_yaml.parse(text)
    if path.suffix.lower() != ".toml":
        raise InvalidInput("must end in .toml, .yaml or .yml", field=str(path), remedy="rename the mapping file")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"not TOML: {error}", field=str(path), remedy="mend the line it names") from error


def _flat(table: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        inner = value if key in _GROUPS and isinstance(value, dict) else {key: value}
        for name, held in inner.items():
            if name in flat:
                raise InvalidInput("stands twice", field=name, remedy="keep one of them")
            flat[name] = held
    return flat


def _typed(key: str, value: Any) -> Any:
    if key == "outcomes":
        return _outcomes(value)
    if key in _LISTS:
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(_text(key, item) for item in items)
    if key == "fixed_propensity":
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidInput(f"must be a number, not {value!r}", field=key, remedy="e.g. 0.5")
        return float(value)
    return _text(key, value)


def _text(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or not isinstance(value, str | int | float):
        raise InvalidInput(f"must be a word, not {value!r}", field=key, remedy="quote it if it is a column's name")
    return str(value)


def _outcomes(value: Any) -> tuple[tuple[str, str], ...]:
    """Outcomes as ``{name: column}``, as a list of columns or as one column."""
    if isinstance(value, Mapping):
        return tuple((str(name), _text("outcomes", column)) for name, column in value.items())
    items = list(value) if isinstance(value, list | tuple) else [value]
    pairs = [item if isinstance(item, tuple) else (item, item) for item in items]
    return tuple((_text("outcomes", name), _text("outcomes", column)) for name, column in pairs)
