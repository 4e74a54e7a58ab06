"""One person on two hosts: their devices share one budget, each with a stated part of the ceiling, adding up to one.

A link is two signed messages that the app carries from host to host. The *grant* takes a part away from the giving
device, durably, before it exists; the receiving device then has that part and no more. The *return* ends the receiving
device's part for good before it exists, and gives back what is left of it, never more. So at any moment, whatever is
lost on the way, the parts add up to at most one. A grant that never arrives is lost budget, which is the safe side; it
can be read again with `links`.

Until it accepts a grant, a device has a ceiling of its own; it gives that up for its part of the other's. So link all
of a person's devices to one of them: two which never accepted a grant are two ceilings. That they belong to one person
is the apps' knowledge; the hosts know each other's Ed25519 keys.
"""

import json
import secrets
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tactful import budget
from tactful.errors import InvalidInput, LinkRefused
from tactful.vault import NewRow

if TYPE_CHECKING:
    from tactful._account import Account
    from tactful.host import Host

_DOMAIN: Final = b"tactful/v1/link\0"
_MAX_TOKEN_BYTES: Final = 4096
_KEY_BYTES: Final = 32
_ID_BYTES: Final = 16
_FIELDS: Final = {"kind", "link_id", "from_key", "to_key", "share", "epsilon", "delta", "signature"}


@dataclass(frozen=True, slots=True)
class Link:
    """One link of a device, as its own side keeps it.

    Attributes:
        link_id: 32 hexadecimal digits.
        given: whether this device gave the share away; otherwise it received it.
        peer_key: the other host's public key, hexadecimal.
        share: the part of the ceiling that was granted.
        returned: what came back of it; None while the link lasts.
        token: what this side last signed for the other; empty where it has signed nothing.
        epsilon, delta: the giver's ceiling when it gave.
        rho_before: of the receiving side's account, from where the link's use is counted; 0 on the giver's.
    """

    link_id: str
    given: bool
    peer_key: str
    share: Fraction
    returned: Fraction | None
    token: str
    epsilon: float
    delta: float
    rho_before: Fraction = Fraction(0)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; exact numbers as "numerator/denominator"."""
        returned = None if self.returned is None else str(self.returned)
        exact = {"share": str(self.share), "returned": returned, "rho_before": str(self.rho_before)}
        return {**asdict(self), **exact}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Link":
        """Undo `to_dict`."""
        returned = plain["returned"]
        exact = {name: Fraction(plain[name]) for name in ("share", "rho_before")}
        return cls(**{**plain, **exact, "returned": None if returned is None else Fraction(returned)})


def of_device(host: "Host", device: int) -> list[Link]:
    """Return a device's links, in order."""
    return [Link.from_dict(json.loads(row.data)) for row in host.vault.read(device, "link")]


def give(host: "Host", device: int, share: Fraction, peer_key: bytes) -> bytes:
    """Take a part of the ceiling away from a device and return the signed grant for another host; see `Device.link`."""
    if not isinstance(share, Fraction | int) or not 0 < share < 1:
        remedy = "give an exact fraction, such as Fraction(1, 3)"
        raise InvalidInput(f"must be a Fraction between 0 and 1, not {share!r}", field="share", remedy=remedy)
    _check_key(host, peer_key)
    with host.guard.change():
        host.guard.require_current()
        epsilon, delta = budget.agreed(host, device)
        account = host.rounds.account(device)
        _require_left(account, Fraction(share), budget.rho_of((epsilon, delta)))
        values = ("grant", secrets.token_hex(_ID_BYTES), peer_key.hex(), Fraction(share), epsilon, delta)
        token = _signed(host, *values)
        budget.pin(host, [device], (epsilon, delta))  # what the parts are parts of must not grow on one side
        link = Link(values[1], True, peer_key.hex(), Fraction(share), None, token.decode(), epsilon, delta)
        _write(host, device, link)
        host.rounds.set_share(device, account.share - share, linked=account.linked)
    return token


def accept(host: "Host", device: int, token: bytes, peer_key: bytes) -> Fraction:
    """Let a device have the part which another host's device gave; return its share. See `Device.accept_link`."""
    said = _opened(host, token, peer_key, "grant")
    share = Fraction(said["share"])
    with host.guard.change():
        host.guard.require_current()
        if not host.rounds.use_link(bytes.fromhex(said["link_id"])):
            raise LinkRefused("was accepted here before", field="token", remedy="ask for a new one")
        account = host.rounds.account(device)
        # Its own ceiling goes, and what it gave away of that counts as given from the linked one.
        total = account.share + share if account.linked else share - (1 - account.share)
        ceiling = min((said["epsilon"], said["delta"]), budget.agreed(host, device), key=budget.rho_of)
        if total > 1 or account.spent_in_period > total * budget.rho_of(ceiling):
            gone = "this device has spent, or given away, more than its part already"
            raise LinkRefused(gone, field="share", remedy="grant it a larger one")
        before = account.period.rho_before
        _write(host, device, Link(said["link_id"], False, peer_key.hex(), share, None, "", *ceiling, before))
        host.rounds.set_own(device, *ceiling)
        host.rounds.set_share(device, total, linked=True)
    return total


