"""What an outside reader's attacks get: reconstruction of a household's hours, and membership by LiRA.

``run()`` is what `make bench SUITE=attacks` writes; as a script it prints the same table.
"""

import math

from benchmarks._harness import Row
from tactful_lab.audit.attacks import run_attacks
from tactful_lab.audit.membership import Scale

EPSILONS = (math.inf, 4.0, 1.0)
PHONES = 400
SCALE = Scale(households=160, rounds=10, shadows=96, targets=8)


def run() -> list[Row]:
    """Attack 400 phones and, at each ε, eight federations with 96 shadows; each figure with its interval."""
    found = run_attacks(phones=PHONES, epsilons=EPSILONS, scale=SCALE, progress=lambda text: print(text, end="\r"))
    rows = []
    for row in found.rows:
        name = f"{row.attack}, {row.condition}: {row.figure}"
        beside, value = ("guessing", row.chance) if row.limit is None else ("theory allows", row.limit)
        rows += [
            Row(name, row.value, "1", beside, value),
            Row(f"{name}, 95 % low", row.low, "1"),
            Row(f"{name}, 95 % high", row.high, "1"),
        ]
    return rows


if __name__ == "__main__":
    for each in run():
        print(f"{each.name:80} {each.value:8.3f} {each.reference} {each.reference_value}")
