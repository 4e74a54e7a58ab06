"""``tactful server``: read what a server wrote down. Nothing here changes anything."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tactful_privacy.errors import InvalidInput, LedgerBroken, TactfulError
from tactful_privacy.ledger import HeadBook, Ledger, export, head_fields
from tactful_server.records import ArtifactRecord, RoundRecord, Store
from tactful_server.store import SqlStore

app = typer.Typer(
    pretty_exceptions_show_locals=False, help="Read a server's models, rounds and ledger.", no_args_is_help=True
)

ledger_app = typer.Typer(help="List the entries of the ledger; export it, or print its signed heads.")
app.add_typer(ledger_app, name="ledger")

StoreUrl = Annotated[str, typer.Option("--store", help="Database URL, sqlite:///server.db, or the path of the file.")]
LedgerFile = Annotated[Path | None, typer.Option("--ledger", help="Default: ledger.jsonl beside the database.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]

Row = Mapping[str, Any]


@app.command()
def models(store: StoreUrl = "server.db", as_json: AsJson = False) -> None:
    """List the models of the registry."""
    with _reading(store) as opened:
        rows = [_model(record) for record in opened.artifacts()]
    _print(rows, "models", as_json)


@app.command()
def rounds(store: StoreUrl = "server.db", as_json: AsJson = False) -> None:
    """List the rounds, with the hosts that were lost and the reason of a void one."""
    with _reading(store) as opened:
        rows = [_round(opened, record) for record in opened.rounds()]
    _print(rows, "rounds", as_json)


@ledger_app.callback(invoke_without_command=True)
def ledger(
    context: typer.Context, store: StoreUrl = "server.db", file: LedgerFile = None, as_json: AsJson = False
) -> None:
    """List the entries of the ledger and say whether every released round of the store is in it."""
    if context.invoked_subcommand is not None:
        return
    with _reading(store) as opened:
        released = {r.round_id.round_number for r in opened.rounds() if r.phase == "released"}
        entries = list(Ledger(_ledger_of(store, file)).entries())
    rows = [
        {"index": e.index, "kind": e.kind, "round_number": e.body.get("round_number"), "hash": e.hash.hex()}
        for e in entries
    ]
    _print(rows, "entries", as_json)
    missing = released - {row["round_number"] for row in rows if row["kind"] == "release"}
    if missing:
        typer.echo(f"released without a ledger entry: rounds {sorted(missing)}; resume the server", err=True)
        raise typer.Exit(1)


@ledger_app.command("export")
def export_ledger(
    target: Annotated[Path, typer.Argument(help="The file to write.", show_default=False)],
    store: StoreUrl = "server.db",
    file: LedgerFile = None,
    as_json: AsJson = False,
) -> None:
    """Write ledger, signed heads and server key to one file, which `tactful audit ledger` verifies anywhere."""
    with _reading(store):
        entries = export(Ledger(_ledger_of(store, file)), target)
    if as_json:
        typer.echo(json.dumps({"entries": entries, "file": str(target)}))
    else:
        typer.echo(f"{entries} entries in {target}")


@ledger_app.command()
def heads(store: StoreUrl = "server.db", file: LedgerFile = None, as_json: AsJson = False) -> None:
    """List the signed heads of the ledger, by rising size: what anybody may compare with what a host was shown."""
    with _reading(store):
        rows = [head_fields(signed) for signed in HeadBook(Ledger(_ledger_of(store, file))).heads()]
    _print(rows, "heads", as_json)


def _ledger_of(store: str, file: Path | None) -> Path:
    return file if file is not None else _path_of(store).with_name("ledger.jsonl")


def _path_of(store: str) -> Path:
    return Path(store.removeprefix("sqlite:///"))


@contextmanager
def _reading(store: str) -> Iterator[Store]:
    """Open a store that exists; errors become one line and exit code 2, a broken ledger exit code 1."""
    try:
        is_file = "://" not in store or store.startswith("sqlite:///")
        if is_file and not _path_of(store).is_file():
            raise InvalidInput(f"{_path_of(store)} does not exist", field="store", remedy="give --store")
        opened = SqlStore.open(f"sqlite:///{_path_of(store)}" if is_file else store)
        try:
            yield opened
        finally:
            opened.close()
    except TactfulError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1 if isinstance(error, LedgerBroken) else 2) from error


def _model(record: ArtifactRecord) -> Row:
    return {
        "name": record.name,
        "version": record.version,
        "round_number": record.round_number,
        "digest": record.digest.hex(),
        "parent": record.parent.hex(),
    }


def _round(store: Store, record: RoundRecord) -> Row:
    facts = store.transitions(record.round_id)[-1].facts
    survivors = facts.get("survivors", b"").decode()
    return {
        "federation": record.round_id.federation,
        "round_number": record.round_id.round_number,
        "attempt": record.round_id.attempt,
        "phase": record.phase,
        "survivors": survivors.split("\n") if survivors else [],
        "dropped": sorted(name.removeprefix("drop:") for name in facts if name.startswith("drop:")),
        "reason": facts.get("reason", b"").decode(),
        "changed_unix_s": record.changed_unix_s,
    }


def _print(rows: Sequence[Row], title: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({title: rows}))
        return
    table = Table(title=title)
    for name in rows[0] if rows else ():
        table.add_column(name)
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    Console().print(table)


def _cell(value: Any) -> str:
    text = ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)
    return text if len(text) != len(bytes(32).hex()) else text[:12]
