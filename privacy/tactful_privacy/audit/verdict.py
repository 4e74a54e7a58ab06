"""What an audit found, theory beside it, and whether the theory still stands."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.accounting.gaussian import epsilon_of_mu
from tactful_privacy.accounting.zcdp import epsilon as zcdp_epsilon
from tactful_privacy.audit import canaries, estimates, f_dp, one_run

DELTA = 1e-6
CONFIDENCE = 0.95
ESTIMATE_CONFIDENCE = 0.99
"""Of the Gaussian interval: it sees so much more than the bounds that it can afford to cry wolf once in a hundred."""


@dataclass(frozen=True, slots=True)
class AuditResult:
    """The figures of one audit. Adjacency of every one of them: zero-out, per enrolment.

    **Bounds** hold with ``confidence`` whatever the noise looks like: ``f_dp_mu`` and ``f_dp_epsilon`` under the
    hypothesis of Gaussian differential privacy, ``one_run_epsilon`` under (ε, δ) alone. **Estimates** assume that the
    noise in the scores is independent and Gaussian; they see more, and prove nothing.

    Attributes:
        canaries: m.
        guesses: r, fixed before the round.
        correct: v, how many guesses were right.
        one_run_epsilon: lower bound on ε at ``delta``.
        f_dp_mu: lower bound on μ.
        f_dp_epsilon: the ε at ``delta`` of that μ.
        gaussian_mu_estimate: separation of the two groups of scores in deviations. An estimate.
        gaussian_mu_estimate_low: lower end of its one-sided interval at `ESTIMATE_CONFIDENCE`.
        gaussian_epsilon_estimate: the ε at ``delta`` of ``gaussian_mu_estimate``.
        clopper_pearson_epsilon_estimate: from the error rates of one threshold. An estimate.
        theory_mu: the claim.
        theory_epsilon: the claim at ``delta``, through zCDP.
        delta: the δ beside every ε.
        holds: whether the claim stands: ``f_dp_mu`` ≤ ``theory_mu``. The one test that decides, so nothing is to be
            corrected within one audit.
        p_value: bound on the chance of so many right guesses if the claim were true; for `multiple.holm`.
        estimate_holds: whether ``gaussian_mu_estimate_low`` ≤ ``theory_mu``.
        confidence: of every bound.
    """

    canaries: int
    guesses: int
    correct: int
    one_run_epsilon: float
    f_dp_mu: float
    f_dp_epsilon: float
    gaussian_mu_estimate: float
    gaussian_mu_estimate_low: float
    gaussian_epsilon_estimate: float
    clopper_pearson_epsilon_estimate: float
    theory_mu: float
    theory_epsilon: float
    delta: float
    holds: bool
    p_value: float
    estimate_holds: bool
    confidence: float = CONFIDENCE

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON knows them; a figure which is infinite becomes None."""
        return {key: _finite(value) for key, value in asdict(self).items()}


def evaluate(
    scores: NDArray[np.float64],
    inserted: NDArray[np.bool_],
    *,
    theory_mu: float,
    guesses: int | None = None,
    delta: float = DELTA,
    confidence: float = CONFIDENCE,
) -> AuditResult:
    """Guess from the scores which canaries were in, and hold what that proves against the claim.

    Args:
        scores: of the canaries, larger for one that is in; shape (m,).
        inserted: the coins, shape (m,). Used only to count; the guesses see the scores alone.
        theory_mu: μ that the claim allows over all rounds which the scores come from.
        guesses: r, fixed before the round; by default `canaries.default_guesses`.
        delta: at which ε is told.
        confidence: of the bounds.

    Raises:
        InvalidInput: an argument is out of range, or the shapes differ.
    """
    m = len(scores)
    r = canaries.default_guesses(m, theory_mu) if guesses is None else guesses
    correct, _ = canaries.score(canaries.guess(scores, r), inserted)
    mu = f_dp.mu_lower_bound(m, r, correct, confidence)
    estimate = estimates.gaussian_mu(scores, inserted, ESTIMATE_CONFIDENCE)
    return AuditResult(
        canaries=m,
        guesses=r,
        correct=correct,
        one_run_epsilon=one_run.epsilon_lower_bound(m, r, correct, delta, confidence),
        f_dp_mu=mu,
        f_dp_epsilon=epsilon_of_mu(mu, delta),
        gaussian_mu_estimate=estimate.mu,
        gaussian_mu_estimate_low=estimate.low,
        gaussian_epsilon_estimate=epsilon_of_mu(max(estimate.mu, 0.0), delta),
        clopper_pearson_epsilon_estimate=estimates.clopper_pearson_epsilon(scores, inserted, delta, confidence),
        theory_mu=theory_mu,
        theory_epsilon=zcdp_epsilon(theory_mu**2 / 2, delta),
        delta=delta,
        holds=mu <= theory_mu,
        p_value=f_dp.p_value(theory_mu, m, r, correct),
        estimate_holds=estimate.low <= theory_mu,
        confidence=confidence,
    )


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
