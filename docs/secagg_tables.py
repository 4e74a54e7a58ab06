"""``python docs/secagg_tables.py``: write the table of ``docs/secure-aggregation.md`` from the thresholds."""

import math
from collections.abc import Iterator
from pathlib import Path

from tactful_privacy.secagg.thresholds import GraphParameters, recommended, window_floor

PAGE = Path(__file__).parent / "secure-aggregation.md"
BEGIN, END = "<!-- secagg:graph -->\n", "<!-- /secagg -->"
HOSTS = (100, 200, 500, 1_000, 2_000, 4_000)
STAYING = (0.9, 0.8)
COLLUDING = (0.01, 0.05)


def _log2(value: float) -> str:
    return "0" if value == -math.inf else f"2^{value:.1f}"


def _row(n_hosts: int, n_min: int, colluders: int, found: GraphParameters) -> str:
    cells: list[object] = [f"{n_hosts:,}", f"{n_min:,}", colluders]
    if found.neighbours == 0:
        cells += ["all", f"{n_min:,}", "–", "–"]
    else:
        floor = f"{window_floor(n_hosts, colluders, found.neighbours)} of {found.neighbours // 2}"
        committee = f"{found.committee_threshold} of {found.committee}"
        cells += [found.neighbours, found.share_threshold, floor, committee]
    return "| " + " | ".join(map(str, [*cells, _log2(found.security_log2), _log2(found.correctness_log2)])) + " |"


def _rows() -> Iterator[str]:
    yield "| hosts n | n_min | t | neighbours k | share threshold | window floor | committee | unsafe | void by luck |"
    yield "|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for n_hosts in HOSTS:
        for staying in STAYING:
            for colluding in COLLUDING:
                n_min, colluders = round(staying * n_hosts), max(1, round(colluding * n_hosts))
                yield _row(n_hosts, n_min, colluders, recommended(n_hosts, n_min, colluders))


def filled(text: str) -> str:
    """The page with its table replaced."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + "\n" + "\n".join(_rows()) + "\n\n" + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
