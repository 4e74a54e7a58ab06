"""Planted faults: in how many of twenty trials each check catches each of them.

``run()`` is what `make bench SUITE=faults` writes; as a script it prints the same table.
"""

import logging
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from benchmarks._harness import Row

RUNS = 20
CANARIES = 1000
CHECKS = {
    "refusal": "refusal",
    "self_test": "self-test",
    "audit": "audit's bound",
    "audit_estimate": "audit's estimate",
}
_DURATION = "self-test of a host"


def run() -> list[Row]:
    """Plant every fault twenty times; then time the self-test."""
    from tactful_lab.audit.target import open_target
    from tactful_privacy.audit.faults import run_faults
    from tactful_privacy.errors import SelfTestFailed

    for name in ("tactful", "tactful_server"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    started = time.process_time()
    with closing(open_target(canaries=CANARIES, rounds=1)) as target:
        table = run_faults(target, runs=RUNS)
    if not table.as_expected:
        raise SelfTestFailed(tuple(result.name for result in table.faults if not result.as_expected))
    rows = []
    for result in table.faults:
        for check, count in result.catches.items():
            must = check in result.expected
            reference = ("must catch it", float(RUNS)) if must else (result.caught_by, None)
            rows.append(Row(f"{result.title} · {check}", float(count), f"of {RUNS} trials", *reference))
    return [*rows, _duration(), Row("the whole table", time.process_time() - started, "s of processor time")]


def _duration() -> Row:
    from tactful.federation.participant import host_path
    from tactful_privacy.selftest import self_test

    def once() -> float:
        started = time.process_time()
        self_test(host_path())
        return time.process_time() - started

    seconds = sorted(once() for _ in range(41))
    return Row(_DURATION, 1e3 * seconds[20], "ms of processor time", "bar", 50.0)


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Faults by checks: a count is bold where that check must catch the fault, – where it has nothing to look at."""
    cells: dict[str, dict[str, str]] = {}
    rest = []
    for row in rows:
        title, _, check = row["name"].rpartition(" · ")
        if check in CHECKS:
            count = f"{row['value']:.0f}"
            cells.setdefault(title, {})[check] = f"**{count}**" if row["reference_value"] else count
        else:
            rest.append(f"{row['name']}: {row['value']:.0f} {row['unit']}.")
    lines = [f"| fault | {' | '.join(CHECKS.values())} |", "|---|" + "---:|" * len(CHECKS)]
    lines += [
        f"| {title} | {' | '.join(found.get(check, '–') for check in CHECKS)} |" for title, found in cells.items()
    ]
    return [*lines, "", " ".join(rest)]


if __name__ == "__main__":
    for line in table([row.as_dict() for row in run()]):
        print(line)
