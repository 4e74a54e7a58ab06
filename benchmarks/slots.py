"""The slot-propensity table: what send-time products do, pooled and local-only logistic, and the federation.

Each method is evaluated on December; each evaluation is written to ``looks.jsonl``, and the count is a row of the
results.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks._harness import LOOKS, Row, commit
from tactful_lab.datasets import completejourney
from tactful_lab.slots import baselines, design, logistic
from tactful_lab.slots.evaluate import Evaluation, average, compare, evaluate
from tactful_lab.slots.federated import run_federated
from tactful_lab.slots.looks import Looks
from tactful_lab.slots.settings import SlotSettings
from tactful_lab.slots.settings import load as load_settings
from tactful_lab.slots.task import SlotTask, Split, build

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
            repeated = [bench.look(name, run.scores("test", personal=personal)) for run in runs]
            losses = [f"{r.metrics.log_loss:.5f}" for r in repeated]
            print(f"  {name}: {', '.join(losses)}")
            yield average(name, repeated, bench.settings)


METHODS: tuple[Method, ...] = (histograms, logistics, federated)


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
    rows = [row for evaluation in done.values() for row in metric_rows(evaluation, done[HISTOGRAM])]
    for evaluation in done.values():
        others = [done[name] for name in (HISTOGRAM, DAY_RATE, CENTRAL) if name in done and name != evaluation.name]
        rows += paired_rows(evaluation, others, bench.settings)
    rows.append(Row("evaluations on December so far", float(bench.looks.count), "looks"))
    rows.append(Row("duration", time.perf_counter() - start, "s"))
    return rows
