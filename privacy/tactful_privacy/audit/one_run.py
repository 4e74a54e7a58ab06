"""A lower bound on ε from one run with many canaries (Steinke, Nasr and Jagielski, arXiv:2305.08846).

Each of m canaries is in by its own fair coin. The auditor guesses r coins from what was released, and v guesses are
right. Under (ε, δ)-differential privacy, Theorem 5.2 with Corollary 5.4 and Appendix D (as reprinted in public ports of
the authors' code; the theorem numbers were not checked against the paper itself) bounds the chance of doing so well:

    P[V ≥ v] ≤ P[B ≥ v] + 2mδ·max over i = 1 … m of P[v − i ≤ B < v]/i,   B ~ Binomial(r, 1/(1 + e^-ε)).

An ε for which that is below 1 − confidence is refuted, and with it every smaller one, since (ε', δ) with ε' < ε implies
(ε, δ). So the largest refuted ε is a lower bound, whether or not the right-hand side is monotone.
"""

import math

from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import fraction

_LARGEST = 64.0
"""ε beyond which a guess is right but once in 10^27: no audit reaches it, so it is where the search ends."""
_STEPS = 48


def p_value(canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """Return the bound on the chance of at least ``correct`` right guesses under (ε, δ)-differential privacy.

    Args:
        canaries: m, at least 1.
        guesses: r, from 0 to m.
        correct: v, from 0 to r.
        epsilon: ≥ 0.
        delta: from 0 to below 1.

    Raises:
        InvalidInput: an argument is out of range.
    """
    import numpy as np
    from scipy.stats import binom

    check_counts(canaries, guesses, correct)
    if not (epsilon >= 0 and 0 <= delta < 1):
        raise InvalidInput(f"are {epsilon!r} and {delta!r}", field="epsilon, delta", remedy="give ε >= 0, 0 <= δ < 1")
    right = 1 / (1 + math.exp(-epsilon))
    beta = float(binom.sf(correct - 1, guesses, right))
    if delta == 0 or correct == 0:
        return min(1.0, beta)
    # Below 0 right guesses there is no more mass, so i > v only lowers the mean: the maximum lies at i ≤ v.
    below = np.cumsum(binom.pmf(np.arange(correct - 1, -1, -1), guesses, right))
    alpha = float((below / np.arange(1, correct + 1)).max())
    return min(1.0, beta + 2 * canaries * delta * alpha)


def epsilon_lower_bound(canaries: int, guesses: int, correct: int, delta: float, confidence: float = 0.95) -> float:
    """Return ε such that the mechanism is not (ε, δ)-differentially private, with this confidence; 0 refutes nothing.

    Args:
        canaries: m, each in by a fair coin.
        guesses: r, how many coins were guessed; fixed beforehand.
        correct: v, how many guesses were right.
        delta: from 0 to below 1.
        confidence: strictly between 0 and 1.

    Raises:
        InvalidInput: an argument is out of range.
    """
    fraction(confidence=confidence)
    level = 1 - confidence
    low, high = 0.0, _LARGEST
    if p_value(canaries, guesses, correct, low, delta) >= level:
        return 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if p_value(canaries, guesses, correct, middle, delta) < level:
            low = middle
        else:
            high = middle
    return low


def check_counts(canaries: int, guesses: int, correct: int) -> None:
    """Raise `InvalidInput` unless 0 ≤ correct ≤ guesses ≤ canaries and there is a canary."""
    if not 0 <= correct <= guesses <= canaries:
        raise InvalidInput(
            f"are {correct}, {guesses} and {canaries}",
            field="correct, guesses, canaries",
            remedy="give 0 <= correct <= guesses <= canaries",
        )
    if canaries < 1:
        raise InvalidInput("is 0", field="canaries", remedy="plant at least one canary")
