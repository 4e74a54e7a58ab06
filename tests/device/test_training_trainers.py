"""One suite for every trainer: contributions against plain loops, and what a trainer refuses."""

import math
from fractions import Fraction

import numpy as np
import pytest

from tactful.features import DIMENSION
from tactful.model import Model
from tactful.training import LOSS_CENTRE, LOSS_WIDTH, TASKS, NumpyTrainer, TrainingTable, UnknownTask, task_layout
from tactful.training import numpy_trainer as numpy_module
from tactful_privacy import wire

TRAINERS = [NumpyTrainer()]
GRID = 20
LOSS = wire.Statistic("log_loss", 1 << 16)
SIZES = (5, 0, 40, 1, 0, 17, 0)
every_trainer = pytest.mark.parametrize("trainer", TRAINERS, ids=lambda trainer: trainer.name)


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


def rows_of(table, device):
    part = slice(table.bounds[device], table.bounds[device + 1])
    return table.x[part].astype(float).tolist(), table.y[part].tolist()


def sigmoid(u):
    return 1 / (1 + math.exp(-u))


def dot(a, b):
    return math.fsum(p * q for p, q in zip(a, b, strict=True))


def slow_gradient(x, y, alpha):
    return [math.fsum((t - sigmoid(dot(row, alpha))) * row[k] for row, t in zip(x, y, strict=True)) for k in D]


def slow_curvature(x, alpha):
    weights = [sigmoid(dot(row, alpha)) * (1 - sigmoid(dot(row, alpha))) for row in x]
    return [
        math.fsum(w * row[i] * row[j] for w, row in zip(weights, x, strict=True)) * (1 if i == j else math.sqrt(2))
        for i in D
        for j in range(i, DIMENSION)
    ]


def slow_steps(x, y, alpha, rate, epochs):
    local = list(alpha)
    for _ in range(epochs if y else 0):
        local = [a + rate * g / len(y) for a, g in zip(local, slow_gradient(x, y, local), strict=True)]
    return [a - b for a, b in zip(local, alpha, strict=True)]


def log_likelihood(x, y, alpha):
    return math.fsum(t * dot(r, alpha) - math.log1p(math.exp(dot(r, alpha))) for r, t in zip(x, y, strict=True))


D = range(DIMENSION)


@every_trainer
def test_each_task_matches_plain_loops(trainer):
    """Gradient, curvature and fedavg of every device agree with loops in double precision within 1e-5."""
    table, model = world()
    alpha = model.alpha.tolist()
    chosen = (("rows_scale", Fraction(8)), ("curvature_scale", Fraction(3)))
    got_gradient = trainer.contributions(plan("gradient", chosen), model, table)
    got_curvature = trainer.contributions(plan("curvature", chosen), model, table)
    steps = (("learning_rate", Fraction(1, 2)), ("epochs", Fraction(3)))
    got_steps = trainer.contributions(plan("fedavg", steps), model, table)
    for device in range(table.n_devices):
        x, y = rows_of(table, device)
        np.testing.assert_allclose(got_gradient[device, :-1] * 8, slow_gradient(x, y, alpha), atol=1e-5)
        np.testing.assert_allclose(got_curvature[device, :-1] * 8 / 3, slow_curvature(x, alpha), atol=1e-5)
        np.testing.assert_allclose(got_steps[device, :-1], slow_steps(x, y, alpha, 0.5, 3), atol=1e-5)


@every_trainer
def test_the_gradient_is_the_derivative_of_the_likelihood(trainer):
    """Against central differences of the log-likelihood in double precision, within 1e-5."""
    table, model = world(1)
    got = trainer.contributions(plan("gradient"), model, table)[2, :-1]
    x, y = rows_of(table, 2)
    for k in D:
        up, down = (model.alpha + step * np.eye(DIMENSION)[k] for step in (1e-5, -1e-5))
        numeric = (log_likelihood(x, y, up.tolist()) - log_likelihood(x, y, down.tolist())) / 2e-5
        assert got[k] == pytest.approx(numeric, abs=1e-5)


@every_trainer
def test_the_curvature_keeps_the_frobenius_norm(trainer):
    """The packed row has the norm of the full matrix, so that clipping one clips the other."""
    table, model = world(2)
    packed = trainer.contributions(plan("curvature"), model, table)[2, :-1]
    x, p = table.x[5:45].astype(float), 1 / (1 + np.exp(-(table.x[5:45] @ model.alpha)))
    full = (x * (p * (1 - p))[:, None]).T @ x
    assert np.linalg.norm(packed) == pytest.approx(np.linalg.norm(full), rel=1e-5)


