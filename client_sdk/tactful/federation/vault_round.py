"""A host's part in a round, kept in its vault: the `HostRound` that the round participant needs."""

import math
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from tactful import budget, evaluation, evaluation_log
from tactful.clock import zone
from tactful.errors import InvalidInput, UnknownDevice
from tactful.features import SLOTS
from tactful.federation import sends
from tactful.federation.host_round import RoundPosition
from tactful.federation.ledger_view import LedgerView
from tactful.federation.policy import PRICE_SLACK, ParticipationPolicy
from tactful.host import Host
from tactful.push_log import push_table, unasked
from tactful.training import HEAD_TASKS, NumpyTrainer, Trainer, TrainingTable, build_table
from tactful.training.blocks import settings_of
from tactful.training.heads import PUSH_ROWS, PushTable
from tactful_privacy.accounting.adjacency import zero_out_from_replacement
from tactful_privacy.accounting.modes import DISTRIBUTED, LOCAL, REHEARSAL
from tactful_privacy.mechanisms.sends import SENDS
from tactful_privacy.wire import KeyDirectory, RoundPlan, digest

PURPOSES = frozenset({"federated_learning", "on_device_personalisation"})
_KEY_BYTES = 32
HISTORY_DAYS = 2 * 366
"""How far back a device is learned from. One event with a date long past, which a phone with a wrong clock may send,
must not keep its whole host from answering in time: absence must not depend on anybody's data."""
LEASE_TIMEOUT_S = 60.0
"""How long a participant waits for another process that answers a round on the same vault."""


