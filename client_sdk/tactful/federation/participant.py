"""A host in a round: request bytes in, reply bytes out, and never an exception across the wire.

Order is what the guarantee hangs on. A contribution leaves only after (1) the plan stood the check against the host's
own policy, (2) every contributing device's spend was durable, (3) the very bytes that leave were stored. A crash before
(3) means that nothing left; from then on a retry sends those bytes. Noise is drawn once, between (2) and (3).
"""

import logging
import os
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tactful.federation import refusals
from tactful.federation.clip_bit import for_training, with_clip_bit
from tactful.federation.host_round import HostRound
from tactful.federation.ledger_view import LedgerView, require_chained
from tactful.federation.policy import check_plan, open_plan
from tactful.federation.release import take_release
from tactful_privacy.accounting.modes import CENTRAL, LOCAL, REHEARSAL
from tactful_privacy.errors import ProtocolError, SelfTestFailed, TactfulError
from tactful_privacy.mechanisms.discrete_gaussian import sample
from tactful_privacy.mechanisms.entropy import Entropy
from tactful_privacy.mechanisms.grid import encode_block
from tactful_privacy.secagg import HostSession
from tactful_privacy.secagg.errors import OutOfOrder, WrongPlan
from tactful_privacy.selftest import HostPath, SelfTestReport, inspect
from tactful_privacy.wire import (
    Contribution,
    KeyDirectory,
    Refusal,
    RoundAnnouncement,
    RoundPlan,
    RoundReply,
    RoundRequest,
    Signed,
    WireError,
    digest,
)

_log = logging.getLogger(__name__)
_DETAIL_BYTES = 1_000
_NO_PLAN = bytes(32)


def code_of(error: Exception) -> str:
    """Return the stable code of an error: its ``code``, or its class name in snake case; unknown ones are internal."""
    if not isinstance(error, TactfulError):
        return "internal_error"
    named = getattr(error, "code", None)
    return str(named) if named else re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()


@dataclass(frozen=True, slots=True, eq=False)
class ContributionView:
    """One contribution in its three states, for the host's own eyes.

    Attributes:
        plan: of the round.
        total: sum of the devices' encoded updates in grid units, int64 (plan.dimension,).
        noised: the same plus the host's share of the noise.
        masked: what leaves, integers modulo 2^32.
        devices: how many devices are in the sum.
    """

    plan: RoundPlan
    total: NDArray[np.int64]
    noised: NDArray[np.int64]
    masked: NDArray[np.int64]
    devices: int


