"""Lies about keys and rounds: replayed messages, split views, swapped and re-used keys."""

import dataclasses

from tactful_privacy.secagg import errors, keys
from tactful_privacy.wire import (
    KeyOffer,
    KeyRing,
    ShareBundle,
    ShareDelivery,
    Signed,
    SurvivorCertificate,
)

from .secagg_attack_table import A, B, C, D, E, altered, another_round, attack, offer_of, ring_of

# Replayed round


@attack(errors.WrongPlan)
def _replayed_offer(world):
    old = another_round(world).sessions[C].offer()
    return lambda: world.aggregator.accept(old)


@attack(errors.WrongPlan)
def _replayed_ring(world):
    old = another_round(world).sessions[A]._state.requests["shares"]
    world.until("shares")
    return lambda: world.sessions[A].shares(old)


@attack(errors.WrongPlan)
def _replayed_offer_within_a_fresh_ring(world):
    old = another_round(world).sessions[C].offer()
    world.until("shares")
    return lambda: world.sessions[A].shares(ring_of(world, **{C: old}))


@attack(errors.WrongPlan)
def _replayed_delivery(world):
    old = another_round(world).sessions[A]._state.requests["contribution"]
    world.until("contribution")
    return lambda: world.sessions[A].check_delivery(old)


@attack(errors.ShareUnreadable)
def _replayed_shares_under_the_names_of_this_round(world):
    old = ShareDelivery.decode(another_round(world).sessions[A]._state.requests["contribution"])
    world.until("contribution")
    honest = ShareDelivery.decode(world.requests[A])
    bent = dataclasses.replace(honest, ciphertexts=old.ciphertexts).encode()
    return lambda: world.sessions[A].check_delivery(bent)


@attack(errors.WrongPlan)
def _replayed_contribution(world):
    old = another_round(world).answers["contribution", A]
    world.until("contribution")
    return lambda: world.aggregator.accept(old)


@attack(errors.WrongPlan)
def _replayed_survivor_list(world):
    old = another_round(world).sessions[A]._state.requests["sign"]
    world.until("sign")
    return lambda: world.sessions[A].sign(old)


@attack(errors.WrongPlan)
def _replayed_certificate(world):
    old = another_round(world).requests[A]
    world.until("sign")
    return lambda: world.sessions[A].unmask(old)


@attack(errors.ForgedSignature)
def _replayed_signatures_under_the_list_of_this_round(world):
    old = SurvivorCertificate.decode(another_round(world).requests[A])
    world.until("sign")
    bent = SurvivorCertificate(world.listed((A, B, C, D)), old.signatures).encode()
    return lambda: world.sessions[A].unmask(bent)


@attack(errors.WrongHead)
def _list_chained_to_another_ledger_head(world):
    world.until("sign")
    return lambda: world.sessions[A].sign(world.listed(previous_head=b"x" * 32).encode())


# Key rings: split view, swapped, re-used


@attack(errors.SecondKeyRing)
def _second_ring(world):
    world.until("shares")
    world.sessions[A].shares(world.requests[A])
    return lambda: world.sessions[A].shares(ring_of(world, (A, B, C, D)))


def _split_view(world):
    """A is shown E's second offer, the others the first; returns the others' honest shares for A."""
    world.until("shares")
    second = offer_of(world, E, mask_key=keys.public_key(b"k" * 32))
    world.answers["shares", A] = world.sessions[A].shares(ring_of(world, **{E: second}))
    sealed = {}
    for host in (B, C, D, E):
        data = world.answer(host, "shares", world.requests[host])
        sealed[host] = dict(ShareBundle.decode(Signed.decode(data).payload).ciphertexts)[A]
    return tuple(sorted(sealed.items()))


@attack(errors.WrongKeyRing, gone=(A,))
def _split_view_seen_by_the_honest_server(world):
    _split_view(world)
    return lambda: world.aggregator.accept(world.answers["shares", A])


@attack(errors.WrongKeyRing, gone=(A,))
def _split_view_with_the_delivery_of_the_others(world):
    sealed = _split_view(world)
    delivery = ShareDelivery(world.aggregator.plan_digest, world.aggregator.keys_digest, A, sealed, tuple(world.hosts))
    return lambda: world.sessions[A].check_delivery(delivery.encode())