@every_trainer
@pytest.mark.parametrize("task", TASKS)
def test_a_device_without_rows_contributes_zero(trainer, task):
    """Empty devices, first, between or last, give the zero vector with its statistic; no device gives no row."""
    table, model = world()
    got = trainer.contributions(plan(task), model, table)
    assert got.shape == (len(SIZES), plan(task).dimension)
    for device, size in enumerate(SIZES):
        assert got[device].any() == (size > 0)
    none = TrainingTable(table.x[:0], table.y[:0], np.zeros(1, dtype=np.int64))
    assert trainer.contributions(plan(task), model, none).shape == (0, plan(task).dimension)


@every_trainer
def test_the_statistic_is_the_mean_loss_within_its_half_range(trainer):
    """Each device's mean log-loss, centred, scaled and cut to ±half_range, in every task alike."""
    table, model = world(3)
    half = (1 << 16) / 2**GRID
    for task in TASKS:
        got = trainer.contributions(plan(task), model, table)[:, -1]
        assert np.abs(got).max() <= half
        for device, size in enumerate(SIZES):
            x, y = rows_of(table, device)
            loss = -log_likelihood(x, y, model.alpha.tolist()) / size if size else LOSS_CENTRE
            expected = min(1.0, max(-1.0, (loss - LOSS_CENTRE) / LOSS_WIDTH)) * half
            assert got[device] == pytest.approx(expected, abs=1e-6)


@every_trainer
@pytest.mark.parametrize("task", TASKS)
def test_one_broken_device_does_not_touch_the_others(trainer, task):
    """A NaN feature makes that device's own row zero or not finite; all others are as without it."""
    table, model = world(4)
    clean = trainer.contributions(plan(task), model, table)
    table.x[10, 3] = np.nan
    got = trainer.contributions(plan(task), model, table)
    others = [0, 1, 3, 4, 5, 6]
    np.testing.assert_array_equal(got[others], clean[others])
    assert not np.isfinite(got[2]).all() or not got[2].any()


@every_trainer
@pytest.mark.parametrize("task", TASKS)
def test_a_far_off_model_overflows_nothing(trainer, task):
    """Logits of many thousands give finite rows without a warning (warnings are errors here)."""
    table, model = world(5)
    got = trainer.contributions(plan(task), Model(model.alpha * 1e5), table)
    assert np.isfinite(got).all()


@every_trainer
def test_what_is_not_known_is_refused(trainer):
    """An unknown task, layout or statistic, and settings that no honest plan has, are refused."""
    table, model = world()
    other = (wire.Block("gradient", DIMENSION + 1),)
    bad = [
        plan("newton", layout=task_layout("gradient")),
        plan("gradient", layout=other),
        plan("gradient", statistics=(wire.Statistic("secret", 5),)),
        plan("fedavg", (("epochs", Fraction(10**9)),)),
        plan("gradient", (("rows_scale", Fraction(0)),)),
    ]
    for each in bad:
        with pytest.raises(UnknownTask):
            trainer.contributions(each, model, table)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("rows", [1, 7, 41])
def test_the_borders_of_blocks_do_not_show(monkeypatch, task, rows):
    """Computed in blocks of a few rows or all at once, the contributions agree to float32 rounding (1e-6)."""
    table, model = world(6)
    whole = NumpyTrainer().contributions(plan(task), model, table)
    monkeypatch.setattr(numpy_module, "_CHUNK_ROWS", rows)
    np.testing.assert_allclose(NumpyTrainer().contributions(plan(task), model, table), whole, atol=1e-6)


def test_selected_devices_keep_their_rows():
    """`select` returns the rows of the devices named, in that order, empty ones included; all of them is the table."""
    table, model = world(7)
    trainer, order = NumpyTrainer(), np.array([5, 1, 0])
    whole = trainer.contributions(plan("gradient"), model, table)
    picked = trainer.contributions(plan("gradient"), model, table.select(order))
    np.testing.assert_allclose(picked, whole[order], atol=1e-6)
    assert table.select(np.arange(len(SIZES))) is table
    assert table.select(np.array([], dtype=np.intp)).n_devices == 0
