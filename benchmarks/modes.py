"""What modes, correlated noise and adaptive clipping do to noise and clip, from the shipped samplers themselves.

``run()`` is what `make bench SUITE=modes` writes; it takes a few seconds.
"""

import math
import time

import numpy as np
from numpy.typing import NDArray

from benchmarks._harness import Row
from tactful_privacy.accounting.calibration import Calibration
from tactful_privacy.accounting.modes import CENTRAL, DISTRIBUTED, LOCAL, calibrate_in_mode
from tactful_privacy.mechanisms.adaptive_clip import AdaptiveClip, clip_bits, share_below
from tactful_privacy.mechanisms.banded import RunNoise, Strategy, strategies
from tactful_privacy.mechanisms.discrete_gaussian import sample

COORDINATES = 1_000
VARIANCE = 10**8
HOSTS, DEVICES, N_MIN, COLLUDERS, ROUNDS = 5, 1_000, 4, 1, 60


def _prefix_error(noises: list[NDArray[np.int64]]) -> float:
    """Root mean square of all prefix sums, in units of sigma."""
    return float(np.sqrt((np.cumsum(noises, axis=0) ** 2).mean() / VARIANCE))


def _correlated(strategy: Strategy) -> list[NDArray[np.int64]]:
    state, noises = RunNoise(), []
    for index in range(strategy.rounds):
        noise, state = state.advance(strategy, index, VARIANCE, COORDINATES)
        noises.append(noise)
    return noises


def _banded() -> list[Row]:
    rows = []
    for strategy in strategies().values():
        started = time.perf_counter()
        error = _prefix_error(_correlated(strategy))
        spent = 1e3 * (time.perf_counter() - started) / strategy.rounds
        alone = _prefix_error([sample(VARIANCE, COORDINATES) for _ in range(strategy.rounds)])
        name = f"prefix_error_{strategy.rounds}_rounds_{strategy.bands}_bands"
        rows.append(Row(name, error, "σ", "independent noise at the same ρ", alone))
        rows.append(Row(f"time_per_round_{strategy.rounds}_rounds_{strategy.bands}_bands", spent, "ms"))
    return rows


def _terms(mode: str, clip_norm: float) -> Calibration:
    return calibrate_in_mode(
        mode,
        epsilon=8.0,
        delta=1e-6,
        participations=ROUNDS,
        n_min=N_MIN,
        colluders=COLLUDERS,
        clip_norm=clip_norm,
        half_ranges=(AdaptiveClip().half_range_share * clip_norm,),
        total_devices=DEVICES,
        dimension=53,
        n_hosts=HOSTS,
    )


def _rounds_until_near(start: float) -> Row:
    """How many rounds until C is within a tenth of the median of log-normal norms, noise of every host included."""
    rule, rng = AdaptiveClip(), np.random.default_rng(11)
    updates = rng.normal(size=(DEVICES, 53))
    updates *= (np.exp(rng.normal(size=DEVICES)) / np.linalg.norm(updates, axis=1))[:, None]
    median, clip_norm = float(np.median(np.linalg.norm(updates, axis=1))), start
    for number in range(ROUNDS):
        if abs(clip_norm / median - 1) < 0.1:
            return Row(f"rounds_to_the_median_from_{start:g}_times", number, "rounds", "of a budget of", ROUNDS)
        plan = _terms(DISTRIBUTED, clip_norm)
        half = math.ldexp(plan.half_range_units[0], -plan.grid_exponent)
        noise = math.ldexp(int(sample(plan.noise_variance_units, HOSTS).sum()), -plan.grid_exponent)
        mean = (float(clip_bits(updates, clip_norm, half).sum()) + noise) / DEVICES
        clip_norm = rule.next_clip(clip_norm, share_below(mean, half), start)
    raise RuntimeError(f"C = {clip_norm} is not near {median} after {ROUNDS} rounds")


def run() -> list[Row]:
    """Measure prefix sums, noise by mode, and how fast a clip norm finds the devices' median."""
    central = _terms(CENTRAL, 1.0).sigma_host
    distributed = _terms(DISTRIBUTED, 1.0).sigma_host * math.sqrt(HOSTS)
    local = _terms(LOCAL, 1.0).sigma_host * math.sqrt(DEVICES)
    noise = [
        Row("noise_in_a_distributed_sum_of_1000_devices", distributed, "clip norms", "central", central),
        Row("noise_in_a_local_sum_of_1000_devices", local, "clip norms", "central", central),
    ]
    return [*_banded(), *noise, _rounds_until_near(0.01), _rounds_until_near(100.0)]


if __name__ == "__main__":
    for row in run():
        print(f"{row.name:48} {row.value:10.4g} {row.unit:12} {row.reference} {row.reference_value or ''}")
