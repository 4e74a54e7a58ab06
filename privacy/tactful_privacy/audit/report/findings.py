"""What a report is made from: the JSON that the other commands print, each optional."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tactful_privacy.errors import InvalidInput

Json = Mapping[str, Any]


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _text(value: object) -> bool:
    return isinstance(value, str)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _maybe(value: object) -> bool:
    """A figure that may be infinite, which JSON says as null."""
    return value is None or _number(value)


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _positive(value: object) -> bool:
    return _count(value) and bool(value)


def _share(value: object) -> bool:
    return _number(value) and 0 < value < 1  # type: ignore[operator]


Shape = Callable[[object], bool] | Mapping[str, Any] | list[Any]
_ROUND = {"rounds": _positive, "theory_mu": _number, "f_dp_mu": _maybe}
_FAULT = {
    "name": _text,
    "title": _text,
    "caught_by": _text,
    "remark": _text,
    "caught": _count,
    "runs": _count,
    "as_expected": _flag,
}
_ATTACK = {
    "attack": _text,
    "condition": _text,
    "figure": _text,
    "value": _number,
    "low": _number,
    "high": _number,
    "chance": _number,
    "limit": _maybe,
    "succeeds": _flag,
    "within_theory": _flag,
}
_ABSENT = object()  # fits no shape
_FIELD = {"field": _text, "size_bytes": _count, "reveals": _text}
NEEDED: Mapping[str, Mapping[str, Shape]] = {
    "run": {
        "canaries": _count,
        "guesses": _count,
        "correct": _count,
        "rounds": _positive,
        "noisy_hosts": _count,
        "delta": _share,
        "f_dp_mu": _maybe,
        "theory_mu": _number,
        "theory_epsilon": _number,
        "holds": _flag,
    },
    "faults": {"runs": _count, "faults": [_FAULT], "as_expected": _flag},
    "attacks": {"within_theory": _flag, "rows": [_ATTACK]},
    "wire": {
        "bytes_total": _count,
        "sizes_independent_of_data": _flag,
        "messages": [{"stage": _text, "size_bytes": _count, "fields": [_FIELD]}],
    },
}
"""Without these a part is not what its command prints."""
_OPTIONAL: Mapping[str, Mapping[str, Shape]] = {
    "run": {
        "after_each": [_ROUND],
        "confidence": _share,
        "f_dp_epsilon": _maybe,
        "one_run_epsilon": _maybe,
        "gaussian_mu_estimate": _maybe,
        "gaussian_mu_estimate_low": _maybe,
        "gaussian_epsilon_estimate": _maybe,
        "clopper_pearson_epsilon_estimate": _maybe,
    }
}


@dataclass(frozen=True, slots=True)
class Findings:
    """The parts at hand; None for what was not checked.

    Attributes:
        run: of `tactful audit run --json`.
        faults: of `tactful audit faults --json`.
        attacks: of `tactful audit attacks --json`.
        wire: of `tactful audit wire --json`.
        ledger: ``verified``, ``entries``, ``releases``, ``head`` and, where broken, ``reason``.
        prices: ρ of each release in order, as the ledger has them.
        versions: (part, version) of what made the report.
    """

    run: Json | None = None
    faults: Json | None = None
    attacks: Json | None = None
    wire: Json | None = None
    ledger: Json | None = None
    prices: Sequence[float] = ()
    versions: Sequence[tuple[str, str]] = field(default_factory=tuple)

    @property
    def holds(self) -> bool:
        """Whether everything that was checked holds."""
        verdicts = (
            self.run is None or bool(self.run["holds"]),
            self.faults is None or bool(self.faults["as_expected"]),
            self.attacks is None or bool(self.attacks["within_theory"]),
            self.wire is None or bool(self.wire["sizes_independent_of_data"]),
            self.ledger is None or bool(self.ledger["verified"]),
        )
        return all(verdicts)


def load_json(path: Path, part: str) -> Json:
    """Read a part from the file that its command wrote.

    Raises:
        InvalidInput: the file is missing, is not JSON, or is not what that command prints.
    """
    remedy = f"make it with: tactful audit {part} --json > FILE"
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read: {type(error).__name__}"
        raise InvalidInput(message, field=f"--{part}", remedy=remedy) from error
    there = [key for key in _OPTIONAL.get(part, {}) if isinstance(plain, dict) and key in plain]
    shape = {**NEEDED[part], **{key: _OPTIONAL[part][key] for key in there}}
    if wrong := _misfit(plain, shape, ""):
        raise InvalidInput(f"{path} has no usable {wrong!r}", field=f"--{part}", remedy=remedy)
    found: Json = plain
    return found


def _misfit(value: object, shape: Shape, at: str) -> str:
    """Name the first place where ``value`` is not of its shape; empty where all of it is."""
    parts: list[tuple[object, Shape, str]]
    if isinstance(shape, Mapping):
        if not isinstance(value, Mapping):
            return at or next(iter(shape))
        parts = [(value.get(key, _ABSENT), inner, f"{at}.{key}".lstrip(".")) for key, inner in shape.items()]
    elif isinstance(shape, list):
        if not isinstance(value, list):
            return at
        parts = [(item, shape[0], f"{at}[{place}]") for place, item in enumerate(value)]
    else:
        return "" if shape(value) else at
    return next((wrong for part in parts if (wrong := _misfit(*part))), "")