class RoundParticipant:
    """Answers a server's requests for one host.

    It answers one request at a time, and so do all participants of a vault together, whatever process they are in: no
    stage is worked out twice.

    Args:
        host: everything durable, secret or slow.
        observe: called in this process with each contribution before it leaves, so that a host can show its own people
            what a round takes from them. What it is given must not leave the host.
    """

    def __init__(self, host: HostRound, observe: Callable[[ContributionView], None] | None = None) -> None:
        self._host = host
        self._observe = observe
        self._lock = threading.Lock()
        self._mode = ""
        self._tried: SelfTestReport | None = None

    def handle(self, request: bytes) -> bytes:
        """Return the encoded `RoundReply` to an encoded `RoundRequest`; a refusal is a reply as well.

        The same stage with the same payload gets identical bytes in the payload, whatever the attempt.
        """
        with self._lock:
            try:
                message = RoundRequest.decode(request)
            except WireError as error:
                return self._refusal(RoundRequest(_NO_PLAN, "keys", 0, b""), error)
            try:
                with self._host.alone():
                    payload = self._answer(message)
            except Exception as error:  # noqa: BLE001 - nothing may cross the wire but a typed refusal
                return self._refusal(message, error)
            return self._reply(message, payload)

    def _reply(self, request: RoundRequest, payload: bytes) -> bytes:
        host_id = self._host.host_id
        return RoundReply(request.plan_digest, request.stage, request.attempt, host_id, payload).encode()

    def _refusal(self, request: RoundRequest, error: Exception) -> bytes:
        code = code_of(error)
        _log.warning("refused stage %s: %s (%s)", request.stage, code, type(error).__name__)
        # Only what the protocol itself says may leave: other errors could quote what a device holds.
        speaks = isinstance(error, ProtocolError | WireError)
        detail = str(error) if speaks else "see the log of the host"
        short = detail.encode()[:_DETAIL_BYTES].decode(errors="ignore")
        refusal = Refusal(request.plan_digest, self._host.host_id, request.stage, code, short)
        return self._reply(request, refusal.encode())

    def _answer(self, request: RoundRequest) -> bytes:
        if request.stage == "released":
            return take_release(self._host, request)
        self._require_sound()
        if request.stage == "keys":
            return self._keys(request)
        session = self._resume(request.plan_digest)
        if request.stage == "shares":
            return self._shares(session, request.payload)
        if request.stage == "contribution":
            return self._contribution(session, request.payload)
        answer = {"sign": session.sign, "endorse": session.endorse}.get(request.stage, session.unmask)
        reply = answer(request.payload)
        self._save(session)
        return reply

    def _require_sound(self) -> None:
        """Try this host's own encoder, noise and masks once, before its first answer; a failure lasts."""
        if self._tried is None:
            self._tried = inspect(host_path())
        if self._tried.failed:
            _log.error("the self-test failed: %s", ", ".join(self._tried.failed))
            raise SelfTestFailed(self._tried.failed)

    def _resume(self, plan_digest: bytes) -> HostSession:
        blob = self._host.load_round(plan_digest)
        if blob is None:
            remedy = "announce the plan first; a host that refused it takes no part"
            raise OutOfOrder("this host did not agree to that plan", field="plan_digest", remedy=remedy)
        return HostSession.from_bytes(blob, self._host.identity_key)

    def _save(self, session: HostSession) -> None:
        plan = session.plan
        position = (plan.round_number, plan.attempt)
        self._host.save_round(digest(plan), plan.federation, position, session.to_bytes())

    # Stage 1

    def _keys(self, request: RoundRequest) -> bytes:
        announcement = RoundAnnouncement.decode(request.payload)
        plan = open_plan(announcement.signed_plan, self._host.server_key)
        if digest(plan) != request.plan_digest:
            raise WrongPlan(
                "names another plan", field="RoundRequest.plan_digest", remedy="send the digest of the plan"
            )
        if (blob := self._host.load_round(request.plan_digest)) is not None:
            return HostSession.from_bytes(blob, self._host.identity_key).offer()
        self._check(plan, announcement.directory)
        view = LedgerView.from_bytes(self._host.ledger_state(plan.federation))
        require_chained(plan, view, self._host.server_key)
        session = HostSession(plan, announcement.directory, self._host.host_id, self._host.identity_key)
        offer = session.offer()
        self._save(session)
        return offer

    def _check(self, plan: RoundPlan, directory: KeyDirectory) -> None:
        last = self._host.last_position(plan.federation)
        check_plan(plan, directory, self._host.policy, self._host.now_unix_s(), last)
        if self._mode not in ("", plan.mode):
            _log.warning("the mode of privacy changes from %r to %r; the policy names both", self._mode, plan.mode)
        self._mode = plan.mode
        pinned = self._host.directory
        if pinned is not None and digest(pinned) != plan.roster_digest:
            remedy = "agree on the new roster with the other hosts, then pin it"
            raise refusals.WrongRoster("is not the pinned one", field="roster_digest", remedy=remedy)
        entry = directory.entry(self._host.host_id)
        if entry is None or entry.identity_key != self._host.identity_key.public_key().public_bytes_raw():
            remedy = "enrol this host with its present identity key"
            raise refusals.WrongRoster("this host's own entry is missing or wrong", field="directory", remedy=remedy)
        self._require_model(plan)

    def _require_model(self, plan: RoundPlan) -> None:
        if not self._host.has_model(plan.model_digest):
            remedy = "release the model to this host before the round"
            raise refusals.ModelMissing(plan.model_digest.hex(), field="model_digest", remedy=remedy)

    # Stage 2

    def _shares(self, session: HostSession, key_ring: bytes) -> bytes:
        plan_digest = digest(session.plan)
        bundle = session.shares(key_ring, lambda mask_keys: self._host.seen_mask_keys(plan_digest, mask_keys))
        mask_keys = tuple(offer.mask_key for offer in session.ring.offers.values())
        self._host.remember_mask_keys(plan_digest, mask_keys)
        self._save(session)
        return bundle

    # Stage 3

    def _contribution(self, session: HostSession, delivery: bytes) -> bytes:
        if (stored := session.answered("contribution", delivery)) is not None:
            return stored
        session.check_delivery(delivery)
        plan = session.plan
        self._require_time(plan)
        self._require_model(plan)
        devices = self._devices(session)
        updates = self._updates(plan, devices)
        paid = frozenset(self._host.spend(plan, devices))
        rows = [row for row, device in enumerate(devices) if device in paid]
        total = _encode(plan, updates[rows])
        noise = _noise_for(plan, len(rows))
        contribution = session.contribution(delivery, total, noise)
        self._save(session)
        if self._observe is not None:
            masked = np.array(Contribution.decode(Signed.decode(contribution).payload).values(), dtype=np.int64)
            self._observe(ContributionView(plan, total, total + noise, masked, len(rows)))
        return contribution

    def _require_time(self, plan: RoundPlan) -> None:
        if self._host.now_unix_s() > plan.deadline_unix_s:
            message = "passed before the contribution was asked for"
            raise refusals.PlanExpired(message, field="deadline_unix_s", remedy="nothing was spent; plan another round")

    def _devices(self, session: HostSession) -> Sequence[str]:
        entry = session.directory.entry(self._host.host_id)
        cap = entry.planned_devices if entry else 0
        # The sum is divided by the planned devices, and the head-room is computed from them: more would break both.
        return tuple(dict.fromkeys(self._host.eligible_devices(session.plan)))[:cap]

    def _updates(self, plan: RoundPlan, devices: Sequence[str]) -> NDArray[np.float64]:
        """Return the devices' updates, shape (n, plan.dimension); a host may leave out an audit's coordinates.

        Their clip bits are added here, from what the trainer returned before any clipping. A device whose training
        fails counts as zero, since absence must not depend on data.
        """
        return with_clip_bit(plan, self._trained(for_training(plan), devices))

    def _trained(self, task: RoundPlan, devices: Sequence[str]) -> NDArray[np.float64]:
        """Train all devices at once; where that fails, halve them until the failing ones stand alone.

        One device's data must not change what another contributes: were all rows of a host zeroed, a single enrolment
        could change the sum by as many clip norms as the host has devices.

        Errors of our own (a damaged vault, a model that is gone) do not depend on what a device holds and are raised.
        """
        shape = (len(devices), task.dimension - task.canaries)
        try:
            updates = np.asarray(self._host.local_updates(task, devices), dtype=np.float64)
        except TactfulError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the training trips over is a property of the data
            _log.error("local training failed for %d devices: %s", len(devices), type(error).__name__)
        else:
            if updates.shape in (shape, (len(devices), task.dimension)):
                missing = np.zeros((len(devices), task.dimension - updates.shape[1]))
                return np.hstack([updates, missing])
            _log.error("local training gave shape %s, not %s", updates.shape, shape)
        if len(devices) <= 1:
            return np.zeros((len(devices), task.dimension))
        half = len(devices) // 2
        return np.vstack([self._trained(task, part) for part in (devices[:half], devices[half:])])


