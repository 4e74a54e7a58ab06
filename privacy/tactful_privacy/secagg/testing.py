"""Rosters, plans and whole rounds in memory: for tests, examples and benchmarks.

The cryptography is the real one; only the transport is a function call.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from tactful_privacy.secagg.client import HostSession
from tactful_privacy.secagg.server import Aggregator
from tactful_privacy.secagg.thresholds import recommended
from tactful_privacy.wire import Block, HostEntry, KeyDirectory, RoundPlan, digest

Vectors = Mapping[str, tuple[NDArray[np.int64], NDArray[np.int64]]]
"""Per host: encoded sum and noise."""


def make_roster(n_hosts: int, planned_devices: int = 10) -> tuple[KeyDirectory, dict[str, Ed25519PrivateKey]]:
    """Return a roster of fresh hosts ``host-00``, ``host-01``, … and their identity keys."""
    digits = max(2, len(str(n_hosts - 1)))  # so that the names sort as the numbers do
    identities = {f"host-{number:0{digits}}": Ed25519PrivateKey.generate() for number in range(n_hosts)}
    entries = tuple(
        HostEntry(host_id, key.public_key().public_bytes_raw(), planned_devices) for host_id, key in identities.items()
    )
    return KeyDirectory("testing", entries), identities


def make_plan(
    directory: KeyDirectory, *, n_min: int, colluders: int = 1, dimension: int = 8, **changes: Any
) -> RoundPlan:
    """Return a plan for the roster; ``changes`` replace single fields and are not checked for sense.

    For a neighbour graph pass ``**graph_fields(...)``, or ``neighbours`` and ``share_threshold`` by hand.
    """
    clip_units, variance = 400_000, 10**13
    honest = max(n_min - colluders, 1)
    fields: dict[str, Any] = {
        "federation": directory.federation,
        "round_number": 1,
        "attempt": 0,
        "mode": "distributed",
        "task": "gradient",
        "settings": (),
        "model_digest": bytes(32),
        "layout": (Block("alpha", dimension),),
        "statistics": (),
        "clip_units": clip_units,
        "grid_exponent": 20,
        "norm_bound_squared": clip_units**2,
        "noise_variance_units": variance,
        "modulus_bits": 32,
        "roster_digest": digest(directory),
        "n_hosts": len(directory.entries),
        "n_min": n_min,
        "colluders": colluders,
        "share_threshold": n_min,
        "deadline_unix_s": 4_000_000_000,
        "rho": Fraction(clip_units**2, 2 * honest * variance),
        "previous_head": bytes(32),
    }
    return RoundPlan(**(fields | changes))


def graph_fields(n_hosts: int, n_min: int, colluders: int = 1) -> dict[str, int]:
    """Return the recommended graph and committee as fields for `make_plan`."""
    found = recommended(n_hosts, n_min, colluders)
    names = ("neighbours", "share_threshold", "committee", "committee_threshold")
    return {name: getattr(found, name) for name in names}


def drive(
    aggregator: Aggregator,
    sessions: Mapping[str, HostSession],
    vectors: Vectors,
    last_stage: Mapping[str, str] | None = None,
) -> NDArray[np.int64]:
    """Run a round and return the opened sum.

    Args:
        aggregator: fresh.
        sessions: one fresh session per host of the roster.
        vectors: per host encoded sum and noise.
        last_stage: of hosts which drop out, the first stage that they no longer answer.

    Raises:
        TooFewSurvivors, SurvivorsDisconnected, TooFewEndorsements: the round is void.
    """
    stages = aggregator.stages
    gone = {host_id: stages.index(stage) for host_id, stage in (last_stage or {}).items()}
    requests: Mapping[str, bytes] = dict.fromkeys(sessions, b"")
    for number, stage in enumerate(stages):
        for host_id, request in requests.items():
            if gone.get(host_id, len(stages)) > number:
                aggregator.accept(answer(sessions[host_id], stage, request, vectors[host_id]))
        if stage != "unmask":
            requests = aggregator.close_stage()
    return aggregator.open()


def answer(
    session: HostSession, stage: str, request: bytes, vectors: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> bytes:
    """Return the session's answer to one stage."""
    if stage == "keys":
        return session.offer()
    if stage == "shares":
        return session.shares(request)
    if stage == "contribution":
        return session.contribution(request, *vectors)
    if stage == "endorse":
        return session.endorse(request)
    return session.sign(request) if stage == "sign" else session.unmask(request)
