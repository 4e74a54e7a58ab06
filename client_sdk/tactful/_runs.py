"""A device's part in a run of correlated noise: paid for once, and never closer or more often than the price allows.

The price of a run covers ``participations`` rounds, each at least ``min_separation`` after the one before
(`tactful_privacy.mechanisms.banded`). The device counts them itself, from its own spends. It joins only if its first
round of the run finds no trace of an earlier one: whoever was erased and enrolled again within a run, or was restored
from a backup, has lost the count and waits for the next run.
"""

import dataclasses
from fractions import Fraction

from tactful._account import Account
from tactful.vault import NewRow, Vault
from tactful_privacy.wire import CorrelatedRun, RoundPlan, digest

_KIND = "run"


def cost_of_joining(vault: Vault, plan: RoundPlan, device: int, account: Account) -> Fraction | None:
    """Return the next round's cost to a device: the plan's price, 0 within a run that is paid for, None for no way in.

    Args:
        vault: where spends and runs are written.
        plan: of a round above the last one that the device paid for.
        device: its number.
        account: what it has spent so far.
    """
    run = plan.run
    if run is None:
        return plan.rho
    last = account.last_rounds.get(plan.federation, -1)
    agreed = vault.read_named(device, _KIND, _name(plan, run))
    if agreed is None:
        return plan.rho if last < run.first_round else None
    joins = agreed.data == _terms(plan, run) and plan.round_number - last >= run.min_separation
    return Fraction(0) if joins and _joined(vault, plan, run, device) < run.participations else None


def note_run(vault: Vault, plan: RoundPlan, device: int) -> None:
    """Write down, with its first spend, on which terms a device joins a run; call inside the spend's transaction."""
    if plan.run is not None:
        vault.write([NewRow(device, _KIND, _terms(plan, plan.run), _name(plan, plan.run))])


def _joined(vault: Vault, plan: RoundPlan, run: CorrelatedRun, device: int) -> int:
    query = "SELECT count(*) FROM spends WHERE device=? AND federation=? AND round>=? AND round<?"
    bounds = (run.first_round, run.first_round + run.rounds)
    return int(vault.connection.execute(query, (device, plan.federation, *bounds)).fetchone()[0])


def _name(plan: RoundPlan, run: CorrelatedRun) -> str:
    return f"{plan.federation}\n{run.run_id}"


def _terms(plan: RoundPlan, run: CorrelatedRun) -> bytes:
    """Return a digest of what must not change within a run: under another bound or noise its price would not hold."""
    blank = bytes(32)
    fixed = dataclasses.replace(
        plan,
        round_number=run.first_round,
        attempt=0,
        settings=(),
        model_digest=blank,
        roster_digest=blank,
        previous_head=blank,
        deadline_unix_s=0,
    )
    return digest(fixed)
