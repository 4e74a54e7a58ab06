"""Do the masks cancel and look random, are the keys fresh, and does the host answer one list with one kind of share?

A round of four hosts in memory, one of which drops out before it contributes. All four are the host's own sessions.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from tactful_privacy.errors import TactfulError
from tactful_privacy.secagg import Aggregator, HostSession
from tactful_privacy.secagg.errors import SecondSurvivorList, TooFewSignatures, TooFewSurvivors
from tactful_privacy.secagg.testing import make_plan, make_roster
from tactful_privacy.selftest.bounds import LOG_ALARM, log_p_counts, log_p_fair
from tactful_privacy.selftest.findings import Finding, HostPath
from tactful_privacy.wire import (
    Contribution,
    KeyDirectory,
    RoundPlan,
    Signed,
    SurvivorCertificate,
    SurvivorList,
    UnmaskShares,
    sign_survivors,
)

DIMENSION = 512
_GONE = "host-03"


@dataclass(slots=True)
class _Rehearsal:
    """The round and what it left behind."""

    plan: RoundPlan
    directory: KeyDirectory
    identities: Mapping[str, Ed25519PrivateKey]
    sessions: Mapping[str, HostSession]
    aggregator: Aggregator
    vectors: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    masked: dict[str, NDArray[np.uint32]] = field(default_factory=dict)

    @property
    def staying(self) -> tuple[str, ...]:
        return tuple(host_id for host_id in self.sessions if host_id != _GONE)

    def listed(self, *survivors: str) -> SurvivorList:
        digests = self.aggregator.plan_digest, self.aggregator.keys_digest
        return SurvivorList(*digests, self.plan.previous_head, survivors)

    def certificate(self, listed: SurvivorList, signers: tuple[str, ...]) -> bytes:
        signatures = tuple(sign_survivors(listed, host_id, self.identities[host_id]) for host_id in signers)
        return SurvivorCertificate(listed, signatures).encode()


def protocol_checks(path: HostPath) -> Iterator[Finding]:
    """Check keys, masks, the opened sum, and what is answered when survivors are listed."""
    round_ = _start(path)
    yield _keys(path, round_)
    _to_contributions(round_)
    yield from _masks(round_)
    yield _few(round_)
    yield from _lists(round_)


def _start(path: HostPath) -> _Rehearsal:
    directory, identities = make_roster(4)
    plan = make_plan(directory, n_min=3, dimension=DIMENSION)
    sessions = {host_id: path.session(plan, directory, host_id, key) for host_id, key in identities.items()}
    return _Rehearsal(plan, directory, identities, sessions, Aggregator(plan, directory))


def _secrets(session: HostSession) -> list[str]:
    return list(json.loads(session.to_bytes())["secrets"].values())


def _keys(path: HostPath, round_: _Rehearsal) -> Finding:
    """No secret is drawn twice: over hosts, over kinds, and by one host for the next round and a repeated one."""
    me = next(iter(round_.sessions))
    later = make_plan(round_.directory, n_min=3, dimension=DIMENSION, round_number=2)
    again = [path.session(plan, round_.directory, me, round_.identities[me]) for plan in (later, round_.plan)]
    drawn = [secret for session in (*round_.sessions.values(), *again) for secret in _secrets(session)]
    fresh = len(set(drawn))
    return Finding("key_fresh", fresh == len(drawn) == 4 * 6, f"{fresh} of {len(drawn)} secrets differ")


def _to_contributions(round_: _Rehearsal) -> None:
    for session in round_.sessions.values():
        round_.aggregator.accept(session.offer())
    rings = round_.aggregator.close_stage()
    for host_id, session in round_.sessions.items():
        round_.aggregator.accept(session.shares(rings[host_id]))
    deliveries = round_.aggregator.close_stage()
    for number, host_id in enumerate(round_.staying):
        vector = np.arange(DIMENSION, dtype=np.int64) * (number + 1) - 700
        answer = round_.sessions[host_id].contribution(deliveries[host_id], vector, -3 * vector)
        round_.aggregator.accept(answer)
        packed = Contribution.decode(Signed.decode(answer).payload).vector
        round_.vectors[host_id] = -2 * vector
        sent = np.frombuffer(packed, dtype="<u4").astype(np.uint32)
        round_.masked[host_id] = sent - (-2 * vector & 0xFFFFFFFF).astype(np.uint32)


def _masks(round_: _Rehearsal) -> Iterator[Finding]:
    """Each host's mask, which is what it sent less its vector, is uniform, and no two are alike."""
    words = np.concatenate(list(round_.masked.values()))
    bits = np.unpackbits(words.astype("<u4").view(np.uint8))
    nibbles = np.bincount(np.concatenate([words.view(np.uint8) >> 4, words.view(np.uint8) & 15]), minlength=16)
    fair = log_p_fair(int(bits.sum()), len(bits))
    spread = log_p_counts(nibbles.tolist(), [1 / 16] * 16)
    uniform = min(fair, spread) > LOG_ALARM
    yield Finding("mask_uniform", uniform, f"bits ln p <= {fair:.1f}, nibbles ln p <= {spread:.1f}")
    # Two uniform words agree with probability 2^-32: among all pairs of 1,536, eight or more agreements are no chance.
    repeated = len(words) - len(np.unique(words))
    yield Finding("mask_fresh", repeated < 8, f"{repeated} of {len(words)} words repeat")


