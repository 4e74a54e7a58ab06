"""How exact and how quick the accountants are, over the twenty settings whose epsilon was computed independently.

The settings and their values stand in ``tests/vectors/pld_epsilon.json``; ``tests/privacy/pld_oracle.py`` made them, by
an inversion integral that shares nothing with the accountant. ``run()`` is what `make bench SUITE=accounting` writes.
"""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks._harness import ROOT, Row
from tactful_privacy.accounting.accountants import accountant
from tactful_privacy.accounting.events import ComposedEvent, Event, GaussianEvent, PoissonSampledEvent

TABLE = ROOT / "tests" / "vectors" / "pld_epsilon.json"
_REPEATS = 5


def _event(setting: dict[str, Any]) -> Event:
    one = PoissonSampledEvent(GaussianEvent(setting["noise_multiplier"]), setting["sampling_rate"])
    return ComposedEvent(one, setting["rounds"])


def _median_ms(query: Callable[[], float]) -> float:
    """Processor time: what a query takes on a core of its own."""
    times = []
    for _ in range(_REPEATS):
        start = time.process_time()
        query()
        times.append(time.process_time() - start)
    return 1e3 * statistics.median(times)


def run() -> list[Row]:
    """Worst and median query time, and the largest relative error, of PLD; the same of exact GDP where it applies."""
    settings = json.loads(TABLE.read_text(encoding="utf-8"))
    pld, gdp, rdp = (accountant(name) for name in ("pld", "gdp", "rdp"))
    pld.epsilon(GaussianEvent(1), 1e-6)  # imports the library
    times, rdp_times, errors, exact_errors, slack = [], [], [], [], []
    for setting in settings:
        event, delta, reference = _event(setting), setting["delta"], setting["epsilon"]
        times.append(_median_ms(lambda event=event, delta=delta: pld.epsilon(event, delta)))  # type: ignore[misc]
        rdp_times.append(_median_ms(lambda event=event, delta=delta: rdp.epsilon(event, delta)))  # type: ignore[misc]
        errors.append(abs(pld.epsilon(event, delta) / reference - 1))
        slack.append(rdp.epsilon(event, delta) / reference - 1)
        if setting["sampling_rate"] == 1:
            exact_errors.append(abs(gdp.epsilon(event, delta) / reference - 1))
    return [
        Row("settings", len(settings), "1", "asked for", 20),
        Row("pld_max_relative_error", max(errors), "fraction", "bar", 0.0025),
        Row("pld_query_slowest", max(times), "ms of processor", "bar", 300.0),
        Row("pld_query_median", statistics.median(times), "ms of processor"),
        Row("gdp_max_relative_error", max(exact_errors), "fraction"),
        Row("rdp_median_excess_over_exact", statistics.median(slack), "fraction"),
        Row("rdp_query_slowest", max(rdp_times), "ms of processor"),
    ]


if __name__ == "__main__":
    for row in run():
        print(f"{row.name:32} {row.value:12.6g} {row.unit:10} {row.reference} {row.reference_value}")
