"""One device through one real round, with every byte that leaves it written down.

The host under the tap is the product's own: vault, policy, training, participant. The others of the roster are there
only because a host refuses a round without them; they contribute zeros. Nothing is sent over a network.
"""

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tactful.features import DIMENSION
from tactful.federation._tapped_release import TappedLedger
from tactful.federation.participant import ContributionView, RoundParticipant
from tactful.federation.policy import ParticipationPolicy
from tactful.federation.vault_round import PURPOSES, VaultRound
from tactful.host import Host
from tactful.keys import key_provider
from tactful.model import Model
from tactful.testing import MemoryKey
from tactful.training import task_layout
from tactful_privacy.accounting.calibration import calibrate
from tactful_privacy.mechanisms.discrete_gaussian import sample
from tactful_privacy.secagg import COLLECTING, Aggregator, HostSession
from tactful_privacy.secagg.testing import answer
from tactful_privacy.wire import (
    Artifact,
    ArtifactCard,
    Block,
    HostEntry,
    KeyDirectory,
    RoundAnnouncement,
    RoundPlan,
    RoundReply,
    RoundRequest,
    digest,
    pack_f64,
    sign,
)

HOSTS, COLLUDERS = 4, 1
PRICE_EPSILON, DELTA, PARTICIPATIONS = 4.0, 1e-6, 120
_TAPPED = "tapped"
_FEDERATION = "wire-tap"
_SETTINGS = (("curvature_scale", Fraction(2, 5)), ("rows_scale", Fraction(1500)))
_CLIP_NORM = 0.02


@dataclass(frozen=True, slots=True)
class Leaving:
    """One message that left.

    Attributes:
        stage: of the round, or ``enrolment``.
        data: its bytes.
        seconds: from the request to the answer.
    """

    stage: str
    data: bytes
    seconds: float


class _OneDevice(VaultRound):
    """The host's part in a round with one of its devices alone."""

    def __init__(self, host: Host, user_id: str, **options: Any) -> None:
        super().__init__(host, **options)
        self._only = str(host.find(user_id).id)

    def eligible_devices(self, plan: RoundPlan) -> Sequence[str]:
        """The one device, if it is eligible."""
        return [device for device in super().eligible_devices(plan) if device == self._only]


