"""The audit of a live federation, from its public ledger and the auditor's own coins file. Nothing else is needed.

Each released audit round has an ``audit`` entry with the opened canary coordinates as integers. The auditor's host was
in the round as any host is; it knows its coins and its own noise. The auditor plays the claim's own adversary: where
the claim reckons with t ≥ 1 colluding hosts, his is one of them, and its noise is taken off.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.audit.coins import CoinsFile, OwnRound
from tactful_privacy.audit.target import TargetFacts
from tactful_privacy.errors import InvalidInput, LedgerBroken
from tactful_privacy.ledger import Entry, Ledger, Release, verify

_NOTHING: Final = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class LiveScores:
    """What a ledger says about an auditor's canaries.

    Attributes:
        scores: mean over the rounds, each weighted by its μ², units of the clip norm, shape (m,). That is the most
            telling weighting; where all plans have the same noise it is the plain mean.
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
        LedgerBroken: the chain does not verify, or tells of another price or another number of canaries than the plan.
        InvalidInput: it has no audit round in which the auditor's host took part.
    """
    verify(Path(ledger))
    found = list(_rounds(Path(ledger), coins))
    if not found:
        remedy = "run audit rounds with the auditor's host enrolled, and give the coins file that it wrote"
        raise InvalidInput("has no audit round of these coins", field=str(ledger), remedy=remedy)
    parts, weights, hosts = [], [], []
    for own, opened, survivors in found:
        facts = TargetFacts.of_plan(own.plan)
        colludes = facts.colluders > 0
        parts.append(round_scores(facts, opened, own.noise if colludes else np.zeros_like(own.noise)))
        weights.append(facts.mu_round**2)
        hosts.append(survivors - colludes)
    noiseless = math.inf in weights
    scores = np.average(parts, axis=0, weights=np.isinf(weights) if noiseless else weights)
    return LiveScores(scores, math.sqrt(math.fsum(weights)), len(found), min(hosts))


def _rounds(ledger: Path, coins: CoinsFile) -> Iterator[tuple[OwnRound, NDArray[np.int64], int]]:
    """The auditor's host's rounds: what it knows, the opened canaries, and how many hosts are in the sum."""
    opened: dict[bytes, NDArray[np.int64]] = {}
    for entry in Ledger(ledger).entries():
        if entry.kind == "audit":
            opened[bytes.fromhex(entry.body["plan_digest"])] = np.array(entry.body["canaries"], dtype=np.int64)
        if entry.kind == "release":
            release = Release.from_entry(entry)
            own, sums = coins.rounds.get(release.plan_digest), opened.get(release.plan_digest, _NOTHING)
            if own is not None and coins.host_id in release.survivors:
                # A round left out would be one that the operator chose: the verdict is over all of them or none.
                _check(entry, release, own, len(sums))
                yield own, sums, len(release.survivors)


def _check(entry: Entry, release: Release, own: OwnRound, opened: int) -> None:
    """The ledger must tell of the very round that the auditor's host agreed to."""
    remedy = "ask the operator for the ledger which he signed, and keep this one as evidence"
    if release.rho != own.plan.rho:
        wrong = f"has price {release.rho}, the plan that the auditor's host agreed to {own.plan.rho}"
        raise LedgerBroken(wrong, line=entry.index + 1, remedy=remedy)
    if opened != own.plan.canaries:
        raise LedgerBroken(f"opens {opened} of {own.plan.canaries} canaries", line=entry.index + 1, remedy=remedy)
