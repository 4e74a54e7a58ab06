"""One audit of a target in one trial: a round, or the difference of two."""

import math

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.audit import canaries
from tactful_privacy.audit.target import RoundTarget
from tactful_privacy.audit.verdict import AuditResult, evaluate


def audit_one(target: RoundTarget) -> AuditResult:
    """Audit one round."""
    inserted = canaries.choose(target.canaries)
    return evaluate(target.run_round(inserted), inserted, theory_mu=target.facts.mu_round)


def audit_difference(target: RoundTarget) -> AuditResult:
    """Audit two rounds by the difference of their scores, each canary being in exactly one of the two.

    Noise that is drawn twice has the right variance in each round and cancels in the difference. Where it is fresh, the
    score is 1 or -1 with deviation sqrt(2) sigma: the two cases lie sqrt(2) mu apart, the mu of two rounds with one
    zero-out in each (arXiv:1905.02383, Corollary 2).
    """
    inserted: NDArray[np.bool_] = canaries.choose(target.canaries)
    scores = target.run_round(inserted) - target.run_round(~inserted)
    return evaluate(scores, inserted, theory_mu=math.sqrt(2) * target.facts.mu_round)
