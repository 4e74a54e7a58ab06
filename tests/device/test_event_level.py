"""Event-level DP-SGD inside the device: its noise, its clipping, its steps, and an ε of its own."""

import importlib
import math
import re
from dataclasses import FrozenInstanceError, fields, replace
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tactful.features import DIMENSION
from tactful.model import Model
from tactful.training import TrainingTable, UnknownTask
from tactful_privacy.errors import InvalidInput
from tactful_privacy.mechanisms.entropy import EntropyFailure

from .trainer_world import LOSS, plan, world

if find_spec("torch") is None or find_spec("opacus") is None:
    pytest.skip("torch and Opacus are not installed: pip install 'tactful[train]'", allow_module_level=True)

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "training.md"
LEARNING_RATE = 0.5
PLAN = plan("fedavg", (("learning_rate", Fraction(1, 2)),), statistics=())


def room():
    return importlib.import_module("tactful.training.event_level")


def level(**changes):
    usual = {"noise_multiplier": 2.0, "max_grad_norm": 0.5, "sampling_rate": 0.25, "steps": 3, "expected_rows": 40.0}
    return room().EventLevel(**(usual | changes))


def seeded(seed):
    return np.random.default_rng(seed).bytes


def changes(chosen, model, table, **options):
    return room().EventLevelTrainer(chosen, **options).contributions(PLAN, model, table)


@pytest.fixture
def silent(monkeypatch):
    """Replace the noise by zeros, to see what is under it."""
    monkeypatch.setattr(room(), "gaussian", lambda count, entropy: np.zeros(count))


def clipped_step(x, y, alpha, bound):
    p = 1 / (1 + np.exp(-(x @ alpha)))
    each = (y - p)[:, None] * x
    return (each * np.minimum(1, bound / (np.linalg.norm(each, axis=1) + 1e-6))[:, None]).sum(axis=0)


def test_under_the_noise_are_clipped_steps(silent):
    """At a rate of 1 and without noise, the change is that of clipped full-batch steps by hand, within 1e-12."""
    table, model = world()
    chosen = level(sampling_rate=1.0)
    got = changes(chosen, model, table)
    for device in range(table.n_devices):
        part = slice(table.bounds[device], table.bounds[device + 1])
        x, y, local = table.x[part].astype(float), table.y[part].astype(float), model.alpha.copy()
        for _ in range(chosen.steps):
            local += LEARNING_RATE * clipped_step(x, y, local, chosen.max_grad_norm) / chosen.expected_rows
        np.testing.assert_allclose(got[device], local - model.alpha, atol=1e-12)


def test_each_step_has_a_batch_of_its_own(silent):
    """Without noise, steps at a rate of 0.25 are those by hand on the rows that the same entropy draws."""
    table, model = world(6, sizes=(30, 50))
    chosen, same = level(), seeded(7)
    got = changes(chosen, model, table, entropy=seeded(7))
    for device, (start, stop) in enumerate(((0, 30), (30, 80))):
        local = model.alpha.copy()
        for _ in range(chosen.steps):
            batch = start + np.flatnonzero(np.frombuffer(same(8 * (stop - start)), "<u8") < 2**62)
            step = clipped_step(table.x[batch].astype(float), table.y[batch], local, chosen.max_grad_norm)
            local += LEARNING_RATE * step / (0.25 * chosen.expected_rows)
        np.testing.assert_allclose(got[device], local - model.alpha, atol=1e-12)


def test_one_row_moves_a_step_by_no_more_than_the_clip_norm(silent):
    """Without noise, each of 40 rows moves one step by at most C, and those of a large gradient by nearly C."""
    table, model = world(1, sizes=(40,))
    chosen = level(sampling_rate=1.0, steps=1)
    scale = LEARNING_RATE / chosen.expected_rows
    whole, moved = changes(chosen, model, table)[0], []
    for row in range(40):
        keep = np.arange(40) != row
        less = TrainingTable(table.x[keep], table.y[keep], np.array([0, 39]))
        moved.append(np.linalg.norm(changes(chosen, model, less)[0] - whole) / scale)
    assert max(moved) <= chosen.max_grad_norm
    assert max(moved) > 0.999 * chosen.max_grad_norm


def test_the_noise_has_its_size():
    """Over 300 devices without rows the noise's variance is (σC)² a step, within six standard errors (2e-9).

    The entropy is seeded here, so that the test is repeatable; the product's has no seed.
    """
    chosen, devices = level(steps=2), 300
    nobody = TrainingTable(np.zeros((0, DIMENSION), np.float32), np.zeros(0, np.float32), np.zeros(devices + 1, int))
    got = changes(chosen, Model(np.zeros(DIMENSION)), nobody, entropy=seeded(3))
    one_step = LEARNING_RATE * 2.0 * 0.5 / (chosen.sampling_rate * chosen.expected_rows)
    values = got.ravel() / (one_step * math.sqrt(chosen.steps))
    assert abs(np.mean(values**2) - 1) < 6 * math.sqrt(2 / values.size)
    assert abs(values.mean()) < 6 / math.sqrt(values.size)


