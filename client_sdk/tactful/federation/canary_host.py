"""An auditor's own host: it takes part as any host does, and its enrolments are canaries.

Canary i is one enrolment. If its coin fell so, it contributes to every audit round a push at audit coordinate i, many
times the clip norm, of which the clip leaves exactly C; otherwise it stays away. Everything else (plan check, spending,
noise, masks, survivor list) is done by the participant and the host underneath, untouched.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from tactful.errors import InvalidInput
from tactful.federation.host_round import HostRound, RoundPosition
from tactful.federation.participant import ContributionView
from tactful.federation.policy import ParticipationPolicy
from tactful_privacy.audit.canaries import PUSH
from tactful_privacy.audit.coins import CoinsFile
from tactful_privacy.wire import KeyDirectory, RoundPlan


class CanaryHost:
    """Implements `HostRound` over another one, whose devices it turns into canaries.

    Attributes:
        inserted: the coins, shape (m,).

    Args:
        inner: keeps keys, spends and round state; a `VaultRound` in a live audit.
        devices: one device reference of ``inner`` per canary.
        inserted: the coins.
        push: what a canary asks for, in clip norms.

    Raises:
        InvalidInput: not one device per coin.
    """

    def __init__(
        self, inner: HostRound, devices: Sequence[str], inserted: NDArray[np.bool_], *, push: float = PUSH
    ) -> None:
        if len(set(devices)) != len(inserted):
            remedy = "enrol one device per coin on the auditor's host"
            raise InvalidInput(f"are {len(set(devices))} for {len(inserted)} coins", field="devices", remedy=remedy)
        self._inner = inner
        self._number = {device: number for number, device in enumerate(devices)}
        self._push = push
        self.inserted = inserted

    # What an audit changes

    def eligible_devices(self, plan: RoundPlan) -> Sequence[str]:
        """The canaries which are in and can pay; none in a round that is not an audit of this size."""
        if plan.canaries != len(self.inserted):
            return ()
        able = set(self._inner.eligible_devices(plan))
        return [device for device, number in self._number.items() if self.inserted[number] and device in able]

    def local_updates(self, plan: RoundPlan, devices: Sequence[str]) -> NDArray[np.float64]:
        """Each canary's push at its own coordinate; zero for model and statistics. Shape (n, plan.dimension)."""
        updates = np.zeros((len(devices), plan.dimension))
        first = plan.dimension - plan.canaries
        for row, device in enumerate(devices):
            updates[row, first + self._number[device]] = self._push * plan.clip_norm
        return updates

    # What it does not

    @property
    def host_id(self) -> str:
        """The inner host's."""
        return self._inner.host_id

    @property
    def identity_key(self) -> Ed25519PrivateKey:
        """The inner host's."""
        return self._inner.identity_key

    @property
    def server_key(self) -> bytes:
        """The inner host's."""
        return self._inner.server_key

    @property
    def policy(self) -> ParticipationPolicy:
        """The inner host's."""
        return self._inner.policy

    @property
    def directory(self) -> KeyDirectory | None:
        """The inner host's."""
        return self._inner.directory

    def now_unix_s(self) -> int:
        """The inner host's."""
        return self._inner.now_unix_s()

    def last_position(self, federation: str) -> RoundPosition | None:
        """The inner host's."""
        return self._inner.last_position(federation)

    def has_model(self, model_digest: bytes) -> bool:
        """The inner host's."""
        return self._inner.has_model(model_digest)

    def spend(self, plan: RoundPlan, devices: Sequence[str]) -> Sequence[str]:
        """A canary pays as every enrolment does."""
        return self._inner.spend(plan, devices)

    def load_round(self, plan_digest: bytes) -> bytes | None:
        """The inner host's."""
        return self._inner.load_round(plan_digest)

    def save_round(self, plan_digest: bytes, federation: str, position: RoundPosition, blob: bytes) -> None:
        """The inner host's."""
        self._inner.save_round(plan_digest, federation, position, blob)

    def seen_mask_keys(self, plan_digest: bytes, keys: Collection[bytes]) -> Collection[bytes]:
        """The inner host's."""
        return self._inner.seen_mask_keys(plan_digest, keys)

    def remember_mask_keys(self, plan_digest: bytes, keys: Collection[bytes]) -> None:
        """The inner host's."""
        self._inner.remember_mask_keys(plan_digest, keys)

    def alone(self) -> AbstractContextManager[None]:
        """The inner host's."""
        return self._inner.alone()

    def ledger_state(self, federation: str) -> bytes | None:
        """The inner host's."""
        return self._inner.ledger_state(federation)

    def save_ledger_state(self, federation: str, state: bytes) -> None:
        """The inner host's."""
        self._inner.save_ledger_state(federation, state)

    def install(self, artifact: bytes) -> None:
        """The inner host's."""
        self._inner.install(artifact)


def own_noise(view: ContributionView) -> NDArray[np.int64]:
    """Return what this host itself added to the canary coordinates, grid units, int64 (plan.canaries,)."""
    return (view.noised - view.total)[view.plan.dimension - view.plan.canaries :]


def recorder(coins: CoinsFile) -> Callable[[ContributionView], None]:
    """Return what the auditor's participant observes with: each audit round goes into the coins file."""
    return lambda view: coins.record(view.plan, own_noise(view))
