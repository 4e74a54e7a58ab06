"""The trainer of the recurrent model: against torch's own unit, against differences, and device by device."""

import importlib
from datetime import date
from fractions import Fraction
from importlib.util import find_spec

import numpy as np
import pytest

from tactful.training import LOSS_CENTRE, LOSS_WIDTH, UnknownTask
from tactful.training.gru import HIDDEN, GruModel, SequenceTable
from tactful_privacy import wire

from .trainer_world import GRID, LOSS, plan

if find_spec("torch") is None:
    pytest.skip("torch is not installed: pip install 'tactful[train]'", allow_module_level=True)

MONDAY = date(2021, 8, 2).toordinal()
SCALE = (("rows_scale", Fraction(8)),)
STEPS = (("learning_rate", Fraction(1, 2)), ("epochs", Fraction(3)))


def room():
    return importlib.import_module("tactful.training.gru_trainer")


def world(n=5, days=30, seed=0):
    """Devices that start on different days; the one before the last never does."""
    rng = np.random.default_rng(seed)
    activity = (rng.random((n, days, 7)) < 0.25).astype(np.uint8)
    first = (3 * np.arange(n)).astype(np.int64)
    first[-2] = days
    for device in range(n):
        activity[device, : first[device]] = 0
    return SequenceTable(activity, first, MONDAY, 4), GruModel.from_parameters(rng.normal(0, 0.3, 490))


def asked(task, settings=(), statistics=(LOSS,), layout=None):
    return plan(task, settings, statistics, layout or room().gru_layout(task))


def likelihood(model, table, device):
    """Summed log-likelihood of a device's labels, by the numpy forward pass."""
    logits, rows = model.logits(table)[device], table.labelled()[device]
    labels = (table.activity[device] > 0).astype(float)
    return float(((labels * logits - np.logaddexp(0, logits)) * rows[:, None]).sum())


def test_the_forward_pass_is_torchs_own_unit():
    """`torch.nn.GRU` with the same weights gives the same logits for a device that starts on day 0, within 1e-12."""
    torch, (table, model) = importlib.import_module("torch"), world()
    unit = torch.nn.GRU(5, HIDDEN, batch_first=True, dtype=torch.float64)
    p = model.parts
    with torch.no_grad():
        unit.weight_ih_l0.copy_(torch.from_numpy(p["input_weights"].T.copy()))
        unit.weight_hh_l0.copy_(torch.from_numpy(p["hidden_weights"].T.copy()))
        unit.bias_ih_l0.copy_(torch.from_numpy(p["input_bias"]))
        unit.bias_hh_l0.copy_(torch.from_numpy(p["hidden_bias"]))
        states, _ = unit(torch.from_numpy(table.inputs()[0].transpose(1, 0, 2).copy()))
    said = (states.numpy() @ p["output"]).T  # (days, 7): after each day
    offsets = p["offsets"][:, table.weekdays()[:-1]].T
    np.testing.assert_allclose(model.logits(table)[0, 1:], said[:-1] + offsets[1:], atol=1e-12)
    days = room().Sequences(table)
    got = room().logits(torch.from_numpy(model.to_parameters())[None, :], days).numpy()
    np.testing.assert_allclose(got, model.logits(table), atol=1e-12)


def test_the_gradient_is_the_derivative_of_the_likelihood():
    """Every ninth parameter of two devices against central differences, within 1e-6 of each label."""
    table, model = world()
    got = room().GruTrainer().contributions(asked("gru_gradient", SCALE), model, table)
    vector = model.to_parameters()
    for device in (0, 2):
        for k in range(0, 490, 9):
            up, down = (GruModel.from_parameters(vector + s * np.eye(490)[k]) for s in (1e-5, -1e-5))
            numeric = (likelihood(up, table, device) - likelihood(down, table, device)) / 2e-5
            assert got[device, k] * 8 == pytest.approx(numeric, abs=1e-6 * 30 * 7)


def test_local_steps_are_gradient_steps_on_the_mean_loss():
    """Three steps by hand, each from the gradient task of that device alone."""
    table, model = world(seed=1)
    got = room().GruTrainer().contributions(asked("gru_fedavg", STEPS), model, table)
    for device in (1, 4):
        alone, vector = table.part(device, device + 1), model.to_parameters()
        count = table.labelled()[device].sum() * 7
        for _ in range(3):
            here = GruModel.from_parameters(vector)
            step = room().GruTrainer().contributions(asked("gru_gradient"), here, alone)[0, :490]
            vector = vector + 0.5 * step / count
        np.testing.assert_allclose(got[device, :490], vector - model.to_parameters(), atol=1e-12)


@pytest.mark.parametrize("task", ["gru_gradient", "gru_fedavg"])
def test_a_device_contributes_the_same_in_any_company(task, monkeypatch):
    """Alone, in blocks of two or all at once within 1e-12; a device that was never active contributes zero."""
    table, model = world(seed=2)
    whole = room().GruTrainer().contributions(asked(task), model, table)
    monkeypatch.setattr(room(), "_BLOCK_DEVICES", 2)
    np.testing.assert_allclose(room().GruTrainer().contributions(asked(task), model, table), whole, atol=1e-12)
    for device in range(5):
        alone = room().GruTrainer().contributions(asked(task), model, table.part(device, device + 1))
        np.testing.assert_allclose(alone[0], whole[device], atol=1e-12)
        assert whole[device].any() == (device != 3)


def test_the_statistic_is_the_mean_loss_within_its_half_range():
    """Centred, scaled and cut, from the numpy forward pass."""
    table, model = world(seed=3)
    got = room().GruTrainer().contributions(asked("gru_gradient"), model, table)[:, -1]
    half = (1 << 16) / 2**GRID
    for device in (0, 1, 2, 4):
        loss = -likelihood(model, table, device) / (table.labelled()[device].sum() * 7)
        assert got[device] == pytest.approx(min(1, max(-1, (loss - LOSS_CENTRE) / LOSS_WIDTH)) * half, abs=1e-9)
    assert got[3] == 0


def test_float32_is_near_float64():
    """What the rehearsal uses for speed differs by less than 1e-4 of the gradient's length."""
    table, model = world(seed=4)
    exact = room().GruTrainer().contributions(asked("gru_gradient"), model, table)
    fast = room().GruTrainer(fast=True).contributions(asked("gru_gradient"), model, table)
    assert np.linalg.norm(fast - exact) <= 1e-4 * np.linalg.norm(exact)


def test_what_is_not_known_is_refused():
    """Another task, another layout, another statistic, or settings that no honest plan has."""
    table, model = world()
    other = (wire.Block("gru_gradient", 489),)
    bad = [
        plan("gradient"),
        asked("gru_gradient", layout=other),
        asked("gru_gradient", statistics=(wire.Statistic("secret", 5),)),
        asked("gru_fedavg", (("epochs", Fraction(10**9)),)),
    ]
    for each in bad:
        with pytest.raises(UnknownTask):
            room().GruTrainer().contributions(each, model, table)
