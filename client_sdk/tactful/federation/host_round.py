"""What the round participant needs of the host that embeds it: one protocol, implemented over the vault.

The participant is pure protocol; everything durable, secret or slow is behind `HostRound`. Three of its methods carry
the privacy claim and must be **power-loss durable before they return**: `spend`, `save_round` and `remember_mask_keys`.
"""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from tactful.federation.policy import ParticipationPolicy
from tactful_privacy.wire import KeyDirectory, RoundPlan

RoundPosition = tuple[int, int]
"""(round number, attempt) of a plan: plans are answered in strictly rising order of this pair."""


@runtime_checkable
class HostRound(Protocol):
    """A host as the round participant sees it.

    Device references are opaque strings; the participant only hands them back.
    """

    @property
    def host_id(self) -> str:
        """This host's name in the key directory."""
        ...

    @property
    def identity_key(self) -> Ed25519PrivateKey:
        """The long-term key which signs everything that the host says in a round."""
        ...

    @property
    def server_key(self) -> bytes:
        """The pinned Ed25519 public key, 32 bytes, which signs plans and artifacts."""
        ...

    @property
    def policy(self) -> ParticipationPolicy:
        """The host's own terms: collusion bound, noise floor, limits. Never taken from a message."""
        ...

    @property
    def directory(self) -> KeyDirectory | None:
        """The pinned roster, if the hosts agreed on one out of band; None accepts the one which the plan names."""
        ...

    def now_unix_s(self) -> int:
        """Seconds since the epoch. Used for the deadline alone: nothing else trusts the clock."""
        ...

    def last_position(self, federation: str) -> RoundPosition | None:
        """The highest (round number, attempt) whose plan this host has answered; None before the first."""
        ...

    def has_model(self, model_digest: bytes) -> bool:
        """Whether the model with this digest is installed, so that training can start from it."""
        ...

    def eligible_devices(self, plan: RoundPlan) -> Sequence[str]:
        """Devices which consent to federated learning and whose budget covers the plan's price."""
        ...

    def local_updates(self, plan: RoundPlan, devices: Sequence[str]) -> NDArray[np.float64]:
        """Train each device locally: shape (len(devices), plan.dimension).

        The statistics stand behind the parameters, and an audit's coordinates, zero but for a canary, behind those.
        Rows need no clipping; a row that is not finite counts as the zero vector.
        """
        ...

    def alone(self) -> AbstractContextManager[None]:
        """Held while a request is answered: keeps other processes over the same vault from answering meanwhile.

        Whoever waited finds what the other one stored, and repeats it. Raises a typed error where the wait is too long.
        """
        ...

    def spend(self, plan: RoundPlan, devices: Sequence[str]) -> Sequence[str]:
        """Write down ``plan.rho`` for each device, durable before return; return those who are paid for.

        A device is paid for if this call wrote its spend, or an earlier call wrote it *for the very same plan digest*
        (a crash between spending and sending: nothing had left). A device that already spent on this round number for
        another plan, that lacks budget or consent, or that is gone, is left out.

        Of a plan with a ``run``, the first participation costs ``plan.rho``, which pays for the whole run; the later
        ones cost 0 and are allowed only on the run's own terms, ``min_separation`` rounds apart and ``participations``
        of them in all.
        """
        ...

    def load_round(self, plan_digest: bytes) -> bytes | None:
        """The blob that `save_round` last stored for this plan, or None."""
        ...

    def save_round(self, plan_digest: bytes, federation: str, position: RoundPosition, blob: bytes) -> None:
        """Store the round's secret state, encrypted, durable before return; `last_position` rises with it.

        Stores the blob and the position in one transaction. The blob replaces the plan's former one, and the blobs of
        the federation's earlier positions should go: such a round is over, and a void one left its secrets in them.
        """
        ...

    def seen_mask_keys(self, plan_digest: bytes, keys: Collection[bytes]) -> Collection[bytes]:
        """Those of the given public mask keys which were remembered for a *different* plan."""
        ...

    def remember_mask_keys(self, plan_digest: bytes, keys: Collection[bytes]) -> None:
        """Remember public mask keys (32 bytes each) as used by this plan, durable before return. Idempotent."""
        ...

    def ledger_state(self, federation: str) -> bytes | None:
        """What `save_ledger_state` last stored for this federation, or None."""
        ...

    def save_ledger_state(self, federation: str, state: bytes) -> None:
        """Store what the host knows of the federation's ledger (`LedgerView`), durable before return."""
        ...

    def install(self, artifact: bytes) -> None:
        """Install a released model: the bytes of a `Signed` artifact whose signature has been verified."""
        ...
