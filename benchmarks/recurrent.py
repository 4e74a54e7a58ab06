"""The recurrent model beside the linear heads on the same December: does it win? It replaces them only where it does.

Each evaluation on December is entered in ``looks.jsonl`` as those of the slot table are.
"""

import time
from collections.abc import Callable, Iterator

from benchmarks._harness import LOOKS, Row, commit
from benchmarks.slots import CENTRAL, HISTOGRAM, Bench, histograms, logistics, metric_rows, paired_rows
from tactful.training.gru import GruModel
from tactful_lab.datasets import completejourney
from tactful_lab.slots.baselines import split_log_loss
from tactful_lab.slots.evaluate import Evaluation
from tactful_lab.slots.looks import Looks
from tactful_lab.slots.settings import load as load_settings
from tactful_lab.slots.task import build

EPSILON = 4.0


def methods(bench: Bench) -> Iterator[Evaluation]:
    """Baselines, the pooled linear model, the pooled recurrent one, and the recurrent one as a rehearsed federation."""
    from tactful_lab.slots import recurrent  # needs the extra train

    yield from histograms(bench)
    yield from logistics(bench)
    pooled, federated = recurrent.load()
    model = recurrent.fit_central(bench.task, pooled, _watch(bench, "pooled, epoch"))
    yield bench.look("centralised GRU, 490 parameters", recurrent.scores(bench.task, model, "test"))
    model = recurrent.rehearse(bench.task, federated, epsilon=EPSILON, watch=_watch(bench, "federated, round"))
    yield bench.look(f"federated GRU, rehearsed, ε = {EPSILON:g}", recurrent.scores(bench.task, model, "test"))


def _watch(bench: Bench, what: str) -> Callable[[int, GruModel], None]:
    """Print November's log-loss now and then."""

    from tactful_lab.slots import recurrent

    def told(number: int, model: GruModel) -> None:
        if number % 15 == 0:
            loss = split_log_loss(bench.task, "tune", recurrent.scores(bench.task, model, "tune"))
            print(f"  {what} {number}: November {loss:.5f}", flush=True)

    return told


def run() -> list[Row]:
    """Run all and return the rows of the table."""
    start = time.perf_counter()
    baskets, _ = completejourney.load()
    bench = Bench(build(baskets), baskets, load_settings(), Looks(LOOKS, commit()))
    done = {evaluation.name: evaluation for evaluation in methods(bench)}
    rows = [row for evaluation in done.values() for row in metric_rows(evaluation, done[HISTOGRAM])]
    for evaluation in done.values():
        others = [done[name] for name in (HISTOGRAM, CENTRAL) if name != evaluation.name]
        rows += paired_rows(evaluation, others, bench.settings)
    return [*rows, Row("duration", time.perf_counter() - start, "s")]