@dataclass(slots=True)
class Tap:
    """A server's key, a roster with one real host in it, and what that host has said.

    Args:
        host: open.
        user_id: the one person whose device takes part, if it consents and can pay.
        observe: given the contribution in its three states before it leaves.
    """

    host: Host
    user_id: str
    observe: Callable[[ContributionView], None] | None = None
    took_part: bool = False
    said: list[Leaving] = field(default_factory=list)
    _server: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    _others: dict[str, Ed25519PrivateKey] = field(default_factory=dict)

    def run(self) -> list[Leaving]:
        """Enrol, answer one round from its announcement to its release; return all that left, in order."""
        with tempfile.TemporaryDirectory(prefix="tactful-wire-") as folder:
            return self._run(TappedLedger(Path(folder), _FEDERATION, self._server))

    def _run(self, ledger: TappedLedger) -> list[Leaving]:
        directory = self._enrol()
        model = self._model()
        plan = self._plan(directory, model, ledger.head)
        policy = ParticipationPolicy(n_min=HOSTS - 1, colluders=COLLUDERS, epsilon=PRICE_EPSILON, delta=DELTA)
        side = _OneDevice(self.host, self.user_id, host_id=_TAPPED, server_key=self._server_key, policy=policy)
        self.took_part = bool(side.eligible_devices(plan))
        side.install(sign(model, self._server).encode())
        participant = RoundParticipant(side, self.observe)
        sessions = {name: HostSession(plan, directory, name, key) for name, key in self._others.items()}
        aggregator = self._drive(plan, directory, participant, sessions)
        self._ask(participant, plan, "released", ledger.release(plan, directory, aggregator, model))
        return self.said

    @property
    def _server_key(self) -> bytes:
        return self._server.public_key().public_bytes_raw()

    def _enrol(self) -> KeyDirectory:
        started = time.perf_counter()
        mine = HostEntry(_TAPPED, self.host.public_key, 1)
        signed = sign(mine, self.host.identity_key).encode()
        self.said.append(Leaving("enrolment", signed, time.perf_counter() - started))
        self._others = {f"other-{number}": Ed25519PrivateKey.generate() for number in range(1, HOSTS)}
        others = [HostEntry(name, key.public_key().public_bytes_raw(), 1) for name, key in self._others.items()]
        return KeyDirectory(_FEDERATION, tuple(sorted((mine, *others), key=lambda entry: entry.host_id)))

    def _model(self) -> Artifact:
        card = ArtifactCard(
            name="wire-tap",
            version=0,
            federation=_FEDERATION,
            round_number=0,
            layout=Model.layout(),
            features=Model.feature_units(),
            epsilon=None,
            delta=Fraction(1, 10**6),
            rho=None,
            ledger_head=bytes(32),
            parent=bytes(32),
            evaluation=(),
            training=(),
        )
        return Artifact(card, pack_f64(Model.prior().to_parameters().tolist()))

    def _plan(self, directory: KeyDirectory, model: Artifact, previous_head: bytes) -> RoundPlan:
        layout: tuple[Block, ...] = task_layout("gradient")
        found = calibrate(
            epsilon=PRICE_EPSILON,
            delta=DELTA,
            participations=PARTICIPATIONS,
            n_min=HOSTS - 1,
            colluders=COLLUDERS,
            clip_norm=_CLIP_NORM,
            total_devices=HOSTS,
            dimension=DIMENSION,
            n_hosts=HOSTS,
        )
        return RoundPlan(
            federation=_FEDERATION,
            round_number=1,
            attempt=0,
            mode="distributed",
            task="gradient",
            settings=_SETTINGS,
            model_digest=model.digest,
            layout=layout,
            statistics=(),
            clip_units=found.clip_units,
            grid_exponent=found.grid_exponent,
            norm_bound_squared=found.norm_bound_squared,
            noise_variance_units=found.noise_variance_units,
            modulus_bits=32,
            roster_digest=digest(directory),
            n_hosts=HOSTS,
            n_min=HOSTS - 1,
            colluders=COLLUDERS,
            share_threshold=HOSTS - 1,
            deadline_unix_s=int(time.time()) + 600,
            rho=found.rho_per_round,
            previous_head=previous_head,
        )

    def _drive(
        self,
        plan: RoundPlan,
        directory: KeyDirectory,
        participant: RoundParticipant,
        sessions: Mapping[str, HostSession],
    ) -> Aggregator:
        aggregator = Aggregator(plan, directory)
        zeros = np.zeros(plan.dimension, dtype=np.int64)
        announcement = RoundAnnouncement(sign(plan, self._server).encode(), directory).encode()
        requests: Mapping[str, bytes] = dict.fromkeys((_TAPPED, *sessions), announcement)
        for stage in COLLECTING:
            for name, request in requests.items():
                if name == _TAPPED:
                    aggregator.accept(self._ask(participant, plan, stage, request))
                else:
                    noise = sample(plan.noise_variance_units, plan.dimension)
                    aggregator.accept(answer(sessions[name], stage, request, (zeros, noise)))
            if stage != "unmask":
                requests = aggregator.close_stage()
        aggregator.open()
        return aggregator

    def _ask(self, participant: RoundParticipant, plan: RoundPlan, stage: str, payload: bytes) -> bytes:
        request = RoundRequest(digest(plan), stage, 0, payload).encode()
        started = time.perf_counter()
        reply = participant.handle(request)
        self.said.append(Leaving(stage, reply, time.perf_counter() - started))
        return RoundReply.decode(reply).payload


def invent_a_device(host: Host, user_id: str, *, events: int) -> None:
    """Enrol one invented person, who consents, with a purchase on each of the last ``events`` days."""
    host.enrol_many([user_id], consents=tuple(sorted(PURPOSES)), policy_version="wire-tap")
    now = host.now()
    host.track_many((user_id, "purchase", now - timedelta(days=back), {}) for back in range(events, 0, -1))


@contextmanager
def opened_copy(vault: Path, keys: str) -> Iterator[Host]:
    """Open a private copy of a vault, without what binds it to its federation; deleted afterwards.

    The round runs on the copy, so that the person's own budget is not spent on being looked at.

    Raises:
        VaultError, KeyProblem: see `tactful.errors`.
    """
    key = key_provider(keys, vault.parent).load()
    folder = Path(tempfile.mkdtemp(prefix="tactful-wire-"))  # only its owner may read it
    try:
        target = folder / vault.name
        source = sqlite3.connect(f"{vault.absolute().as_uri()}?mode=ro", uri=True)
        with closing(source), closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
            copy.execute("DELETE FROM models")
            copy.execute("DELETE FROM meta WHERE name='server_key'")
            copy.commit()
        target.chmod(0o600)
        with Host.open(target, keys=MemoryKey(key), strict=True) as host:
            yield host
    finally:
        shutil.rmtree(folder, ignore_errors=True)
