"""What a federation's ledger knows of a host and its vault does not: spends lost with a vault put back from a backup.

The ledger says which hosts are in a sum, not which of their devices. So a release that names this host and that its
vault does not know is charged to everybody the host could have had in it: all its devices, those it has erased, and
those who enrol from now on, since the copy may be older than their enrolment. That is too much for some and for none
too little.

A void round counts where its entry names this host among those whose contributions arrived. A run of correlated noise
is paid for as a whole, with a device's first round of it: where later entries of a run state 0, a missing one is
charged at the last price stated before it, once, to whoever has not paid since.

Cannot be found: a contribution that was sent and is in no entry, since it came too late or got lost. The keeper's
counter knows their number, if there is one: what the ledger does not explain keeps the budgets frozen.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tactful._account import REPLAY, Spend
from tactful.errors import InvalidInput
from tactful_privacy.errors import LedgerBroken, TactfulError
from tactful_privacy.ledger import Entry, Release, history
from tactful_privacy.ledger.entries import price_of
from tactful_privacy.secagg.state import SessionState

if TYPE_CHECKING:
    from tactful.host import Host


@dataclass(frozen=True, slots=True)
class Answered:
    """A round that this host answered; ``price`` is the last one stated by then, in the round ``since``."""

    plan_digest: bytes
    round_number: int
    rho: Fraction
    price: Fraction
    since: int


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay found and charged.

    Attributes:
        entries: of the ledger that were read; its chain is verified.
        head: hash of the last one. The replay is as good as that is new: compare it with the federation's.
        rounds_answered: entries in which this host is named.
        rounds_missing: numbers of those which the vault did not know, in order.
        devices_charged: devices enrolled now that were charged; the erased are charged besides.
        rho_added: at most to each of them; less to those whom the vault knows to have paid.
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


def replay(
    host: "Host",
    ledger: "str | Path | Iterable[Entry]",
    host_id: str | None = None,
    server_key: bytes | None = None,
) -> ReplayReport:
    """Charge what is missing and thaw the budgets if that explains the whole gap; see `Host.replay_ledger`.

    Raises:
        InvalidInput: there is no ledger at that path, or it never names this host.
        LedgerBroken: its chain does not verify.
    """
    entries = read(ledger, server_key)
    federation, releases = answered(entries, host.public_key.hex(), host_id)
    with host.guard.writing():
        gap = host.guard.gap()
        missing = [found for found in releases if not knows(host, found)]
        devices = host.vault.device_ids() if missing else []
        added = sum((_charge(host, federation, release, devices) for release in _priced(missing)), Fraction(0))
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
        rounds_missing=tuple(sorted(found.round_number for found in missing)),
        devices_charged=len(devices),
        rho_added=added,
        unexplained=unexplained,
        frozen=host.guard.gap().rolled_back,
    )


def read(ledger: "str | Path | Iterable[Entry]", server_key: bytes | None = None) -> list[Entry]:
    """Return a ledger's entries: of an export or a bare ledger, verified, or as they are given.

    Under a ``server_key`` those that a head signed by it covers, and no more: anybody can append rounds at a price of
    0, which would explain what is missing and charge nothing.

    Raises:
        InvalidInput: there is no ledger at that path.
        LedgerBroken: the chain, or a signed head, does not verify; under ``server_key`` where that is given.
    """
    if isinstance(ledger, str | Path):
        if not Path(ledger).is_file():
            raise InvalidInput(f"no ledger at {ledger}", field="ledger", remedy="give the path of an exported ledger")
        verdict, every = history(ledger, server_key)
        return list(every if server_key is None else every[: verdict.signed_entries])
    entries = list(ledger) if isinstance(ledger, Iterable) else []
    if not isinstance(ledger, Iterable) or not all(isinstance(entry, Entry) for entry in entries):
        remedy = "give the path of an exported ledger"
        raise InvalidInput("is neither a path nor entries", field="ledger", remedy=remedy)
    return entries


def answered(
    entries: list[Entry], public_key: str, host_id: str | None, *, named: bool = False
) -> tuple[str, list[Answered]]:
    """Return the federation's name and the rounds that this host answered, by the name it had at the time.

    Args:
        entries: of the ledger.
        public_key: of this host, in hex.
        host_id: its name, where it is known; a host that is new to a federation need not stand in an older ledger.
        named: whether the ledger must know that name all the same, since somebody typed it.

    Raises:
        InvalidInput: the ledger never names this host.
        LedgerBroken: an entry is malformed.
    """
    given = set() if host_id is None else {host_id}
    federation, names, known, price, since = "", given, bool(given) and not named, Fraction(0), 0
    found = dict[bytes, Answered]()
    for entry in entries:
        if entry.kind == "genesis":
            federation = str(entry.body.get("federation", ""))
        elif entry.kind == "enrolment":
            mine, name = entry.body.get("identity_key") == public_key, {str(entry.body.get("host_id"))}
            known = known or bool(name & given) or (mine and not (named and given))
            names = names | name if mine else (names - name) | given
        elif (said := _said(entry)) is not None:
            plan_digest, number, rho, hosts = said
            if rho:
                price, since = rho, number
            known = known or bool(given & hosts)
            # A plan written twice is one round: it may not explain two changes of a vault that was put back.
            if names & hosts:
                found.setdefault(plan_digest, Answered(plan_digest, number, rho, price, since))
    if not known:
        remedy = "give the ledger of a federation in which this host is enrolled, or the host's name in it"
        who = "this host's key" if host_id is None else repr(host_id)
        raise InvalidInput(f"does not name {who}", field="ledger", remedy=remedy)
    return federation, list(found.values())


def _said(entry: Entry) -> tuple[bytes, int, Fraction, set[str]] | None:
    """Return plan digest, round, price and contributing hosts of an entry about a round; None for every other one."""
    if entry.kind == "release":
        release = Release.from_entry(entry)
        return release.plan_digest, release.round_number, release.rho, set(release.survivors)
    if entry.kind != "void" or "contributed" not in entry.body:
        return None
    try:
        digest, rho = bytes.fromhex(entry.body["plan_digest"]), price_of(entry.body["rho"])
        return digest, int(entry.body["round_number"]), rho, set(map(str, entry.body["contributed"]))
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        remedy = "restore the ledger from a copy whose head you trust"
        raise LedgerBroken(f"not a void round: {error!r}", line=entry.index + 1, remedy=remedy) from error


def knows(host: "Host", release: Answered) -> bool:
    """Return whether the vault knows that it answered; the round's stored state tells what schema 1 did not write."""
    if host.rounds.knows_contribution(release.plan_digest):
        return True
    blob = host.rounds.load_round(release.plan_digest)
    if blob is None:
        return False
    try:
        return "contribution" in SessionState.from_bytes(blob).replies
    except TactfulError:  # a state of another version tells nothing, and then the round counts as not known
        return False


