"""A host answers a whole round over the wire: exact sum, statistics, drop-outs of budget, retries, refusals."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from tactful.federation import HostRound, participant
from tactful_privacy.secagg import COLLECTING
from tactful_privacy.wire import (
    Artifact,
    ArtifactCard,
    Block,
    Contribution,
    KeyOffer,
    KeyRing,
    RoundReply,
    RoundRequest,
    Signed,
    pack_f64,
    sign,
)

from .round_world import HALF_RANGE_UNITS, NOW_UNIX_S, PARAMETERS, Federation, MemoryHost, refused, silence

A, B, C, D, E = (f"host-{number:02}" for number in range(5))
GRID = 2.0**-20


@pytest.fixture
def federation():
    return Federation()


@pytest.fixture
def without_noise(monkeypatch):
    """Replace the sampler by zeros, to see the encoded sum."""
    silence(monkeypatch)


def opened(federation):
    aggregator, _ = federation.until("opened")
    return aggregator.open() * GRID


def test_the_memory_host_is_a_host(federation):
    """The fake has everything that the protocol names."""
    assert isinstance(federation.hosts[A], HostRound)


def test_a_round_opens_the_sum_of_all_devices(federation, without_noise):
    """Fifteen devices of 0.01 give 0.15 per coordinate; each of 15 is rounded by less than one grid step."""
    assert np.abs(opened(federation) - 0.15).max() < 15 * GRID


def test_noise_has_the_planned_variance():
    """With nothing to add, the sum over five hosts has variance 5σ².

    400 coordinates: the sample variance has relative standard error √(2/400) = 0.071; 5 of them give a false alarm
    rate below 1e-6.
    """
    federation = Federation(layout=(Block("alpha", 400),))
    for host in federation.hosts.values():
        host.updates = lambda plan, devices: np.zeros((len(devices), plan.dimension))
    aggregator, _ = federation.until("opened")
    variance = np.mean(aggregator.open().astype(np.float64) ** 2)
    assert abs(variance / (5 * federation.plan.noise_variance_units) - 1) < 5 * 0.0708


def test_statistics_are_bounded_by_their_half_range(federation, without_noise):
    """The last column is the statistic: clamped to ± half-range, and not part of the clip."""
    for host in federation.hosts.values():
        host.updates = lambda plan, devices: np.hstack(
            [np.full((len(devices), PARAMETERS), 0.01), np.full((len(devices), 1), 1e9)]
        )
    total = opened(federation)
    assert np.abs(total[:-1] - 0.15).max() < 15 * GRID
    assert total[-1] == 15 * HALF_RANGE_UNITS * GRID


def test_no_device_exceeds_the_clip_norm(federation, without_noise):
    """Updates of any size are clipped: the sum's norm is at most devices × C."""
    for host in federation.hosts.values():
        host.updates = lambda plan, devices: np.full((len(devices), plan.dimension), 1e12)
    total = opened(federation)
    assert np.linalg.norm(total[:-1]) <= 15 * federation.plan.clip_norm
    assert np.linalg.norm(total[:-1]) > 14.9 * federation.plan.clip_norm


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_update_that_is_not_finite_counts_as_zero(federation, without_noise, bad):
    """One poisoned device: its row is zero, all others count, and its host still answers."""

    def updates(plan, devices):
        rows = np.full((len(devices), plan.dimension), 0.01)
        rows[0, 2] = bad
        return rows

    federation.hosts[A].updates = updates
    assert np.abs(opened(federation) - 0.14).max() < 15 * GRID


@pytest.mark.parametrize("failure", ["raises", "shape"])
def test_failing_training_counts_as_zero(federation, without_noise, failure):
    """A training that trips over its data contributes zero: absence must not depend on data."""

    def updates(plan, devices):
        if failure == "raises":
            raise ZeroDivisionError("the household has no events")
        return np.zeros((1, 1))

    federation.hosts[A].updates = updates
    assert np.abs(opened(federation) - 0.12).max() < 15 * GRID


@pytest.mark.parametrize("failure", ["raises", "shape"])
def test_one_devices_failure_is_its_own(federation, without_noise, failure):
    """A device whose data break the training counts as zero, and every other of its host still counts."""
    host = federation.hosts[A]

    def updates(plan, devices):
        if host.devices[1] in devices:
            if failure == "raises":
                raise ZeroDivisionError("one household has no events")
            return np.zeros((7, 7))
        return np.full((len(devices), plan.dimension), 0.01)

    host.updates = updates
    assert np.abs(opened(federation) - 0.14).max() < 15 * GRID


