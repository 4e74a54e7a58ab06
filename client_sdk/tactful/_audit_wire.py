"""`tactful audit wire`: what exactly leaves a device."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tactful.errors import InvalidInput, TactfulError, UnreadableVault

if TYPE_CHECKING:
    from tactful.federation.wiretap import Leaving

_INVENTED = "somebody"
_EVENTS = 60


def wire(
    vault: Annotated[
        Path | None, typer.Option(help="Look at a person of this vault, on a copy; an invented one where absent.")
    ] = None,
    user: Annotated[str, typer.Option(help="The app's name for that person.")] = "",
    keys: Annotated[str, typer.Option(help="file:PATH (from the vault's folder), env:NAME or keyring:SERVICE.")] = (
        "file:host.key"
    ),
    full: Annotated[bool, typer.Option("--full", help="Print every byte in hex, however long a field is.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Run one device through a round and print every byte that leaves, field by field, and what it could reveal.

    Exit code 1 if the size of anything sent depends on what the device holds.
    """
    try:
        found = tapped(vault, user, keys)
    except TactfulError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo(json.dumps(found, ensure_ascii=False)) if as_json else _print(found, full=full)
    if not found["sizes_independent_of_data"]:
        raise typer.Exit(1)


def tapped(vault: Path | None, user: str, keys: str) -> dict[str, Any]:
    """Return everything that leaves in one round, of one device and of an empty one for comparison.

    Raises:
        TactfulError: the vault does not open, or does not know the person.
        Undescribed: a field leaves of which nobody has written down what it reveals.
    """
    from tactful.federation.wiretap import Tap, invent_a_device, opened_copy
    from tactful.testing import memory_host

    if user and vault is None:
        raise InvalidInput("is a name in a vault", field="--user", remedy="give --vault too, or leave it out")
    with memory_host() as host:
        invent_a_device(host, _INVENTED, events=0)
        empty = Tap(host, _INVENTED).run()
    if vault is None:
        with memory_host() as host:
            invent_a_device(host, _INVENTED, events=_EVENTS)
            return _report(tap := Tap(host, _INVENTED), tap.run(), empty)
    if not vault.is_file():
        raise UnreadableVault(f"no vault at {vault}", field="--vault", remedy="give the path of an existing vault")
    try:
        with opened_copy(vault, keys) as host:
            return _report(tap := Tap(host, user), tap.run(), empty)
    except sqlite3.DatabaseError as error:
        message = f"{vault} is no vault ({error})"
        raise UnreadableVault(message, field="--vault", remedy="give the path of an existing vault") from error


def _report(tap: Any, said: list[Leaving], empty: list[Leaving]) -> dict[str, Any]:
    same = [len(message.data) for message in said] == [len(message.data) for message in empty]
    return {
        "took_part": tap.took_part,
        "bytes_total": sum(len(message.data) for message in said),
        "sizes_independent_of_data": same,
        "messages": [_message(message, other) for message, other in zip(said, empty, strict=True)],
    }


def _message(message: Leaving, empty: Leaving) -> dict[str, Any]:
    from tactful_privacy.audit.dissect import dissect
    from tactful_privacy.audit.reveals import reveals

    fields = [
        {
            "field": piece.field,
            "offset_bytes": piece.offset,
            "size_bytes": piece.size,
            "hex": piece.data.hex(),
            "value": piece.value,
            "reveals": reveals(piece.field),
        }
        for piece in dissect(message.data)
    ]
    return {
        "stage": message.stage,
        "size_bytes": len(message.data),
        "size_bytes_of_an_empty_device": len(empty.data),
        "answered_after_ms": round(message.seconds * 1e3, 3),
        "answered_after_ms_by_an_empty_device": round(empty.seconds * 1e3, 3),
        "fields": fields,
    }


def _print(found: dict[str, Any], *, full: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for message in found["messages"]:
        title = (
            f"{message['stage']}: {message['size_bytes']} bytes after {message['answered_after_ms']} ms "
            f"(a device without any event: {message['size_bytes_of_an_empty_device']} bytes, "
            f"{message['answered_after_ms_by_an_empty_device']} ms)"
        )
        table = Table("at", "bytes", title=title, title_justify="left", box=None)
        for name in ("field", "value", "could reveal"):
            table.add_column(name, overflow="fold")
        for piece in message["fields"]:
            shown = piece["hex"] if full else piece["value"]
            table.add_row(str(piece["offset_bytes"]), str(piece["size_bytes"]), piece["field"], shown, piece["reveals"])
        console.print(table)
    for line in _closing(found):
        console.print(line, soft_wrap=True)


def _closing(found: dict[str, Any]) -> list[str]:
    size = "does not depend" if found["sizes_independent_of_data"] else "DEPENDS"
    part = (
        "took part" if found["took_part"] else "did not take part (no consent, or no budget left): zeros went instead"
    )
    return [
        f"{found['bytes_total']} bytes left in all; their size {size} on what the device holds. The device {part}.",
        "Time: how long an answer takes grows with the number of events that a host's devices hold. With one device on"
        " a phone that is a coarse hint of activity to whoever sees the traffic; transport adds the network address.",
        "Nothing else leaves: no event, no profile, no decision, no identifier of a person.",
    ]
