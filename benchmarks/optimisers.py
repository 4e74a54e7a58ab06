"""Which federated optimiser learns most at equal ε: contact response and slot propensity, every round charged.

Each variant's rounds, clip norm and steps are tuned at each ε on the tuning split (campaigns from August to October;
November), with other noise than is reported. What is reported is fitted anew and looked at once on the test split; each
such look is written down. Tuning is not charged to ε: the data are public. The slot task is cut down, see
`tactful_lab.ablation.learners`.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._harness import LOOKS, ROOT, Row, commit
from tactful_lab.ablation.learners import ContactLearner, Floats, Learner, SlotLearner, SlotRows, log_loss
from tactful_lab.ablation.variants import Choice, Trial, Variant
from tactful_lab.contacts import CAVEAT, baselines, features, private, records, task
from tactful_lab.contacts.settings import FederationSetting
from tactful_lab.contacts.settings import load as load_settings
from tactful_lab.datasets import completejourney
from tactful_lab.slots import task as slot_task
from tactful_lab.slots.looks import Looks

EPSILONS = (1.0, 4.0)
HOUSEHOLDS, TRAIN_DAYS, DRAW = 1_000, 60, 20171101
ROWS_SCALE = 7.0 * TRAIN_DAYS
CENTRAL = "centralised, no noise"
PLAIN, LOCAL, MOMENTUM, ADAM, NEWTON, ONE_SHOT, REPEATED = (
    "plain DP-FedAvg",
    "DP-FedAvg, local work and server step tuned",
    "DP-FedAvgM (server momentum 0.9)",
    "DP-FedAdam",
    "private Newton (curvature rounds, then gradient rounds)",
    "private sufficient statistics, one shot",
    "private sufficient statistics, repeated",
)

CONTACT: Mapping[str, tuple[str, Mapping[str, Sequence[float]]]] = {
    PLAIN: (
        "fedavg",
        {
            "rounds": (10, 20, 40, 80),
            "clip_norm": (0.5, 1.5),
            "local_steps": (10,),
            "local_rate": (0.1,),
            "server_rate": (1,),
        },
    ),
    LOCAL: (
        "fedavg",
        {
            "rounds": (10, 20, 40, 80),
            "clip_norm": (0.25, 1.0),
            "local_steps": (1, 10),
            "local_rate": (0.3, 1.0),
            "server_rate": (1, 4),
        },
    ),
    MOMENTUM: (
        "fedavg",
        {
            "rounds": (10, 20, 40, 80),
            "clip_norm": (0.25, 1.0),
            "local_steps": (1,),
            "local_rate": (0.3,),
            "server_rate": (0.5, 1, 2, 4),
            "momentum": (0.9,),
        },
    ),
    ADAM: (
        "adam",
        {
            "rounds": (10, 20, 40, 80),
            "clip_norm": (0.25, 1.0),
            "local_steps": (1,),
            "local_rate": (0.3,),
            "server_rate": (0.03, 0.1, 0.2, 0.4),
        },
    ),
    NEWTON: (
        "newton",
        {
            "rounds": (4, 7, 10, 16),
            "curvature_share": (0.3,),
            "clip_norm": (1.0, 2.0, 3.0),
            "curvature_scale": (1.0,),
            "decay": (0.3, 0.6),
            "ridge_factor": (0.4, 1.2),
        },
    ),
    ONE_SHOT: (
        "statistics",
        {
            "rounds": (1,),
            "clip_norm": (1.0, 2.0, 3.0),
            "curvature_scale": (0.5, 1.0),
            "prior_precision": (1e-3, 1e-2),
            "ridge_factor": (0.1, 0.4, 1.2),
        },
    ),
    REPEATED: (
        "statistics",
        {
            "rounds": (2, 3, 5, 8),
            "clip_norm": (1.0, 2.0, 3.0),
            "curvature_scale": (0.5, 1.0),
            "prior_precision": (1e-3,),
            "ridge_factor": (0.1, 0.4, 1.2),
        },
    ),
}
SLOTS: Mapping[str, tuple[str, Mapping[str, Sequence[float]]]] = {
    PLAIN: (
        "fedavg",
        {"rounds": (10, 30, 60), "clip_norm": (0.1,), "local_steps": (5,), "local_rate": (1.0,), "server_rate": (1,)},
    ),
    LOCAL: (
        "fedavg",
        {
            "rounds": (5, 10, 30),
            "clip_norm": (0.05, 0.15),
            "local_steps": (1, 5),
            "local_rate": (3.0,),
            "server_rate": (1, 4),
        },
    ),
    MOMENTUM: (
        "fedavg",
        {
            "rounds": (10, 30),
            "clip_norm": (0.05, 0.1),
            "local_steps": (1,),
            "local_rate": (3.0,),
            "server_rate": (0.5, 1, 2),
            "momentum": (0.9,),
        },
    ),
    ADAM: (
        "adam",
        {
            "rounds": (10, 30, 60),
            "clip_norm": (0.1,),
            "local_steps": (1,),
            "local_rate": (3.0,),
            "server_rate": (0.01, 0.02, 0.05),
        },
    ),
    NEWTON: (
        "newton",
        {
            "rounds": (5, 10, 30),
            "curvature_share": (0.2, 0.4),
            "clip_norm": (0.045,),
            "curvature_scale": (0.4,),
            "decay": (0.6,),
            "ridge_factor": (0.4, 1.2),
        },
    ),
    ONE_SHOT: (
        "statistics",
        {
            "rounds": (1,),
            "clip_norm": (0.04, 0.07),
            "curvature_scale": (0.4,),
            "prior_precision": (1e-5, 1e-3),
            "ridge_factor": (0.1, 0.4, 1.2),
        },
    ),
    REPEATED: (
        "statistics",
        {
            "rounds": (2, 4, 8, 16),
            "clip_norm": (0.055,),
            "curvature_scale": (0.4,),
            "prior_precision": (1e-5,),
            "ridge_factor": (0.1, 0.4, 1.2),
        },
    ),
}


Rows = tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]


@dataclass(frozen=True, slots=True)
class Arena:
    """One task: who learns for tuning and who for the report, and the rows (x, y) that judge each.

    Attributes:
        name: of the task.
        tuning, reported: learners.
        tune, test: features (n, D) and labels (n,).
        central: parameters of the pooled logistic on the reported learner's rows.
        looks: at the test split.
        tuning_seeds: of the noise while tuning.
        repetitions: reported runs, with seeds from 0.
    """

    name: str
    tuning: Learner
    reported: Learner
    tune: Rows
    test: Rows
    central: Floats
    looks: Looks
    tuning_seeds: Sequence[int]
    repetitions: int


def contact_arena() -> tuple[Arena, FederationSetting]:
    data, settings = records.load(), load_settings()
    contacts, _ = task.build(data)
    x = features.build(data, contacts)

    def learner(split: task.Split) -> ContactLearner:
        rows = contacts.rows(split)
        table = private.HouseholdTable.of(x[rows], contacts.label[rows], contacts.household[rows])
        return ContactLearner(table, settings.federation.prior_rate)

    def judged(split: task.Split) -> Rows:
        return x[contacts.rows(split)], contacts.label[contacts.rows(split)].astype(np.float64)

    fitted = contacts.rows("before_test")
    central = baselines.fit_logistic(x[fitted], contacts.label[fitted], settings.central.penalty)
    looks = Looks(ROOT / "benchmarks" / "contact_looks.jsonl", commit())
    sides = (learner("train"), learner("before_test"), judged("tune"), judged("test"))
    return Arena("contacts", *sides, central, looks, (1_001, 1_002, 1_003), 10), settings.federation


def slot_arena() -> Arena:
    baskets, _ = completejourney.load()
    rows = SlotRows.draw(slot_task.build(baskets), households=HOUSEHOLDS, train_days=TRAIN_DAYS, seed=DRAW)
    learner = SlotLearner(rows.train, ROWS_SCALE)
    central = baselines.fit_logistic(rows.train.x.astype(np.float64), rows.train.y.astype(np.int8), 1.0)
    sides = (learner, learner, (rows.tune.x, rows.tune.y), (rows.test.x, rows.test.y))
    return Arena("slots", *sides, central, Looks(LOOKS, commit()), (1_001,), 5)


def tuned(arena: Arena, trial: Trial, variant: Variant) -> tuple[Choice, float, int]:
    """The best choice by mean log-loss on the tuning split over the seeds, that loss, and how many were tried."""
    tried = [
        (
            float(
                np.mean([log_loss(*arena.tune, trial.run(variant, choice, seed).theta) for seed in arena.tuning_seeds])
            ),
            choice,
        )
        for choice in variant.choices()
    ]
    loss, choice = min(tried, key=lambda pair: pair[0])
    return choice, loss, len(tried)


def compare(arena: Arena, who: FederationSetting, epsilon: float, variants: Sequence[Variant]) -> Iterator[Row]:
    """Tune each variant at this ε, then report it on the test split."""
    tuning, reported = Trial(arena.tuning, who, epsilon), Trial(arena.reported, who, epsilon)
    for variant in variants:
        choice, tune_loss, tried = tuned(arena, tuning, variant)
        runs = [reported.run(variant, choice, seed) for seed in range(arena.repetitions)]
        name = f"{arena.name}, ε = {epsilon:g}: {variant.name}"
        arena.looks.record(f"optimisers: {name} ({len(runs)} repetitions)")
        losses = [log_loss(*arena.test, run.theta) for run in runs]
        central = log_loss(*arena.test, arena.central)
        print(f"  {name}: {np.mean(losses):.5f} ± {np.std(losses, ddof=1):.5f}, {dict(choice)}", flush=True)
        yield Row(f"{name} · test log-loss", float(np.mean(losses)), "nats", CENTRAL, central)
        yield Row(f"{name} · deviation", float(np.std(losses, ddof=1)), "nats")
        yield Row(f"{name} · gap", float(np.mean(losses)) - central, "nats")
        yield Row(f"{name} · tuning log-loss", tune_loss, "nats")
        yield Row(f"{name} · ρ", runs[0].charge.rounds * runs[0].charge.rho_per_round, "zCDP")
        yield Row(f"{name} · ε at δ = 1e-6", runs[0].charge.central_epsilon, "1", "asked for", epsilon)
        yield Row(f"{name} · choices tried", tried, "1")
        yield from (Row(f"{name} · chosen {key}", float(value), "1") for key, value in choice.items())


def run() -> list[Row]:
    """Tune, run and measure every variant on both tasks."""
    began = time.perf_counter()
    print(f"note: {CAVEAT}")
    contact, who = contact_arena()
    rows: list[Row] = []
    for arena, table in ((contact, CONTACT), (slot_arena(), SLOTS)):
        loss = log_loss(*arena.test, arena.central)
        rows.append(Row(f"{arena.name}: {CENTRAL} · test log-loss", loss, "nats"))
        rows.append(Row(f"{arena.name}: households", arena.reported.n_households, "1"))
        arena.looks.record(f"optimisers: {arena.name}: {CENTRAL}")
        for epsilon in EPSILONS:
            rows += compare(arena, who, epsilon, [Variant(name, *given) for name, given in table.items()])
    rows.append(Row("duration", time.perf_counter() - began, "s"))
    return rows


if __name__ == "__main__":
    for row in run():
        print(f"{row.name:90} {row.value:12.6g} {row.unit}")
