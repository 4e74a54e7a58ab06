"""Is the noise drawn by the exact sampler, from fresh entropy, at the scale which a plan asks for?"""

import hashlib
import math
import os
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.accounting.modes import LOCAL
from tactful_privacy.mechanisms.entropy import read
from tactful_privacy.selftest.bounds import LOG_ALARM, log_p_counts, log_p_fair, log_p_mean, log_p_second_moment
from tactful_privacy.selftest.findings import Finding, HostPath, fixed_entropy
from tactful_privacy.selftest.plans import noise_plan

SMALL = ((1, 16_000), (2, 3_000), (5, 3_000), (10, 3_000))
"""(sigma^2, draws). At sigma^2 = 1 a rounded Gaussian has 1.083 times the variance: 16,000 draws tell in 9 of 10."""
LARGE = 1 << 42
LARGE_DRAWS = 3_000
DEVICES = 4
"""In the sum: without meaning where the host adds one share, and four times the variance where each adds its own."""
KNOWN = {
    1: "452968b1f42308a95b7576caabcba0bc8c5ae13e4913aad264485b20d21d51ae",
    5: "2b6f2eb10086c9450460ced7d1a01bb68c55fc0f93b07369b29fd99d8e1dc198",
    LARGE: "6f479928724b39cbd7fdb804564c6d46df422b87203bfa08bcf21645d969c6d9",
}
"""sigma^2 to the SHA-256 of 256 draws (int64, little-endian) from `fixed_entropy`.

Whoever changes in which order the sampler reads its bytes changes these; the tests hold them against the exact path.
"""
_KNOWN_DRAWS = 256


def noise_checks(path: HostPath) -> Iterator[Finding]:
    """Check entropy, known answers, the pmf at small sigma, the scale at large sigma, and freshness."""
    yield _entropy()
    yield from (_known_answer(path, variance, answer) for variance, answer in KNOWN.items())
    yield from (_small(path, variance, draws) for variance, draws in SMALL)
    first = path.noise(noise_plan(LARGE, LARGE_DRAWS), DEVICES, os.urandom)
    yield _scale("noise_scale", first, LARGE)
    yield _fresh(first, path.noise(noise_plan(LARGE, LARGE_DRAWS), DEVICES, os.urandom))
    each = path.noise(noise_plan(LARGE // DEVICES, LARGE_DRAWS, mode=LOCAL), DEVICES, os.urandom)
    yield _scale("local_noise_scale", each, LARGE)


def _entropy() -> Finding:
    blocks = [read(os.urandom, 32) for _ in range(64)]
    ones = sum(int.from_bytes(block, "big").bit_count() for block in blocks)
    holds = len(set(blocks)) == len(blocks) and log_p_fair(ones, 256 * len(blocks)) > LOG_ALARM
    return Finding("entropy", holds, f"{len(set(blocks))} of {len(blocks)} blocks differ, {ones} ones")


def known_answer(path: HostPath, variance: int) -> str:
    """Return the SHA-256 of draws from known bytes."""
    draws = path.noise(noise_plan(variance, _KNOWN_DRAWS), DEVICES, fixed_entropy())
    return hashlib.sha256(draws.astype("<i8").tobytes()).hexdigest()


def _known_answer(path: HostPath, variance: int, answer: str) -> Finding:
    got = known_answer(path, variance)
    return Finding("sampler_known_answer", got == answer, f"variance {variance}: {got[:16]}")


def _small(path: HostPath, variance: int, draws: int) -> Finding:
    noise = path.noise(noise_plan(variance, draws), DEVICES, os.urandom)
    size, squares = len(noise), float(np.mean(noise.astype(np.float64) ** 2))
    reach = math.ceil(3 * math.sqrt(variance))
    counts = np.bincount(np.clip(noise, -reach, reach) + reach, minlength=2 * reach + 1)
    bounds = {
        "counts": log_p_counts(counts.tolist(), pmf(variance, reach)),
        "mean": log_p_mean(float(np.mean(noise)), variance, size),
        "mean square": log_p_second_moment(squares / variance, size),
    }
    worst = min(bounds, key=lambda name: bounds[name])
    holds = size == draws and bounds[worst] > LOG_ALARM
    return Finding("sampler_small_sigma", holds, f"variance {variance}: {worst}, ln p <= {bounds[worst]:.1f}")


def pmf(variance: int, reach: int) -> list[float]:
    """Return the discrete Gaussian's probabilities of -reach to reach, the tails lumped into the two ends.

    P(x) = exp(-x^2 / (2 sigma^2)) / sum; beyond 40 sigma the mass is below 2^-1000.
    """
    edge = 40 * math.isqrt(variance) + 40
    weights = [math.exp(-x * x / (2 * variance)) for x in range(-edge, edge + 1)]
    total = math.fsum(weights)
    tail = math.fsum(weights[: edge - reach + 1]) / total
    inner = [weight / total for weight in weights[edge - reach + 1 : edge + reach]]
    return [tail, *inner, tail]


def _scale(check: str, noise: NDArray[np.int64], variance: int) -> Finding:
    scaled = noise.astype(np.float64) / math.sqrt(variance)
    ratio = float(np.mean(scaled**2))
    bound = min(log_p_second_moment(ratio, len(noise)), log_p_mean(float(np.mean(scaled)), 1.0, len(noise)))
    holds = len(noise) == LARGE_DRAWS and bound > LOG_ALARM
    return Finding(check, holds, f"{ratio:.3f} times the plan's variance, ln p <= {bound:.1f}")


def _fresh(first: NDArray[np.int64], second: NDArray[np.int64]) -> Finding:
    """Two draws may agree at a coordinate with probability 1 / (2 sqrt(pi) sigma) = 2^-22.8 each; at 8 it is no chance.

    (3000 choose 8) 2^-(8 * 22.8) is below 1e-32.
    """
    same = int((first == second).sum()) if first.shape == second.shape else len(first)
    return Finding("noise_fresh", same < 8, f"{same} of {len(first)} coordinates repeat")
