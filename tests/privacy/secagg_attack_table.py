"""The table of lies: what each raises and what becomes of the round; the modules of lies fill it."""

import dataclasses
from collections.abc import Callable

from tactful_privacy.errors import TactfulError
from tactful_privacy.secagg.testing import make_plan
from tactful_privacy.wire import (
    Contribution,
    KeyOffer,
    KeyRing,
    ShareBundle,
    Signed,
    UnmaskShares,
)

from .secagg_world import DIMENSION, RoundWorld

A, B, C, D, E = (f"host-{number:02}" for number in range(5))

Act = Callable[[], object]


@dataclasses.dataclass(frozen=True)
class Attack:
    """One lie: what it raises, and who is out of the round afterwards; ``opens`` is False if all of it stays shut."""

    tell: Callable[[RoundWorld], Act]
    error: type[TactfulError]
    gone: tuple[str, ...] = ()
    opens: bool = True


ATTACKS: dict[str, Attack] = {}


def attack(error, *, gone=(), opens=True):
    """Enter a function in the table. It leads a world up to the lie and returns the act which must be refused."""

    def enter(tell):
        name = tell.__name__.strip("_").replace("_", " ")
        assert name not in ATTACKS
        ATTACKS[name] = Attack(tell, error, gone, opens)
        return tell

    return enter


def ring_of(world, hosts=(), **replaced):
    """The ring of the hosts' offers (all of them by default), some replaced."""
    offers = {host: world.sessions[host].offer() for host in hosts or world.hosts} | replaced
    return KeyRing(world.aggregator.plan_digest, tuple(offers[host] for host in sorted(offers))).encode()


def offer_of(world, host, **changes):
    """The host's offer with fields changed, signed by the host."""
    return world.resigned(host, KeyOffer, world.sessions[host].offer(), **changes)


def altered(data, **changes):
    """A signed message whose content was changed on the way: the old signature stands over it."""
    signed = Signed.decode(data)
    kind = next(k for k in (KeyOffer, ShareBundle, Contribution, UnmaskShares) if signed.payload[4] == k.KIND)
    payload = dataclasses.replace(kind.decode(signed.payload), **changes).encode()
    return dataclasses.replace(signed, payload=payload).encode()


def another_round(world):
    """The same hosts in another round, with fresh keys, played to its end."""
    other = RoundWorld.__new__(RoundWorld)
    other.directory, other.identities, other.hosts = world.directory, world.identities, world.hosts
    other.plan = make_plan(world.directory, n_min=world.plan.n_min, dimension=DIMENSION, round_number=2)
    other.restart()
    return other.until("unmask", drop={E: "contribution"})
