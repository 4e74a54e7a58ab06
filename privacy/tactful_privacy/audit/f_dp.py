"""A lower bound on μ from one run with many canaries (Mahloujifar, Melis and Chaudhuri, arXiv:2410.22235).

Setting: each of m canaries is in by its own fair coin, the auditor makes exactly r guesses from what was released, and
W of them are right. Hypothesis: μ-GDP, so that no event is likelier with a canary than b(its probability without), and
vice versa, where b(x) = Φ(Φ⁻¹(x) + μ) (arXiv:1905.02383).

The recursion, derived here anew (the paper's theorem and algorithm have the same form; their numbers were not checked
against the paper). Fix a canary j and let A be the event that at least c − 1 guesses on *other* canaries are right.
Both "j is guessed, rightly, and A" and "j is guessed, wrongly, and A" are the same pair of events about the release,
weighed with j's coin one way and the other; so by the hypothesis, and because b is concave,
P[right at j, A] ≤ b(P[wrong at j, A]). Averaged over a uniform j, with p_i = P[W = i]:

    R_c = Σ_{i ≥ c} (i/m)·p_i ≤ b(H_{c−1}),   H_c = Σ_{i ≥ c} ((r − i)/m)·p_i.

Suppose P[W ≥ v] = τ. The least demanding way is all of it at W = v: R_v = τv/m, H_v = τ(r − v)/m. Going down,
H_{i} ≥ max(H_{i+1}, b⁻¹(R_{i+1})) and R_i = R_{i+1} + (i/(r − i))·(H_i − H_{i+1}). In the end R_0 + H_0 must be
Σ_i (r/m)·p_i = r/m; where the least possible value is above that, P[W ≥ v] < τ and, having seen v, μ is refuted at
confidence 1 − τ.
"""

import math

from tactful_privacy.audit.one_run import check_counts
from tactful_privacy.validate import at_least, fraction

_TOLERANCE = 1e-7
_LARGEST = 64.0


def refutes(mu: float, canaries: int, guesses: int, correct: int, confidence: float = 0.95) -> bool:
    """Return whether ``correct`` right guesses or more would have a chance below 1 − confidence under μ-GDP.

    Args:
        mu: the hypothesis, ≥ 0.
        canaries: m, each in by a fair coin.
        guesses: r, fixed beforehand.
        correct: v.
        confidence: strictly between 0 and 1.

    Raises:
        InvalidInput: an argument is out of range.
    """
    check_counts(canaries, guesses, correct)
    at_least(0, mu=mu)
    fraction(confidence=confidence)
    return _impossible(1 - confidence, mu, canaries, guesses, correct)


def p_value(mu: float, canaries: int, guesses: int, correct: int) -> float:
    """Return the bound on the chance of at least ``correct`` right guesses under μ-GDP, to 1e-9 of itself, from above.

    What is impossible with a chance of τ is so with every larger one (shown in the tests by a linear programme), so the
    bound is where impossibility begins.

    Args:
        mu: the hypothesis, ≥ 0.
        canaries: m, each in by a fair coin.
        guesses: r, fixed beforehand.
        correct: v.

    Raises:
        InvalidInput: an argument is out of range.
    """
    check_counts(canaries, guesses, correct)
    at_least(0, mu=mu)
    low, high = 1e-300, 1.0
    if not _impossible(high, mu, canaries, guesses, correct):
        return 1.0
    while high > low * (1 + 1e-9):
        middle = math.sqrt(low * high)
        if _impossible(middle, mu, canaries, guesses, correct):
            high = middle
        else:
            low = middle
    return high


def _impossible(tau: float, mu: float, canaries: int, guesses: int, correct: int) -> bool:
    """Whether no distribution of right guesses that μ-GDP allows gives P[W ≥ v] = τ."""
    from scipy.special import ndtr, ndtri

    right, wrong = tau * correct / canaries, tau * (guesses - correct) / canaries
    for i in range(correct - 1, -1, -1):
        needed = float(ndtr(ndtri(right) - mu))
        if needed <= wrong:
            break  # R and H no longer move, so nothing is demanded any more
        right = min(1.0, right + i / (guesses - i) * (needed - wrong))
        wrong = needed
    return right + wrong > guesses / canaries


def mu_lower_bound(canaries: int, guesses: int, correct: int, confidence: float = 0.95) -> float:
    """Return the largest μ that is refuted, to 1e-7, rounded down; 0 refutes nothing.

    What refutes μ refutes every smaller one, since μ'-GDP with μ' < μ implies μ-GDP.

    Args:
        canaries: m, each in by a fair coin.
        guesses: r, fixed beforehand.
        correct: v.
        confidence: strictly between 0 and 1.

    Raises:
        InvalidInput: an argument is out of range.
    """
    low, high = 0.0, 1.0
    if not refutes(low, canaries, guesses, correct, confidence):
        return 0.0
    while high < _LARGEST and refutes(high, canaries, guesses, correct, confidence):
        low, high = high, 2 * high
    while high - low > _TOLERANCE:
        middle = (low + high) / 2
        if refutes(middle, canaries, guesses, correct, confidence):
            low = middle
        else:
            high = middle
    return low
