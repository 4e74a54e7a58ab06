"""What a check of the self-test says, and the functions of a host which it calls."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from numpy.typing import NDArray

from tactful_privacy.mechanisms.entropy import Entropy
from tactful_privacy.secagg import HostSession
from tactful_privacy.wire import RoundPlan

Encode = Callable[[RoundPlan, NDArray[np.float64], Entropy], NDArray[np.int64]]
"""(plan, updates of shape (n, plan.dimension), entropy) to their sum on the grid, shape (plan.dimension,)."""
Noise = Callable[[RoundPlan, int, Entropy], NDArray[np.int64]]
"""(plan, devices in the sum, entropy) to what the host adds as noise, shape (plan.dimension,)."""


@dataclass(frozen=True, slots=True)
class HostPath:
    """The very functions through which a host's contribution goes, so that the test runs what a round runs.

    Attributes:
        encode: clip, grid and norm check.
        noise: all the noise that the host adds.
        session: secure aggregation.
    """

    encode: Encode
    noise: Noise
    session: type[HostSession] = HostSession


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its stable name, whether it holds, and what was seen. Never says anything about a person's data."""

    check: str
    holds: bool
    seen: str


def fixed_entropy() -> Entropy:
    """Return a source of known bytes, for known answers alone: the ChaCha20 key stream of the zero key."""
    stream = Cipher(ChaCha20(bytes(32), bytes(16)), mode=None).encryptor()
    return lambda count: stream.update(bytes(count))
