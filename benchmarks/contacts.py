"""The contact-response table: rates, the pooled logistic, and the federation's optimisers at several ε, in rehearsal.

Fitted on all campaigns that start before 30 October 2017, measured on those from then on. The repeated federated rows
come from `tactful_lab.contacts.private`, which clips, sums and adds noise by the numbers of real plans, but is no
federation; the row with real rounds is one.
Every look at the test campaigns is written to ``contact_looks.jsonl``, and the count is a row.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks._harness import ROOT, Row, commit
from tactful_lab.contacts import CAVEAT, baselines, evaluate, features, intervals, private, records, task
from tactful_lab.contacts import federation as real
from tactful_lab.contacts.records import Floats
from tactful_lab.contacts.settings import ContactSettings
from tactful_lab.contacts.settings import load as load_settings
from tactful_lab.datasets import completejourney
from tactful_lab.slots.looks import Looks

REAL = "Newton, federated, real rounds, ε = 4"
REHEARSED = "Newton, ε = 4"
EPSILONS = (1.0, 2.0, 4.0, 8.0, math.inf)
REPETITIONS = 10
LOOKS = ROOT / "benchmarks" / "contact_looks.jsonl"
UNITS = {"log_loss": "nats"}
GLOBAL, BY_TYPE, HOUSEHOLD, CENTRAL = (
    "global rate",
    "rate by campaign type",
    "per-household rate",
    "centralised logistic",
)
CLOSED = f"{CENTRAL}, without campaigns still open when the test began"
PUBLISHED = {
    (HOUSEHOLD, "auc"): 0.773,
    (HOUSEHOLD, "log_loss"): 0.3255,
    (CENTRAL, "auc"): 0.848,
    (CENTRAL, "log_loss"): 0.2925,
    ("Newton, ε = 4", "auc"): 0.835,
    ("Newton, ε = 4", "log_loss"): 0.300,
    ("plain DP-FedAvg, ε = 4", "auc"): 0.819,
    ("plain DP-FedAvg, ε = 4", "log_loss"): 0.308,
    ("plain DP-FedAvg, ε = ∞", "auc"): 0.821,
    ("plain DP-FedAvg, ε = ∞", "log_loss"): 0.307,
}
PUBLISHED |= {(REAL, key): PUBLISHED[REHEARSED, key] for key in ("auc", "log_loss")}
"""Reference figures, and for Newton at ε = 4 the bar."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all methods share: features of every contact, and which campaigns ended before the test began."""

    task: task.ContactTask
    x: Floats
    closed: NDArray[np.bool_]
    settings: ContactSettings
    looks: Looks
    scores: dict[str, list[Floats]] = field(default_factory=dict)
    """Of the methods that intervals are made for, by name: one array for each repetition."""

    @property
    def table(self) -> private.HouseholdTable:
        fitted = self.task.rows("before_test")
        return private.HouseholdTable.of(self.x[fitted], self.task.label[fitted], self.task.household[fitted])

    def look(self, name: str, scores: Floats) -> evaluate.Figures:
        self.looks.record(name)
        self.scores[name] = [scores]
        return evaluate.measure(self.task, "test", scores)


Optimiser = Callable[[private.HouseholdTable, float, int], private.Learned]


def unfederated(bench: Bench, kinds: records.Ints) -> Iterator[tuple[str, evaluate.Figures]]:
    label, fitted, rates = bench.task.label, bench.task.rows("before_test"), bench.settings.rates
    yield GLOBAL, bench.look(GLOBAL, baselines.global_rate(label, fitted))
    by_type = baselines.rate_by(kinds[bench.task.campaign], label, fitted, rates.campaign_type_strength)
    yield BY_TYPE, bench.look(BY_TYPE, by_type)
    own = baselines.rate_by(bench.task.household, label, fitted, rates.household_strength)
    yield HOUSEHOLD, bench.look(HOUSEHOLD, own)
    for name, rows in ((CENTRAL, fitted), (CLOSED, fitted & bench.closed)):
        theta = baselines.fit_logistic(bench.x[rows], label[rows], bench.settings.central.penalty)
        yield name, bench.look(name, baselines.scores(theta, bench.x))


def optimisers(settings: ContactSettings) -> dict[str, Optimiser]:
    who = settings.federation
    return {
        "Newton": lambda t, e, s: private.newton(t, who, settings.newton, epsilon=e, seed=s),
        "plain DP-FedAvg": lambda t, e, s: private.fedavg(t, who, settings.fedavg, epsilon=e, seed=s),
        "DP-FedAvg, server step tuned": lambda t, e, s: private.fedavg(
            t, who, settings.fedavg_tuned, epsilon=e, seed=s
        ),
    }


