"""A rehearsed federation to audit: the product's own participants, server and transport, in the claim's worst case.

The claim counts the noise of n_min − t hosts. So, of n hosts, n − n_min vanish after they have given their shares (the
latest point at which that costs noise), and t are the adversary's: the auditor's own, and t − 1 others whose noise he
is told. What is left over the canaries is the noise of exactly n_min − t hosts.

Only two things are light: hosts keep their round state in memory and not in a vault, and product devices contribute a
fixed vector instead of training. Neither is what this audit looks at; `tests/lab/test_audit_live.py` runs the same with
vaults.
"""

import tempfile
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from tactful.federation import ContributionView, HostRound, ParticipationPolicy, RoundParticipant
from tactful.federation.canary_host import CanaryHost, own_noise
from tactful.federation.flower import ParticipantFor, client_app
from tactful_privacy.audit.faults import PlantedFault
from tactful_privacy.audit.live import round_scores
from tactful_privacy.audit.target import AuditRoundVoid, TargetFacts
from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least
from tactful_privacy.wire import Block, HostEntry, KeyDirectory, RoundPlan, Signed, digest, sign
from tactful_server.aggregation import FedAvg
from tactful_server.federation import Exchange, Fault, Federation, RoundResult
from tactful_server.plans import RoundTerms
from tactful_server.service import ModelSpec

FEDERATION = "audited"
AUDITOR = "auditor"
MakeParticipant = Callable[[HostRound, Callable[[ContributionView], None] | None], RoundParticipant]
MODEL_DIMENSION = 53
"""As the product's activity head has it."""
CLIP_NORM = 0.4


