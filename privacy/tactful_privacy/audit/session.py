"""One audit from the first coin to the verdict: against a `RoundTarget`, or from a live federation's ledger."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.audit import canaries
from tactful_privacy.audit.coins import CoinsFile
from tactful_privacy.audit.live import scores_from_ledger
from tactful_privacy.audit.target import RoundTarget
from tactful_privacy.audit.verdict import CONFIDENCE, DELTA, AuditResult, evaluate
from tactful_privacy.errors import InvalidInput

OnRound = Callable[[int, AuditResult], None]


@dataclass(frozen=True, slots=True)
class AuditRun:
    """An audit that is over.

    Attributes:
        target: what was audited: a target's name, or ``ledger``.
        rounds: over how many rounds the scores are summed.
        noisy_hosts: hosts of a round whose noise was unknown; n_min − t is the claim's worst case.
        result: the verdict, on all rounds together.
        after_each: the same figures after 1, 2, … rounds, to be drawn; only ``result`` decides.
        seconds: it took.
    """

    target: str
    rounds: int
    noisy_hosts: int
    result: AuditResult
    after_each: tuple[AuditResult, ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """The figures of `AuditResult.to_dict`, and beside them what was done; ``after_each`` as a list of the same."""
        about = {"target": self.target, "rounds": self.rounds, "noisy_hosts": self.noisy_hosts}
        each = [{"rounds": number, **result.to_dict()} for number, result in enumerate(self.after_each, start=1)]
        return {**about, **self.result.to_dict(), "seconds": self.seconds, "after_each": each}


def run_audit(
    target: RoundTarget,
    *,
    name: str = "rehearsal",
    rounds: int | None = None,
    guesses: int | None = None,
    delta: float = DELTA,
    confidence: float = CONFIDENCE,
    on_round: OnRound | None = None,
) -> AuditRun:
    """Toss fresh coins, run the rounds with the same canaries in each, add the scores up and judge the sum.

    The sum is what an attacker on one enrolment would look at: over T rounds it separates the two cases by √T·μ_round,
    which is the μ that the whole promise allows. How the promise is split over rounds makes no difference to the power.

    Args:
        target: open.
        name: of the target, for the record.
        rounds: how many; by default all over which the promise was spread.
        guesses: r; by default `canaries.default_guesses` of the claim.
        delta: at which ε is told.
        confidence: of the bounds.
        on_round: told the number of rounds done and the figures so far.

    Raises:
        AuditRoundVoid: a round was not opened.
        InvalidInput: an argument is out of range.
    """
    started = time.monotonic()
    count = target.rounds if rounds is None else rounds
    theory = target.facts.mu(count)
    r = canaries.default_guesses(target.canaries, theory) if guesses is None else guesses
    inserted = canaries.choose(target.canaries)
    scores: NDArray[np.float64] = np.zeros(target.canaries)
    each: list[AuditResult] = []
    for number in range(1, count + 1):
        scores += target.run_round(inserted)
        mu = target.facts.mu(number)
        each.append(evaluate(scores, inserted, theory_mu=mu, guesses=r, delta=delta, confidence=confidence))
        if on_round is not None:
            on_round(number, each[-1])
    return AuditRun(name, count, target.facts.honest_hosts, each[-1], tuple(each), time.monotonic() - started)


def judge_ledger(
    ledger: str | Path,
    coins: str | Path,
    *,
    guesses: int | None = None,
    delta: float = DELTA,
    confidence: float = CONFIDENCE,
) -> AuditRun:
    """Judge a live federation by its public ledger and the auditor's coins file.

    Args:
        ledger: the file, or a copy of it.
        coins: what the auditor's host wrote.
        guesses: r, as the coins file has it; None takes what it has, or `canaries.default_guesses` of the claim.
        delta: at which ε is told.
        confidence: of the bounds.

    Raises:
        LedgerBroken: the chain does not verify.
        InvalidInput: a file is not what it should be, has no audit round of these coins, or ``guesses`` is not what was
            fixed before the rounds.
    """
    started = time.monotonic()
    own = CoinsFile.load(coins)
    if guesses is not None and guesses != own.guesses:
        remedy = "leave it out; r is fixed with the coins, before anything is seen (CoinsFile.create(guesses=...))"
        raise InvalidInput(f"is {guesses}, the coins file has {own.guesses}", field="guesses", remedy=remedy)
    live = scores_from_ledger(ledger, own)
    options = {"theory_mu": live.theory_mu, "delta": delta, "confidence": confidence}
    result = evaluate(live.scores, own.inserted, guesses=own.guesses, **options)
    return AuditRun("ledger", live.rounds, live.noisy_hosts, result, (), time.monotonic() - started)