def federated(bench: Bench, name: str, optimiser: Optimiser, epsilon: float) -> Iterator[Row]:
    """Mean and deviation over repetitions, and what one run is charged."""
    table = bench.table
    runs = [optimiser(table, epsilon, seed) for seed in range(REPETITIONS if math.isfinite(epsilon) else 1)]
    bench.scores[name] = [baselines.scores(run.theta, bench.x) for run in runs]
    figures = [evaluate.measure(bench.task, "test", each) for each in bench.scores[name]]
    bench.looks.record(f"{name} ({len(runs)} repetitions)")
    mean, deviation = evaluate.mean_and_deviation(figures)
    print(f"  {name}: {mean}, deviation {deviation}")
    yield from metric_rows(name, mean)
    yield from (Row(f"{name} · {k} deviation", v, UNITS.get(k, "1")) for k, v in deviation.as_dict().items())
    yield from charge_rows(name, runs[0].charge, epsilon)


def charge_rows(name: str, charge: private.Charge, epsilon: float) -> Iterator[Row]:
    yield Row(f"{name} · rounds", charge.rounds, "rounds")
    if math.isfinite(epsilon):
        yield Row(f"{name} · central ρ spent", charge.rounds * charge.rho_per_round, "zCDP")
        yield Row(f"{name} · central ε spent at δ = 1e-6", charge.central_epsilon, "1", "asked for", epsilon)


def real_rounds(bench: Bench) -> Iterator[Row]:
    """One run through vaults, masks and exact noise, and where it lies among the rehearsed repetitions."""
    run = real.run_newton(bench.table, bench.settings, epsilon=4.0)
    figures = bench.look(REAL, baselines.scores(run.theta, bench.x))
    print(f"  {REAL}: {figures}")
    yield from metric_rows(REAL, figures)
    yield from charge_rows(REAL, run.charge, 4.0)
    rehearsed = [evaluate.measure(bench.task, "test", each) for each in bench.scores[REHEARSED]]
    mean, deviation = evaluate.mean_and_deviation(rehearsed)
    for key in ("auc", "log_loss"):
        off = (getattr(figures, key) - getattr(mean, key)) / getattr(deviation, key)
        yield Row(f"{REAL} · {key}, deviations from the rehearsed mean", off, "1")


def paired(bench: Bench) -> Iterator[Row]:
    """The federation at ε = 4 minus two references: mean difference, 95 % interval over resampled households."""
    for name in (REHEARSED, REAL):
        for other in (CENTRAL, HOUSEHOLD):
            for key, difference in (("auc", intervals.auc_difference), ("log_loss", intervals.log_loss_difference)):
                found = difference(bench.task, bench.scores[name], bench.scores[other][0])
                label = f"{name} − {other} · {key} difference"
                yield Row(label, found.value, UNITS.get(key, "1"))
                yield Row(f"{label}, 95 % low", found.low, UNITS.get(key, "1"))
                yield Row(f"{label}, 95 % high", found.high, UNITS.get(key, "1"))


def metric_rows(name: str, figures: evaluate.Figures) -> Iterator[Row]:
    for key, value in figures.as_dict().items():
        published = PUBLISHED.get((name, key))
        reference = "" if published is None else ("bar" if name.startswith("Newton") else "reference")
        yield Row(f"{name} · {key}", value, UNITS.get(key, "1"), reference, published)


def _prepare() -> tuple[Bench, records.Ints, list[Row]]:
    data = records.load()
    contacts, left_out = task.build(data)
    print("\n".join([*left_out.lines(), *completejourney.terms().lines(), f"note: {CAVEAT}"]))
    closed = data.campaigns.end[contacts.campaign] < task.TEST_START.toordinal()
    bench = Bench(contacts, features.build(data, contacts), closed, load_settings(), Looks(LOOKS, commit()))
    kinds = np.searchsorted(np.array(features.KINDS), data.campaigns.kind)
    rows = [Row(f"contacts · {name}", value, "1") for name, value in left_out.as_dict().items()]
    return bench, kinds, [*rows, Row("households fitted", bench.table.n_households, "1", "reference", 1434)]


def run() -> list[Row]:
    """Measure everything and return the rows of the table."""
    began = time.perf_counter()
    bench, kinds, rows = _prepare()
    for name, figures in unfederated(bench, kinds):
        print(f"  {name}: {figures}")
        rows += metric_rows(name, figures)
    for optimiser_name, optimiser in optimisers(bench.settings).items():
        for epsilon in EPSILONS:
            name = f"{optimiser_name}, ε = {'∞' if math.isinf(epsilon) else f'{epsilon:g}'}"
            rows += federated(bench, name, optimiser, epsilon)
    rows += [*real_rounds(bench), *paired(bench)]
    rows.append(Row("looks at the test campaigns so far", bench.looks.count, "looks"))
    rows.append(Row("duration", time.perf_counter() - began, "s"))
    return rows


if __name__ == "__main__":
    for row in run():
        print(f"{row.name:62} {row.value:12.6g} {row.unit:7} {row.reference} {row.reference_value or ''}")