def test_an_empty_batch_is_noised():
    """With a rate of 1e-12 no row is ever drawn, and every coordinate of every device is noise all the same."""
    table, model = world(2)
    got = changes(level(sampling_rate=1e-12), model, table)
    assert (got != 0).all()


def test_the_steps_are_those_reported(monkeypatch):
    """Each device takes `steps` noised steps a round, whatever its rows; the report counts just these."""
    taken = []
    kept = room().OsNoiseOptimizer.add_noise
    monkeypatch.setattr(room().OsNoiseOptimizer, "add_noise", lambda self: (taken.append(id(self)), kept(self)))
    table, model = world(3)
    chosen = level(steps=5)
    for _ in range(2):
        changes(chosen, model, table)
    assert len(taken) == 2 * 5 * table.n_devices
    assert chosen.report(rounds=2, delta=1e-6).steps == 10


def test_no_seed_of_torch_fixes_the_noise():
    """Under the same seed two runs differ; torch's generator is neither read nor moved; the entropy decides all."""
    torch = importlib.import_module("torch")
    table, model = world(4)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = changes(level(), model, table)
    assert torch.equal(torch.get_rng_state(), state)
    assert (changes(level(), model, table) != first).all()
    twice = [changes(level(), model, table, entropy=seeded(9)) for _ in range(2)]
    np.testing.assert_array_equal(*twice)


def test_a_broken_row_counts_as_a_gradient_of_zero(silent):
    """A row that is not finite changes its device's result as if its gradient were zero, and nobody else's."""
    table, model = world(5)
    chosen = level(sampling_rate=1.0, steps=1)
    clean = changes(chosen, model, table)
    keep = np.arange(len(table.y)) != 10
    less = changes(chosen, model, TrainingTable(table.x[keep], table.y[keep], table.bounds - (table.bounds > 10)))
    table.x[10, 3] = np.inf
    got = changes(chosen, model, table)
    np.testing.assert_allclose(got, less, atol=1e-15)
    np.testing.assert_array_equal(np.delete(got, 2, axis=0), np.delete(clean, 2, axis=0))


def test_without_entropy_nothing_leaves():
    """A failing source stops the contribution, and no vector without noise comes of it."""
    table, model = world()
    with pytest.raises(EntropyFailure):
        changes(level(), model, table, entropy=lambda count: b"")


@pytest.mark.parametrize("asked", [plan("gradient", statistics=()), plan("curvature", statistics=()), plan("fedavg")])
def test_what_cannot_be_noised_is_refused(asked):
    """Other tasks and statistics carry no event-level noise, so the trainer does not compute them."""
    assert asked.task != "fedavg" or asked.statistics == (LOSS,)
    table, model = world()
    with pytest.raises(UnknownTask, match="by event"):
        room().EventLevelTrainer(level()).contributions(asked, model, table)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("noise_multiplier", 0.0),
        ("noise_multiplier", math.nan),
        ("max_grad_norm", math.inf),
        ("sampling_rate", 0.0),
        ("sampling_rate", 1.1),
        ("steps", 0),
        ("expected_rows", -1.0),
    ],
)
def test_a_level_that_promises_nothing_is_refused(name, value):
    """The error names the field."""
    with pytest.raises(InvalidInput, match=name):
        level(**{name: value})


@pytest.mark.parametrize(
    ("sigma", "rate", "steps"), [(1.0, 0.01, 100), (2.0, 0.2, 50), (0.8, 0.9, 5), (5.0, 0.1, 1200)]
)
def test_both_accountants_bound_what_our_own_one_says(sigma, rate, steps):
    """Opacus' RDP agrees with ours within 2 %, its PRV with our PLD within its error of 0.02, and RDP bounds both."""
    accountants = importlib.import_module("tactful_privacy.accounting.accountants")
    events = importlib.import_module("tactful_privacy.accounting.events")
    event = events.ComposedEvent(events.PoissonSampledEvent(events.GaussianEvent(sigma), rate), steps)
    chosen = level(noise_multiplier=sigma, sampling_rate=rate, steps=steps)
    by_rdp = chosen.report(rounds=1, delta=1e-6).epsilon
    by_prv = chosen.report(rounds=1, delta=1e-6, accountant="prv").epsilon
    assert by_rdp == pytest.approx(accountants.accountant("rdp").epsilon(event, 1e-6), rel=0.02)
    assert by_prv == pytest.approx(accountants.accountant("pld").epsilon(event, 1e-6), abs=0.02)
    assert by_rdp > by_prv