@dataclass
class LightHost:
    """A `HostRound` in memory. Its devices contribute one fixed vector each, beyond the clip norm."""

    host_id: str
    server_key: bytes
    policy: ParticipationPolicy
    devices: tuple[str, ...]
    identity_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    directory: KeyDirectory | None = None
    blobs: dict[bytes, bytes] = field(default_factory=dict)
    position: tuple[int, int] | None = None
    mask_keys: dict[bytes, bytes] = field(default_factory=dict)
    models: set[bytes] = field(default_factory=set)
    spends: dict[tuple[int, str], bytes] = field(default_factory=dict)
    ledger: bytes | None = None

    def now_unix_s(self) -> int:
        """Long before any deadline."""
        return 0

    def last_position(self, federation: str) -> tuple[int, int] | None:  # noqa: ARG002 - it serves one federation
        """The last position saved."""
        return self.position

    def has_model(self, model_digest: bytes) -> bool:
        """Whether the model was installed."""
        return model_digest in self.models

    def eligible_devices(self, plan: RoundPlan) -> Sequence[str]:  # noqa: ARG002 - no budget runs out in a rehearsal
        """All devices."""
        return self.devices

    def local_updates(self, plan: RoundPlan, devices: Sequence[str]) -> NDArray[np.float64]:
        """The same alternating vector for each device, zero at the canaries."""
        model = plan.dimension - plan.canaries
        updates = np.zeros((len(devices), plan.dimension))
        updates[:, :model] = np.where(np.arange(model) % 2, -1.0, 1.0)
        return updates

    def spend(self, plan: RoundPlan, devices: Sequence[str]) -> Sequence[str]:
        """Each device pays once a round, for one plan."""
        name = digest(plan)
        return [device for device in devices if self.spends.setdefault((plan.round_number, device), name) == name]

    def load_round(self, plan_digest: bytes) -> bytes | None:
        """The blob last saved."""
        return self.blobs.get(plan_digest)

    def save_round(self, plan_digest: bytes, federation: str, position: tuple[int, int], blob: bytes) -> None:  # noqa: ARG002
        """Keep the newest plan's blob."""
        self.blobs = {plan_digest: blob}
        self.position = position

    def seen_mask_keys(self, plan_digest: bytes, keys: Collection[bytes]) -> Collection[bytes]:
        """Keys remembered for another plan."""
        return [key for key in keys if self.mask_keys.get(key, plan_digest) != plan_digest]

    def remember_mask_keys(self, plan_digest: bytes, keys: Collection[bytes]) -> None:
        """Remember them all."""
        self.mask_keys.update(dict.fromkeys(keys, plan_digest))

    def alone(self) -> AbstractContextManager[None]:
        """Nobody else has this memory."""
        return nullcontext()

    def ledger_state(self, federation: str) -> bytes | None:  # noqa: ARG002 - it serves one federation
        """What the host knows of the ledger."""
        return self.ledger

    def save_ledger_state(self, federation: str, state: bytes) -> None:  # noqa: ARG002 - as above
        """Keep it."""
        self.ledger = state

    def install(self, artifact: bytes) -> None:
        """Know the model."""
        self.models.add(digest(Signed.decode(artifact).payload))


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The size and the promise of a rehearsed federation.

    Attributes:
        canaries: m.
        rounds: T, over which the promise is spread; an audit of the whole promise runs as many.
        epsilon: central ε of the promise.
        delta: the δ beside it.
        hosts: n, the auditor's included.
        colluders: t, the auditor's included; 0 leaves the auditor's noise in.
        devices: product enrolments of each other host.
    """

    canaries: int = 1000
    rounds: int = 1
    epsilon: float = 4.0
    delta: float = 1e-6
    hosts: int = 5
    colluders: int = 1
    devices: int = 30

    def __post_init__(self) -> None:
        at_least(2, canaries=self.canaries)
        at_least(1, rounds=self.rounds, devices=self.devices)
        at_least(0, colluders=self.colluders)
        if self.n_min > self.hosts:
            raise InvalidInput(
                f"is {self.hosts}", field="hosts", remedy=f"give at least {self.n_min} hosts, or fewer colluders"
            )

    @property
    def n_min(self) -> int:
        """The least number of survivors for which 2·n_min > n + t."""
        return (self.hosts + self.colluders) // 2 + 1

    @property
    def names(self) -> tuple[str, ...]:
        """Of the hosts: the auditor's, the other colluders, the honest ones, and at last those who drop out."""
        return (AUDITOR, *(f"host-{number:03}" for number in range(1, self.hosts)))

    @property
    def terms(self) -> RoundTerms:
        """Of every round."""
        return RoundTerms(
            epsilon=self.epsilon,
            delta=self.delta,
            participations=self.rounds,
            clip_norm=CLIP_NORM,
            n_min=self.n_min,
            colluders=self.colluders,
            canaries=self.canaries,
            audit_hosts=(AUDITOR,),
        )

    @property
    def policy(self) -> ParticipationPolicy:
        """Of every host: the same promise, worked out by itself."""
        return ParticipationPolicy(
            n_min=self.n_min,
            colluders=self.colluders,
            epsilon=self.epsilon,
            delta=self.delta,
            participations=self.rounds,
            max_canaries=self.canaries,
            federation=FEDERATION,
        )


