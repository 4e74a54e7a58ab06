"""The audit of a live federation, from its public ledger and the auditor's own coins file. Nothing else is needed.

Each released audit round has an ``audit`` entry with the opened canary coordinates as integers. The auditor's host was
in the round as any host is; it knows its coins and its own noise. The auditor plays the claim's own adversary: where
the claim reckons with t ≥ 1 colluding hosts, his is one of them, and its noise is taken off.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.audit.coins import CoinsFile, OwnRound
from tactful_privacy.audit.target import TargetFacts
from tactful_privacy.errors import InvalidInput
from tactful_privacy.ledger import Ledger, Release, verify


@dataclass(frozen=True, slots=True, eq=False)
class LiveScores:
    """What a ledger says about an auditor's canaries.

    Attributes:
        scores: summed over the rounds, units of the clip norm, shape (m,).
        theory_mu: what the plans' noise allows over those rounds.
        rounds: how many audit rounds the auditor's host was in.
        noisy_hosts: fewest hosts of a round whose noise the auditor does not know; the claim counts n_min − t.
    """

    scores: NDArray[np.float64]
    theory_mu: float
    rounds: int
    noisy_hosts: int


def round_scores(plan_facts: TargetFacts, opened: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return one round's scores in units of the clip norm.

    Args:
        plan_facts: of the round's plan.
        opened: the canary coordinates of the opened sum, grid units, shape (m,).
        known: noise in them which the adversary knows, grid units, shape (m,).
    """
    return (opened - known).astype(np.float64) / plan_facts.clip_units


def scores_from_ledger(ledger: str | Path, coins: CoinsFile) -> LiveScores:
    """Verify the ledger's chain and read the scores of the auditor's canaries from it.

    Raises:
        LedgerBroken: the chain does not verify.
        InvalidInput: it has no audit round in which the auditor's host took part.
    """
    verify(Path(ledger))
    found = list(_rounds(Path(ledger), coins))
    if not found:
        remedy = "run audit rounds with the auditor's host enrolled, and give the coins file that it wrote"
        raise InvalidInput("has no audit round of these coins", field=str(ledger), remedy=remedy)
    parts, precisions, hosts = [], [], []
    for own, opened, survivors in found:
        facts = TargetFacts.of_plan(own.plan)
        colludes = facts.colluders > 0
        parts.append(round_scores(facts, opened, own.noise if colludes else np.zeros_like(own.noise)))
        precisions.append(facts.mu_round**2)
        hosts.append(survivors - colludes)
    return LiveScores(np.sum(parts, axis=0), math.sqrt(math.fsum(precisions)), len(found), min(hosts))


def _rounds(ledger: Path, coins: CoinsFile) -> Iterator[tuple[OwnRound, NDArray[np.int64], int]]:
    """The auditor's host's rounds: what it knows, the opened canaries, and how many hosts are in the sum."""
    opened: dict[bytes, NDArray[np.int64]] = {}
    for entry in Ledger(ledger).entries():
        if entry.kind == "audit":
            opened[bytes.fromhex(entry.body["plan_digest"])] = np.array(entry.body["canaries"], dtype=np.int64)
        if entry.kind == "release":
            release = Release.from_entry(entry)
            own, sums = coins.rounds.get(release.plan_digest), opened.get(release.plan_digest)
            if own is not None and sums is not None and coins.host_id in release.survivors:
                if len(sums) != len(coins.inserted):
                    raise InvalidInput(f"has {len(sums)} canaries", field="audit entry", remedy="give its own coins")
                yield own, sums, len(release.survivors)