@attack(errors.ShareUnreadable, gone=(A,))
def _split_view_with_a_delivery_that_hides_it(world):
    sealed = _split_view(world)
    own = world.sessions[A].ring.digest
    delivery = ShareDelivery(world.aggregator.plan_digest, own, A, sealed, tuple(world.hosts)).encode()
    return lambda: world.sessions[A].check_delivery(delivery)


@attack(errors.WrongKeyRing)
def _list_of_another_ring(world):
    world.until("sign")
    return lambda: world.sessions[A].sign(world.listed(keys_digest=b"x" * 32).encode())


@attack(errors.UnknownHost)
def _offers_of_two_hosts_swapped(world):
    world.until("shares")
    b, c = world.sessions[B].offer(), world.sessions[C].offer()
    as_c = dataclasses.replace(KeyOffer.decode(Signed.decode(b).payload), host_id=C)
    bent = dataclasses.replace(Signed.decode(b), payload=as_c.encode()).encode()
    as_b = dataclasses.replace(KeyOffer.decode(Signed.decode(c).payload), host_id=B)
    other = dataclasses.replace(Signed.decode(c), payload=as_b.encode()).encode()
    return lambda: world.sessions[A].shares(ring_of(world, **{B: other, C: bent}))


@attack(errors.ForgedSignature)
def _keys_within_an_offer_swapped(world):
    world.until("shares")
    offer = KeyOffer.decode(Signed.decode(world.sessions[C].offer()).payload)
    bent = altered(world.sessions[C].offer(), mask_key=offer.share_key, share_key=offer.mask_key)
    return lambda: world.sessions[A].shares(ring_of(world, **{C: bent}))


@attack(errors.OwnOfferMissing)
def _own_keys_swapped_towards_their_owner(world):
    world.until("shares")
    return lambda: world.sessions[A].shares(ring_of(world, (B, C, D, E)))


@attack(errors.MaskKeyReused)
def _mask_key_of_an_earlier_round(world):
    earlier = {another_round(world).sessions[C].mask_key}
    world.until("shares")
    old = offer_of(world, C, mask_key=next(iter(earlier)))
    return lambda: world.sessions[A].shares(ring_of(world, **{C: old}), lambda mask_keys: earlier & set(mask_keys))


@attack(errors.DuplicateKey)
def _one_mask_key_at_two_hosts(world):
    for host in (A, B, C, D):
        world.aggregator.accept(world.sessions[host].offer())
    copied = offer_of(world, E, mask_key=world.sessions[B].mask_key)
    return lambda: world.aggregator.accept(copied)


@attack(errors.DuplicateKey)
def _one_mask_key_at_two_hosts_of_a_ring(world):
    world.until("shares")
    copied = offer_of(world, E, mask_key=world.sessions[B].mask_key)
    return lambda: world.sessions[A].shares(ring_of(world, **{E: copied}))


@attack(errors.SecondMessage)
def _two_offers_of_one_host_in_a_ring(world):
    world.until("shares")
    offers = [session.offer() for session in world.sessions.values()]
    second = offer_of(world, E, mask_key=keys.public_key(b"k" * 32))
    bent = KeyRing(world.aggregator.plan_digest, (*offers, second)).encode()
    return lambda: world.sessions[A].shares(bent)


@attack(errors.WeakKey)
def _mask_key_of_low_order(world):
    for host in (A, B, C, D):
        world.aggregator.accept(world.sessions[host].offer())
    return lambda: world.aggregator.accept(offer_of(world, E, mask_key=bytes(32)))


@attack(errors.TooFewHosts)
def _ring_of_fewer_than_n_min(world):
    world.until("shares")
    return lambda: world.sessions[A].shares(ring_of(world, (A, B, C)))


@attack(errors.TooFewHosts)
def _delivery_from_fewer_than_n_min(world):
    world.until("contribution")
    honest = ShareDelivery.decode(world.requests[A])
    few = dataclasses.replace(honest, senders=(A, B, C), ciphertexts=honest.ciphertexts[:2]).encode()
    return lambda: world.sessions[A].check_delivery(few)


@attack(errors.SecondDelivery)
def _second_delivery(world):
    world.until("sign")
    honest = ShareDelivery.decode(world.sessions[A]._state.requests["contribution"])
    other = dataclasses.replace(honest, senders=(A, B, C, D), ciphertexts=honest.ciphertexts[:3]).encode()
    return lambda: world.sessions[A].contribution(other, *world.vectors[A])
