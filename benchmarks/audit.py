"""The audit against its bars: bounds against direct sums, false alarms of the correct mechanism, power at half noise.

``run()`` is what `make bench SUITE=audit` writes. Audits over the whole path rehearse a federation of five hosts in the
claim's worst case (n_min − t = 3 hosts of unknown noise) with 1,000 canaries at (ε, δ) = (4, 1e-6) in one round; those
"on exact noise" take the scores from the exact sampler alone.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import NormalDist, fmean, median
from typing import Any

import numpy as np

from benchmarks._harness import Row
from tactful.federation import participant as device
from tactful_lab.audit.target import RehearsedTarget, open_target
from tactful_privacy.audit import canaries, f_dp, one_run
from tactful_privacy.audit.session import run_audit
from tactful_privacy.audit.verdict import AuditResult, evaluate
from tactful_privacy.mechanisms.discrete_gaussian import sample
from tactful_privacy.wire import RoundPlan

M, HONEST, DELTA = 1000, 3, 1e-6
FALSE_ALARM_RUNS, POWER_RUNS, EXACT_RUNS, ROUNDS = 200, 100, 400, 120
COUNTS = [(1000, 266, 219), (1000, 266, 250), (1000, 100, 75), (500, 400, 330), (100, 30, 30), (40, 12, 11)]
MUS = (0.3, 0.5, 1.0, 1.5, 2.0)
_UNIT = 10**6
_STEP = 1e-5


def run() -> list[Row]:
    """Measure everything; about five minutes."""
    return [*_bounds(), *_whole_path(), *_real_schedule(), *_exact_noise(), *_random_units()]


# Bounds


def _bounds() -> Iterator[Row]:
    one = [_gap(one_run.epsilon_lower_bound(m, r, v, DELTA), _one_run_refuted(m, r, v)) for m, r, v in COUNTS]
    two = [_gap(f_dp.mu_lower_bound(m, r, v), _f_dp_refuted(m, r, v)) for m, r, v in COUNTS]
    yield Row("one_run_largest_error_against_direct_sums", max(one), "epsilon", "bar", 1e-4)
    yield Row("f_dp_largest_error_against_direct_recursion", max(two), "mu", "bar", 1e-4)
    yield Row("one_run_bound_1000_canaries", _ms(lambda: one_run.epsilon_lower_bound(M, 266, 219, DELTA)), "ms")
    yield Row("f_dp_bound_1000_canaries", _ms(lambda: f_dp.mu_lower_bound(M, M, 900)), "ms", "bar", 1000.0)


def _gap(bound: float, refuted: Callable[[float], bool]) -> float:
    """How far the direct computation has to go from the bound, in steps of 1e-5, until its answer changes."""
    here = refuted(bound)
    for steps in range(1, 10**4):
        moved = bound + steps * _STEP if here else bound - steps * _STEP
        if refuted(moved) != here:
            return steps * _STEP
    return math.inf


def _one_run_refuted(m: int, r: int, v: int) -> Callable[[float], bool]:
    def refuted(epsilon: float) -> bool:
        q = 1 / (1 + math.exp(-epsilon))
        mass = [math.comb(r, k) * q**k * (1 - q) ** (r - k) for k in range(r + 1)]
        ahead = max(math.fsum(mass[max(v - i, 0) : v]) / i for i in range(1, m + 1))
        return math.fsum(mass[v:]) + 2 * m * DELTA * ahead < 0.05

    return refuted


def _f_dp_refuted(m: int, r: int, v: int) -> Callable[[float], bool]:
    normal = NormalDist()

    def refuted(mu: float) -> bool:
        right, wrong = 0.05 * v / m, 0.05 * (r - v) / m
        for i in range(v - 1, -1, -1):
            before = wrong
            wrong = max(wrong, normal.cdf(normal.inv_cdf(right) - mu))
            right += i / (r - i) * (wrong - before)
            if right >= 1:
                return True
        return right + wrong > r / m

    return refuted


def _ms(work: Callable[[], object]) -> float:
    times = []
    for _ in range(21):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return 1e3 * median(times)


# The whole path


def _whole_path() -> Iterator[Row]:
    target = open_target(canaries=M, delta=DELTA)
    try:
        started = time.perf_counter()
        correct = _audits(target, FALSE_ALARM_RUNS)
        seconds = (time.perf_counter() - started) / FALSE_ALARM_RUNS
        with _halved_noise():
            halved = _audits(target, POWER_RUNS)
    finally:
        target.close()
    theory = correct[0].theory_mu
    yield Row("audit_1000_canaries_one_round", seconds, "s", "aim", 0.3)
    yield Row("false_alarms_f_dp_200_audits", _share(correct, "holds"), "fraction", "bar", 0.08)
    yield Row("false_alarms_gaussian_estimate_200_audits", _share(correct, "estimate_holds"), "fraction", "level", 0.01)
    yield Row("halved_noise_caught_f_dp_100_audits", _share(halved, "holds"), "fraction", "bar", 0.85)
    yield Row("halved_noise_caught_estimate_100_audits", _share(halved, "estimate_holds"), "fraction", "bar", 0.95)
    for name, results in (("correct", correct), ("halved_noise", halved)):
        yield Row(f"{name}_mean_f_dp_mu", fmean(r.f_dp_mu for r in results), "mu", "theory", theory)
        yield Row(f"{name}_mean_gaussian_mu", fmean(r.gaussian_mu_estimate for r in results), "mu", "theory", theory)
        epsilon = fmean(r.one_run_epsilon for r in results)
        yield Row(f"{name}_mean_one_run_epsilon", epsilon, "epsilon", "theory", correct[0].theory_epsilon)


def _real_schedule() -> Iterator[Row]:
    """One audit of the promise as it is really spread, over 120 rounds of μ = 0.07 each: sound, then at half noise."""
    target = open_target(canaries=M, rounds=ROUNDS, delta=DELTA)
    try:
        sound = run_audit(target, delta=DELTA)
        with _halved_noise():
            halved = run_audit(target, delta=DELTA)
    finally:
        target.close()
    yield Row("audit_1000_canaries_120_rounds", sound.seconds, "s")
    for name, done in (("sound", sound), ("halved_noise", halved)):
        theory = done.result.theory_mu
        yield Row(f"{name}_120_rounds_f_dp_mu", done.result.f_dp_mu, "mu", "theory", theory)
        yield Row(f"{name}_120_rounds_gaussian_mu", done.result.gaussian_mu_estimate, "mu", "theory", theory)


def _audits(target: RehearsedTarget, runs: int) -> list[AuditResult]:
    return [run_audit(target, delta=DELTA).result for _ in range(runs)]


def _share(results: list[AuditResult], field: str) -> float:
    """Share of the audits that refute the claim."""
    return fmean(not getattr(result, field) for result in results)


@contextmanager
def _halved_noise() -> Iterator[None]:
    """Every host at half the deviation, with a self-test that looks away."""

    def half(plan: RoundPlan, *_: Any) -> Any:
        return sample(plan.noise_variance_units // 4, plan.dimension)

    kept = device._noise, device.RoundParticipant._require_sound
    patched: Any = device
    try:
        patched._noise, patched.RoundParticipant._require_sound = half, lambda _self: None
        yield
    finally:
        patched._noise, patched.RoundParticipant._require_sound = kept


# Exact noise


def _exact_noise() -> Iterator[Row]:
    """What power to expect of other claims: halved noise and the f-DP bound with the default number of guesses."""
    for mu in MUS:
        results = [_exact(mu) for _ in range(EXACT_RUNS)]
        yield Row(f"halved_noise_caught_f_dp_mu_{mu:g}", _share(results, "holds"), "fraction")


def _exact(mu: float) -> AuditResult:
    inserted = canaries.choose(M)
    variance = round((_UNIT / (2 * mu)) ** 2 / HONEST)
    scores = inserted.astype(np.float64)
    for _ in range(HONEST):
        scores += sample(variance, M) / _UNIT
    return evaluate(scores, inserted, theory_mu=mu)


def _random_units() -> Iterator[Row]:
    """A thousand random unit vectors in 53 dimensions and no noise at all: they hide each other."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(20):
        vectors = rng.normal(size=(M, 53))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        inserted = canaries.choose(M)
        scores = vectors @ (inserted @ vectors)
        found.append(evaluate(scores, inserted, theory_mu=math.sqrt(2 * 0.311065)))
    theory = found[0].theory_mu
    mu = fmean(result.gaussian_mu_estimate for result in found)
    yield Row("random_units_without_noise_gaussian_mu", mu, "mu", "theory", theory)
    yield Row("random_units_without_noise_caught", _share(found, "holds"), "fraction")


if __name__ == "__main__":
    for row in run():
        print(f"{row.name:48} {row.value:12.6g} {row.unit:12} {row.reference} {row.reference_value}")
