"""``tactful device``: what a vault holds of one person. It enrols nobody, and only ``erase`` deletes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from tactful.device import Device
from tactful.errors import TactfulError, UnreadableVault, VaultDamaged
from tactful.host import Host

app = typer.Typer(
    pretty_exceptions_show_locals=False, no_args_is_help=True, help="Show, export or erase what a vault holds."
)
Vault = Annotated[Path, typer.Argument(help="The vault's file.", show_default=False)]
User = Annotated[str, typer.Argument(help="The app's name for the person.", show_default=False)]
Keys = Annotated[str, typer.Option(help="file:PATH (from the vault's folder), env:NAME or keyring:SERVICE.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
KEY_FILE = "file:host.key"


@contextmanager
def _host(vault: Path, keys: str) -> Iterator[Host]:
    """Open an existing vault; every error becomes one line and exit code 2, a damaged vault exit code 1."""
    try:
        if not vault.is_file():
            raise UnreadableVault(f"no vault at {vault}", field="path", remedy="give the path of an existing vault")
        with Host.open(vault, keys=keys, strict=True) as host:
            yield host
    except VaultDamaged as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    except TactfulError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error


def _print(plain: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(plain, ensure_ascii=False, sort_keys=True))
        return
    for name, value in plain.items():
        said = value if isinstance(value, str | int | float) else json.dumps(value, ensure_ascii=False)
        typer.echo(f"{name}: {said}")


@app.command()
def show(vault: Vault, user: User, keys: Keys = KEY_FILE, as_json: AsJson = False) -> None:
    """Counts, consents, opt-outs and interests of a person."""
    with _host(vault, keys) as host:
        device = host.find(user)
        _print({**device.status(), "interests": device.profile()["interests"]}, as_json)


@app.command()
def export(vault: Vault, user: User, keys: Keys = KEY_FILE, as_json: AsJson = False) -> None:
    """Everything held about a person, as JSON (indented without --json)."""
    with _host(vault, keys) as host:
        plain = host.find(user).export()
        typer.echo(json.dumps(plain, ensure_ascii=False, sort_keys=True, indent=None if as_json else 2))


@app.command()
def erase(
    vault: Vault,
    user: User,
    keys: Keys = KEY_FILE,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this nothing is erased.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete everything held about a person, destroy their key, and print the signed receipt."""
    with _host(vault, keys) as host:
        device = host.find(user)
        if not yes:
            typer.echo("nothing was erased: an erasure cannot be undone; repeat with --yes", err=True)
            raise typer.Exit(2)
        _print(device.erase().to_dict(), as_json)


@app.command()
def explain(vault: Vault, user: User, decision: str, keys: Keys = KEY_FILE, as_json: AsJson = False) -> None:
    """One decision in English and Chinese, with its reasons."""
    with _host(vault, keys) as host:
        found = host.find(user).explain(decision)
        _print(found if as_json else {**found["text"], "outcome": found["outcome"] or "none"}, as_json)


@app.command()
def budget(vault: Vault, user: User, keys: Keys = KEY_FILE, as_json: AsJson = False) -> None:
    """What a person's device has spent of its privacy budget."""
    with _host(vault, keys) as host:
        _print(host.find(user).privacy_budget().to_dict(), as_json)


@app.command()
def doctor(
    vault: Vault,
    user: Annotated[str, typer.Argument(help="Look at one person only.")] = "",
    keys: Keys = KEY_FILE,
    as_json: AsJson = False,
) -> None:
    """Open every row and try noise, encoder and masks; exit code 1 where a row does not open or a check fails."""
    from tactful.federation.participant import host_path  # the other commands need no secure aggregation
    from tactful_privacy.selftest import inspect

    tried = inspect(host_path())
    with _host(vault, keys) as host:
        people: list[Device] = [host.find(user)] if user else host.devices()
        rows = host.check()
        back = sum(host.state(device.id).history.clock_back for device in people)  # as stored: no day is closed for it
        failed = list(tried.failed)
        _print({"rows": rows, **host.status(), "clock_moved_back": back, "self_test_failed": failed}, as_json)
    if failed:
        typer.echo(f"the self-test fails: {', '.join(failed)}; this host refuses every round", err=True)
        raise typer.Exit(1)