def end(host: "Host", device: int, link_id: str) -> bytes:
    """End a link on the receiving side and return the signed return of what is left; see `Device.unlink`."""
    with host.guard.change():
        host.guard.require_current()
        link = _found(host, device, link_id, given=False)
        if link.token:
            return link.token.encode()
        account = host.rounds.account(device)
        used = (account.spent - link.rho_before) / budget.rho_of((link.epsilon, link.delta))
        left = max(Fraction(0), min(link.share, account.share) - used)
        token = _signed(host, "return", link_id, link.peer_key, left, link.epsilon, link.delta)
        _write(host, device, replace(link, returned=left, token=token.decode()))
        host.rounds.set_share(device, max(Fraction(0), account.share - link.share), linked=True)
    return token


def take_back(host: "Host", device: int, token: bytes, peer_key: bytes) -> Fraction:
    """Add what a linked device returned to the giver's share, once; return it. See `Device.accept_unlink`."""
    said = _opened(host, token, peer_key, "return")
    with host.guard.change():
        host.guard.require_current()
        link = _found(host, device, said["link_id"], given=True)
        returned = Fraction(said["share"])
        if link.peer_key != peer_key.hex() or returned > link.share:
            raise LinkRefused("returns more than was given, or to another", field="token", remedy="do not use it")
        if link.returned is not None:
            raise LinkRefused("was returned before", field="token", remedy="nothing is left to give back")
        account = host.rounds.account(device)
        total = account.share + returned
        _write(host, device, replace(link, returned=returned))
        host.rounds.set_share(device, total, linked=account.linked)
    return total


def _require_left(account: "Account", share: Fraction, rho: Fraction) -> None:
    if account.spent_in_period > (account.share - share) * rho:
        message = f"{share} of the ceiling is more than this device has left"
        raise LinkRefused(message, field="share", remedy="give a smaller part, or renew the budget first")


def _found(host: "Host", device: int, link_id: str, *, given: bool) -> Link:
    for link in of_device(host, device):
        if link.link_id == link_id and link.given == given:
            return link
    message = f"this device {'gave' if given else 'received'} no link {link_id!r}"
    raise LinkRefused(message, field="link_id", remedy="see Device.links")


def _write(host: "Host", device: int, link: Link) -> None:
    host.vault.write([NewRow(device, "link", json.dumps(link.to_dict()).encode(), f"{link.link_id}/{link.given}")])


def _check_key(host: "Host", peer_key: bytes) -> None:
    if not isinstance(peer_key, bytes) or len(peer_key) != _KEY_BYTES:
        raise InvalidInput("must be 32 bytes", field="peer_key", remedy="give the other host's Host.public_key")
    if peer_key == host.public_key:
        remedy = "a person has one device on a host; there is nothing to split"
        raise LinkRefused("is this host's own key", field="peer_key", remedy=remedy)


# Tokens


def _signed(host: "Host", kind: str, link_id: str, to_key: str, share: Fraction, epsilon: float, delta: float) -> bytes:
    plain = {
        "kind": kind,
        "link_id": link_id,
        "from_key": host.public_key.hex(),
        "to_key": to_key,
        "share": str(share),
        "epsilon": epsilon,
        "delta": delta,
    }
    return _canonical({**plain, "signature": host.identity_key.sign(_DOMAIN + _canonical(plain)).hex()})


def _opened(host: "Host", token: bytes, peer_key: bytes, kind: str) -> dict[str, Any]:
    """Return what a token says, if exactly that host signed it for this one."""
    _check_key(host, peer_key)
    plain = _parsed(token)
    signature = plain.pop("signature")
    try:
        Ed25519PublicKey.from_public_bytes(peer_key).verify(bytes.fromhex(signature), _DOMAIN + _canonical(plain))
    except (InvalidSignature, ValueError) as error:
        remedy = "give the public key of the host that made it, and the token unaltered"
        raise LinkRefused("is not signed by that host", field="token", remedy=remedy) from error
    if (plain["kind"], plain["to_key"]) != (kind, host.public_key.hex()):
        raise LinkRefused(f"is no {kind} for this host", field="token", remedy="use it where it was made for")
    return plain


def _parsed(token: bytes) -> dict[str, Any]:
    wrong = LinkRefused("is not a link's token", field="token", remedy="carry it between the hosts byte for byte")
    if not isinstance(token, bytes) or len(token) > _MAX_TOKEN_BYTES:
        raise wrong
    try:
        plain = json.loads(token)
        genuine = set(plain) == _FIELDS and _canonical(plain) == token and _well_formed(plain)
    except (AttributeError, ArithmeticError, RecursionError, TypeError, ValueError, InvalidInput) as error:
        raise wrong from error
    if not genuine:
        raise wrong
    return dict(plain)


def _well_formed(plain: dict[str, Any]) -> bool:
    budget.rho_of((plain["epsilon"], plain["delta"]))
    return 0 <= Fraction(plain["share"]) < 1 and len(bytes.fromhex(plain["link_id"])) == _ID_BYTES


def _canonical(plain: dict[str, Any]) -> bytes:
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()
