"""Several claims, or several looks at one: corrections which keep the chance of any false alarm at the level.

One audit with one claim needs none: the f-DP bound decides, and was named beforehand.
"""

from collections.abc import Sequence

from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least, fraction


def bonferroni_confidence(confidence: float, looks: int) -> float:
    """Return the confidence of each of ``looks`` bounds with which all of them hold together with ``confidence``.

    Raises:
        InvalidInput: no look, or confidence out of range.
    """
    fraction(confidence=confidence)
    at_least(1, looks=looks)
    return 1 - (1 - confidence) / looks


def holm(p_values: Sequence[float], level: float = 0.05) -> tuple[bool, ...]:
    """Return which claims are refuted, in the order given, so that any false alarm has a chance of at most ``level``.

    Holm's step-down procedure (Holm 1979, "A simple sequentially rejective multiple test procedure"): the k-th smallest
    of n p-values must be at most level/(n − k + 1), and so must all before it. Valid however the claims depend.

    Raises:
        InvalidInput: a p-value is not from 0 to 1, or level out of range.
    """
    fraction(level=level)
    if not all(0 <= p <= 1 for p in p_values):
        raise InvalidInput(f"are {list(p_values)}", field="p_values", remedy="give numbers from 0 to 1")
    refuted = [False] * len(p_values)
    ranked = sorted(range(len(p_values)), key=lambda index: p_values[index])
    for place, index in enumerate(ranked):
        if p_values[index] > level / (len(p_values) - place):
            break
        refuted[index] = True
    return tuple(refuted)