def test_the_report_composes_rounds_and_starts_at_zero():
    """Ten rounds cost what one round of ten times the steps does; none costs nothing; less noise costs more."""
    ten, long = level().report(rounds=10, delta=1e-6), level(steps=30).report(rounds=1, delta=1e-6)
    assert ten == long
    assert level().report(rounds=0, delta=1e-6).epsilon == 0.0
    assert level(noise_multiplier=0.5).report(rounds=10, delta=1e-6).epsilon > ten.epsilon
    assert level(noise_multiplier=1e6, sampling_rate=1e-6).report(rounds=1, delta=0.5).epsilon == 0.0


def test_the_report_stands_apart():
    """It is frozen, has the five facts and no more, and does not add up with a number or with another report."""
    report = level().report(rounds=1, delta=1e-6)
    assert [each.name for each in fields(report)] == ["epsilon", "delta", "noise_multiplier", "sampling_rate", "steps"]
    with pytest.raises(FrozenInstanceError):
        report.epsilon = 0.0
    for other in (report, 4.0):
        with pytest.raises(TypeError):
            _ = report + other


@pytest.mark.parametrize("wrong", [{"rounds": -1}, {"delta": 0.0}, {"delta": 1.0}, {"accountant": "gdp"}])
def test_a_report_on_nonsense_is_refused(wrong):
    """Rounds, delta and accountant are checked."""
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        level().report(**({"rounds": 1, "delta": 1e-6} | wrong))


@pytest.mark.parametrize("beyond", [{"sampling_rate": 1.0}, {"noise_multiplier": 1e-3}])
def test_where_prv_has_no_answer_it_says_so(beyond):
    """Opacus' PRV divides by zero or overflows there; the other accountant answers."""
    chosen = replace(level(), **beyond)
    with pytest.raises(InvalidInput, match="use 'rdp'"):
        chosen.report(rounds=1, delta=1e-6, accountant="prv")
    assert chosen.report(rounds=1, delta=1e-6).epsilon > 0


def test_the_example_of_the_guide_runs():
    """The block of docs/training.md that needs torch runs as it is printed."""
    (block,) = re.findall(r"^```py\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    exec(compile(block, "block", "exec"), {"__name__": "block"})


SUMS = (("rows_scale", Fraction(8)), ("curvature_scale", Fraction(3)))


def summed(chosen, model, table, task, **options):
    asked = plan(task, SUMS, statistics=())
    return room().EventLevelTrainer(chosen, **options).contributions(asked, model, table) * (
        8 if task == "gradient" else 8 / 3
    )


def test_under_the_noise_are_sums_of_clipped_rows(silent):
    """Gradient and curvature at a rate of 1 without noise: each row cut to its bound by hand, within 1e-9."""
    table, model = world(2)
    chosen = level(sampling_rate=1.0, steps=1, max_grad_norm=0.7, max_curvature_norm=0.9)
    slopes, bends = (summed(chosen, model, table, task) for task in ("gradient", "curvature"))
    rows, columns = np.triu_indices(DIMENSION)
    for device in range(table.n_devices):
        part = slice(table.bounds[device], table.bounds[device + 1])
        x, y = table.x[part].astype(float), table.y[part].astype(float)
        np.testing.assert_allclose(slopes[device], clipped_step(x, y, model.alpha, 0.7), atol=1e-9)
        p = 1 / (1 + np.exp(-(x @ model.alpha)))
        each = (p * (1 - p))[:, None, None] * x[:, :, None] * x[:, None, :]
        length = np.linalg.norm(each, axis=(1, 2)) if len(x) else np.zeros(0)
        full = (each * np.minimum(1, 0.9 / np.maximum(length, 1e-12))[:, None, None]).sum(axis=0)
        packed = full[rows, columns] * np.where(rows == columns, 1, math.sqrt(2))
        np.testing.assert_allclose(bends[device], packed, atol=1e-9)
        assert not len(x) or length.max() > 0.9 or len(x) == 1


@pytest.mark.parametrize(("task", "bound"), [("gradient", 0.5), ("curvature", 0.25)])
def test_a_sum_carries_noise_of_its_rows_bound(task, bound):
    """Devices without rows send noise alone: multiplier · bound / rate, within 5 deviations of the estimate.

    Twenty devices give n > 600 numbers; the deviation of the estimate is σ/√(2n), so false alarms are below 1e-5.
    """
    table, model = world(3, sizes=(0,) * 20)
    chosen = level(steps=1, max_curvature_norm=0.25)
    got = summed(chosen, model, table, task)
    sigma = chosen.noise_multiplier * bound / chosen.sampling_rate
    assert abs(got.std() - sigma) < 5 * sigma / math.sqrt(2 * got.size)


def test_a_sum_takes_one_step():
    """A level of several steps a round is refused for a sum, which is released once."""
    table, model = world()
    with pytest.raises(UnknownTask, match="one step"):
        summed(level(), model, table, "gradient")
