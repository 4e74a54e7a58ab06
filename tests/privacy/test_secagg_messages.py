"""Keys, shares, vectors and order: each fault of a host or of the server is refused with its own error."""

import dataclasses

import numpy as np
import pytest

from tactful_privacy.secagg import Aggregator, HostSession, errors, keys
from tactful_privacy.secagg.testing import make_plan, make_roster
from tactful_privacy.wire import (
    Contribution,
    KeyOffer,
    KeyRing,
    ShareBundle,
    ShareDelivery,
    Signed,
    UnmaskShares,
    pack_u32,
    sign,
)

from .secagg_world import DIMENSION, RoundWorld

A, B, C, D, E = (f"host-{number:02}" for number in range(5))


@pytest.fixture
def world():
    return RoundWorld()


def ring_of(world, **replaced):
    """The ring of all offers, some of them replaced."""
    offers = {host: session.offer() for host, session in world.sessions.items()} | replaced
    return KeyRing(world.aggregator.plan_digest, tuple(offers[host] for host in sorted(offers))).encode()


def offer_of(world, host, **changes):
    return world.resigned(host, KeyOffer, world.sessions[host].offer(), **changes)


def test_a_mask_key_of_an_earlier_round_is_refused(world):
    """A ring with a mask key which was seen before is refused, naming the host."""
    earlier = {world.sessions[B].mask_key}
    world.sessions[A].offer()
    with pytest.raises(errors.MaskKeyReused, match=B):
        world.sessions[A].shares(ring_of(world), lambda mask_keys: earlier & set(mask_keys))


def test_mask_keys_are_fresh_every_round(world):
    """Two sessions of one host never offer the same keys."""
    again = HostSession(world.plan, world.directory, A, world.identities[A])
    assert again.mask_key != world.sessions[A].mask_key
    assert world.sessions[A].offer() == world.sessions[A].offer() != again.offer()


def test_a_key_that_stands_twice_is_refused(world):
    """Two hosts with one mask key, or a share key which is another's mask key."""
    key = world.sessions[B].mask_key
    for field in ("mask_key", "share_key"):
        world.sessions[A].offer()
        with pytest.raises(errors.DuplicateKey):
            world.sessions[A].shares(ring_of(world, **{C: offer_of(world, C, **{field: key})}))


def test_a_key_of_low_order_is_refused(world):
    """A share key that would fix the secret is refused before any share is made."""
    world.sessions[A].offer()
    with pytest.raises(errors.WeakKey, match=C):
        world.sessions[A].shares(ring_of(world, **{C: offer_of(world, C, share_key=bytes(32))}))


def test_a_bad_key_does_not_spoil_the_round_of_the_others(world):
    """The server refuses a copied, doubled or low-order key at once; the other four go on without that host."""
    for host in (A, B, C, D):
        world.aggregator.accept(world.sessions[host].offer())
    key = world.sessions[B].mask_key
    own = world.sessions[E].mask_key
    for changes, error in (
        ({"mask_key": key}, errors.DuplicateKey),
        ({"share_key": key}, errors.DuplicateKey),
        ({"share_key": own}, errors.DuplicateKey),
        ({"mask_key": bytes(32)}, errors.WeakKey),
    ):
        with pytest.raises(error):
            world.aggregator.accept(offer_of(world, E, **changes))
    assert sorted(world.aggregator.close_stage()) == [A, B, C, D]


def test_a_ring_must_carry_my_own_offer(world):
    """A server cannot replace a host's key towards the host itself."""
    world.sessions[A].offer()
    with pytest.raises(errors.OwnOfferMissing):
        world.sessions[A].shares(ring_of(world, **{A: offer_of(world, A, mask_key=keys.public_key(b"k" * 32))}))


def test_offers_must_be_signed_by_the_roster(world):
    """An offer signed by another host's key, or by a stranger's name, is refused by hosts and by the server."""
    forged = sign(KeyOffer.decode(Signed.decode(world.sessions[C].offer()).payload), world.identities[D]).encode()
    stranger = sign(
        KeyOffer(world.aggregator.plan_digest, "host-99", b"m" * 32, b"s" * 32), world.identities[D]
    ).encode()
    world.sessions[A].offer()
    for bad in (forged, stranger):
        with pytest.raises(errors.UnknownHost):
            world.sessions[A].shares(ring_of(world, **{C: bad}))
        with pytest.raises(errors.UnknownHost):
            world.aggregator.accept(bad)


def test_an_offer_with_a_garbled_signature_is_refused(world):
    """One bit of the signature changed."""
    signed = Signed.decode(world.sessions[C].offer())
    bad = dataclasses.replace(signed, signature=bytes([signed.signature[0] ^ 1]) + signed.signature[1:])
    with pytest.raises(errors.ForgedSignature):
        world.aggregator.accept(bad.encode())


