"""Plans and tables for tests of trainers: a few devices with rows at random, some of them empty."""

from fractions import Fraction

import numpy as np

from tactful.features import DIMENSION
from tactful.model import Model
from tactful.training import TrainingTable, task_layout
from tactful_privacy import wire

GRID = 20
LOSS = wire.Statistic("log_loss", 1 << 16)
SIZES = (5, 0, 40, 1, 0, 17, 0)


def plan(task, settings=(), statistics=(LOSS,), layout=None):
    return wire.RoundPlan(
        federation="shop",
        round_number=1,
        attempt=1,
        mode="distributed",
        task=task,
        settings=tuple(sorted(settings)),
        model_digest=bytes(32),
        layout=layout or task_layout(task),
        statistics=statistics,
        clip_units=400_000,
        grid_exponent=GRID,
        norm_bound_squared=400_000**2,
        noise_variance_units=10**12,
        modulus_bits=32,
        roster_digest=bytes(32),
        n_hosts=5,
        n_min=4,
        colluders=1,
        share_threshold=4,
        deadline_unix_s=1_795_000_000,
        rho=Fraction(400_000**2, 6 * 10**12),
        previous_head=bytes(32),
    )


def world(seed=0, sizes=SIZES):
    rng, rows = np.random.default_rng(seed), sum(sizes)
    x = rng.uniform(-1, 1, (rows, DIMENSION)).astype(np.float32)
    y = (rng.random(rows) < 0.3).astype(np.float32)
    table = TrainingTable(x, y, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))
    return table, Model(rng.normal(0, 0.3, DIMENSION))