def test_a_device_without_budget_is_left_out(federation, without_noise):
    """Its host answers without it; a host of exhausted devices answers with the zero vector."""
    federation.hosts[A].budget[federation.hosts[A].devices[0]] = Fraction(0)
    federation.hosts[B].budget = dict.fromkeys(federation.hosts[B].devices, Fraction(0))
    assert np.abs(opened(federation) - 0.11).max() < 15 * GRID


def test_a_device_that_cannot_pay_is_left_out(federation, without_noise):
    """Eligible while training, but not paid for: its row does not leave."""
    spend = federation.hosts[A].spend
    object.__setattr__(federation.hosts[A], "spend", lambda plan, devices: spend(plan, devices[1:]))
    assert np.abs(opened(federation) - 0.14).max() < 15 * GRID


def test_no_more_devices_than_planned(federation, without_noise):
    """A host with more devices than the roster plans sends the planned number, and the others spend nothing."""
    host = federation.hosts[A]
    extra = [f"extra/{number}" for number in range(4)]
    host.devices = host.devices + extra
    host.budget |= dict.fromkeys(extra, Fraction(1))
    assert np.abs(opened(federation) - 0.15).max() < 15 * GRID
    assert not {device for device, _ in host.spends} & set(extra)


def test_every_stage_repeats_its_bytes(federation):
    """A retry of any stage, as another attempt and after a restart, gets identical bytes; nothing is spent twice."""
    asked = []
    for stage in COLLECTING:
        _, requests = federation.until(stage)
        request = federation.announcement() if stage == "keys" else requests[A]
        asked.append((stage, request, federation.ask(A, stage, request)))
        federation.restart(A)
        for earlier, payload, reply in asked:
            assert federation.ask(A, earlier, payload, attempt=9) == reply
    assert len(federation.hosts[A].spends) == 3
    assert federation.hosts[A].calls.count("local_updates") == 1


def test_a_second_round_draws_fresh_noise(federation):
    """The same devices, twice: other keys, other noise, another spend."""
    payloads = []
    for _ in range(2):
        _, requests = federation.until("contribution")
        payloads.append(federation.ask(A, "contribution", requests[A]))
        federation.next_plan()
    first, second = (Contribution.decode(Signed.decode(payload).payload) for payload in payloads)
    assert first.vector != second.vector
    assert len(federation.hosts[A].spends) == 6


def test_refusals_cross_the_wire_as_codes(federation):
    """Wrong signature, replay, expiry, unknown model, wrong roster: each a refusal with its own code."""
    assert refused(federation.announce(A, server=federation.identities[B])) == "plan_unsigned"
    assert refused(federation.announce(A, roster=Federation().roster)) == "wrong_roster"
    federation.hosts[B].models.clear()
    assert refused(federation.announce(B)) == "model_missing"
    federation.hosts[C].now = NOW_UNIX_S + 61
    assert refused(federation.announce(C)) == "plan_expired"
    assert Signed.decode(federation.announce(A))
    other = dataclasses.replace(federation.plan, settings=(("rate", Fraction(1, 2)),))
    assert refused(federation.announce(A, other)) == "plan_replayed"


def test_a_pinned_roster_is_held_to(federation):
    """A host that pinned its peers' keys refuses every other roster."""
    federation.hosts[A].directory = Federation().roster
    assert refused(federation.announce(A)) == "wrong_roster"
    federation.hosts[B].directory = federation.roster
    assert Signed.decode(federation.announce(B))


def test_a_host_missing_from_the_roster_refuses(federation):
    """Its own entry must be there, with its own key."""
    federation.hosts[A].identity_key = federation.identities[B]
    assert refused(federation.announce(A)) == "wrong_roster"


def test_a_reused_mask_key_is_refused(federation):
    """An offer that repeats the mask key of an earlier round is refused by every other host."""
    federation.until("sign")
    old = federation.announce(B)
    federation.next_plan()
    aggregator, _ = federation.until("keys")
    offers = {host: federation.announce(host) for host in federation.hosts}
    mask_key = KeyOffer.decode(Signed.decode(old).payload).mask_key
    again = dataclasses.replace(KeyOffer.decode(Signed.decode(offers[B]).payload), mask_key=mask_key)
    offers[B] = sign(again, federation.identities[B]).encode()
    ring = KeyRing(aggregator.plan_digest, tuple(offers[host] for host in sorted(offers))).encode()
    assert refused(federation.ask(A, "shares", ring)) == "mask_key_reused"


