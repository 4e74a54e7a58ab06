"""What noise and encoding cost a host: the sampler and the grid on one core, against their bars.

``run()`` is what `make bench SUITE=sampler` writes; as a script it prints the same table.
"""

import os
import statistics
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks._harness import Row
from tactful_privacy.accounting.calibration import calibrate
from tactful_privacy.accounting.zcdp import rho_budget
from tactful_privacy.mechanisms import discrete_gaussian, grid


def _median_ms(work: Callable[[], object], repeats: int) -> float:
    """Return the median wall time of ``work`` in milliseconds, after one warm-up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def _integers_only(variance: int, size: int) -> Callable[[], object]:
    """Return the same draw with every candidate sent through the exact integers."""
    target = discrete_gaussian._checked(variance, size)
    return lambda: discrete_gaussian._draw(target, size, os.urandom, exact=True)


def _median_processor_ms(work: Callable[[], object], repeats: int) -> float:
    """Return the median processor time of ``work`` in milliseconds, after one warm-up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1e3 * statistics.median(times)


def _opendp(variance: int, size: int) -> Callable[[], object]:
    """Return the same draw by OpenDP's discrete Gaussian for a vector of integers."""
    dp: Any = import_module("opendp.prelude")
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l2_distance(T=float)
    measurement, zeros = dp.m.make_gaussian(*space, scale=float(variance) ** 0.5), [0] * size
    return lambda: measurement(zeros)


def run() -> list[Row]:
    """Measure on the checked example: 2,297 devices, 64 coordinates, five hosts, epsilon 4 over 120 rounds."""
    plan = calibrate(
        epsilon=4,
        delta=1e-6,
        participations=120,
        n_min=4,
        colluders=1,
        clip_norm=0.4,
        total_devices=2297,
        dimension=64,
        n_hosts=5,
    )
    variance = plan.noise_variance_units
    updates = np.random.default_rng(0).normal(0, 0.1, (500, 64))

    def encode() -> object:
        return grid.encode_block(
            updates,
            clip_units=plan.clip_units,
            grid_exponent=plan.grid_exponent,
            norm_bound_squared=plan.norm_bound_squared,
        )

    draw = discrete_gaussian.sample
    # Processor time, since other work on the machine stretches a long draw more than a short one.
    ours = _median_processor_ms(lambda: draw(variance, 5000), 100)
    theirs = _median_processor_ms(_opendp(variance, 5000), 20)
    filtered = _median_ms(lambda: draw(variance, 512), 200)
    integers = _median_ms(_integers_only(variance, 512), 5)
    return [
        Row("sampler_512_coordinates", filtered, "ms", "bar", 20.0),
        Row("sampler_5000_coordinates", _median_ms(lambda: draw(variance, 5000), 50), "ms", "prototype", 2.2),
        Row("opendp_over_ours_5000_coordinates", theirs / ours, "times", "bar", 50.0),
        Row("opendp_5000_coordinates", theirs, "ms of processor", "ours", ours),
        Row("sampler_512_coordinates_without_float_filter", integers, "ms", "with the filter", filtered),
        Row("encode_500_devices_64_coordinates", _median_ms(encode, 50), "ms", "bar", 50.0),
        Row("rho_budget_epsilon_4_delta_1e-6", rho_budget(4, 1e-6), "rho", "design", 0.311065),
        Row("noise_multiplier_120_rounds", plan.noise_multiplier, "z", "design", 13.888),
        Row("sigma_host", plan.sigma_host, "model units", "design", 3.2074),
        Row("modulus_usage", plan.modulus_usage, "fraction", "design", 0.48),
    ]


if __name__ == "__main__":
    for row in run():
        print(f"{row.name:48} {row.value:12.6g} {row.unit:12} {row.reference} {row.reference_value:.6g}")
