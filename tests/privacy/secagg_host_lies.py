"""Lies of a host: lengths, shares, another's words, damaged memory, stages out of order."""

import dataclasses
import json

import numpy as np

from tactful_privacy.secagg import HostSession, errors, keys
from tactful_privacy.wire import (
    Contribution,
    ShareBundle,
    ShareDelivery,
    Signed,
    UnmaskShares,
    WrongShape,
    pack_u32,
    sign,
)

from .secagg_attack_table import A, B, C, D, E, altered, attack
from .secagg_world import DIMENSION

# Wrong length


@attack(errors.WrongVector, gone=(E,))
def _contribution_one_element_too_long(world):
    world.until("contribution")
    data = world.answer(E, "contribution", world.requests[E])
    long = world.resigned(E, Contribution, data, vector=pack_u32(range(DIMENSION + 1)), length=DIMENSION + 1)
    return lambda: world.aggregator.accept(long)


@attack(errors.WrongVector, gone=(E,))
def _contribution_empty(world):
    world.until("contribution")
    data = world.answer(E, "contribution", world.requests[E])
    empty = world.resigned(E, Contribution, data, vector=b"", length=0)
    return lambda: world.aggregator.accept(empty)


@attack(WrongShape)
def _contribution_that_lies_about_its_own_length(world):
    world.until("contribution")
    data = world.answer(E, "contribution", world.requests[E])
    return lambda: world.resigned(E, Contribution, data, length=DIMENSION - 1)


@attack(errors.WrongVector)
def _task_that_hands_over_a_short_vector(world):
    world.until("contribution")
    short = np.zeros(DIMENSION - 1, np.int64)
    return lambda: world.sessions[A].contribution(world.requests[A], short, short)


def _sealed_again(world, sender, recipient, change):
    """The sender's bundle with the plain text of one share changed and sealed as the protocol asks."""
    data = world.answer(sender, "shares", world.requests[sender])
    session, bundle = world.sessions[sender], ShareBundle.decode(Signed.decode(data).payload)
    plan_digest, keys_digest = bundle.plan_digest, bundle.keys_digest
    aad = keys.share_aad(plan_digest, keys_digest, sender, recipient)
    key = session._shares_among._key(sender, recipient)
    sealed = dict(bundle.ciphertexts)
    plain = keys.unseal(key, sealed[recipient], aad, sender)
    sealed[recipient] = keys.seal(key, bytes(keys.NONCE_BYTES), change(plain), aad)
    return world.resigned(sender, ShareBundle, data, ciphertexts=tuple(sorted(sealed.items())))


def _with_bundle_of_e(world, change):
    """A round in which E sent A a changed share; returns A's delivery."""
    world.until("shares")
    world.aggregator.accept(_sealed_again(world, E, A, change))
    for host in (A, B, C, D):
        world.aggregator.accept(world.answer(host, "shares", world.requests[host]))
    world.requests = world.aggregator.close_stage()
    return world.requests[A]


@attack(errors.WrongShare, gone=(A,))
def _sealed_share_of_the_wrong_length(world):
    delivery = _with_bundle_of_e(world, lambda plain: plain[:-1])
    return lambda: world.sessions[A].check_delivery(delivery)


# Wrong share


def _unmask_all(world, bent, hosts):
    for host in hosts:
        data = world.answer(host, "unmask", world.requests[host])
        world.aggregator.accept(bent(data) if host == A else data)
    return world.aggregator.open


def _wrong(share):
    return (int.from_bytes(share, "big") ^ 1).to_bytes(len(share), "big")


@attack(errors.WrongShare, opens=False)
def _wrong_share_of_a_seed(world):
    world.until("unmask")

    def bent(data):
        given = dict(UnmaskShares.decode(Signed.decode(data).payload).self_seed_shares)
        given[B] = _wrong(given[B])
        return world.resigned(A, UnmaskShares, data, self_seed_shares=tuple(sorted(given.items())))

    return _unmask_all(world, bent, (A, B, C, D))


@attack(errors.WrongShare, opens=False)
def _wrong_share_of_a_mask_key(world):
    world.until("unmask", drop={E: "contribution"})

    def bent(data):
        given = dict(UnmaskShares.decode(Signed.decode(data).payload).mask_key_shares)
        return world.resigned(A, UnmaskShares, data, mask_key_shares=((E, _wrong(given[E])),))

    return _unmask_all(world, bent, (A, B, C, D))


