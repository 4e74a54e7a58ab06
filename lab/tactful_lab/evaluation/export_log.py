"""`tactful lab export-log`: the log of pushes held in people's own exports, in the form that `evaluate` reads.

A row is a decision in slots or outside. ``opened``: its push was opened within 24 hours; ``opted_out``: by it. The file
holds a person's decisions in the clear, under the name of the export: it is for data subjects' own exports and for
tests, and nobody's way round the rounds in which devices send noised sums.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from tactful_privacy.commands import require_writable
from tactful_privacy.errors import InvalidInput, TactfulError

_FORMAT = "tactful-export-1"
_WINDOW = timedelta(hours=24)
_OPENS = ("push_opened", "push_converted")
COLUMNS = ("user", "time", "decision", "action", "send_probability", "by_rule", "slot", "opened", "opted_out")
MAPPING = """\
columns:
  user: user
  time: time
  decision: decision
  action: action
  propensity: send_probability
  deterministic: by_rule
  slot: slot
  outcomes: [opened, opted_out]
codes:
  not_sent_codes: [wait, quiet]
options:
  propensity_of: send
"""


def export_log(
    exports: Annotated[list[Path], typer.Argument(help="JSON of Device.export(), a file for each device.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV to write; the mapping is written beside it.")],
) -> None:
    """Write the decisions of exports as a push log and its mapping. People's own exports, or a test's, only."""
    mapping = out.with_suffix(".map.yaml")
    try:
        require_writable(out, make_folder=True)
        rows = [row for path in exports for row in rows_of(_read(path), str(path))]
        if not rows:
            raise InvalidInput(
                "no export holds a decision", field="exports", remedy="give those of devices that decided"
            )
        pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(out, index=False)
        mapping.write_text(MAPPING, encoding="utf-8")
    except TactfulError as error:
        typer.echo("error: " + " ".join(str(error).split()), err=True)
        raise typer.Exit(2) from error
    typer.echo(f"{len(rows)} decisions of {len(exports)} exports in {out}; mapping in {mapping}")
    typer.echo("The log holds people's decisions in the clear: for their own use and for tests.")


def _read(path: Path) -> dict[str, Any]:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"cannot be read: {error}", field=str(path), remedy="give JSON of Device.export()"
        ) from error
    if not isinstance(plain, dict) or plain.get("format") != _FORMAT:
        raise InvalidInput(f"is not {_FORMAT}", field=str(path), remedy="give JSON of Device.export()")
    return plain


def rows_of(plain: dict[str, Any], name: str = "export") -> Sequence[tuple[Any, ...]]:
    """A row of `COLUMNS` for each decision of one export.

    Raises:
        InvalidInput: A part is missing or of another kind.
    """
    try:
        return list(_rows(plain))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"is not whole: {error!r}"
        raise InvalidInput(message, field=name, remedy="give what Device.export() returned, unchanged") from error


def _rows(plain: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    opened: dict[str, datetime] = {}
    for event in plain["events"]:
        if event["kind"] in _OPENS:
            at, of = datetime.fromisoformat(event["at"]), str(event["properties"].get("decision_id", ""))
            opened[of] = min(at, opened.get(of, at))
    left = {push["decision_id"] for push in plain["pushes"] if push["outcome"] == "opted_out"}
    for each in plain["decisions"]:
        known, at = each["id"], datetime.fromisoformat(each["created_at"])
        soon = known in opened and opened[known] - at <= _WINDOW
        told = (each["action"], each["send_probability"], int(not each["evaluable"]), _slot(each["slot"]))
        yield (plain["user_id"], at.isoformat(), known, *told, int(soon), int(known in left))


def _slot(slot: int | None) -> str:
    return "none" if slot is None else f"slot {slot}"
