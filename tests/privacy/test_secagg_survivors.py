"""One survivor list per round: whatever a server invents, a sum with too little noise stays shut."""

import itertools

import pytest

from tactful_privacy.secagg import HostSession, errors, rules
from tactful_privacy.secagg.testing import make_plan
from tactful_privacy.wire import (
    NotCanonical,
    SurvivorCertificate,
    SurvivorSignature,
    UnmaskShares,
    digest,
    open_signed,
    sign_survivors,
)

from .secagg_world import RoundWorld

A, B, C, D, E = (f"host-{number:02}" for number in range(5))


@pytest.fixture
def world():
    return RoundWorld().until("sign")


def test_every_listed_host_signs_the_honest_list(world):
    """The honest list gets a signature, again and again the same bytes."""
    first = world.sessions[A].sign(world.requests[A])
    assert world.sessions[A].sign(world.requests[A]) == first


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"plan_digest": b"x" * 32}, errors.WrongPlan),
        ({"keys_digest": b"x" * 32}, errors.WrongKeyRing),
        ({"previous_head": b"x" * 32}, errors.WrongHead),
        ({"survivors": (A, B, C, D, "host-99")}, errors.ListOutsideRoster),
        ({"survivors": (A, B, C)}, errors.TooFewSurvivors),
        ({"survivors": (B, C, D, E)}, errors.NotListed),
    ],
)
def test_forged_lists_are_refused(world, changes, error):
    """A list of another plan, ring or head, outside the roster, too short, or without the signer: its own error."""
    with pytest.raises(error):
        world.sessions[A].sign(world.listed(**changes).encode())
    assert world.sessions[A].sign(world.requests[A])  # and the honest one still goes through


def test_a_host_which_sent_no_shares_cannot_be_listed():
    """A list outside the share-senders is refused."""
    world = RoundWorld().until("sign", drop={E: "shares"})
    with pytest.raises(errors.ListOutsideSenders):
        world.sessions[A].sign(world.listed().encode())


def test_a_host_does_not_sign_itself_in_without_a_contribution():
    """A list naming the host although it never contributed is refused."""
    world = RoundWorld().until("sign", drop={E: "contribution"})
    with pytest.raises(errors.NotContributed):
        world.sessions[E].sign(world.listed().encode())


def test_a_second_list_is_refused(world):
    """After one list is signed, another valid one is refused, also inside a certificate, also after a restart."""
    session = world.sessions[A]
    session.sign(world.listed((A, B, C, D)).encode())
    resumed = HostSession.from_bytes(session.to_bytes(), world.identities[A])
    for one in (session, resumed):
        with pytest.raises(errors.SecondSurvivorList):
            one.sign(world.listed().encode())
        with pytest.raises(errors.SecondSurvivorList):
            one.unmask(world.certificate(world.listed(), world.hosts))


@pytest.mark.parametrize(("n_hosts", "n_min", "colluders"), [(2, 2, 1), (3, 3, 1), (4, 3, 1), (5, 4, 1), (6, 4, 1)])
def test_split_lists_cannot_both_be_signed(n_hosts, n_min, colluders):
    """Two lists shown to any two halves, t hosts signing both: never two certificates, as 2·n_min > n + t."""
    hosts = [f"host-{number:02}" for number in range(n_hosts)]
    for traitors in itertools.combinations(hosts, colluders):
        honest = [host for host in hosts if host not in traitors]
        for size in range(len(honest) + 1):
            for half in itertools.combinations(honest, size):
                first = len(half) + len(traitors)
                second = len(honest) - len(half) + len(traitors)
                assert not (first >= n_min and second >= n_min)


def test_a_split_round_opens_at_most_one_list(world):
    """Two lists to two halves, one host signing both: each host refuses the certificate that is short of signatures."""
    lists = world.listed((A, B, C, D)), world.listed()
    for host in (A, B):
        world.sessions[host].sign(lists[0].encode())
    for host in (C, D):
        world.sessions[host].sign(lists[1].encode())
    for listed, signed in ((lists[0], (A, B)), (lists[1], (C, D, E))):  # E is the server's own and signs both
        certificate = world.certificate(listed, signed)
        for host in signed[:2]:
            with pytest.raises(errors.TooFewSignatures):
                world.sessions[host].unmask(certificate)


