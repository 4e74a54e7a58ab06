"""Tiny hosts with a known mean update, behind the real participant, and whole federations of them."""

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from tactful.federation.participant import RoundParticipant
from tactful.federation.policy import ParticipationPolicy
from tactful_privacy.wire import Artifact, Block, HostEntry, KeyDirectory, RoundPlan, Signed, digest, sign
from tactful_server.aggregation import FedAvg
from tactful_server.plans import RoundTerms
from tactful_server.service import ModelSpec

with warnings.catch_warnings():  # typer, which flwr imports, uses names that click deprecates
    warnings.simplefilter("ignore", DeprecationWarning)
    from tactful.federation.flower import client_app
    from tactful_server.federation import Federation

DIMENSION = 8
DEVICES = 10


@dataclass
class TinyHost:
    """A `HostRound` in memory: ten devices, each with the same known update."""

    host_id: str
    server_key: bytes
    policy: ParticipationPolicy
    update: NDArray[np.float64]
    identity_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    directory: KeyDirectory | None = None
    blobs: dict[bytes, bytes] = field(default_factory=dict)
    position: tuple[int, int] | None = None
    mask_keys: dict[bytes, bytes] = field(default_factory=dict)
    installed: list[bytes] = field(default_factory=list)
    spends: dict[tuple[int, str], bytes] = field(default_factory=dict)
    ledgers: dict[str, bytes] = field(default_factory=dict)
    on_install: Callable[[bytes], None] = lambda _artifact: None

    def now_unix_s(self) -> int:
        return 1_800_000_000

    def last_position(self, federation: str) -> tuple[int, int] | None:
        return self.position

    def has_model(self, model_digest: bytes) -> bool:
        return any(digest(Signed.decode(data).payload) == model_digest for data in self.installed)

    def eligible_devices(self, plan: RoundPlan) -> Sequence[str]:
        return [f"d{number}" for number in range(DEVICES)]

    def local_updates(self, plan: RoundPlan, devices: Sequence[str]) -> NDArray[np.float64]:
        statistics = np.full(len(plan.statistics), 0.5)
        return np.tile(np.concatenate([self.update, statistics]), (len(devices), 1))

    def spend(self, plan: RoundPlan, devices: Sequence[str]) -> Sequence[str]:
        name = digest(plan)
        return [device for device in devices if self.spends.setdefault((plan.round_number, device), name) == name]

    def alone(self) -> AbstractContextManager[None]:
        return nullcontext()

    def load_round(self, plan_digest: bytes) -> bytes | None:
        return self.blobs.get(plan_digest)

    def save_round(self, plan_digest: bytes, federation: str, position: tuple[int, int], blob: bytes) -> None:
        self.blobs[plan_digest], self.position = blob, position

    def seen_mask_keys(self, plan_digest: bytes, keys: Collection[bytes]) -> Collection[bytes]:
        return [key for key in keys if self.mask_keys.get(key, plan_digest) != plan_digest]

    def remember_mask_keys(self, plan_digest: bytes, keys: Collection[bytes]) -> None:
        self.mask_keys.update(dict.fromkeys(keys, plan_digest))

    def ledger_state(self, federation: str) -> bytes | None:
        return self.ledgers.get(federation)

    def save_ledger_state(self, federation: str, state: bytes) -> None:
        self.ledgers[federation] = state

    def install(self, artifact: bytes) -> None:
        self.on_install(artifact)
        self.installed.append(artifact)

    def entry(self) -> Signed:
        return sign(
            HostEntry(self.host_id, self.identity_key.public_key().public_bytes_raw(), DEVICES), self.identity_key
        )


@dataclass
class World:
    """A federation with its hosts."""

    home: Path
    federation: Federation
    hosts: dict[str, TinyHost]
    options: dict[str, Any]

    @property
    def participants(self) -> dict[str, RoundParticipant]:
        return {name: RoundParticipant(host) for name, host in self.hosts.items()}

    @property
    def apps(self) -> Mapping[str, Any]:
        return {name: client_app(lambda _c, p=part: p) for name, part in self.participants.items()}

    def run(self, rounds: int = 1, **more: Any) -> list[Any]:
        return list(self.federation.run(self.apps, rounds=rounds, **more))

    def parameters(self) -> NDArray[np.float64]:
        artifact: Artifact = self.federation.model()
        return np.array(artifact.values())

    def mean(self, survivors: Collection[str]) -> NDArray[np.float64]:
        return np.mean([self.hosts[name].update for name in survivors], axis=0)

    def reopen(self) -> None:
        """As after a crash: everything but the disk is forgotten."""
        self.federation.close()
        self.federation = Federation.open(self.home, "shop", **self.options)
        self.federation.office.now_unix_s = lambda: 1_800_000_000


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Build a federation: ``noise=False`` rehearses without noise, so that sums are exact to the rounding."""
    worlds: list[World] = []

    def build(n: int = 5, *, noise: bool = False, n_min: int = 4, colluders: int = 1, **terms: Any) -> World:
        epsilon = 8.0 if noise else float("inf")
        policy = ParticipationPolicy(
            n_min=n_min, colluders=colluders, epsilon=epsilon, participations=5, rehearsal=not noise
        )
        options = {
            "terms": RoundTerms(epsilon, 1e-6, 5, 1.0, n_min, colluders, **terms),
            "model": ModelSpec("tiny", (Block("theta", DIMENSION),), np.zeros(DIMENSION)),
            "optimiser": FedAvg(),
        }
        home = tmp_path / f"world-{len(worlds)}"
        federation = Federation.open(home, "shop", **options)
        federation.office.now_unix_s = lambda: 1_800_000_000
        rng = np.random.default_rng(7)
        hosts = {}
        for number in range(n):
            update = rng.normal(size=DIMENSION)
            name = f"host-{number}"
            hosts[name] = TinyHost(name, federation.server_key, policy, 0.5 * update / np.linalg.norm(update))
            hosts[name].install(federation.signed_model())
            federation.enrol(hosts[name].entry())
        worlds.append(World(home, federation, hosts, options))
        return worlds[-1]

    yield build
    for world in worlds:
        world.federation.close()