@attack(errors.MissingShare, gone=())
def _mask_key_share_where_a_seed_share_belongs(world):
    world.until("unmask")
    data = world.answer(A, "unmask", world.requests[A])
    given = UnmaskShares.decode(Signed.decode(data).payload).self_seed_shares
    bent = world.resigned(A, UnmaskShares, data, self_seed_shares=given[:-1], mask_key_shares=given[-1:])
    return lambda: world.aggregator.accept(bent)


@attack(errors.MissingShare)
def _bundle_that_leaves_one_host_out(world):
    world.until("shares")
    data = world.answer(E, "shares", world.requests[E])
    sealed = ShareBundle.decode(Signed.decode(data).payload).ciphertexts
    return lambda: world.aggregator.accept(world.resigned(E, ShareBundle, data, ciphertexts=sealed[1:]))


@attack(errors.MissingShare)
def _delivery_that_holds_a_share_back(world):
    world.until("contribution")
    honest = ShareDelivery.decode(world.requests[A])
    short = dataclasses.replace(honest, ciphertexts=honest.ciphertexts[1:]).encode()
    return lambda: world.sessions[A].check_delivery(short)


# Another host's words


@attack(errors.ShareUnreadable)
def _share_swapped_between_two_senders(world):
    world.until("contribution")
    honest = ShareDelivery.decode(world.requests[A])
    (b, first), (c, second), *rest = honest.ciphertexts
    bent = dataclasses.replace(honest, ciphertexts=((b, second), (c, first), *rest)).encode()
    return lambda: world.sessions[A].check_delivery(bent)


@attack(errors.ShareUnreadable)
def _share_meant_for_another_recipient(world):
    world.until("contribution")
    honest, other = (ShareDelivery.decode(world.requests[host]) for host in (A, B))
    stray = dict(other.ciphertexts)[C]
    ciphertexts = tuple((name, stray if name == C else data) for name, data in honest.ciphertexts)
    return lambda: world.sessions[A].check_delivery(dataclasses.replace(honest, ciphertexts=ciphertexts).encode())


@attack(errors.UnknownHost)
def _contribution_in_the_name_of_another(world):
    world.until("contribution")
    data = world.answer(E, "contribution", world.requests[E])
    stolen = world.resigned(E, Contribution, data, host_id=A)
    return lambda: world.aggregator.accept(stolen)


@attack(errors.ForgedSignature)
def _contribution_altered_on_the_way(world):
    world.until("contribution")
    data = world.answer(A, "contribution", world.requests[A])
    return lambda: world.aggregator.accept(altered(data, vector=pack_u32(range(DIMENSION))))


@attack(errors.SecondMessage)
def _two_contributions_of_one_host(world):
    world.until("contribution")
    data = world.answer(E, "contribution", world.requests[E])
    world.aggregator.accept(data)
    return lambda: world.aggregator.accept(world.resigned(E, Contribution, data, vector=pack_u32(range(DIMENSION))))


@attack(errors.NotAnswering)
def _contribution_of_a_host_that_sent_no_shares(world):
    world.until("contribution", drop={E: "shares"})
    stray = Contribution(world.aggregator.plan_digest, world.aggregator.keys_digest, E, pack_u32(range(6)), DIMENSION)
    return lambda: world.aggregator.accept(sign(stray, world.identities[E]).encode())


# Order and memory


@attack(errors.OutOfOrder)
def _shares_asked_for_before_keys(world):
    return lambda: world.sessions[A].shares(b"")


@attack(errors.OutOfOrder)
def _delivery_before_shares(world):
    world.sessions[A].offer()
    return lambda: world.sessions[A].check_delivery(b"")


@attack(errors.OutOfOrder)
def _list_before_a_contribution(world):
    world.until("contribution")
    return lambda: world.sessions[A].sign(world.listed((B, C, D, E)).encode())


@attack(errors.OutOfOrder)
def _certificate_before_a_contribution(world):
    world.until("contribution")
    return lambda: world.sessions[A].unmask(world.certificate(world.listed(), world.hosts))


@attack(errors.OutOfOrder)
def _opening_before_the_end(world):
    world.until("sign")
    return world.aggregator.open


@attack(errors.StateUnreadable)
def _memory_of_a_host_damaged(world):
    world.until("sign")
    values = json.loads(world.sessions[A].to_bytes())
    values["replies"]["sign"] = "not bytes"
    return lambda: HostSession.from_bytes(json.dumps(values).encode(), world.identities[A])
