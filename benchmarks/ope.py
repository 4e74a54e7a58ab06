"""Do intervals of off-policy values hold what they promise? Coverage over 200 replications, central and federated.

Logs come from the simulated worlds, by reporting seeds, each replication from people of its own. A truth per decision
is worked out from the world itself (`tactful_lab.evaluation.world_logs`), on people of other seeds. ``single`` weights
answer for one decision, ``window`` ones for a week of them.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchmarks._harness import Row
from tactful.evaluation import EvaluationSpec, Floats, Target
from tactful.evaluation_sums import contributions, device_sums
from tactful_lab.evaluation.compare import Estimate, Plan, compare
from tactful_lab.evaluation.federated import evaluate_sums, simulated_round
from tactful_lab.evaluation.policies import FromColumn
from tactful_lab.evaluation.world_logs import DAYS, WINDOW_D, WorldLog, record
from tactful_lab.worlds import KINDS, reporting_seeds
from tactful_privacy.accounting.modes import DISTRIBUTED, calibrate_in_mode

REPLICATIONS = 200
SIZES = (2_000, 10_000)
EPSILONS = (1.0, 4.0, float("inf"))
DELTA = 1e-6
HOSTS, N_MIN, COLLUDERS = 5, 4, 1
POOL, TRUTH_POOLS = 50_000, 16
# The first reporting seeds were looked at while the suite was written, and caps were chosen anew after that.
# Each kind of world has seeds of its own, or all would stand or fall by the same people.
SAMPLES_FROM, TRUTHS_FROM, KIND_STEP = 20_000, 60_000, 1_000
RESAMPLES = 400
BAR = 0.90
TARGETS = (Target("odds", 0.5), Target("fixed", 0.3))
# Chosen on tuning seeds so that clipping moves values by less than a tenth of an interval: the more people, the higher
# the caps. The predictions are rounded shares of engagement.
SPEC = EvaluationSpec(
    TARGETS, decisions_cap=DAYS, gain_cap=1.5, predicted_stay=0.055, predicted_send=0.085, reference=0.06
)
CAPS = {2_000: 6.0, 10_000: 8.0}
WINDOW_GAIN_CAP = 4.0

Truths = Mapping[tuple[str, str], float]


def seeds(kind: str, first: int, count: int) -> Sequence[int]:
    """Reporting seeds of a kind of world."""
    start = first + KIND_STEP * list(KINDS).index(kind)
    return list(reporting_seeds(start + count))[start:]


def truths(kind: str) -> Truths:
    """Value per decision of each target, by (policy, "single" or "window"), from people of seeds used nowhere else."""
    sums: dict[tuple[str, str], Floats] = defaultdict(lambda: np.zeros(2))
    for seed in seeds(kind, TRUTHS_FROM, TRUTH_POOLS):
        logged = record(kind, POOL, seed, truth=True)
        sums["logged", "single"] += logged.truth(Target("odds", 1.0), SPEC)  # with the noise of the targets' truths
        sums["logged", "window"] += (logged.engaged[logged.eligible].sum(), logged.eligible.sum())
        for target in TARGETS:
            sums[target.name, "single"] += logged.truth(target, SPEC)
            for week in range(DAYS // WINDOW_D):
                sums[target.name, "window"] += _week(kind, seed, target, week)
    return {key: float(top / bottom) for key, (top, bottom) in sums.items()}


def _week(kind: str, seed: int, target: Target, week: int) -> Floats:
    """Engagements and decisions of one week that the target decided, those before it being logged."""
    days = slice(week * WINDOW_D, (week + 1) * WINDOW_D)
    log = record(kind, POOL, seed, days=days.stop, instead=(target, SPEC), follow=lambda day: day >= days.start)
    rows = log.eligible[:, days]
    return np.array([log.engaged[:, days][rows].sum(), rows.sum()], dtype=np.float64)


def samples(kind: str, n: int) -> Iterator[WorldLog]:
    """`REPLICATIONS` logs of n people each, nobody in two of them."""
    each = POOL // n
    for seed in seeds(kind, SAMPLES_FROM, REPLICATIONS // each):
        pool = record(kind, POOL, seed)
        yield from (pool.people(k * n, (k + 1) * n) for k in range(each))


class Held:
    """How often intervals held the truth, and how wide they were, by any key."""

    def __init__(self) -> None:
        self.hits: dict[tuple[str, ...], list[bool]] = defaultdict(list)
        self.halves: dict[tuple[str, ...], list[float]] = defaultdict(list)

    def add(self, key: tuple[str, ...], low: float, high: float, truth: float) -> None:
        self.hits[key].append(low <= truth <= high)
        self.halves[key].append((high - low) / 2)

    def rows(self, what: str, widths: Sequence[str] = ()) -> Iterator[Row]:
        """Coverage of each key, how many of the replications concluded, and half-widths of some estimators."""
        for key, hits in self.hits.items():
            name = " · ".join((what, *key))
            yield Row(f"{name} · coverage", float(np.mean(hits)), "1", "bar", BAR)
            if len(hits) < REPLICATIONS:
                yield Row(f"{name} · concluded", float(len(hits)), "replications", "of", REPLICATIONS)
            if key[-1] in widths:
                yield Row(f"{name} · half-width", float(np.median(self.halves[key])), "per decision")


def central(kind: str, truth: Truths) -> Iterator[Row]:
    """Coverage of the central estimators on logs of the smaller size."""
    held = Held()
    policies = [FromColumn(target.name, target.name) for target in TARGETS]
    for number, log in enumerate(samples(kind, SIZES[0])):
        plan = Plan(window_d=WINDOW_D, resamples=RESAMPLES, seed=number)
        for one in compare(log.push_log(SPEC), policies, plan=plan):
            if isinstance(one.result, Estimate) and one.policy != "logged":
                sort = "window" if one.estimator.startswith("window") else "single"
                value = one.result.value
                held.add((sort, one.policy, one.estimator), value.low, value.high, truth[one.policy, sort])
    yield from held.rows(f"central · {kind} · N = {SIZES[0]:,}", widths=("snips", "window_snips"))


def noise_multiple(epsilon: float, people: int) -> float:
    """Deviation of the noise in the opened sum over the clip norm: five hosts that all answer, one round."""
    if np.isinf(epsilon):
        return 0.0
    found = calibrate_in_mode(
        DISTRIBUTED,
        epsilon=epsilon,
        delta=DELTA,
        participations=1,
        n_min=N_MIN,
        colluders=COLLUDERS,
        clip_norm=1.0,
        half_ranges=(),
        total_devices=people,
        dimension=len(SPEC.coordinates),
        n_hosts=HOSTS,
        modulus_bits=32,
    )
    return float(np.sqrt(HOSTS * found.noise_variance_units)) * 2.0**-found.grid_exponent


def federated(kind: str, n: int, truth: Truths) -> Iterator[Row]:
    """Coverage of the federated estimators; the same people at each ε, so that only the noise differs."""
    held, random = Held(), np.random.default_rng([n, list(KINDS).index(kind)])
    multiples = {epsilon: noise_multiple(epsilon, n) for epsilon in EPSILONS}
    single = replace(SPEC, reward_cap=CAPS[n])
    specs = {"single": single, "window": replace(single, window_d=WINDOW_D, gain_cap=WINDOW_GAIN_CAP)}
    clipped: list[float] = []
    for log in samples(kind, n):
        table = log.table()
        for sort, spec in specs.items():
            rows = contributions(spec, device_sums(spec, table))
            for epsilon, multiple in multiples.items():
                found = evaluate_sums(simulated_round(spec, rows, multiple, random))
                if np.isinf(epsilon) and sort == "single":
                    clipped.append(found.clipped_share)
                for one in found.estimates:
                    if one.refusal or one.policy == "logged":
                        continue
                    goal = truth[one.policy, sort] - (truth["logged", sort] if one.estimator == "gain" else 0.0)
                    held.add((f"ε = {epsilon:g}", sort, one.policy, one.estimator), one.low, one.high, goal)
    what = f"federated · {kind} · N = {n:,}"
    yield from held.rows(what, widths=("snips", "gain"))
    yield Row(f"{what} · clipped", float(np.mean(clipped)), "share of devices")


def run() -> list[Row]:
    """All of it; three minutes on one core."""
    rows: list[Row] = []
    for kind in KINDS:
        truth = truths(kind)
        rows += [Row(f"truth · {kind} · {sort} · {policy}", v, "per decision") for (policy, sort), v in truth.items()]
        rows += central(kind, truth)
        for n in SIZES if kind == "main" else SIZES[:1]:
            rows += federated(kind, n, truth)
    return rows


if __name__ == "__main__":
    for row in run():
        print(f"{row.name:80} {row.value:10.4g} {row.unit} {row.reference} {row.reference_value or ''}")
