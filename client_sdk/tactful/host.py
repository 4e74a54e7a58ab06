"""A host: the process that embeds one device (a phone) or many thousands (an app backend).

What is in memory: each device's `DeviceState`, at most `CACHED_DEVICES`, the least recently used going first. It is
dropped when another process has written to the vault (seen by SQLite's `data_version`, asked at every call), when the
device is erased, when an event arrives for a day that is closed, and when an action on it failed.
"""

import os
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from tactful import _records
from tactful._bulk import Enrolment, TrackReport, activity_of, enrol, stored_events
from tactful._models import ModelShelf
from tactful._rollback import RollbackGuard
from tactful._state import DeviceState
from tactful.clock import Clock, system_clock, to_ms, zone
from tactful.errors import InvalidInput, UnknownDevice
from tactful.events import is_text
from tactful.keys import KeyProvider, key_provider
from tactful.model import Model
from tactful.settings import PolicySettings
from tactful.vault import NewRow, Vault
from tactful.vault_rounds import RoundStore

if TYPE_CHECKING:
    from tactful._replay import ReplayReport
    from tactful.device import Device
    from tactful_privacy.ledger import Entry

CACHED_DEVICES = 4096


class Host:
    """Open with `Host.open` or `Host.from_env`; use as a context manager, or `close` it.

    Attributes:
        settings: of the policy, for all devices.
        strict: whether the hot path raises instead of staying quiet.
        default_budget: (ε, δ) which a device's own ceiling may lower, never raise.
        activity_writes: rises with every change of the events that are learned from.
    """

    def __init__(
        self,
        vault: Vault,
        *,
        clock: Clock,
        timezone: str,
        settings: PolicySettings,
        strict: bool,
        default_budget: tuple[float, float],
    ) -> None:
        self.vault = vault
        self.rounds = RoundStore(vault)
        self.clock = clock
        self.timezone = timezone
        self.settings = settings
        self.strict = strict
        self.default_budget = default_budget
        self.activity_writes = 0
        self._problems: Counter[str] = Counter()
        self._states: OrderedDict[int, DeviceState] = OrderedDict()
        self._version = vault.data_version()
        seed = self.rounds.host_secret("identity", os.urandom(32))
        self._identity = Ed25519PrivateKey.from_private_bytes(seed)
        self.guard = RollbackGuard(vault, self.rounds, self.public_key)
        self._shelf = ModelShelf(self.rounds)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        keys: str | KeyProvider = "file:host.key",
        clock: Clock | None = None,
        timezone: str = "UTC",
        settings: PolicySettings | None = None,
        strict: bool = False,
        durability: str = "process",
        privacy_budget: tuple[float, float] = (4.0, 1e-6),
    ) -> Self:
        """Open a vault, or make one where there is none.

        Args:
            path: the vault's file; ":memory:" keeps it in memory.
            keys: ``file:PATH`` (relative to the vault's folder), ``env:NAME``, ``keyring:SERVICE`` or a provider.
                A key file is made only together with a new vault, with mode 0600.
            clock: returns the present, aware; the computer's by default.
            timezone: IANA name for devices which are enrolled without one.
            settings: of the policy.
            strict: raise on the hot path too, instead of a quiet decision and a count in `status`.
            durability: "process": what is acknowledged survives the process being killed; "power": power loss too.
            privacy_budget: (ε, δ), the most that a device may spend over its horizon.

        Raises:
            VaultError, KeyProblem: see `tactful.errors`.
            UnknownTimeZone: ``timezone`` is not an IANA name.
        """
        zone(timezone)
        if durability not in ("process", "power"):
            raise InvalidInput(f"is {durability!r}", field="durability", remedy='give "process" or "power"')
        place = None if str(path) == ":memory:" else Path(path)
        provider = key_provider(keys, Path() if place is None else place.parent)
        vault = Vault(place, provider, power=durability == "power")
        return cls(
            vault,
            clock=clock or system_clock,
            timezone=timezone,
            settings=settings or PolicySettings(),
            strict=strict,
            default_budget=privacy_budget,
        )

    @classmethod
    def from_env(cls, **options: Any) -> Self:
        """Open what TACTFUL_VAULT, TACTFUL_KEYS and TACTFUL_TIMEZONE name (vaults.db, file:host.key, UTC)."""
        where = os.environ.get("TACTFUL_VAULT", "vaults.db")
        options.setdefault("keys", os.environ.get("TACTFUL_KEYS", "file:host.key"))
        options.setdefault("timezone", os.environ.get("TACTFUL_TIMEZONE", "UTC"))
        return cls.open(where, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the vault and drop all keys from memory; a second call does nothing."""
        self._states.clear()
        self.vault.close()

    @property
    def identity_key(self) -> Ed25519PrivateKey:
        """The host's long-term key; it signs receipts and everything said in a round."""
        return self._identity

    @property
    def public_key(self) -> bytes:
        """The raw 32 bytes by which others verify what this host signs."""
        return self._identity.public_key().public_bytes_raw()

    def now(self) -> datetime:
        """Return the host's clock in UTC; raises `InvalidInput` for a clock without a time zone."""
        now = self.clock()
        if now.utcoffset() is None:
            raise InvalidInput("returned a time without a time zone", field="clock", remedy="use datetime.now(UTC)")
        return now.astimezone(UTC)

    # Devices

    def device(self, user_id: str, *, timezone: str | None = None) -> "Device":
        """Return a person's device, enrolling them if need be.

        Args:
            user_id: the app's name for the person; stored only encrypted.
            timezone: IANA name; changes that of a device already enrolled.

        Raises:
            UnknownTimeZone, InvalidInput: an argument is unfit.
        """
        _check_user(user_id)
        if timezone is not None:
            zone(timezone)
        if self.vault.find(user_id) is None:
            self.enrol_many([user_id], timezone=timezone)
        found = self.find(user_id)
        if timezone is not None and found.timezone != timezone:
            found.set_timezone(timezone)
        return found

    def find(self, user_id: str) -> "Device":
        """Return a person's device without enrolling anybody; raises `UnknownDevice`."""
        from tactful.device import Device

        _check_user(user_id)
        device = self.vault.find(user_id)
        if device is None:
            raise UnknownDevice("is not enrolled here", field="user_id", remedy="check the name, or use device()")
        return Device(self, device)

    def devices(self) -> "list[Device]":
        """Return all devices in order of enrolment."""
        from tactful.device import Device

        return [Device(self, device) for device in self.vault.device_ids()]

    def enrol_many(
        self,
        user_ids: Iterable[str],
        *,
        timezone: str | None = None,
        consents: Sequence[str] = (),
        policy_version: str = "",
    ) -> int:
        """Enrol people in one transaction and return how many were new; those enrolled already stay as they are.

        Args:
            user_ids: the app's names.
            timezone: IANA name for all of them; the host's by default.
            consents: purposes that each of them has granted.
            policy_version: of the text they saw; needed with ``consents``.
        """
        names = list(user_ids)
        for user_id in names:
            _check_user(user_id)
        terms = Enrolment(timezone or self.timezone, tuple(consents), policy_version, to_ms(self.now()))
        zone(terms.timezone)
        return enrol(self.vault, self.rounds, names, terms)

    def track_many(self, events: Iterable[tuple[str, str, datetime, dict[str, Any]]]) -> TrackReport:
        """Record (user_id, kind, at, properties) of enrolled people in one transaction: all of them or none.

        Events of people who have not consented to personalisation are counted and not kept.

        Raises:
            UnknownDevice: a name is not enrolled. MalformedEvent, ClockProblem: an event is unfit. Nothing is kept.
        """
        rows, report = stored_events(self, events)
        self.vault.write(rows)
        for device in {row.device for row in rows}:
            self.forget(device)
        self.activity_writes += 1
        return report

    def activity(self, devices: Sequence[int], through: date) -> list[NDArray[np.int32]]:
        """Return each device's active (local day ordinal, slot) pairs up to and with a local day.

        Sorted, each pair once, shape (k, 2); hours outside all slots are left out.
        """
        return activity_of(self.vault, devices, through.toordinal())

    # States in memory

    def _notice_others(self) -> None:
        version = self.vault.data_version()
        if version != self._version:
            self._version = version
            self._states.clear()
            self.vault.forget_ciphers()
            self._shelf.refresh()
            self.activity_writes += 1

    def state(self, device: int) -> DeviceState:
        """Return a device's state, from memory where it is valid; see the module for when it is not."""
        self._notice_others()
        state = self._states.get(device)
        if state is None:
            state = self._states[device] = _records.load(self.vault, device)
            if len(self._states) > CACHED_DEVICES:
                self._states.popitem(last=False)
        else:
            self._states.move_to_end(device)
        return state

    def granted(self, device: int) -> frozenset[str]:
        """Return the purposes that a device consents to, without loading the rest of its state."""
        self._notice_others()
        known = self._states.get(device)
        return _records.granted(self.vault, device) if known is None else known.granted

    def own_budget(self, device: int) -> tuple[float, float] | None:
        """Return the (ε, δ) to which a device lowered its ceiling, None where it did not."""
        return self.rounds.account(device).own

    def forget(self, device: int) -> None:
        """Drop a device's state from memory."""
        self._states.pop(device, None)

    def save_snapshot(self, state: DeviceState) -> None:
        """Write a device's folded history down, in place of the former snapshot."""
        self.vault.write([NewRow(state.device, "snapshot", state.history.to_bytes(), "")])

    # Models

    @property
    def model(self) -> Model:
        """The model in use: the newest installed, or the public prior."""
        return self._shelf.model

    @property
    def fleet_price_minor(self) -> float:
        """ν, what the fleet asks for one push, in minor units: the newest model's, at most this host's own ceiling."""
        return min(self._shelf.fleet_price_minor, self.settings.fleet_price_ceiling_minor)

    @property
    def models(self) -> ModelShelf:
        """All installed models."""
        return self._shelf

    def install_model(self, artifact: bytes, server_key: bytes) -> Model:
        """Install a signed artifact and use it from now on; raises `ModelRefused`."""
        return self._shelf.install(artifact, server_key)

    # After a roll-back

    def replay_ledger(
        self,
        ledger: "str | Path | Iterable[Entry]",
        host_id: str | None = None,
        server_key: bytes | None = None,
    ) -> "ReplayReport":
        """Charge what the federation's ledger knows that was spent here and this vault does not; see `tactful._replay`.

        Args:
            ledger: path of an export or a bare ledger, or its verified entries.
            host_id: this host's name in the federation; found by the host's key where the ledger holds its enrolment.
            server_key: the server's public key as this host pinned it, for the signed heads, which then must
                cover an entry for it to count; the file's own otherwise, and each entry counts.

        Raises:
            InvalidInput: no ledger there, or none that names this host.
            LedgerBroken: the chain or a signed head does not verify.
        """
        from tactful._replay import replay

        return replay(self, ledger, host_id, server_key)

    def accept_vault(self) -> None:
        """Take the vault for current although its keeper's counter says that it was rolled back.

        The operator's decision, after whatever was spent since the copy has been accounted for by other means: nothing
        is charged here.
        """
        self.guard.accept()

    # Health

    def count_problem(self, error: Exception) -> None:
        """Count an error that the hot path kept from the app."""
        self._problems[type(error).__name__] += 1

    def status(self) -> dict[str, Any]:
        """Return counts for monitoring; nothing in it is about a person.

        ``ledgers`` has, by federation, how many releases its ledger proved, how many were refused and why, and the
        newest head that held: compare it with other hosts'.
        """
        from tactful.federation.ledger_view import LedgerView

        ledgers = self.rounds.notes("ledger/")
        return {
            "devices": len(self.vault.device_ids()),
            "model_version": self.model.version,
            "problems": dict(self._problems),
            "rolled_back": self.guard.gap().rolled_back,
            "ledgers": {federation: LedgerView.from_bytes(kept).status() for federation, kept in ledgers.items()},
            "key_id": self.vault.keys.key_id.hex(),
        }

    def check(self) -> int:
        """Open every row of the vault and return how many there are; raises `VaultDamaged`."""
        rows = self.vault.check()
        self.rounds.check()
        return rows


def _check_user(user_id: str) -> None:
    if not is_text(user_id, 256):
        raise InvalidInput("must be text of 1 to 256 characters", field="user_id", remedy="give the app's own name")
