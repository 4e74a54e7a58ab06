"""The faults themselves: each replaces one function of the product by a wrong one, and puts the right one back.

Nothing here is a copy of the product's path: a round, or a host's self-test, runs as it always does and meets the
wrong function on its way.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from numpy.typing import NDArray

from tactful.federation import participant
from tactful_privacy.mechanisms import grid
from tactful_privacy.mechanisms.discrete_gaussian import sample
from tactful_privacy.mechanisms.entropy import Entropy
from tactful_privacy.mechanisms.grid import EncodedBlock, encode_block
from tactful_privacy.secagg import HostSession
from tactful_privacy.secagg.state import SessionState
from tactful_privacy.wire import KeyDirectory, RoundPlan, SurvivorList, UnmaskShares

Integers = NDArray[np.int64]
Noise = Callable[[int, int, Entropy], Integers]
"""(variance, size, entropy) to noise."""
_SEED = b"the same bytes in every round ..."[:32]


@contextmanager
def patched(place: Any, name: str, value: Any) -> Iterator[None]:
    """Replace an attribute for as long as the context lasts."""
    before = getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, before)


# Noise: `tactful.federation.participant.sample`


@contextmanager
def noise(made: Noise) -> Iterator[None]:
    """Let the participant draw its noise from this function."""

    def instead(variance: int, size: int, *, entropy: Entropy) -> Integers:
        return made(variance, size, entropy)

    with patched(participant, "sample", instead):
        yield


def no_noise(variance: int, size: int, entropy: Entropy) -> Integers:  # noqa: ARG001 - the fault ignores them
    """Nothing at all."""
    return np.zeros(size, dtype=np.int64)


def half_noise(variance: int, size: int, entropy: Entropy) -> Integers:
    """Half the deviation."""
    return sample(-(-variance // 4), size, entropy=entropy)


def biased_noise(variance: int, size: int, entropy: Entropy) -> Integers:
    """One too much, everywhere."""
    return sample(variance, size, entropy=entropy) + 1


def float_noise(variance: int, size: int, entropy: Entropy) -> Integers:  # noqa: ARG001 - the fault ignores it
    """A rounded float Gaussian from a generator with a seed."""
    return np.rint(np.random.default_rng().normal(0.0, variance**0.5, size)).astype(np.int64)


def repeated_noise(variance: int, size: int, entropy: Entropy) -> Integers:  # noqa: ARG001 - the fault ignores it
    """The sampler is right, but its bytes start anew in every round."""
    stream = Cipher(ChaCha20(_SEED, bytes(16)), mode=None).encryptor()
    return sample(variance, size, entropy=lambda count: stream.update(bytes(count)))


def stuck_noise(variance: int, size: int, entropy: Entropy) -> Integers:  # noqa: ARG001 - the fault ignores it
    """The sampler is right, but its bytes are all ones."""
    return sample(variance, size, entropy=lambda count: b"\xff" * count)


@contextmanager
def one_devices_noise() -> Iterator[None]:
    """In local mode, where each device adds noise for itself, only the first one does."""

    def instead(plan: RoundPlan, devices: int, entropy: Entropy) -> Integers:
        return sample(plan.noise_variance_units, plan.dimension, entropy=entropy) * (devices > 0)

    with patched(participant, "_noise_of_devices", instead):
        yield


# Encoding: `tactful.federation.participant.encode_block`, and inside it `grid.clip` and `grid._within`


@contextmanager
def unclipped() -> Iterator[None]:
    """Rows keep their length; the integer norm check behind it stands."""

    def instead(updates: NDArray[np.float64], clip_norm: float) -> NDArray[np.float64]:  # noqa: ARG001
        finite = np.asarray(np.isfinite(updates).all(axis=1))
        return np.where(finite[:, None], updates, 0.0)

    with patched(grid, "clip", instead):
        yield


@contextmanager
def unchecked_norm() -> Iterator[None]:
    """The integer norm check lets every row pass."""

    def instead(rows: Integers, norm_bound_squared: int) -> NDArray[np.bool_]:  # noqa: ARG001
        return np.ones(len(rows), dtype=np.bool_)

    with patched(grid, "_within", instead):
        yield


@contextmanager
def unclipped_and_unchecked() -> Iterator[None]:
    """Both lines of defence are gone."""
    with unclipped(), unchecked_norm():
        yield


@contextmanager
def _encoding(bend: Callable[..., EncodedBlock]) -> Iterator[None]:
    with patched(participant, "encode_block", bend):
        yield


@contextmanager
def triple_clip() -> Iterator[None]:
    """The host takes the clip norm, and with it the norm bound, for three times what the plan says."""

    def instead(updates: Any, statistics: Any, **options: Any) -> EncodedBlock:
        wider = {"clip_units": 3 * options["clip_units"], "norm_bound_squared": 9 * options["norm_bound_squared"]}
        return encode_block(updates, statistics, **(options | wider))

    with _encoding(instead):
        yield


@contextmanager
def weighted() -> Iterator[None]:
    """Devices count as often as they have examples: here 1, 2, 3, 4, 5, 1, … by their order."""

    def instead(updates: Any, statistics: Any, **options: Any) -> EncodedBlock:
        block = encode_block(updates, statistics, keep_rows=True, **options)
        rows = block.rows if block.rows is not None else np.zeros((0, len(block.total)), dtype=np.int64)
        examples = 1 + np.arange(len(rows), dtype=np.int64) % 5
        return EncodedBlock((rows * examples[:, None]).sum(axis=0), block.accepted)

    with _encoding(instead):
        yield


@contextmanager
def unbounded_statistic() -> Iterator[None]:
    """A statistic is neither cut to its half-range nor counted in the norm check."""

    def instead(updates: Any, statistics: Any, **options: Any) -> EncodedBlock:
        halves = tuple(1_000 * half for half in options["half_ranges"])
        bound = options["norm_bound_squared"] + sum(half * half for half in halves)
        return encode_block(updates, statistics, **(options | {"half_ranges": halves, "norm_bound_squared": bound}))

    with _encoding(instead):
        yield


# Secure aggregation: `tactful_privacy.secagg.HostSession`


@contextmanager
def no_mask() -> Iterator[None]:
    """What leaves carries noise and no mask."""

    def instead(self: HostSession, *_arguments: Any) -> NDArray[np.uint32]:
        return np.zeros(self.plan.dimension, dtype=np.uint32)

    with patched(HostSession, "_mask", instead):
        yield


@contextmanager
def reused_mask_key(key: bytes) -> Iterator[None]:
    """Every round begins with the same mask key."""
    begin = HostSession.__init__

    def instead(
        self: HostSession,
        plan: RoundPlan,
        directory: KeyDirectory,
        host_id: str,
        identity_private: Ed25519PrivateKey,
        *,
        state: SessionState | None = None,
    ) -> None:
        if state is None:
            state = SessionState(plan.encode(), directory.encode(), host_id)
            state.secrets = replace(state.secrets, mask_private=type(state.secrets.mask_private)(key))
        begin(self, plan, directory, host_id, identity_private, state=state)

    with patched(HostSession, "__init__", instead):
        yield


@contextmanager
def both_shares() -> Iterator[None]:
    """The host gives away, of a survivor, the share of its mask key as well as that of its self seed."""
    unmasking = HostSession._unmasking

    def instead(self: HostSession, listed: SurvivorList) -> UnmaskShares:
        all_but_one = unmasking(self, replace(listed, survivors=listed.survivors[1:]))
        return replace(unmasking(self, listed), mask_key_shares=all_but_one.mask_key_shares)

    with patched(HostSession, "_unmasking", instead):
        yield


@contextmanager
def forgetful() -> Iterator[None]:
    """The host does not remember which survivor list it signed."""
    answered = HostSession.answered

    def instead(self: HostSession, stage: str, request: bytes) -> bytes | None:
        return None if stage == "sign" else answered(self, stage, request)

    with patched(HostSession, "answered", instead):
        yield