def host_path() -> HostPath:
    """Return the functions through which a contribution goes, looked up at each call: what a self-test tries."""
    return HostPath(
        lambda plan, updates, entropy: _encode(plan, updates, entropy),
        lambda plan, devices, entropy: _noise_for(plan, devices, entropy),
        HostSession,
    )


def _encode(plan: RoundPlan, updates: NDArray[np.float64], entropy: Entropy = os.urandom) -> NDArray[np.int64]:
    """Return the sum on the grid of updates of shape (n, plan.dimension), clipped, rounded and checked row by row."""
    clipped, clamped = _columns(plan)
    total = np.empty(plan.dimension, dtype=np.int64)
    total[np.concatenate([clipped, clamped])] = encode_block(
        updates[:, clipped],
        updates[:, clamped],
        clip_units=plan.clip_units,
        grid_exponent=plan.grid_exponent,
        norm_bound_squared=plan.norm_bound_squared,
        half_ranges=tuple(statistic.half_range_units for statistic in plan.statistics),
        entropy=entropy,
    ).total
    return total


def _columns(plan: RoundPlan) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which columns share the clip norm C (parameters and an audit's canaries), and which are statistics."""
    canaries = plan.dimension - plan.canaries
    statistics = canaries - len(plan.statistics)
    every = np.arange(plan.dimension)
    return np.delete(every, slice(statistics, canaries)), every[statistics:canaries]


def _noise_for(plan: RoundPlan, devices: int, entropy: Entropy = os.urandom) -> NDArray[np.int64]:
    """Return all the noise that this host adds: its own share, or what each of its devices adds for itself."""
    return _noise_of_devices(plan, devices, entropy) if plan.mode == LOCAL else _noise(plan, entropy)


def _noise(plan: RoundPlan, entropy: Entropy = os.urandom) -> NDArray[np.int64]:
    """Return this host's share of the noise, fresh: exact discrete Gaussian, variance in squared grid units."""
    if plan.mode in (CENTRAL, REHEARSAL):
        return np.zeros(plan.dimension, dtype=np.int64)
    return sample(plan.noise_variance_units, plan.dimension, entropy=entropy)


def _noise_of_devices(plan: RoundPlan, devices: int, entropy: Entropy) -> NDArray[np.int64]:
    """Return the sum of what each device adds for itself: all the noise it needs, whatever the others do."""
    total = np.zeros(plan.dimension, dtype=np.int64)
    for _ in range(devices):
        total += _noise(plan, entropy)
    return total