class RehearsedTarget:
    """Implements `RoundTarget`.

    Attributes:
        setting: its size and promise.
        server: the federation's server.
        hosts: by name, the light hosts; the auditor's is wrapped in ``auditor``.
        auditor: the canary host.
        participants: by name; a planted fault may replace one.
        everybody_stays: whether nobody drops out; False is the claim's worst case.
        last: result of the last round.
    """

    def __init__(self, setting: Rehearsal) -> None:
        self.setting = setting
        self._home = tempfile.TemporaryDirectory(prefix="tactful-audit-")
        model = ModelSpec("audited", (Block("theta", MODEL_DIMENSION),), np.zeros(MODEL_DIMENSION))
        self.server = Federation.open(
            Path(self._home.name), FEDERATION, terms=setting.terms, model=model, optimiser=FedAvg()
        )
        self.hosts = {name: self._host(name) for name in setting.names}
        canaries = self.hosts[AUDITOR]
        self.auditor = CanaryHost(canaries, canaries.devices, np.zeros(setting.canaries, dtype=np.bool_))
        self._known: list[NDArray[np.int64]] = []
        self.participants = {name: self.participant(name) for name in setting.names}
        self.everybody_stays = False
        self.last: RoundResult | None = None
        self._before = self._after = self.server.office.current().digest
        self._facts = TargetFacts.of_plan(self.server.office.next_plan(self.server.directory))

    def _host(self, name: str) -> LightHost:
        count = self.setting.canaries if name == AUDITOR else self.setting.devices
        devices = tuple(f"{name}/{number:04}" for number in range(count))
        host = LightHost(name, self.server.server_key, self.setting.policy, devices)
        host.install(self.server.signed_model())
        public = host.identity_key.public_key().public_bytes_raw()
        self.server.enrol(sign(HostEntry(name, public, count), host.identity_key))
        return host

    def participant(self, name: str, make: MakeParticipant = RoundParticipant) -> RoundParticipant:
        """Return a participant for the host of that name: the product's, or one with a planted fault."""
        host = self.auditor if name == AUDITOR else self.hosts[name]
        colludes = name in self.setting.names[: self.setting.colluders]
        return make(host, self._tell if colludes else None)

    def faults(self) -> Sequence[PlantedFault]:
        """What can be planted in it; see `tactful_lab.audit.faults`."""
        from tactful_lab.audit.faults import planted_faults

        return planted_faults(self)

    def _tell(self, view: ContributionView) -> None:
        self._known.append(own_noise(view))

    @property
    def facts(self) -> TargetFacts:
        """The claim of a round."""
        return self._facts

    @property
    def canaries(self) -> int:
        """How many canaries, m."""
        return self.setting.canaries

    @property
    def rounds(self) -> int:
        """Over how many rounds the promise is spread, T."""
        return self.setting.rounds

    @property
    def model_before(self) -> bytes:
        """Digest of the model that the last round started from."""
        return self._before

    @property
    def model_after(self) -> bytes:
        """Digest of the model that the last round released."""
        return self._after

    def run_round(self, inserted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Run one audit round; see `RoundTarget.run_round`.

        Raises:
            InvalidInput: not one coin per canary.
            AuditRoundVoid: the round became void.
        """
        if inserted.shape != (self.canaries,):
            raise InvalidInput(f"has shape {inserted.shape}", field="inserted", remedy=f"give shape ({self.canaries},)")
        self.auditor.inserted = inserted
        self._known.clear()
        self._before = self.server.office.current().digest
        apps = {name: client_app(_always(participant)) for name, participant in self.participants.items()}
        (self.last,) = self.server.run(apps, rounds=1, faults=self._weather)
        if self.last.total is None:
            drops = {host: drop.code for host, drop in self.last.dropped.items()}
            raise AuditRoundVoid(f"{self.last.reason}: {drops}", field="round", remedy="see why the hosts refused")
        self._after = self.last.model_digest
        known = np.zeros(self.canaries, dtype=np.int64)
        for noise in self._known:
            known += noise
        return round_scores(self._facts, self.last.total[-self.canaries :], known)

    def _weather(self, exchange: Exchange) -> Fault | None:
        """The last n − n_min hosts are never heard again once they have given their shares."""
        gone = not self.everybody_stays and exchange.host_id in self.setting.names[self.setting.n_min :]
        return Fault.LOSE_REQUEST if gone and exchange.stage in ("contribution", "sign", "unmask") else None

    def close(self) -> None:
        """Close the server and remove its files."""
        self.server.close()
        self._home.cleanup()


def _always(participant: RoundParticipant) -> ParticipantFor:
    return lambda _context: participant


def open_target(
    *,
    canaries: int = 1000,
    rounds: int = 1,
    epsilon: float = 4.0,
    delta: float = 1e-6,
    hosts: int = 5,
    colluders: int = 1,
    devices: int = 30,
) -> RehearsedTarget:
    """Open a rehearsed federation to audit; see `Rehearsal` for the options."""
    return RehearsedTarget(Rehearsal(canaries, rounds, epsilon, delta, hosts, colluders, devices))
