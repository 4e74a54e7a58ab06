"""What a report is made from: the JSON that the other commands print, each optional."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tactful_privacy.errors import InvalidInput

Json = Mapping[str, Any]

NEEDED: Mapping[str, tuple[str, ...]] = {
    "run": (
        "canaries",
        "guesses",
        "correct",
        "f_dp_mu",
        "theory_mu",
        "theory_epsilon",
        "delta",
        "holds",
        "noisy_hosts",
    ),
    "faults": ("runs", "faults", "as_expected"),
    "attacks": ("within_theory", "rows"),
    "wire": ("bytes_total", "sizes_independent_of_data", "messages"),
}
"""Keys without which a part is not what its command prints."""


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
        InvalidInput: the file is missing, is not JSON, or is not of that command.
    """
    remedy = f"make it with: tactful audit {part} --json > FILE"
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read: {type(error).__name__}"
        raise InvalidInput(message, field=f"--{part}", remedy=remedy) from error
    missing = [key for key in NEEDED[part] if not isinstance(plain, dict) or key not in plain]
    if missing:
        raise InvalidInput(f"{path} has no {missing[0]!r}", field=f"--{part}", remedy=remedy)
    found: Json = plain
    return found