def _priced(missing: list[Answered]) -> Iterator[Answered]:
    """Yield the missing releases; of those that share one stated price the later ones at what they state, 0."""
    seen = set[int]()
    for found in missing:
        yield replace(found, price=found.rho) if found.since in seen else found
        seen.add(found.since)


def _charge(host: "Host", federation: str, missing: Answered, devices: list[int]) -> Fraction:
    """Charge one release to everybody who may have been in it; return the most that anybody was charged."""
    number, plan_digest = missing.round_number, missing.plan_digest
    spend = Spend(federation, number, plan_digest, missing.price, REPLAY)
    for device in devices:
        if not host.rounds.has_spend(device, federation, number):
            paid = not missing.rho and _paid_since(host, device, federation, missing.since)
            host.rounds.write_spend(device, replace(spend, rho=Fraction(0)) if paid else spend)
    for token in host.rounds.tombstone_tokens():
        account = host.rounds.tombstone(token)
        if account is not None:
            host.rounds.put_tombstone(token, account.plus(spend))
    host.rounds.raise_floor(spend)
    host.rounds.note_contribution(federation, number, plan_digest, len(devices))
    return spend.rho


def _paid_since(host: "Host", device: int, federation: str, since: int) -> bool:
    spends = host.rounds.spends(device)
    return any(spend.rho and spend.federation == federation and spend.round_number >= since for spend in spends)
