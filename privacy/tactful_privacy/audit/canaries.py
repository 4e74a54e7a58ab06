"""Dirac canaries: who is in, and what an auditor guesses from what was opened.

A canary is one enrolment of the auditor's own host. It pushes at one coordinate that belongs to it alone, and the clip
leaves it exactly the clip norm there. So canaries do not meet each other or the model, and the score of each is what
the strongest attacker on that enrolment would look at. Random unit vectors in the model's own coordinates would not do:
m of them in d < m dimensions overlap, each drowns in the sum of the others, and the test loses its power (see
docs/audit.md, where both are measured).
"""

import secrets

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least

PUSH = 8.0
"""A canary asks for so many times the clip norm, as a hostile device would: the clip cuts it, or the audit sees it."""

_SHARE_AT_ZERO, _SHARE_PER_MU = 0.08, 0.235
_FEWEST, _MOST = 0.2, 0.6


def choose(canaries: int) -> NDArray[np.bool_]:
    """Return fair coins from the operating system's entropy, shape (m,): which canaries are in.

    Raises:
        InvalidInput: no canary.
    """
    at_least(1, canaries=canaries)
    drawn = np.frombuffer(secrets.token_bytes(-(-canaries // 8)), dtype=np.uint8)
    return np.unpackbits(drawn)[:canaries].astype(np.bool_)


def default_guesses(canaries: int, theory_mu: float) -> int:
    """Return r, from the plan alone: even, near (0.08 + 0.235·μ)·m, within a fifth to six tenths of the canaries.

    The f-DP bound is loose when it must count many uncertain guesses, and saturates when few certain ones are all
    right; the more μ the claim allows, the more guesses it takes to be surprised. The line goes through the shares
    with the highest power against halved noise at m = 1,000, simulated in steps of 0.05 at μ from 0.3 to 2. Beyond
    μ = 2.4 no r has any power at m = 1,000: audit fewer rounds of the claim, or plant more canaries.

    Raises:
        InvalidInput: no canary, or μ not above 0.
    """
    at_least(2, canaries=canaries)
    if not theory_mu > 0:
        raise InvalidInput(f"is {theory_mu!r}", field="theory_mu", remedy="audit a claim with μ > 0")
    share = min(max(_SHARE_AT_ZERO + _SHARE_PER_MU * theory_mu, _FEWEST), _MOST)
    return max(2, 2 * round(share * canaries / 2))


def guess(scores: NDArray[np.float64], guesses: int) -> NDArray[np.int8]:
    """Guess the r/2 highest scores to be in (+1) and the r/2 lowest to be out (−1); abstain (0) on the rest.

    With odd r the extra guess is the next highest. Ties are broken by the canary's number.

    Raises:
        InvalidInput: more guesses than scores, a negative number of them, or a score that is not a number.
    """
    m = len(scores)
    if not 0 <= guesses <= m:
        raise InvalidInput(f"is {guesses} of {m} canaries", field="guesses", remedy="give 0 <= guesses <= canaries")
    if np.isnan(scores).any():
        raise InvalidInput("hold NaN", field="scores", remedy="audit a round whose sum was opened")
    order = np.argsort(scores, kind="stable")
    said = np.zeros(m, dtype=np.int8)
    said[order[: guesses // 2]] = -1
    said[order[m - (guesses + 1) // 2 :]] = 1
    return said


def score(guessed: NDArray[np.int8], inserted: NDArray[np.bool_]) -> tuple[int, int]:
    """Return (right guesses, guesses).

    Raises:
        InvalidInput: the shapes differ.
    """
    if guessed.shape != inserted.shape:
        raise InvalidInput(f"has shape {inserted.shape}", field="inserted", remedy=f"give shape {guessed.shape}")
    right = (guessed != 0) & ((guessed > 0) == inserted)
    return int(right.sum()), int((guessed != 0).sum())
