"""Lies of a server about who survived: both shares, forged, second and split lists, bent certificates."""

import pytest

from tactful_privacy.secagg import HostSession, errors, rules
from tactful_privacy.wire import (
    Signed,
    SurvivorCertificate,
    UnmaskShares,
    WrongShape,
    sign_survivors,
)

from .secagg_attack_table import A, B, C, D, E, attack

# Both shares


@attack(errors.SecondSurvivorList)
def _both_shares_by_two_lists_one_after_the_other(world):
    world.until("unmask")
    world.sessions[A].unmask(world.requests[A])
    without_e = world.certificate(world.listed((A, B, C, D)), (A, B, C, D))
    return lambda: world.sessions[A].unmask(without_e)


@attack(errors.SecondSurvivorList)
def _both_shares_by_two_lists_after_a_restart(world):
    world.until("unmask")
    world.sessions[A].unmask(world.requests[A])
    resumed = HostSession.from_bytes(world.sessions[A].to_bytes(), world.identities[A])
    without_e = world.certificate(world.listed((A, B, C, D)), (A, B, C, D))
    return lambda: resumed.unmask(without_e)


@attack(WrongShape)
def _both_kinds_of_share_in_one_message(world):
    world.until("unmask")
    data = world.answer(A, "unmask", world.requests[A])
    given = UnmaskShares.decode(Signed.decode(data).payload).self_seed_shares
    return lambda: world.resigned(A, UnmaskShares, data, mask_key_shares=given[:1])


# Survivor lists: forged, second, split


@attack(errors.ListOutsideRoster)
def _list_with_an_invented_host(world):
    world.until("sign")
    return lambda: world.sessions[A].sign(world.listed((A, B, C, D, "host-99")).encode())


@attack(errors.ListOutsideSenders)
def _list_with_a_host_that_sent_no_shares(world):
    world.until("sign", drop={E: "shares"})
    return lambda: world.sessions[A].sign(world.listed().encode())


@attack(errors.NotListed)
def _list_without_the_host_that_should_sign_it(world):
    world.until("sign")
    return lambda: world.sessions[A].sign(world.listed((B, C, D, E)).encode())


@attack(errors.NotContributed)
def _list_with_a_host_that_sent_nothing(world):
    world.until("sign", drop={E: "contribution"})
    return lambda: world.sessions[E].sign(world.listed().encode())


@attack(errors.TooFewSurvivors)
def _list_of_fewer_than_n_min(world):
    world.until("sign")
    return lambda: world.sessions[A].sign(world.listed((A, B, C)).encode())


@attack(errors.TooFewSurvivors)
def _certificate_of_a_single_survivor(world):
    world.until("sign")
    alone = world.certificate(world.listed((A,)), (A,))
    return lambda: world.sessions[A].unmask(alone)


@attack(errors.TooFewSurvivors, opens=False)
def _drop_outs_below_n_min(world):
    world.until("sign")
    for host in (A, B, C):
        world.aggregator.accept(world.answer(host, "sign", world.requests[host]))
    return world.aggregator.close_stage


@attack(errors.SecondSurvivorList)
def _second_list_after_the_first_was_signed(world):
    world.until("sign")
    world.sessions[A].sign(world.requests[A])
    return lambda: world.sessions[A].sign(world.listed((A, B, C, D)).encode())


@attack(errors.SecondSurvivorList, opens=False)
def _signature_under_another_list_given_to_the_server(world):
    world.until("sign")
    for host in (A, B):  # the server's own hosts tell it of another list than it sent
        data = sign_survivors(world.listed((A, B, C, D)), host, world.identities[host]).encode()
        world.sessions[host].sign(world.listed((A, B, C, D)).encode())
    return lambda: world.aggregator.accept(data)


@attack(errors.TooFewSignatures, opens=False)
def _split_lists_to_two_halves(world):
    world.until("sign")
    lists = world.listed((A, B, C, D)), world.listed()
    for host, listed in ((A, lists[0]), (B, lists[0]), (C, lists[1]), (D, lists[1])):
        world.sessions[host].sign(listed.encode())
    certificates = world.certificate(lists[0], (A, B)), world.certificate(lists[1], (C, D, E))
    with pytest.raises(errors.TooFewSignatures):
        world.sessions[A].unmask(certificates[0])
    return lambda: world.sessions[C].unmask(certificates[1])


# Certificates


def _signed_by(world, listed, *hosts):
    return [sign_survivors(listed, host, world.identities[host]) for host in hosts]


@attack(errors.ForgedSignature)
def _certificate_with_a_forged_signature(world):
    world.until("sign")
    listed = world.listed()
    forged = sign_survivors(listed, D, world.identities[E])
    bent = SurvivorCertificate(listed, (*_signed_by(world, listed, A, B, C), forged)).encode()
    return lambda: world.sessions[A].unmask(bent)


@attack(errors.DuplicateSignature)
def _certificate_with_one_signature_twice(world):
    world.until("sign")
    certificate = SurvivorCertificate(world.listed(), tuple(_signed_by(world, world.listed(), A)))
    object.__setattr__(certificate, "signatures", certificate.signatures * 4)  # the wire cannot even spell it
    return lambda: rules.check_certificate(rules.Round(world.plan, world.directory), certificate)


@attack(errors.TooFewSignatures)
def _certificate_with_one_signature_too_few(world):
    world.until("sign")
    return lambda: world.sessions[A].unmask(world.certificate(world.listed(), (A, B, C)))


@attack(errors.UnknownSigner)
def _certificate_signed_by_a_stranger(world):
    world.until("sign")
    listed = world.listed()
    stranger = sign_survivors(listed, "host-99", world.identities[E])
    bent = SurvivorCertificate(listed, (*_signed_by(world, listed, A, B, C), stranger)).encode()
    return lambda: world.sessions[A].unmask(bent)
