"""Secrets of a round are gone from the session and its bytes as soon as no later stage needs them."""

import json

import pytest

from tactful_privacy.secagg import HostSession, keys
from tactful_privacy.secagg.state import overwrite
from tactful_privacy.wire import Signed, UnmaskShares

from .secagg_graph_lies import graph_world
from .secagg_world import RoundWorld

A, E = "host-00", "host-04"
ALL = ("mask_private", "share_private", "self_seed", "stream_seed")


@pytest.mark.parametrize("start", [lambda: RoundWorld().until, lambda: graph_world("keys").until])
def test_each_stage_leaves_only_what_later_ones_need(start):
    """Polynomial seed after the shares, keys and self seed after the contribution, held shares after unmasking."""
    until = start()
    world = until.__self__
    session = world.sessions[A]
    expected = {"keys": (), "shares": (), "contribution": ("stream_seed",), "sign": ALL, "unmask": ALL}
    for stage, erased in expected.items():
        until(stage)
        assert session._state.secrets.erased == erased, stage
        assert bool(session._state.held) is (stage not in ("keys", "shares")), stage
    session.unmask(world.requests[A])
    assert session._state.secrets.erased == ALL
    assert session._state.held == {}


class Watched(bytearray):
    """Memory that remembers what it held when it was given up."""

    last = b""

    def clear(self):
        self.last = bytes(self)
        super().clear()


def test_a_secret_is_overwritten_before_it_is_let_go():
    """Erasing writes zeros over the very memory of a secret, then empties it."""
    secret = Watched(b"secret")
    overwrite(secret)
    assert (secret.last, bytes(secret)) == (bytes(6), b"")


def test_erased_secrets_are_those_that_the_stages_used():
    """The bytearrays of the session themselves are emptied; nothing keeps another reference that still holds them."""
    world = RoundWorld().until("contribution")
    state = world.sessions[A]._state
    kept = [getattr(state.secrets, name) for name in ALL]
    world.answer(A, "contribution", world.requests[A])
    assert not any(kept)
    held = list(state.held.values())
    world.until("unmask")
    world.answer(A, "unmask", world.requests[A])
    assert not any(held)


def test_what_is_stored_after_a_round_opens_nothing():
    """The stored bytes hold no secret of the host, nor a share of a kind that it did not give."""
    world = RoundWorld().until("contribution")
    secrets = {name: bytes(getattr(world.sessions[A]._state.secrets, name)).hex() for name in ALL[:3]}
    world.until("unmask", drop={E: "contribution"})
    held = {host: bytes(pair) for host, pair in world.sessions[A]._state.held.items()}
    before = world.sessions[A].to_bytes().decode()
    reply = world.answer(A, "unmask", world.requests[A])
    after = world.sessions[A].to_bytes().decode()
    assert not any(secret in before or secret in after for secret in secrets.values())
    given = UnmaskShares.decode(Signed.decode(reply).payload)
    assert dict(given.mask_key_shares).keys() == {E}
    for host, pair in held.items():
        kept_back = pair[:33] if host == E else pair[33:]
        assert kept_back.hex() in before
        assert kept_back.hex() not in after
    assert json.loads(after)["held"] == {}


def test_answers_repeat_after_everything_was_erased():
    """A finished session, re-made from its stored bytes, still gives each stage's identical answer."""
    world = RoundWorld().until("unmask")
    last = world.answer(A, "unmask", world.requests[A])
    resumed = HostSession.from_bytes(world.sessions[A].to_bytes(), world.identities[A])
    for stage, request in resumed._state.requests.items():
        expected = world.answers.get((stage, A), last)
        world.sessions[A] = resumed
        assert world.answer(A, stage, request) == expected
    assert resumed.mask_key == world.sessions[A].mask_key


def test_an_erased_key_is_not_mistaken_for_a_weak_peer():
    """Agreeing with an erased private key is an error of its own kind, not a complaint about the peer."""
    with pytest.raises(ValueError, match="32 bytes"):
        keys.agree(bytearray(), keys.public_key(b"k" * 32), "b")
