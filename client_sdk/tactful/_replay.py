"""What a federation's ledger knows of a host and its vault does not: spends lost with a vault put back from a backup.

The ledger says which hosts are in a sum, not which of their devices. So a release that names this host and that its
vault does not know is charged to everybody the host could have had in it: all its devices, those it has erased, and
those who enrol from now on, since the copy may be older than their enrolment. That is too much for some and for none
too little. A release counts by its own price, or by that of the plan where the vault still holds the plan.

Cannot be found: a contribution that was sent and is in no release (a void round, a host given up as lost). The keeper's
counter knows their number, if there is one: what the ledger does not explain keeps the budgets frozen.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tactful._account import REPLAY, Spend
from tactful.errors import InvalidInput
from tactful_privacy.errors import TactfulError
from tactful_privacy.ledger import Entry, Ledger, Release
from tactful_privacy.secagg.state import SessionState
from tactful_privacy.wire import RoundPlan

if TYPE_CHECKING:
    from tactful.host import Host


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay found and charged.

    Attributes:
        entries: of the ledger that were read; its chain is verified.
        head: hash of the last one. The replay is as good as that is new: compare it with the federation's.
        rounds_answered: releases in which this host is named.
        rounds_missing: numbers of those which the vault did not know, in order.
        devices_charged: devices enrolled now that were charged; the erased are charged besides.
        rho_added: to each of them.
        unexplained: changes which the keeper's counter counts and the ledger does not explain; None where the keeper
            has forgotten its number.
        frozen: whether budgets stay frozen; then only `Host.accept_vault` frees them.
    """

    entries: int
    head: bytes
    rounds_answered: int
    rounds_missing: tuple[int, ...]
    devices_charged: int
    rho_added: Fraction
    unexplained: int | None
    frozen: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; exact numbers as "numerator/denominator", the head as hexadecimal."""
        return {**asdict(self), "head": self.head.hex(), "rho_added": str(self.rho_added)}


def replay(host: "Host", ledger: "str | Path | Iterable[Entry]", host_id: str | None = None) -> ReplayReport:
    """Charge what is missing and thaw the budgets if that explains the whole gap; see `Host.replay_ledger`.

    Raises:
        InvalidInput: there is no ledger at that path, or it never names this host.
        LedgerBroken: its chain does not verify.
    """
    entries = list(read(ledger))
    federation, releases = answered(entries, host.public_key.hex(), host_id)
    with host.guard.writing():
        gap = host.guard.gap()
        missing = [release for release in releases if not knows(host, release)]
        devices = host.vault.device_ids() if missing else []
        for release in missing:
            _charge(host, federation, release, devices)
        unexplained = None if gap.missing is None else max(0, gap.missing - len(missing))
        if gap.rolled_back and unexplained == 0:
            host.guard.accept()
        elif missing:
            host.guard.count()
    host.guard.publish()
    return ReplayReport(
        entries=len(entries),
        head=entries[-1].hash if entries else bytes(32),
        rounds_answered=len(releases),
        rounds_missing=tuple(sorted(release.round_number for release in missing)),
        devices_charged=len(devices),
        rho_added=sum((_price(host, release) for release in missing), Fraction(0)),
        unexplained=unexplained,
        frozen=host.guard.gap().rolled_back,
    )


def read(ledger: "str | Path | Iterable[Entry]") -> Iterator[Entry]:
    """Yield a ledger's entries, verified where it is a file; raises `InvalidInput` and `LedgerBroken`."""
    if not isinstance(ledger, str | Path):
        yield from ledger
        return
    if not Path(ledger).is_file():
        raise InvalidInput(f"no ledger at {ledger}", field="ledger", remedy="give the path of an exported ledger")
    yield from Ledger(ledger).entries()


def answered(entries: list[Entry], public_key: str, host_id: str | None) -> tuple[str, list[Release]]:
    """Return the federation's name and the releases with this host in the sum, by the name it had at the time."""
    federation, names, known, found = "", {host_id} - {None}, host_id is not None, list[Release]()
    for entry in entries:
        if entry.kind == "genesis":
            federation = str(entry.body.get("federation", ""))
        elif entry.kind == "enrolment":
            name = str(entry.body.get("host_id"))
            mine = entry.body.get("identity_key") == public_key
            known = known or mine
            names = names | {name} if mine else names - {name} | ({host_id} - {None})
        elif entry.kind == "release" and names & set((release := Release.from_entry(entry)).survivors):
            found.append(release)
    if not known:
        remedy = "give the ledger of a federation in which this host is enrolled, or the host's name in it"
        raise InvalidInput("does not name this host's key", field="ledger", remedy=remedy)
    return federation, found


def knows(host: "Host", release: Release) -> bool:
    """Return whether the vault knows that it answered; the round's stored state tells what schema 1 did not write."""
    if host.rounds.knows_contribution(release.plan_digest):
        return True
    state = _state(host, release.plan_digest)
    return state is not None and "contribution" in state.replies


def _state(host: "Host", plan_digest: bytes) -> SessionState | None:
    blob = host.rounds.load_round(plan_digest)
    if blob is None:
        return None
    try:
        return SessionState.from_bytes(blob)
    except TactfulError:  # a state of another version tells nothing, and then the round counts as not known
        return None


def _price(host: "Host", release: Release) -> Fraction:
    state = _state(host, release.plan_digest)
    return release.rho if state is None else max(release.rho, RoundPlan.decode(state.plan).rho)


def _charge(host: "Host", federation: str, release: Release, devices: list[int]) -> None:
    spend = Spend(federation, release.round_number, release.plan_digest, _price(host, release), REPLAY)
    for device in devices:
        if not host.rounds.has_spend(device, federation, release.round_number):
            host.rounds.write_spend(device, spend)
    for token in host.rounds.tombstone_tokens():
        account = host.rounds.tombstone(token)
        if account is not None:
            host.rounds.put_tombstone(token, account.plus(spend))
    host.rounds.raise_floor(spend)
    host.rounds.note_contribution(federation, release.round_number, release.plan_digest, len(devices))