def test_too_few_signatures_are_refused(world):
    """n_min − 1 signatures under the honest list open nothing."""
    with pytest.raises(errors.TooFewSignatures):
        world.sessions[A].unmask(world.certificate(world.listed(), (A, B, C)))


def test_a_signature_of_a_stranger_is_refused(world):
    """A signer outside the roster, or one that the list does not name, is refused."""
    listed = world.listed((A, B, C, D))
    signatures = [sign_survivors(listed, host, world.identities[host]) for host in (A, B, C)]
    stranger = sign_survivors(listed, "host-99", world.identities[E])
    unlisted = sign_survivors(listed, E, world.identities[E])
    for extra in (stranger, unlisted):
        certificate = SurvivorCertificate(listed, (*signatures, extra))
        with pytest.raises(errors.UnknownSigner):
            world.sessions[A].unmask(certificate.encode())


def test_a_signature_by_another_key_is_refused(world):
    """A roster name over a key that is not the roster's is refused."""
    listed = world.listed()
    signatures = [sign_survivors(listed, host, world.identities[host]) for host in (A, B, C)]
    signatures.append(sign_survivors(listed, D, world.identities[E]))
    with pytest.raises(errors.ForgedSignature):
        world.sessions[A].unmask(SurvivorCertificate(listed, tuple(signatures)).encode())


def test_a_signature_for_another_plan_is_refused(world):
    """A true signature under the same survivors of another plan does not count."""
    listed = world.listed()
    elsewhere = world.listed(plan_digest=digest(make_plan(world.directory, n_min=4, round_number=2)))
    signatures = tuple(sign_survivors(elsewhere, host, world.identities[host]) for host in world.hosts)
    with pytest.raises(errors.ForgedSignature):
        world.sessions[A].unmask(SurvivorCertificate(listed, signatures).encode())
    with pytest.raises(errors.WrongPlan):
        world.sessions[A].unmask(world.certificate(elsewhere, world.hosts))


def test_a_repeated_signature_is_refused(world):
    """The wire has no spelling for a repeated signer, and the rule refuses it by itself as well."""
    listed = world.listed()
    signature = sign_survivors(listed, A, world.identities[A])
    with pytest.raises(NotCanonical):
        SurvivorCertificate(listed, (signature, signature))
    certificate = SurvivorCertificate(listed, (signature,))
    object.__setattr__(certificate, "signatures", (signature,) * 4)
    with pytest.raises(errors.DuplicateSignature):
        rules.check_certificate(rules.Round(world.plan, world.directory), certificate)


def test_garbled_signature_is_refused(world):
    """A signature with one bit changed is refused by hosts and by the server."""
    true = SurvivorSignature.decode(world.sessions[B].sign(world.requests[B]))
    bad = SurvivorSignature(true.list_digest, true.host_id, bytes([true.signature[0] ^ 1]) + true.signature[1:])
    with pytest.raises(errors.ForgedSignature):
        world.aggregator.accept(bad.encode())


def test_one_kind_of_share_per_host():
    """Over everything that a host ever answers, no other host's both shares are given."""
    world = RoundWorld().until("unmask", drop={E: "contribution"})
    given = UnmaskShares
    message = open_signed(
        world.sessions[A].unmask(world.requests[A]), given, world.identities[A].public_key().public_bytes_raw()
    )
    assert [host for host, _ in message.self_seed_shares] == [A, B, C, D]
    assert [host for host, _ in message.mask_key_shares] == [E]
    other = world.certificate(world.listed((A, B, C, D)), (A, B, C, D))
    assert world.sessions[A].unmask(other)  # the same list by the same hosts: the same answer
    assert world.sessions[A].unmask(other) == world.sessions[A].unmask(world.requests[A])


def test_a_host_that_missed_signing_still_opens_its_one_list():
    """A certificate may be the first that a host sees of the list; from then on it is bound to it."""
    world = RoundWorld().until("unmask", drop={E: "sign"})
    world.sessions[E].unmask(world.requests[E])
    with pytest.raises(errors.SecondSurvivorList):
        world.sessions[E].sign(world.listed((A, B, C, E)).encode())