def test_an_offer_for_another_plan_is_refused(world):
    """Keys of an earlier round cannot be replayed."""
    with pytest.raises(errors.WrongPlan):
        world.aggregator.accept(offer_of(world, C, plan_digest=b"x" * 32))


def test_a_short_ring_is_refused(world):
    """Fewer than n_min offers."""
    offers = tuple(world.sessions[host].offer() for host in (A, B, C))
    with pytest.raises(errors.TooFewHosts):
        world.sessions[A].shares(KeyRing(world.aggregator.plan_digest, offers).encode())


def test_a_second_ring_is_refused(world):
    """A host answers one ring per round."""
    world.until("shares")
    world.sessions[A].shares(world.requests[A])
    four = KeyRing(world.aggregator.plan_digest, tuple(world.sessions[host].offer() for host in (A, B, C, D))).encode()
    with pytest.raises(errors.SecondKeyRing):
        world.sessions[A].shares(four)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"plan_digest": b"x" * 32}, errors.WrongPlan),
        ({"keys_digest": b"x" * 32}, errors.WrongKeyRing),
        ({"recipient": B}, errors.MissingShare),
        ({"senders": (A, B, C, D)}, errors.MissingShare),
        ({"senders": (A, B, C, D, E, "host-99")}, errors.UnknownHost),
    ],
)
def test_bent_deliveries_are_refused(world, changes, error):
    """A delivery of another round, for another host, or whose senders and shares differ: before anything is spent."""
    world.until("contribution")
    bent = dataclasses.replace(ShareDelivery.decode(world.requests[A]), **changes).encode()
    with pytest.raises(error):
        world.sessions[A].check_delivery(bent)


def test_a_delivery_from_too_few_senders_is_refused(world):
    """Fewer than n_min share-senders."""
    world.until("contribution")
    honest = ShareDelivery.decode(world.requests[A])
    few = dataclasses.replace(honest, senders=(A, B, C), ciphertexts=honest.ciphertexts[:2])
    with pytest.raises(errors.TooFewHosts):
        world.sessions[A].check_delivery(few.encode())


def test_an_altered_share_is_refused(world):
    """Ciphertexts of two senders swapped, or one bit changed."""
    world.until("contribution")
    honest = ShareDelivery.decode(world.requests[A])
    (b, first), (c, second), *rest = honest.ciphertexts
    flipped = bytes([first[-1] ^ 1])
    for pair in (((b, second), (c, first)), ((b, first[:-1] + flipped), (c, second))):
        with pytest.raises(errors.ShareUnreadable):
            world.sessions[A].check_delivery(dataclasses.replace(honest, ciphertexts=(*pair, *rest)).encode())


def test_a_second_delivery_is_refused(world):
    """Once a contribution is made, other share-senders get none."""
    world.until("sign")
    honest = ShareDelivery.decode(world.sessions[A]._state.requests["contribution"])
    other = dataclasses.replace(honest, senders=(A, B, C, D), ciphertexts=honest.ciphertexts[:3]).encode()
    with pytest.raises(errors.SecondDelivery):
        world.sessions[A].contribution(other, *world.vectors[A])


@pytest.mark.parametrize(
    "bad", [np.zeros(DIMENSION + 1, np.int64), np.zeros(DIMENSION), np.zeros((1, DIMENSION), np.int64)]
)
def test_a_vector_of_the_wrong_shape_or_type_is_refused(world, bad):
    """Encoded sum and noise must be int64 of the plan's length."""
    world.until("contribution")
    good = np.zeros(DIMENSION, np.int64)
    for vectors in ((bad, good), (good, bad)):
        with pytest.raises(errors.WrongVector):
            world.sessions[A].contribution(world.requests[A], *vectors)


def test_the_server_refuses_a_vector_of_another_length(world):
    """A contribution with one element too many."""
    world.until("contribution")
    data = world.answer(A, "contribution", world.requests[A])
    long = world.resigned(A, Contribution, data, vector=pack_u32(range(DIMENSION + 1)), length=DIMENSION + 1)
    with pytest.raises(errors.WrongVector):
        world.aggregator.accept(long)


def test_two_different_answers_of_one_host_are_refused(world):
    """The same bytes twice are fine; others are not."""
    world.until("contribution")
    data = world.answer(A, "contribution", world.requests[A])
    assert world.aggregator.accept(data) == world.aggregator.accept(data) == A
    with pytest.raises(errors.SecondMessage):
        world.aggregator.accept(world.resigned(A, Contribution, data, vector=pack_u32(range(DIMENSION))))


def test_a_host_that_skipped_a_stage_is_refused(world):
    """No contribution of a host which sent no shares."""
    world.until("contribution", drop={E: "shares"})
    stray = Contribution(world.aggregator.plan_digest, world.aggregator.keys_digest, E, pack_u32(range(6)), DIMENSION)
    with pytest.raises(errors.NotAnswering):
        world.aggregator.accept(sign(stray, world.identities[E]).encode())


