"""On the correct mechanism, in the claim's worst case, the audit hardly ever cries wolf; at half the noise it does.

The scores are those of the mechanism itself: C at a canary's coordinate plus the sum of n_min − t exact discrete
Gaussians. The same over the whole path of a round is tests/lab/test_audit_power.py and benchmarks/results/audit.json.
"""

import math

import numpy as np
import pytest

from tactful_privacy.audit import canaries
from tactful_privacy.audit.verdict import evaluate
from tactful_privacy.mechanisms.discrete_gaussian import sample

CANARIES = 1000
HONEST = 3
CLIP_UNITS, VARIANCE = 838_860, 377_030_632_147  # five hosts, n_min = 4, t = 1: (4, 1e-6) in one round
THEORY_MU = math.sqrt(CLIP_UNITS**2 / (HONEST * VARIANCE))


def audits(runs, variance):
    """Judge that many independent audits of HONEST hosts with this variance."""
    for _ in range(runs):
        inserted = canaries.choose(CANARIES)
        noise = sum(sample(variance, CANARIES) for _ in range(HONEST))
        yield evaluate((CLIP_UNITS * inserted + noise) / CLIP_UNITS, inserted, theory_mu=THEORY_MU)


def test_false_alarms_of_the_correct_mechanism():
    """200 audits at 95 %: the f-DP bound exceeds the truth in at most 8 %; it may in 5 %, and is far below that.

    At a true rate of 5 % more than 16 of 200 would come up in 2 % of test runs; the bound's own rate is below 1e-3.
    The estimate, at 99 %, may exceed it in 1 %: more than 9 of 200 would come up once in 30,000 test runs.
    """
    results = list(audits(200, VARIANCE))
    assert sum(not result.holds for result in results) <= 16
    assert sum(not result.estimate_holds for result in results) <= 9
    assert np.mean([result.gaussian_mu_estimate for result in results]) == pytest.approx(THEORY_MU, abs=0.025)
    assert max(result.one_run_epsilon for result in results) < results[0].theory_epsilon


def test_halved_noise_is_caught():
    """Half the deviation, 100 audits: caught in ≥ 85 by the f-DP bound, ≥ 95 by the estimate (true: 0.99, 1)."""
    results = list(audits(100, VARIANCE // 4))
    assert sum(not result.holds for result in results) >= 85
    assert sum(not result.estimate_holds for result in results) >= 95