class VaultRound:
    """Implements `HostRound` over a host's vault; see there for what each method promises.

    A device is eligible while it grants both of `PURPOSES` and its ceiling covers the plan's price. The ceiling is the
    lower of the policy's (ε, δ) and the device's own, as exact ρ. Device references are the vault's numbers in decimal.
    Training rows stay in memory until the local day ends or events are recorded; whoever leaves is dropped from them.

    Attributes:
        host_id, identity_key, server_key, policy, directory: see `HostRound`.

    Args:
        host: open, and kept open while rounds run.
        host_id: this host's name in the key directory.
        server_key: the pinned Ed25519 public key, 32 bytes.
        policy: the host's own terms.
        trainer: computes contributions; numpy by default.
        directory: the roster agreed on out of band, if any.
        now_unix_s: the time for a plan's deadline; the computer's by default.
        ledger: an exported ledger of the federation, replayed before any plan is agreed to; see `Host.replay_ledger`.
    """

    def __init__(
        self,
        host: Host,
        *,
        host_id: str,
        server_key: bytes,
        policy: ParticipationPolicy,
        trainer: Trainer | None = None,
        directory: KeyDirectory | None = None,
        now_unix_s: Callable[[], float] = time.time,
        ledger: Path | None = None,
    ) -> None:
        if len(server_key) != _KEY_BYTES:
            raise InvalidInput("must be 32 bytes", field="server_key", remedy="pin the server's Ed25519 public key")
        self.host_id = host_id
        self.server_key = server_key
        self.policy = policy
        self.directory = directory
        self.identity_key: Ed25519PrivateKey = host.identity_key
        self._host = host
        self._trainer: Trainer = trainer or NumpyTrainer()
        self._now = now_unix_s
        if ledger is not None:
            host.replay_ledger(ledger, host_id, server_key)
        self._table: TrainingTable | None = None
        self._table_of: tuple[tuple[int, ...], date, int] | None = None

    def now_unix_s(self) -> int:
        """Seconds since the epoch, for the plan's deadline alone."""
        return int(self._now())

    def last_position(self, federation: str) -> RoundPosition | None:
        """The highest (round, attempt) answered."""
        return self._host.rounds.last_position(federation)

    def has_model(self, model_digest: bytes) -> bool:
        """Whether the model with this digest is installed."""
        return self._host.models.has(model_digest)

    def install(self, artifact: bytes) -> None:
        """Install a signed artifact; raises `ModelRefused` for an older or altered one."""
        self._host.install_model(artifact, self.server_key)

    # Devices

    def eligible_devices(self, plan: RoundPlan) -> Sequence[str]:
        """Devices which consent and whose ceiling covers the price, in order of enrolment.

        None while the vault is known to be rolled back: the host answers all the same, with noise alone.
        """
        if self._host.guard.gap().rolled_back:
            return []
        plan_digest = digest(plan)
        return [str(device) for device in self._host.vault.device_ids() if self._may(plan, plan_digest, device)]

    def _may(self, plan: RoundPlan, plan_digest: bytes, device: int) -> bool:
        if not self._host.granted(device) >= PURPOSES:
            return False
        return self._host.rounds.can_spend(plan, plan_digest, device, self.ceiling(device, plan.mode))

    def ceiling(self, device: int, mode: str = DISTRIBUTED) -> Fraction:
        """Return the most ρ that a device may have spent over all periods after its next round, exact zCDP.

        Under zero-out, as prices are; the policy's (ε, δ) is meant under replacement where the round is ``local``.
        """
        if mode == REHEARSAL and math.isinf(self.policy.epsilon):
            return self._host.rounds.account(device).spent  # costs nothing, so it always fits
        part = zero_out_from_replacement(Fraction(1)) if mode == LOCAL else Fraction(1)
        return budget.limit(self._host, device, (self.policy.epsilon, self.policy.delta), PRICE_SLACK, part)

    def spend(self, plan: RoundPlan, devices: Sequence[str]) -> Sequence[str]:
        """Write down the plan's price for each device in one power-safe transaction; return those paid for.

        The answer itself is written down too, whoever pays, and counted by the vault's keeper before this returns.

        Raises:
            VaultRolledBack: the vault turned out to be an older copy since the devices were chosen.
        """
        plan_digest, paid, guard = digest(plan), list[str](), self._host.guard
        with guard.writing():
            if devices:
                guard.require_current()
            present = set(self._host.vault.device_ids())
            for reference in devices:
                if int(reference) in present and self._spend(plan, plan_digest, int(reference)):
                    paid.append(reference)
            budget.pin(self._host, map(int, paid), (self.policy.epsilon, self.policy.delta))
            if self._host.rounds.note_contribution(plan.federation, plan.round_number, plan_digest, len(paid)):
                guard.count()
        guard.publish()
        return paid

    def _spend(self, plan: RoundPlan, plan_digest: bytes, device: int) -> bool:
        try:
            consents = self._host.granted(device) >= PURPOSES
        except UnknownDevice:
            return False
        return consents and self._host.rounds.spend(plan, plan_digest, device, self.ceiling(device, plan.mode))

    def alone(self) -> AbstractContextManager[None]:
        """Keep every other process that answers rounds on this vault waiting, at most `LEASE_TIMEOUT_S`."""
        return self._host.vault.alone(LEASE_TIMEOUT_S)

    def local_updates(self, plan: RoundPlan, devices: Sequence[str]) -> NDArray[np.float64]:
        """Train each device locally: shape (len(devices), plan.dimension); an audit's coordinates stay zero."""
        if not devices:
            return np.zeros((0, plan.dimension))
        model, numbers = self._host.models.get(plan.model_digest), tuple(int(device) for device in devices)
        if plan.task == evaluation.TASK:
            rows = evaluation_log.contributions(self._host, plan, numbers, self._last_day())
        else:
            rows = self._trainer.contributions(sends.for_trainer(plan), model, self._table_for(plan, numbers))
        if any(statistic.name == SENDS for statistic in plan.statistics):
            rows = sends.with_sends(plan, rows, sends.counts(self._host, numbers))
        return np.pad(rows, ((0, 0), (0, plan.canaries))) if plan.canaries else rows

    def _table_for(self, plan: RoundPlan, devices: tuple[int, ...]) -> TrainingTable | PushTable:
        if plan.task not in HEAD_TASKS:
            return self._rows(devices)
        last, window_d = self._last_day(), int(settings_of(plan)["window_d"])
        if plan.task in PUSH_ROWS:
            return push_table(self._host, devices, last, window_d)
        return unasked(self._host, devices, last, self._rows(devices), window_d)

    def _rows(self, devices: tuple[int, ...]) -> TrainingTable:
        last, writes = self._last_day(), self._host.activity_writes
        table, known = self._table, self._table_of
        if table is None or known is None or known[1:] != (last, writes) or not set(devices) <= set(known[0]):
            table = self._build(devices, last)
        elif devices != known[0]:
            place = {device: index for index, device in enumerate(known[0])}
            table = table.select(np.array([place[device] for device in devices], dtype=np.intp))
        self._table, self._table_of = table, (devices, last, writes)
        return table

    def _last_day(self) -> date:
        return self._host.now().astimezone(zone(self._host.timezone)).date() - timedelta(days=1)

    def _build(self, devices: tuple[int, ...], last: date) -> TrainingTable:
        since = last.toordinal() - HISTORY_DAYS
        pairs = [rows[rows[:, 0] > since] for rows in self._host.activity(devices, last)]
        first = min((int(rows[0, 0]) for rows in pairs if len(rows)), default=last.toordinal())
        activity = np.zeros((len(devices), last.toordinal() - first + 1, SLOTS), dtype=np.uint8)
        for index, rows in enumerate(pairs):
            activity[index, rows[:, 0] - first, rows[:, 1]] = 1
        return build_table(activity, first, last.toordinal())

    # Ledger

    def ledger_state(self, federation: str) -> bytes | None:
        """What this host knows of the federation's ledger, or None."""
        return self._host.rounds.note(f"ledger/{federation}")

    def save_ledger_state(self, federation: str, state: bytes) -> None:
        """Store what this host knows of the federation's ledger, encrypted and safe from power loss."""
        self._host.rounds.save_note(f"ledger/{federation}", state)

    def ledger_status(self, federation: str) -> dict[str, object]:
        """Counts of releases proven and refused, and the newest head that held: see `LedgerView.status`."""
        return LedgerView.from_bytes(self.ledger_state(federation)).status()

    # Round state

    def load_round(self, plan_digest: bytes) -> bytes | None:
        """The round's state last stored, or None; empty where the vault was put back since, which nobody can resume."""
        self._host.guard.leave_rounds()
        return self._host.rounds.load_round(plan_digest)

    def save_round(self, plan_digest: bytes, federation: str, position: RoundPosition, blob: bytes) -> None:
        """Store the round's state, encrypted and safe from power loss."""
        self._host.rounds.save_round(plan_digest, federation, position, blob)

    def seen_mask_keys(self, plan_digest: bytes, keys: Collection[bytes]) -> Collection[bytes]:
        """Those of the keys which another plan has used."""
        return self._host.rounds.seen_mask_keys(plan_digest, keys)

    def remember_mask_keys(self, plan_digest: bytes, keys: Collection[bytes]) -> None:
        """Remember the keys as used by this plan."""
        self._host.rounds.remember_mask_keys(plan_digest, keys)