def test_a_late_request_for_a_contribution_spends_nothing(federation):
    """After the deadline nothing is trained or spent; what was sent before is still repeated."""
    _, requests = federation.until("contribution")
    sent = federation.ask(B, "contribution", requests[B])
    for host_id in (A, B):
        federation.hosts[host_id].now = NOW_UNIX_S + 61
    assert refused(federation.ask(A, "contribution", requests[A])) == "plan_expired"
    assert not federation.hosts[A].spends
    assert federation.ask(B, "contribution", requests[B]) == sent


@pytest.mark.parametrize("stage", COLLECTING[1:])
def test_stages_of_an_unknown_plan_are_refused(federation, stage):
    """No stage is answered before the plan was agreed to."""
    assert refused(federation.ask(A, stage, b"")) == "out_of_order"


@pytest.mark.parametrize("data", [b"", b"TFW", b"\xff" * 64, RoundReply(bytes(32), "keys", 0, A, b"").encode()])
def test_nonsense_gets_a_refusal(federation, data):
    """Bytes that are no request are answered, not raised."""
    reply = RoundReply.decode(federation.participants[A].handle(data))
    assert refused(reply.payload)


@pytest.mark.parametrize("stage", [*COLLECTING, "released"])
def test_nonsense_payloads_get_a_refusal(federation, stage):
    """At every stage, after an honest announcement."""
    federation.announce(A)
    for payload in (b"", b"nonsense", federation.plan.encode()):
        assert refused(federation.ask(A, stage, payload))


def test_an_unexpected_error_tells_nothing(federation):
    """A fault inside the host becomes 'internal_error', and its message stays inside."""

    def broken(federation_name):
        raise RuntimeError("household 2497 bought shoes")

    object.__setattr__(federation.hosts[A], "last_position", broken)
    payload = federation.announce(A)
    assert refused(payload) == "internal_error"
    assert b"2497" not in payload


def artifact(federation, name="testing"):
    card = ArtifactCard(
        name="slots",
        version=1,
        federation=name,
        round_number=1,
        layout=(Block("alpha", 2),),
        features=(),
        epsilon=Fraction(4),
        delta=Fraction(1, 10**6),
        rho=Fraction(1, 100),
        ledger_head=bytes(32),
        parent=bytes(32),
        evaluation=(),
        training=(),
    )
    return sign(Artifact(card, pack_f64([1.0, 2.0])), federation.server)


def test_a_released_model_is_verified_and_installed(federation):
    """Only under the pinned key, bit for bit, and only of the host's own federation."""
    federation.hosts[A].policy = dataclasses.replace(federation.hosts[A].policy, require_ledger=False)
    signed = artifact(federation)
    assert federation.ask(A, "released", signed.encode()) == b""
    assert federation.hosts[A].installed == [signed.encode()]
    altered = dataclasses.replace(signed, payload=signed.payload[:-1] + bytes([signed.payload[-1] ^ 1]))
    assert refused(federation.ask(A, "released", altered.encode())) == "bad_signature"
    stranger = artifact(Federation())
    assert refused(federation.ask(A, "released", stranger.encode())) == "wrong_signer"
    federation.hosts[A].policy = dataclasses.replace(federation.hosts[A].policy, federation="testing")
    assert refused(federation.ask(A, "released", artifact(federation, "other").encode())) == "wrong_federation"
    assert len(federation.hosts[A].installed) == 1


def test_a_request_for_another_plan_than_it_carries_is_refused(federation):
    """The envelope's digest must be the plan's."""
    request = RoundRequest(b"x" * 32, "keys", 0, federation.announcement())
    reply = RoundReply.decode(federation.participants[A].handle(request.encode()))
    assert refused(reply.payload) == "wrong_plan"


def test_a_fresh_host_has_no_history():
    """The fake starts empty."""
    host = MemoryHost("x", None, b"")
    assert host.last_position("testing") is None


def test_a_host_can_show_its_own_people_what_a_round_takes(federation):
    """The observer sees sum, sum plus noise and the very integers that leave; without masks the first two differ."""
    seen = []
    federation.participants[A] = participant.RoundParticipant(federation.hosts[A], seen.append)
    federation.until("opened")
    (view,) = seen
    assert view.devices == 3
    assert (view.total != view.noised).any()
    assert view.masked.min() >= 0
    assert view.masked.max() < 2**32
    assert ((view.noised - view.masked) % 2**32 != 0).mean() > 0.9
