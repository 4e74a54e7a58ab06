"""``python -m benchmarks.rehearsal [--stage main]``: every policy in every world, with the bars beside the figures.

Stages run in order of importance and each finished cell is kept under ``out/``, so an interrupted run goes on where it
stopped. Rows are written for those comparisons all of whose cells are there; the counts of seeds are rows themselves.
All differences are paired over seeds and use the expected net value (orders replaced by their chance).
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks import _harness
from benchmarks._harness import Row
from benchmarks.rehearsal_cells import Cache, Cell, cell, run_all
from benchmarks.rehearsal_rows import ABLATIONS, PEERS, Group, bars, comparison_rows, series_rows
from tactful_lab.worlds import KINDS, load, reporting_seeds, tuning_seeds
from tactful_privacy.errors import TactfulError

N, LARGE, SMALL = 10_000, 100_000, 2_000
SEEDS, LARGE_SEEDS, SWEEP_SEEDS = 20, 3, 5
PRICES = (0.0, 0.1, 0.2, 0.4, 0.8)
PRICE_SEEDS = 3
COSTS = (50.0, 100.0, 200.0)
CAPS = ("fixed_three", "fixed_daily")
SIMPLE = ("never", *CAPS, *PEERS)
Policies = Sequence[tuple[str, float]]


def _at(names: Sequence[str], *epsilons: float) -> list[tuple[str, float]]:
    return [*((name, 4.0) for name in names), *(("tactful", epsilon) for epsilon in epsilons)]


MAIN = _at(
    (
        *SIMPLE,
        "random_3",
        "random_7",
        "local_only",
        "thompson_no_fatigue",
        "central",
        "cold_start",
        "greedy_oracle",
        *ABLATIONS,
    ),
    *(1.0, 2.0, 4.0, 8.0),
)
WRONG = _at((*SIMPLE, "local_only", "central"), 4.0)
SWEPT = _at((*SIMPLE, "central"), 4.0)
OFF_THE_SHELF = _at(("never", *PEERS, "vowpal_wabbit", "mabwiser", "local_only", "central"), 4.0)
UTILITY = _at(("never", "histogram_daily", "logistic_paced", "central"), 1.0, 2.0, 4.0, 8.0)
UTILITY_LARGE = _at((), 1.0, 2.0, 8.0)
STAGES = ("main", "worlds", "large", "price", "bandits", "epsilon", "hazard", "cost", "epsilon_large")


@dataclass(frozen=True, slots=True)
class Plan:
    """Which seeds: all reporting seeds, or at most some tuning seeds for trying, so that a trial shows no figure."""

    most_seeds: int = SEEDS

    def seeds(self, count: int) -> range:
        """The seeds of one comparison."""
        return reporting_seeds(count) if self.most_seeds >= SEEDS else tuning_seeds(min(count, self.most_seeds))

    def group(self, kind: str, n: int, policies: Policies, seeds: int, label: str = "", **world: float) -> Group:
        """Cells of some policies in the same worlds, by policy."""
        chosen = self.seeds(seeds)
        cells = {_name(p, e): [cell(kind, n, p, s, epsilon=e, **world) for s in chosen] for p, e in policies}
        return Group(label or f"{kind}, N = {n:,}", cells)

    def stage(self, name: str) -> list[Group]:
        """The groups of one stage."""
        hazards = load().opt_out.hazard_sweep
        made: dict[str, Callable[[], list[Group]]] = {
            "main": lambda: [self.group("main", N, MAIN, SEEDS)],
            "worlds": lambda: [self.group(kind, N, WRONG, SEEDS) for kind in KINDS if kind != "main"],
            "large": lambda: [self.group("main", LARGE, WRONG, LARGE_SEEDS)],
            "price": list,
            "bandits": lambda: [self.group("main", SMALL, OFF_THE_SHELF, SWEEP_SEEDS, "bandits, N = 2,000")],
            "epsilon": lambda: [self.group("main", n, UTILITY, SEEDS, f"ε-utility, N = {n:,}") for n in (500, SMALL)],
            "hazard": lambda: [
                self.group("main", N, SWEPT, SWEEP_SEEDS, f"hazard {100 * h:g} %", hazard=h) for h in hazards
            ],
            "cost": lambda: [
                self.group("main", N, SWEPT, SWEEP_SEEDS, f"C_out {c:g} pushes", cost_pushes=c) for c in COSTS
            ],
            "epsilon_large": lambda: [self.group("main", LARGE, [*WRONG, *UTILITY_LARGE], LARGE_SEEDS)],
        }
        return made[name]()

    def tuning(self) -> dict[float, list[Cell]]:
        """The learner at each fleet price, on tuning seeds."""
        seeds = tuning_seeds(min(PRICE_SEEDS, self.most_seeds))
        return {price: [cell("main", N, "tactful", s, price=price) for s in seeds] for price in PRICES}


def _name(policy: str, epsilon: float) -> str:
    return f"tactful, ε = {epsilon:g}" if policy == "tactful" else policy


def price_for(kept: Cache, plan: Plan, cap: str) -> float | None:
    """The lowest fleet price at which the learner sends no more than a fixed cap on tuning seeds; None if none does."""
    caps = kept.outcomes([cell("main", N, cap, c.seed) for c in plan.tuning()[0.0]])
    allowed = sum(o.pushes_per_user_week for o in caps)
    for price, cells in plan.tuning().items():
        ran = kept.outcomes(cells)
        if caps and ran and sum(o.pushes_per_user_week for o in ran) <= allowed:
            return price
    return None


def priced(kept: Cache, plan: Plan) -> dict[str, tuple[float, Group]]:
    """For each fixed cap, the price chosen and the cap and the learner at that price on reporting seeds."""
    found: dict[str, tuple[float, Group]] = {}
    for cap in CAPS:
        price = price_for(kept, plan, cap)
        if price is not None:
            seeds = plan.seeds(SEEDS)
            cells = {
                "tactful, ε = 4": [cell("main", N, "tactful", s, price=price) for s in seeds],
                cap: [cell("main", N, cap, s) for s in seeds],
                "never": [cell("main", N, "never", s) for s in seeds],
            }
            found[cap] = price, Group(f"no more volume than {cap}", cells)
    return found


def execute(stages: Sequence[str], plan: Plan, kept: Cache, processes: int) -> None:
    """Run the cells of some stages."""
    for name in stages:
        cells = [c for group in plan.stage(name) for row in group.cells.values() for c in row]
        if name == "price":
            tuned = [c for row in plan.tuning().values() for c in row]
            run_all(
                [*tuned, *(cell("main", N, cap, c.seed) for cap in CAPS for c in tuned)],
                kept,
                processes=processes,
                title="price, tuning seeds",
            )
            cells = [c for _, group in priced(kept, plan).values() for row in group.cells.values() for c in row]
        run_all(cells, kept, processes=processes, title=name)


def rows(kept: Cache, plan: Plan) -> list[Row]:
    """What the finished cells show."""
    found: dict[str, Row] = {}
    for row in _rows(kept, plan):
        if math.isfinite(row.value):
            found.setdefault(row.name, row)
    return list(found.values())


def _rows(kept: Cache, plan: Plan) -> Iterator[Row]:
    groups = [group for name in STAGES for group in plan.stage(name)]
    prices = priced(kept, plan)
    yield from bars(kept, groups, prices)
    for group in groups:
        yield from comparison_rows(kept, group, PEERS)
        if group.label == f"main, N = {N:,}":
            yield from series_rows(kept, group)
    for cap, (price, group) in prices.items():
        yield Row(f"fleet price for no more volume than {cap}", price, "minor units")
        yield from comparison_rows(kept, group, (cap,))


def run() -> list[Row]:
    """All stages with all seeds; about an hour on two cores."""
    plan, kept = Plan(), Cache()
    execute(STAGES, plan, kept, processes=2)
    return rows(kept, plan)


def main(arguments: Sequence[str]) -> int:
    """Run stages; write the result only with all seeds and when asked to. Exit code 2 for what cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rehearsal", description=__doc__)
    parser.add_argument("--stage", action="append", choices=STAGES, help="may be repeated; by default all")
    parser.add_argument(
        "--seeds", type=int, default=SEEDS, help=f"below {SEEDS}: a trial on at most so many tuning seeds"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/rehearsal.json")
    asked = parser.parse_args(arguments)
    plan = Plan(asked.seeds)
    try:
        kept = Cache()
        execute(asked.stage or STAGES, plan, kept, asked.processes)
        found = rows(kept, plan)
        if asked.write and asked.seeds >= SEEDS:
            print(f"wrote {_harness.write('rehearsal', found)}")
    except TactfulError as error:
        print(error, file=sys.stderr)
        return 2
    for row in found:
        print(f"{row.name:88} {row.value:12.5g} {row.unit} {row.reference} {row.reference_value or ''}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
