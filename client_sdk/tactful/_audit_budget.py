"""`tactful audit budget`: what a federation has cost one device, and whether that is within what was promised."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tactful.errors import TactfulError, UnreadableVault, VaultDamaged

if TYPE_CHECKING:
    from fractions import Fraction

    from tactful._replay import Answered
    from tactful.host import Host


def budget(
    device: Annotated[str, typer.Argument(help="The app's name for the person.", show_default=False)],
    vault: Annotated[Path, typer.Option(help="The vault's file.", show_default=False)],
    keys: Annotated[str, typer.Option(help="file:PATH (from the vault's folder), env:NAME or keyring:SERVICE.")] = (
        "file:host.key"
    ),
    ledger: Annotated[
        Path | None, typer.Option(help="An exported ledger: is every release with this host known to the vault?")
    ] = None,
    host_id: Annotated[
        str | None, typer.Option(help="The host's name in the ledger; found by its key if it enrolled there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Print every spend of a device, its ceiling, periods and links; every seal is verified.

    Exit code 1 if it spent more than its ceiling, if the vault was rolled back, if a release of the ledger is missing
    from the vault or was paid too little for, or if a row is not what was written.
    """
    from tactful.host import Host
    from tactful_privacy.errors import LedgerBroken

    try:
        if not vault.is_file() or vault.stat().st_size == 0:  # an empty file would be made a vault
            raise UnreadableVault(f"no vault at {vault}", field="--vault", remedy="give the path of an existing vault")
        with Host.open(vault, keys=keys, strict=True) as host:
            found = examined(host, device, ledger, host_id)
    except TactfulError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1 if isinstance(error, VaultDamaged | LedgerBroken) else 2) from error
    typer.echo(json.dumps(found, ensure_ascii=False, sort_keys=True)) if as_json else _print(found)
    if not found["holds"]:
        raise typer.Exit(1)


def examined(host: Host, user_id: str, ledger: Path | None = None, host_id: str | None = None) -> dict[str, Any]:
    """Return everything that a device's account says, as plain values, and whether it holds.

    Raises:
        UnknownDevice: nobody of that name is enrolled.
        VaultDamaged: a row is not what was written.
        InvalidInput, LedgerBroken: the ledger cannot be used.
    """
    from tactful import budget as budgets
    from tactful import links

    number = host.find(user_id).id
    host.rounds.check()
    inherited = host.rounds.inherited(number)
    found = {
        **budgets.of_device(host, number).to_dict(),
        "device": user_id,
        "inherited": {"rho": str(inherited.spent), "rounds": inherited.rounds},
        "spends": _spends(host, number, inherited.spent),
        "renewals": [period.to_dict() for period in budgets.renewals(host, number)],
        "links": [{**link.to_dict(), "token": None} for link in links.of_device(host, number)],  # not for other eyes
        "replayed": sum(spend.source != "" for spend in host.rounds.spends(number)),
        "ledger": None if ledger is None else _against(host, number, ledger, host_id),
    }
    wrong = _wrong(found, exceeded=budgets.exceeded(host, number))
    return {**found, "wrong": wrong, "holds": not wrong}


def _spends(host: Host, device: int, inherited: Fraction) -> list[dict[str, Any]]:
    from tactful import budget as budgets
    from tactful_privacy.accounting.zcdp import epsilon

    delta, total, rows = budgets.agreed(host, device)[1], inherited, []
    for spend in host.rounds.spends(device):
        total += spend.rho
        rows.append(
            {
                "federation": spend.federation,
                "round": spend.round_number,
                "plan_digest": spend.plan_digest.hex(),
                "rho": str(spend.rho),
                "epsilon_so_far": epsilon(total, delta),
                "source": spend.source or "round",
            }
        )
    return rows


def _against(host: Host, device: int, ledger: Path, host_id: str | None) -> dict[str, Any]:
    from tactful import _replay

    entries = _replay.read(ledger)
    _, answered = _replay.answered(entries, host.public_key.hex(), host_id, named=True)
    return {
        "entries": len(entries),
        "head": entries[-1].hash.hex() if entries else "",
        "rounds_answered": len(answered),
        "rounds_missing": [found.round_number for found in answered if not _replay.knows(host, found)],
        "rounds_underpaid": _underpaid(host, device, answered),
    }


def _underpaid(host: Host, device: int, answered: list[Answered]) -> list[int]:
    """Return the rounds paid for below the ledger's price; 0 is right within a run whose price was paid before."""
    paid = {spend.plan_digest: spend.rho for spend in host.rounds.spends(device)}
    most = max(paid.values(), default=0)
    return [found.round_number for found in answered if (paid.get(found.plan_digest, found.rho) or most) < found.rho]


def _wrong(found: dict[str, Any], *, exceeded: bool) -> list[str]:
    """Return what does not hold, in words."""
    said = []
    if exceeded:
        said.append(f"ρ {found['rho_spent']} is above the ceiling {found['rho_ceiling']} of period {found['period']}")
    if found["frozen"]:
        said.append("the vault was rolled back: budgets are frozen until the ledger is replayed")
    for name, what in (("rounds_missing", "unknown to the vault"), ("rounds_underpaid", "paid for below their price")):
        if found["ledger"] and found["ledger"][name]:
            said.append(f"rounds of the ledger {what}: {found['ledger'][name]}")
    return said


def _print(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console, delta = Console(), found["delta"]
    table = Table("round", "federation", "plan", "ρ", f"ε so far (δ = {delta:g})", "from", title="Spends", box=None)
    for spend in found["spends"]:
        table.add_row(
            str(spend["round"]),
            spend["federation"],
            spend["plan_digest"][:16],
            spend["rho"],
            f"{spend['epsilon_so_far']:.4f}",
            "replay" if spend["source"] == "replay" else "round",
        )
    console.print(table)
    for line in _lines(found):
        console.print(line, soft_wrap=True, highlight=False)


def _lines(found: dict[str, Any]) -> list[str]:
    left = "" if found["rounds_left"] is None else f", {found['rounds_left']} rounds to its horizon"
    lines = [
        f"Period {found['period']}: ε = {found['epsilon_spent']:.4f} of {found['epsilon_ceiling']:.4f}"
        f" (share {found['share']}){left}.",
        f"Over all periods and enrolments: ε = {found['epsilon_total']:.4f} at δ = {found['delta']:g};"
        f" ρ = {found['inherited']['rho']} of it from earlier enrolments.",
    ]
    lines.extend(
        f"Renewed: period {period['number']} with ε = {period['epsilon']:g}, {period['policy_version']}"
        for period in found["renewals"]
    )
    for link in found["links"]:
        back = "" if link["returned"] is None else f", {link['returned']} returned"
        way = "given to" if link["given"] else "received from"
        lines.append(f"Linked: {link['share']} of the ceiling {way} {link['peer_key'][:16]}{back}")
    if (ledger := found["ledger"]) is not None:
        lines.append(f"Ledger: {ledger['entries']} entries, {ledger['rounds_answered']} releases with this host.")
    return lines + ([f"DOES NOT HOLD: {what}" for what in found["wrong"]] or ["Every seal holds; nothing is missing."])
