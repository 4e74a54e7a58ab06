"""The slot-propensity table: what send-time products do, pooled and local-only logistic, and the federation.

Each method is evaluated on December; each evaluation is written to ``looks.jsonl``, and the count is a row of the
results.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks._harness import LOOKS, Row, commit
from tactful_lab.datasets import completejourney
from tactful_lab.slots import baselines, design, logistic
from tactful_lab.slots.evaluate import Evaluation, average, compare, evaluate
from tactful_lab.slots.federated import FederatedRun, run_federated
from tactful_lab.slots.looks import Looks
from tactful_lab.slots.settings import SlotSettings
from tactful_lab.slots.settings import load as load_settings
from tactful_lab.slots.task import SlotTask, Split, build
from tactful_lab.slots.trainers import LABELS

TRAINER = "opacus"
FEW, FEW_SEED, FEW_EPSILON = 1_000, 1_000, 1.0
OF_FEW = f", {FEW:,} households"
GAP_BARS = {4.0: 1e-4, 1.0: 3e-4}
EPSILONS = (1.0, 2.0, 4.0, 8.0, math.inf)
REPETITIONS = 3
UNITS = {"log_loss": "nats"}
HISTOGRAM, DAY_RATE, CENTRAL = "household histogram", "day rate × slot share", "centralised logistic"


@dataclass
class Bench:
    """What all methods share, the looks, and the evaluations so far by name (a method may need an earlier one's)."""

    task: SlotTask
    baskets: completejourney.Baskets
    settings: SlotSettings
    looks: Looks
    designs: dict[Split, design.Design] = field(default_factory=dict)

    def look(self, name: str, scores: baselines.Scores) -> Evaluation:
        return evaluate(self.task, "test", scores, name=name, settings=self.settings, looks=self.looks)

    def looks_at(self, name: str, runs: Sequence[FederatedRun], *, personal: bool) -> Evaluation:
        """The mean of repetitions, each of them a look."""
        repeated = [self.look(name, run.scores("test", personal=personal)) for run in runs]
        print(f"  {name}: {', '.join(f'{r.metrics.log_loss:.5f}' for r in repeated)}")
        return average(name, repeated, self.settings)

    def of_few(self) -> "Bench":
        """The same with `FEW` of the households, drawn once."""
        some = np.sort(np.random.default_rng(FEW_SEED).choice(self.task.n_households, FEW, replace=False))
        return replace(self, task=self.task.take(some), baskets=self.baskets.take(some), designs={})


Method = Callable[[Bench], Iterator[Evaluation]]


def histograms(bench: Bench) -> Iterator[Evaluation]:
    yield bench.look("global slot rate", baselines.global_rate(bench.task).scores("test"))
    for made in (
        baselines.histogram(bench.task, bench.settings),
        baselines.day_rate_times_share(bench.task, bench.settings),
    ):
        print(f"  {made.name}: {made.choice}, November {made.tune_log_loss:.5f}")
        yield bench.look(made.name, made.scores("test"))


def logistics(bench: Bench) -> Iterator[Evaluation]:
    bench.designs = bench.designs or design.replay(bench.task)
    train, tune, test = (bench.designs[split] for split in ("train", "tune", "test"))
    local = logistic.fit_local(train, tune, bench.task.n_households, bench.settings.local_penalty)
    yield bench.look("local-only logistic", design.to_dense(bench.task, "test", local.row_scores(test)))
    pooled = logistic.fit_central(train, tune, bench.settings)
    yield bench.look(CENTRAL, design.to_dense(bench.task, "test", logistic.row_scores(pooled.theta, test)))


def federated(bench: Bench) -> Iterator[Evaluation]:
    for epsilon in EPSILONS:
        runs = [run_federated(bench.task, bench.baskets, epsilon=epsilon, seed=seed) for seed in range(REPETITIONS)]
        for personal in (False, True):
            name = f"federated, ε = {'∞' if math.isinf(epsilon) else f'{epsilon:g}'}{' + personal layer' * personal}"
            yield bench.looks_at(name, runs, personal=personal)


def by_opacus(bench: Bench) -> Iterator[Evaluation]:
    """The same rounds with the torch trainer of per-sample gradients; every ε is charged as before."""
    seeds = range(REPETITIONS)
    runs = [run_federated(bench.task, bench.baskets, epsilon=4.0, seed=s, trainer=TRAINER) for s in seeds]
    for personal in (False, True):
        name = f"federated, ε = 4{LABELS[TRAINER]}{' + personal layer' * personal}"
        yield bench.looks_at(name, runs, personal=personal)


def of_few(bench: Bench) -> Iterator[Evaluation]:
    """A small federation at the strictest ε, and both histograms tuned and evaluated on its households."""
    few, seeds = bench.of_few(), range(REPETITIONS)
    for tuned in (baselines.histogram, baselines.day_rate_times_share):
        made = tuned(few.task, few.settings)
        yield few.look(made.name + OF_FEW, made.scores("test"))
    runs = [run_federated(few.task, few.baskets, epsilon=FEW_EPSILON, seed=seed) for seed in seeds]
    yield few.looks_at(f"federated, ε = {FEW_EPSILON:g} + personal layer{OF_FEW}", runs, personal=True)


METHODS: tuple[Method, ...] = (histograms, logistics, federated, by_opacus, of_few)


def metric_rows(evaluation: Evaluation, reference: Evaluation) -> list[Row]:
    """Every metric of one method against the household histogram's, then the interval of its log-loss."""
    against = reference.metrics.as_dict()
    rows = [
        Row(f"{evaluation.name} · {key}", value, UNITS.get(key, "1"), reference.name, against[key])
        for key, value in evaluation.metrics.as_dict().items()
    ]
    interval = evaluation.log_loss
    bounds = (("low", interval.low), ("high", interval.high))
    return rows + [Row(f"{evaluation.name} · log_loss 95 % {end}", value, "nats") for end, value in bounds]


def paired_rows(evaluation: Evaluation, others: Sequence[Evaluation], settings: SlotSettings) -> list[Row]:
    """Paired differences of log-loss to each other method, with the household-bootstrap interval."""
    rows = []
    for other in others:
        interval = compare(evaluation, other, settings)
        name = f"{evaluation.name} − {other.name} · log_loss difference"
        rows += [Row(name, interval.value, "nats", other.name, other.metrics.log_loss)]
        rows += [Row(f"{name} 95 % {end}", v, "nats") for end, v in (("low", interval.low), ("high", interval.high))]
    return rows


def _same_households(name: str, done: dict[str, Evaluation]) -> list[Evaluation]:
    """What a method is compared with: those that were evaluated on the households that it was evaluated on."""
    suffix = OF_FEW if name.endswith(OF_FEW) else ""
    return [done[other + suffix] for other in (HISTOGRAM, DAY_RATE, CENTRAL) if other + suffix in done]


def bars(done: dict[str, Evaluation], settings: SlotSettings) -> Iterator[Row]:
    """What was asked for, where its methods were run: gaps in log-loss, and upper ends of 95 % intervals."""
    for epsilon, bar in GAP_BARS.items():
        name = f"federated, ε = {epsilon:g} + personal layer"
        if name in done and CENTRAL in done:
            gap = done[name].metrics.log_loss - done[CENTRAL].metrics.log_loss
            yield Row(f"gap to centralised, ε = {epsilon:g} + personal layer", gap, "nats", "bar", bar)
    ours = f"federated, ε = {FEW_EPSILON:g} + personal layer{OF_FEW}"
    for other in (HISTOGRAM + OF_FEW, DAY_RATE + OF_FEW):
        if ours in done and other in done:
            high = compare(done[ours], done[other], settings).high
            yield Row(f"{ours} − {other.removesuffix(OF_FEW)}, upper end of 95 %", high, "nats", "bar", 0.0)


def run(methods: Sequence[Method] = METHODS) -> list[Row]:
    """Run the methods in order and return the rows of the table."""
    start = time.perf_counter()
    baskets, dropped = completejourney.load()
    print("\n".join([*dropped.lines(), *completejourney.terms().lines()]))
    bench = Bench(build(baskets), baskets, load_settings(), Looks(LOOKS, commit()))
    done: dict[str, Evaluation] = {}
    for method in methods:
        for evaluation in method(bench):
            done[evaluation.name] = evaluation
            print(f"{evaluation.name}: {evaluation.metrics.log_loss:.5f} nats ({time.perf_counter() - start:.0f} s)")
    rows = []
    for evaluation in done.values():
        rows += metric_rows(evaluation, _same_households(evaluation.name, done)[0])
    for evaluation in done.values():
        others = [other for other in _same_households(evaluation.name, done) if other is not evaluation]
        rows += paired_rows(evaluation, others, bench.settings)
    rows += bars(done, bench.settings)
    rows.append(Row("evaluations on December so far", float(bench.looks.count), "looks"))
    rows.append(Row("duration", time.perf_counter() - start, "s"))
    return rows
