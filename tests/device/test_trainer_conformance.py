"""One suite for every trainer: contributions against plain loops, what a trainer refuses, and that the two agree."""

import importlib
import math
from datetime import timedelta
from fractions import Fraction
from importlib.util import find_spec

import numpy as np
import pytest

from tactful.features import DIMENSION
from tactful.model import Model
from tactful.training import (
    LOSS_CENTRE,
    LOSS_WIDTH,
    TASKS,
    NumpyTrainer,
    TrainingTable,
    UnknownTask,
    blocks,
    build_table,
    task_layout,
)
from tactful.training import numpy_trainer as by_numpy
from tactful.training.registry import make_trainer
from tactful_privacy import wire

from .round_world import silence
from .test_bad_input_training import federation_with, opened
from .trainer_world import GRID, SIZES, plan, world
from .vault_world import NOON, PURPOSES, open_host

D = range(DIMENSION)
needs_torch = pytest.mark.skipif(
    find_spec("torch") is None or find_spec("opacus") is None,
    reason="torch and Opacus are not installed: pip install 'tactful[train]'",
)
WITH_TORCH = [pytest.param(name, marks=needs_torch) for name in ("torch", "opacus")]
every_trainer = pytest.mark.parametrize("trainer", ["numpy", *WITH_TORCH], indirect=True)


@pytest.fixture
def trainer(request):
    return make_trainer(request.param)


def by_torch():
    return importlib.import_module("tactful.training.torch_trainer")


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


def single_rows(seed):
    """A table of 500 devices with one row each, so that a device's gradient is a sample's."""
    return world(seed, sizes=(1,) * 500)


def year(devices=12, days=400, seed=8):
    """Rows of real features: devices with habits of their own, from a year of activity."""
    rng = np.random.default_rng(seed)
    habit = rng.beta(0.5, 4.0, (devices, 1, 7))
    return build_table((rng.random((devices, days, 7)) < habit).astype(np.uint8), 738_000, 738_000 + days - 1)


@needs_torch
def test_per_sample_gradients_of_both_agree():
    """Sample by sample within 1e-6: float32 by hand, and float64 by Opacus; the latter within 1e-14 of plain loops."""
    for seed in range(5):
        table, model = single_rows(seed)
        got = by_torch().per_sample_gradients(table, model.alpha)
        np.testing.assert_allclose(by_numpy.gradients(table, model.alpha), got, atol=1e-6, rtol=0)
        for row in range(0, 500, 25):
            exact = slow_gradient(*rows_of(table, row), model.alpha.tolist())
            np.testing.assert_allclose(got[row], exact, atol=1e-14, rtol=0)


@pytest.mark.parametrize("name", WITH_TORCH)
@pytest.mark.parametrize("task", TASKS)
def test_both_agree_on_a_year_of_features(task, name):
    """Contributions of devices with 2,600 rows each, of the prior, agree within 1e-6 for each expected row."""
    table, rows = year(), 2600
    settings = [("rows_scale", Fraction(rows)), ("epochs", Fraction(3)), ("learning_rate", Fraction(1, 2))]
    asked = plan(task, settings)
    first, second = (t.contributions(asked, Model.prior(), table) for t in (NumpyTrainer(), make_trainer(name)))
    assert np.diff(table.bounds).max() > 2500
    np.testing.assert_allclose(first, second, atol=1e-6, rtol=0)
    assert np.abs(second).max() > 1e-3


@pytest.mark.parametrize("name", WITH_TORCH)
@pytest.mark.parametrize("task", TASKS)
def test_both_agree_in_blocks(task, name, monkeypatch):
    """Cut into blocks of a few rows, a torch trainer gives what it gives at once, within 1e-12."""
    table, model = world(6)
    whole = make_trainer(name).contributions(plan(task), model, table)
    monkeypatch.setattr(blocks, "_CHUNK_ROWS", 7)
    np.testing.assert_allclose(make_trainer(name).contributions(plan(task), model, table), whole, atol=1e-12)


@pytest.mark.parametrize("name", WITH_TORCH)
def test_a_round_with_a_torch_trainer_opens_the_same_sum(name, tmp_path, monkeypatch):
    """Through vault, participant and secure aggregation, the sums of both agree but for stochastic rounding."""
    silence(monkeypatch)
    sums = []
    for trainer in (NumpyTrainer(), make_trainer(name)):
        folder = tmp_path / trainer.name
        folder.mkdir()
        with open_host(folder) as host:
            host.enrol_many(["ada", "ben"], consents=PURPOSES, policy_version="1")
            host.track_many(("ben", "purchase", NOON - timedelta(days=day), {}) for day in range(1, 60, 2))
            federation, seen = federation_with(host, trainer)
            sums.append(opened(federation))
            assert seen[0].devices == 2
    assert sums[1].any()
    np.testing.assert_allclose(sums[0], sums[1], atol=2, rtol=0)