def _refuses(ask: Callable[[bytes], bytes], request: bytes, error: type[TactfulError]) -> bool:
    try:
        ask(request)
    except error:
        return True
    return False


def _few(round_: _Rehearsal) -> Finding:
    """A list of fewer than n_min survivors is not signed."""
    me = round_.staying[0]
    short = round_.listed(*round_.staying[:-1]).encode()
    return Finding("quorum", _refuses(round_.sessions[me].sign, short, TooFewSurvivors), "a list of n_min - 1")


def _lists(round_: _Rehearsal) -> Iterator[Finding]:
    """The one list is answered, with one kind of share for each host; a second list, or too few signers, is not."""
    lists = round_.aggregator.close_stage()
    for host_id in round_.staying:
        round_.aggregator.accept(round_.sessions[host_id].sign(lists[host_id]))
    certificates = round_.aggregator.close_stage()
    me, second = round_.staying[0], round_.listed(*round_.staying[:-1], _GONE)
    mine = round_.sessions[me]
    weak = round_.certificate(round_.listed(*round_.staying), round_.staying[:-1])
    yield Finding("certificate", _refuses(mine.unmask, weak, TooFewSignatures), "n_min - 1 signatures")
    one = _refuses(mine.sign, second.encode(), SecondSurvivorList)
    try:
        answers = {host_id: round_.sessions[host_id].unmask(certificates[host_id]) for host_id in round_.staying}
    except TactfulError as error:  # no message can hold both kinds of share of one host
        yield Finding("one_share", holds=False, seen=type(error).__name__)
        return
    other = round_.certificate(second, second.survivors)
    one = one and _refuses(mine.unmask, other, SecondSurvivorList)
    yield Finding("one_list", one, "a second list to sign, and to unmask")
    yield _one_share(round_, answers[me])
    for answer in answers.values():
        round_.aggregator.accept(answer)
    exact = bool(np.array_equal(round_.aggregator.open(), sum(round_.vectors.values())))
    yield Finding("masks_cancel", exact, "the opened sum against the sum of the vectors")


def _one_share(round_: _Rehearsal, answer: bytes) -> Finding:
    given = UnmaskShares.decode(Signed.decode(answer).payload)
    seeds = {host_id for host_id, _ in given.self_seed_shares}
    keys = {host_id for host_id, _ in given.mask_key_shares}
    holds = seeds == set(round_.staying) and keys == {_GONE}
    return Finding("one_share", holds, f"seeds of {len(seeds)} hosts, keys of {len(keys)}")