def test_stages_out_of_order_are_refused(world):
    """Neither a host nor the server goes ahead of its stage."""
    with pytest.raises(errors.OutOfOrder):
        world.sessions[A].shares(ring_of(RoundWorld()))
    with pytest.raises(errors.OutOfOrder):
        world.aggregator.open()
    with pytest.raises(errors.OutOfOrder):
        _ = world.aggregator.keys_digest
    with pytest.raises(errors.OutOfOrder):
        world.sessions[A].check_delivery(b"")


def wrong_share(world, giver, owner):
    """The giver's honest unmasking with one wrong share of the owner's seed."""
    data = world.answer(giver, "unmask", world.requests[giver])
    shares = dict(UnmaskShares.decode(Signed.decode(data).payload).self_seed_shares)
    shares[owner] = (int.from_bytes(shares[owner], "big") ^ 1).to_bytes(33, "big")
    return world.resigned(giver, UnmaskShares, data, self_seed_shares=tuple(sorted(shares.items())))


def test_a_wrong_share_is_detected(world):
    """With exactly n_min share-givers, one wrong share opens nothing; no wrong sum comes out."""
    world.until("unmask")
    world.aggregator.accept(wrong_share(world, A, B))
    for host in (B, C, D):
        world.aggregator.accept(world.answer(host, "unmask", world.requests[host]))
    with pytest.raises(errors.WrongShare, match=B):
        world.aggregator.open()


def test_a_wrong_share_is_outvoted(world):
    """With one more than n_min, the sum opens exactly in spite of it."""
    world.until("unmask")
    world.aggregator.accept(wrong_share(world, A, B))
    for host in (B, C, D, E):
        world.aggregator.accept(world.answer(host, "unmask", world.requests[host]))
    assert (world.aggregator.open() == sum(a + b for a, b in world.vectors.values())).all()


def test_a_wrong_mask_key_share_is_detected(world):
    """The rebuilt mask key must give the public key in the ring."""
    world.until("unmask", drop={E: "contribution"})
    for host in (A, B, C, D):
        data = world.answer(host, "unmask", world.requests[host])
        if host == A:
            data = world.resigned(A, UnmaskShares, data, mask_key_shares=((E, b"\0" * 33),))
        world.aggregator.accept(data)
    with pytest.raises(errors.WrongShare, match=E):
        world.aggregator.open()


def test_unmasking_must_fit_the_list(world):
    """Shares of too few hosts, or of another list, are refused by the server."""
    world.until("unmask")
    data = world.answer(A, "unmask", world.requests[A])
    with pytest.raises(errors.MissingShare):
        world.aggregator.accept(world.resigned(A, UnmaskShares, data, self_seed_shares=()))
    with pytest.raises(errors.SecondSurvivorList):
        world.aggregator.accept(world.resigned(A, UnmaskShares, data, list_digest=b"x" * 32))


def test_a_bundle_must_address_every_host(world):
    """A share bundle without an entry for one host is refused by the server."""
    world.until("shares")
    data = world.answer(A, "shares", world.requests[A])
    with pytest.raises(errors.MissingShare):
        world.aggregator.accept(world.resigned(A, ShareBundle, data, ciphertexts=()))


def test_a_host_outside_the_roster_has_no_session():
    """Neither a stranger's name nor another's key starts a session."""
    directory, identities = make_roster(3)
    plan = make_plan(directory, n_min=3)
    with pytest.raises(errors.UnknownHost):
        HostSession(plan, directory, "host-99", identities[A])
    with pytest.raises(errors.UnknownHost):
        HostSession(plan, directory, A, identities[B])


def test_errors_have_stable_codes():
    """Every error has a code of its own."""
    kinds = errors.SecaggError.__subclasses__()
    assert len({kind.code for kind in kinds} | {errors.SecaggError.code}) == len(kinds) + 1


def test_the_server_resumes_from_its_bytes(world):
    """At every stage the aggregator, rebuilt from bytes, goes on to the same exact sum."""
    for stage in ("shares", "contribution", "sign", "unmask"):
        world.until(stage, drop={E: "contribution"})
        world.aggregator = Aggregator.from_bytes(world.aggregator.to_bytes(), world.plan, world.directory)
        assert world.aggregator.stage == stage
    for host in (A, B, C, D):
        world.aggregator.accept(world.answer(host, "unmask", world.requests[host]))
    resumed = Aggregator.from_bytes(world.aggregator.to_bytes(), world.plan, world.directory)
    assert (resumed.open() == sum(sum(world.vectors[host]) for host in (A, B, C, D))).all()
    with pytest.raises(errors.StateUnreadable):
        Aggregator.from_bytes(b"{}", world.plan, world.directory)
