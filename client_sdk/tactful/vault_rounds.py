"""What a vault keeps about rounds: spends, the state of each round, mask keys, models, and tombstones of the erased.

Spends and round states are written so that they survive loss of power before the call returns. They stand beside the
devices' rows and not under their keys: a spend outlives the erasure of the device, as a sum in its tombstone, so that
whoever enrols again goes on from what they have spent.
"""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from tactful._account import ROUND, Account, Period, Spend
from tactful._runs import cost_of_joining, note_run
from tactful._schema import damaged
from tactful.keys import NONCE_BYTES
from tactful.vault import NewRow, Vault
from tactful_privacy.accounting.filter import ZcdpFilter
from tactful_privacy.wire import RoundPlan

__all__ = ["Account", "Period", "RoundStore", "Spend"]

_INHERITED, _PERIOD, _SHARE, _OWN, _FLOOR = "inherited", "period", "share", "budget", "floor"


class RoundStore:
    """Rounds, spends, models and tombstones of one vault."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._accounts: dict[int, Account] = {}
        self._version = -1

    # Spends

    def spend(self, plan: RoundPlan, plan_digest: bytes, device: int, ceiling: Fraction) -> bool:
        """Write down the plan's price for a device and return whether it is paid for; call inside a transaction.

        False where it lacks budget, or paid for this round number under another plan or in an earlier enrolment: twice
        in one sum would double its weight, which costs four times and not twice.
        """
        if self._answered(plan, device):
            return self._paid_for(plan, plan_digest, device)
        cost = self._affordable(plan, device, ceiling)
        if cost is None:
            return False
        self.write_spend(device, Spend(plan.federation, plan.round_number, plan_digest, cost))
        note_run(self._vault, plan, device)
        return True

    def can_spend(self, plan: RoundPlan, plan_digest: bytes, device: int, ceiling: Fraction) -> bool:
        """Return what `spend` would, and write nothing."""
        if self._answered(plan, device):
            return self._paid_for(plan, plan_digest, device)
        return self._affordable(plan, device, ceiling) is not None

    def _answered(self, plan: RoundPlan, device: int) -> bool:
        return plan.round_number <= self.account(device).last_rounds.get(plan.federation, -1)

    def _affordable(self, plan: RoundPlan, device: int, ceiling: Fraction) -> Fraction | None:
        """Return the cost of joining, None where it exceeds the ceiling or the plan's run does not allow it."""
        account = self.account(device)
        cost = cost_of_joining(self._vault, plan, device, account)
        fits = cost is not None and ZcdpFilter(ceiling, spent=account.spent).can_spend(cost)
        return cost if fits else None

    def write_spend(self, device: int, spend: Spend) -> None:
        """Add a spend to a device's account, affordable or not; call inside a transaction."""
        account = self.account(device)
        row = (device, spend.federation, spend.round_number, spend.plan_digest, str(spend.rho))
        statement = "INSERT INTO spends (device, federation, round, plan, rho, seal, source) VALUES (?,?,?,?,?,?,?)"
        self._vault.connection.execute(statement, (*row, self._seal(*row, spend.source), spend.source))
        self._accounts[device] = account.plus(spend)

    def _paid_for(self, plan: RoundPlan, plan_digest: bytes, device: int) -> bool:
        query = "SELECT plan, source FROM spends WHERE device=? AND federation=? AND round=?"
        row = self._vault.connection.execute(query, (device, plan.federation, plan.round_number)).fetchone()
        # What a replay charged has left already, with a noise that is forgotten: it must not leave with another.
        return row is not None and bytes(row[0]) == plan_digest and row[1] == ROUND

    def has_spend(self, device: int, federation: str, round_number: int) -> bool:
        """Return whether this enrolment paid for a round, under whatever plan."""
        query = "SELECT 1 FROM spends WHERE device=? AND federation=? AND round=?"
        return self._vault.connection.execute(query, (device, federation, round_number)).fetchone() is not None

    def _seal(self, device: int, federation: str, round_number: int, plan: bytes, rho: str, source: str) -> bytes:
        numbers = f"{device}/{round_number}".encode()
        more = () if source == ROUND else (source.encode(),)  # a seal of schema 1 stays what it was
        return self._vault.keys.seal(b"spend", numbers, federation.encode(), plan, rho.encode(), *more)

    def spends(self, device: int) -> list[Spend]:
        """Return what this enrolment has paid for, in order of writing; raises `VaultDamaged` for an altered row."""
        query = "SELECT federation, round, plan, rho, seal, source FROM spends WHERE device=? ORDER BY rowid"
        with self._vault.lock:
            rows = self._vault.connection.execute(query, (device,)).fetchall()
        for federation, round_number, plan, rho, seal, source in rows:
            if seal != self._seal(device, federation, round_number, plan, rho, source):
                raise damaged(f"the spend of round {round_number} is not what was written")
        return [Spend(name, number, plan, Fraction(rho), source) for name, number, plan, rho, _, source in rows]

    def account(self, device: int) -> Account:
        """Return what a device has spent, earlier enrolments included."""
        self._refresh()
        account = self._accounts.get(device)
        if account is None:
            account = self._opening(device)
            for spend in self.spends(device):
                account = account.plus(spend)
            self._accounts[device] = account
        return account

    def inherited(self, device: int) -> Account:
        """Return what a device brought from earlier enrolments, or from the floor after a roll-back."""
        row = self._vault.read_named(device, _INHERITED, "")
        return Account() if row is None else Account.from_bytes(row.data)

    def _opening(self, device: int) -> Account:
        """Return the account before this enrolment's own spends: inherited, in the present period, with its share."""
        with self._vault.lock:
            query = "SELECT kind FROM rows WHERE device=? AND kind IN (?,?,?,?)"  # most devices have none or one
            kinds = self._vault.connection.execute(query, (device, _INHERITED, _PERIOD, _SHARE, _OWN)).fetchall()
        rows = {kind: self._vault.read_named(device, kind, "") for (kind,) in kinds}
        account = self.inherited(device) if _INHERITED in rows else Account()
        if (row := rows.get(_PERIOD)) is not None:
            account = replace(account, period=replace(Period.from_dict(json.loads(row.data)), began_at=row.id))
        if (row := rows.get(_SHARE)) is not None:
            share, linked = json.loads(row.data)
            account = replace(account, share=Fraction(share), linked=linked)
        if (row := rows.get(_OWN)) is not None:
            epsilon, delta = json.loads(row.data)
            account = replace(account, own=(float(epsilon), float(delta)))
        return account

    def set_periods(self, periods: Mapping[int, Period]) -> None:
        """Let devices' next periods begin; call inside a transaction."""
        rows = [
            NewRow(device, _PERIOD, json.dumps(period.to_dict()).encode(), "") for device, period in periods.items()
        ]
        for (device, period), row in zip(periods.items(), self._vault.write(rows), strict=True):
            self._accounts[device] = replace(self.account(device), period=replace(period, began_at=row))

    def set_own(self, device: int, epsilon: float, delta: float) -> None:
        """Set the ceiling which a person chose; call inside a transaction."""
        self._vault.write([NewRow(device, _OWN, json.dumps([epsilon, delta]).encode(), "")])
        self._accounts[device] = replace(self.account(device), own=(epsilon, delta))

    def set_share(self, device: int, share: Fraction, *, linked: bool) -> None:
        """Set which part of the ceiling is a device's; call inside a transaction."""
        self._vault.write([NewRow(device, _SHARE, json.dumps([str(share), linked]).encode(), "")])
        self._accounts[device] = replace(self.account(device), share=share, linked=linked)

    def _refresh(self) -> None:
        version = self._vault.data_version()
        if version != self._version:
            self._accounts.clear()
            self._version = version

    def forget(self) -> None:
        """Drop what is held in memory, after a transaction that failed."""
        self._accounts.clear()

    # Tombstones

    def inherit(self, device: int, token: bytes) -> None:
        """Give a device that enrols what its earlier enrolments have spent; call inside a transaction.

        After a roll-back nobody knows who was enrolled meanwhile: then everybody who enrols starts from the floor.
        """
        account = self.tombstone(token) or self._floor()
        if account is not None:
            self._vault.write([NewRow(device, _INHERITED, account.to_bytes(), "")])

    def _floor(self) -> Account | None:
        data = self.note(_FLOOR)
        return None if data is None else Account.from_bytes(data)

    def raise_floor(self, spend: Spend) -> None:
        """Let everybody who enrols from now on start with this spend; call inside a transaction."""
        floor = (self._floor() or Account()).plus(spend)
        self.save_note(_FLOOR, floor.to_bytes())

    def tombstone_tokens(self) -> list[bytes]:
        """Return the keyed tokens of the erased."""
        with self._vault.lock:
            return [bytes(row[0]) for row in self._vault.connection.execute("SELECT token FROM tombstones")]

    def tombstone(self, token: bytes) -> Account | None:
        """Return what is kept of an erased person: the sum spent, and nothing else about them."""
        query = "SELECT blob FROM tombstones WHERE token=?"
        row = self._vault.connection.execute(query, (token,)).fetchone()
        return None if row is None else Account.from_bytes(self._open(row[0], b"tombstone", token))

    def put_tombstone(self, token: bytes, account: Account) -> None:
        """Keep an account under a keyed token; call inside a transaction."""
        sealed = self._sealed(account.to_bytes(), b"tombstone", token)
        self._vault.connection.execute("INSERT OR REPLACE INTO tombstones VALUES (?,?)", (token, sealed))

    def bury(self, device: int, token: bytes) -> Account:
        """Delete a device with its key and spends, and leave its tombstone; call inside a transaction."""
        account = self.account(device)
        connection = self._vault.connection
        self.put_tombstone(token, account)
        for statement in ("rows WHERE device=?", "spends WHERE device=?", "devices WHERE id=?"):
            connection.execute(f"DELETE FROM {statement}", (device,))  # noqa: S608 - the three texts stand above
        self._accounts.pop(device, None)
        return account

    # Rounds

    def note_contribution(self, federation: str, round_number: int, plan_digest: bytes, devices: int) -> bool:
        """Write down that the plan is answered with so many devices; False if it was already. Inside a transaction."""
        number = f"{round_number}/{devices}".encode()
        seal = self._vault.keys.seal(b"contribution", number, federation.encode(), plan_digest)
        row = (plan_digest, federation, round_number, devices, seal)
        statement = "INSERT OR IGNORE INTO contributions VALUES (?,?,?,?,?)"
        return bool(self._vault.connection.execute(statement, row).rowcount)

    def knows_contribution(self, plan_digest: bytes) -> bool:
        """Return whether the vault remembers having answered a plan with a contribution."""
        query = "SELECT 1 FROM contributions WHERE plan=? UNION ALL SELECT 1 FROM spends WHERE plan=? LIMIT 1"
        with self._vault.lock:
            return self._vault.connection.execute(query, (plan_digest, plan_digest)).fetchone() is not None

    def load_round(self, plan_digest: bytes) -> bytes | None:
        """Return the state last stored for a plan; raises `VaultDamaged` where it does not open."""
        with self._vault.lock:
            query = "SELECT blob FROM rounds WHERE plan=?"
            row = self._vault.connection.execute(query, (plan_digest,)).fetchone()
        return None if row is None else self._open(row[0], b"round", plan_digest)

    def save_round(self, plan_digest: bytes, federation: str, position: tuple[int, int], blob: bytes) -> None:
        """Store a round's state in place of its former one, and delete those of earlier rounds; survives loss of power.

        An earlier round is over once a later plan is answered, and the secrets of a void one must not stay.
        """
        sealed = self._sealed(blob, b"round", plan_digest)
        with self._vault.transaction(power=True) as connection:
            values = (plan_digest, federation, *position, sealed)
            connection.execute("INSERT OR REPLACE INTO rounds VALUES (?,?,?,?,?)", values)
            earlier = "DELETE FROM rounds WHERE federation=? AND (round, attempt) < (?, ?)"
            connection.execute(earlier, (federation, *position))

    def leave_rounds(self) -> None:
        """Forget the state of every round, and not that it was answered; call inside a transaction."""
        connection = self._vault.connection
        for (plan,) in connection.execute("SELECT plan FROM rounds").fetchall():
            connection.execute("UPDATE rounds SET blob=? WHERE plan=?", (self._sealed(b"", b"round", plan), plan))

    def last_position(self, federation: str) -> tuple[int, int] | None:
        """Return the highest (round, attempt) answered; None before the first."""
        query = "SELECT round, attempt FROM rounds WHERE federation=? ORDER BY round DESC, attempt DESC LIMIT 1"
        with self._vault.lock:
            row = self._vault.connection.execute(query, (federation,)).fetchone()
        return None if row is None else (int(row[0]), int(row[1]))

    def seen_mask_keys(self, plan_digest: bytes, keys: Collection[bytes]) -> list[bytes]:
        """Return those of the keys which another plan has used."""
        query = "SELECT 1 FROM mask_keys WHERE key=? AND plan<>?"
        with self._vault.lock:
            execute = self._vault.connection.execute
            return [key for key in keys if execute(query, (key, plan_digest)).fetchone()]

    def remember_mask_keys(self, plan_digest: bytes, keys: Collection[bytes]) -> None:
        """Remember public mask keys as used by a plan; survives loss of power."""
        with self._vault.transaction(power=True) as connection:
            rows = [(key, plan_digest) for key in keys]
            connection.executemany("INSERT OR IGNORE INTO mask_keys VALUES (?,?)", rows)

    # Models

    def add_model(self, digest: bytes, artifact: bytes) -> None:
        """Keep the bytes of a signed artifact; the same one again becomes the newest."""
        with self._vault.transaction(power=True) as connection:
            connection.execute("DELETE FROM models WHERE digest=?", (digest,))
            connection.execute("INSERT INTO models (digest, artifact) VALUES (?,?)", (digest, artifact))

    def models(self) -> Sequence[tuple[bytes, bytes]]:
        """Return (digest, signed artifact) in order of installation."""
        with self._vault.lock:
            rows = self._vault.connection.execute("SELECT digest, artifact FROM models ORDER BY id").fetchall()
        return [(bytes(digest), bytes(artifact)) for digest, artifact in rows]

    def has_model(self, digest: bytes) -> bool:
        """Return whether the artifact of that digest is installed."""
        with self._vault.lock:
            query = "SELECT 1 FROM models WHERE digest=?"
            return self._vault.connection.execute(query, (digest,)).fetchone() is not None

    # Host secrets

    def host_secret(self, name: str, fresh: bytes) -> bytes:
        """Return the host's own secret of that name, storing ``fresh`` where there is none."""
        with self._vault.transaction(power=True) as connection:
            row = connection.execute("SELECT value FROM meta WHERE name=?", (name,)).fetchone()
            if row is not None:
                return self._open(row[0], b"secret", name.encode())
            sealed = self._sealed(fresh, b"secret", name.encode())
            connection.execute("INSERT INTO meta VALUES (?,?)", (name, sealed))
            return fresh

    def note(self, name: str) -> bytes | None:
        """Return what the host keeps under this name, or None; raises `VaultDamaged` where it does not open."""
        with self._vault.lock:
            row = self._vault.connection.execute("SELECT value FROM meta WHERE name=?", (name,)).fetchone()
        return None if row is None else self._open(row[0], b"note", name.encode())

    def notes(self, beginning: str) -> dict[str, bytes]:
        """Return what the host keeps under names with this beginning, by the rest of the name."""
        with self._vault.lock:
            names = [row[0] for row in self._vault.connection.execute("SELECT name FROM meta ORDER BY name")]
        found = {name: self.note(name) for name in names if name.startswith(beginning)}
        return {name.removeprefix(beginning): data for name, data in found.items() if data is not None}

    def save_note(self, name: str, data: bytes) -> None:
        """Keep something small that is about the host and not about a person; it survives loss of power."""
        sealed = self._sealed(data, b"note", name.encode())
        with self._vault.transaction(power=True) as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?,?)", (name, sealed))

    def number(self, name: str) -> int:
        """Return the number kept under that name, 0 where there is none."""
        data = self.note(name)
        return 0 if data is None else int(data)

    def use_link(self, link_id: bytes) -> bool:
        """Mark the id of a link as used; False where it was. Call inside a transaction."""
        seal = self._vault.keys.seal(b"link", link_id)
        statement = "INSERT OR IGNORE INTO links VALUES (?,?)"
        return bool(self._vault.connection.execute(statement, (link_id, seal)).rowcount)

    def _sealed(self, data: bytes, use: bytes, name: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._vault.keys.host_cipher.encrypt(nonce, data, self._aad(use, name))

    def _open(self, sealed: bytes, use: bytes, name: bytes) -> bytes:
        return self._vault.open_sealed(self._vault.keys.host_cipher, sealed, self._aad(use, name), f"a {use.decode()}")

    def _aad(self, use: bytes, name: bytes) -> bytes:
        return b"tactful|1|%b|%b|" % (use, self._vault.keys.key_id) + name

    def check(self) -> None:
        """Open everything kept here; raises `VaultDamaged`."""
        for device in self._vault.device_ids():
            self.spends(device)
        with self._vault.lock:
            execute = self._vault.connection.execute
            plans = [row[0] for row in execute("SELECT plan FROM rounds")]
            tokens = [row[0] for row in execute("SELECT token FROM tombstones")]
            for plan in plans:
                self.load_round(plan)
            for token in tokens:
                self.tombstone(token)
