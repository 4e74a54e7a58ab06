"""The secure sum as a round sees it: accept what hosts say, close a stage, open at the end.

The round's state machine knows stages and hosts and nothing about cryptography; everything it needs of secure
aggregation is this protocol.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.secagg.errors import OutOfOrder, UnknownHost
from tactful_privacy.secagg.server import Aggregator
from tactful_privacy.wire import KeyDirectory, RoundPlan


class SecureSum(Protocol):
    """One round of secure aggregation on the server's side. Deterministic: the same messages give the same answers."""

    def accept(self, stage: str, host_id: str, payload: bytes) -> None:
        """Verify and keep one host's message of a stage; the same bytes again change nothing.

        Raises:
            TactfulError: the message is wrong, forged, or contradicts an earlier one; it was not kept.
        """
        ...

    def close(self, stage: str) -> Mapping[str, bytes]:
        """End a stage (all but ``unmask``) and return the next payload by host.

        Raises:
            ProtocolError: too few hosts are left; nothing can be opened any more.
        """
        ...

    def open(self) -> NDArray[np.int64]:
        """Return the exact centred sum, shape (plan.dimension,), after the stage ``unmask``.

        Raises:
            ProtocolError: too few or wrong shares.
        """
        ...

    @property
    def survivors(self) -> tuple[str, ...]:
        """Hosts whose contributions are in the sum, sorted; known once ``contribution`` is closed."""
        ...

    @property
    def keys_digest(self) -> bytes:
        """Digest of the key ring, 32 bytes; known once ``keys`` is closed."""
        ...


class SecureSumFactory(Protocol):
    """Makes the secure sum of one plan."""

    def __call__(self, plan: RoundPlan, directory: KeyDirectory) -> SecureSum:
        """Return a secure sum to which nobody has said anything yet."""
        ...


class AggregatedSum:
    """The `SecureSum` of this project: `tactful_privacy.secagg` with masks, shares and a survivor certificate.

    Under a plan with a neighbour graph each host is sent its neighbours' keys and shares alone.
    """

    def __init__(self, plan: RoundPlan, directory: KeyDirectory) -> None:
        self._aggregator = Aggregator(plan, directory)

    def accept(self, stage: str, host_id: str, payload: bytes) -> None:
        """Verify and keep one host's message; raises `SecaggError`, also when another host speaks for this one."""
        if stage != self._aggregator.stage:
            raise OutOfOrder(f"{stage!r} during {self._aggregator.stage!r}", field="stage", remedy="answer in order")
        if self._aggregator.accept(payload) != host_id:
            raise UnknownHost(f"does not come from {host_id!r}", field="host_id", remedy="answer for yourself")

    def close(self, stage: str) -> Mapping[str, bytes]:
        """End a stage; raises `TooFewSurvivors`."""
        if stage != self._aggregator.stage:
            raise OutOfOrder(f"{stage!r} during {self._aggregator.stage!r}", field="stage", remedy="close in order")
        return self._aggregator.close_stage()

    def open(self) -> NDArray[np.int64]:
        """The exact centred sum."""
        return self._aggregator.open()

    @property
    def survivors(self) -> tuple[str, ...]:
        """Hosts whose contributions are in the sum."""
        return self._aggregator.survivors

    @property
    def keys_digest(self) -> bytes:
        """Digest of the key ring."""
        return self._aggregator.keys_digest
