"""What a device says of each head is the gradient of that head's objective, and the curvature is its derivative.

Oracle: the objective written out in float64 from the model's definition, by central differences.
"""

from dataclasses import replace

import numpy as np
import pytest

from tactful.features import DIMENSION
from tactful.model import Model
from tactful.training import heads
from tactful.training.tables import TrainingTable

from .head_world import decisions, logits, sigmoid, truth

SIZES = (40, 0, 25, 1, 0)
HEADS = ("effect", "hazard", "value")


def softplus(x):
    return np.logaddexp(0.0, x)


def objective(head, model, table):
    """Each device's objective; outcomes that are not known, and rules without chance, do not enter."""
    eta, effect, hazard = logits(model, table)
    a, pi, y = (getattr(table, name).astype(float) for name in ("sent", "propensity", "engaged"))
    if head == "effect":
        sent, held = (1 - pi) * (y * effect - softplus(eta + effect)), -pi * (y - sigmoid(eta)) * effect
        each = np.where(np.isfinite(y) & (pi > 0) & (pi < 1), np.where(a > 0, sent, held), 0.0)
    elif head == "hazard":
        y = table.opted_out.astype(float)
        each = np.where((a > 0) & np.isfinite(y), y * hazard - softplus(hazard), 0.0)
    else:
        residual = np.clip(table.value, 0, heads.MOST_VALUE) - 1.0 - table.phi.astype(float) @ model.value
        each = np.where((y > 0) & np.isfinite(table.value), -0.5 * residual**2, 0.0)
    cuts = zip(table.bounds[:-1], table.bounds[1:], strict=True)
    return np.array([np.nansum(each[start:stop]) for start, stop in cuts])


def moved(model, head, index, by):
    """The model with one of the head's parameters moved by ``by`` of the head's units."""
    sizes = [getattr(model, block).size for block in heads.HEADS[head]]
    flat = np.concatenate([getattr(model, block) for block in heads.HEADS[head]])
    flat[index] += by * heads.head_units(head)[index]
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    return replace(model, **dict(zip(heads.HEADS[head], parts, strict=True)))


def unpack(packed, size):
    full = np.zeros((size, size))
    full[np.triu_indices(size)] = packed
    diagonal = np.diag(full).copy()
    full /= np.sqrt(2.0)
    np.fill_diagonal(full, diagonal)
    return np.triu(full) + np.triu(full, 1).T


@pytest.mark.parametrize("head", HEADS)
def test_the_gradient_is_that_of_the_objective(head):
    """Every device and parameter within 1e-4 of the largest, some outcomes unknown, some devices without rows."""
    table, model = decisions(truth(), SIZES, seed=1, unknown=0.2), truth()
    found, step = heads.gradients(heads.PUSH_ROWS[head](table, model)), 1e-4
    wanted = np.stack(
        [
            (objective(head, moved(model, head, j, step), table) - objective(head, moved(model, head, j, -step), table))
            / (2 * step)
            for j in range(heads.head_size(head))
        ],
        axis=1,
    )
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())
    assert not found[[1, 4]].any()


@pytest.mark.parametrize("head", HEADS)
def test_the_curvature_is_minus_the_derivative_of_the_gradient(head):
    """As matrices, within 2e-3 of the largest entry (float32 gradients, central differences)."""
    table, model, step = decisions(truth(), SIZES, seed=2, unknown=0.2), truth(), 1e-2
    size, make = heads.head_size(head), heads.PUSH_ROWS[head]
    packed = heads.curvatures(make(table, model))
    up, down = (
        np.stack([heads.gradients(make(table, moved(model, head, j, sign * step))) for j in range(size)], axis=2)
        for sign in (1, -1)
    )
    wanted = -(up - down) / (2 * step)
    for device in range(len(SIZES)):
        np.testing.assert_allclose(unpack(packed[device], size), wanted[device], atol=2e-3 * np.abs(wanted).max())


def test_the_activity_head_is_logistic_regression():
    """Gradient Σ (y − p)x and curvature Σ p(1 − p)xxᵀ in float64, within 1e-4; an offset enters the logit."""
    table = decisions(truth(), SIZES, seed=3)
    rows, model = TrainingTable(table.phi, table.engaged, table.bounds), truth()
    for offset in (None, table.offset):
        got = heads.activity_rows(rows, model, offset)
        p = sigmoid(table.phi.astype(float) @ model.alpha + (0.0 if offset is None else offset))
        for device, (start, stop) in enumerate(zip(table.bounds[:-1], table.bounds[1:], strict=True)):
            x, q = table.phi[start:stop].astype(float), p[start:stop]
            residual = table.engaged[start:stop] - q
            np.testing.assert_allclose(heads.gradients(got)[device], x.T @ residual, atol=1e-4)
            full = x.T @ (x * (q * (1 - q))[:, None])
            np.testing.assert_allclose(unpack(heads.curvatures(got)[device], DIMENSION), full, atol=1e-4)


def test_a_wrong_activity_hardly_biases_the_effect():
    """At the true effect the mean gradient is zero; with the activity logit off by 0.3 the constant's is still at
    most two thirds of what it is without the coin's centring (about half).

    Zero within 4.5 standard errors: 37 comparisons, false alarms below 3e-4.
    """
    model, rows = truth(), 60_000
    table = decisions(model, np.full(rows, 1), seed=4)
    exact = heads.gradients(heads.effect_rows(table, model))
    assert (np.abs(exact.mean(axis=0)) <= 4.5 * exact.std(axis=0, ddof=1) / np.sqrt(rows) + 1e-9).all()
    wrong = replace(table, offset=table.offset - np.float32(0.3))
    eta, effect, _ = logits(model, wrong)
    plain = np.mean(table.sent * (table.engaged - sigmoid(eta + effect)))
    centred = heads.gradients(heads.effect_rows(wrong, model))[:, 0].mean()
    assert abs(centred) < abs(plain) * 2 / 3


def test_a_part_of_the_table_is_that_of_its_devices():
    """`PushTable.devices` gives the same statistics as the whole table's rows of these devices."""
    table, model = decisions(truth(), SIZES, seed=5), truth()
    for head in HEADS:
        make = heads.PUSH_ROWS[head]
        whole = heads.contribution(make(table, model), 0.5, 3.0)
        part = heads.contribution(make(table.devices(2, 5), model), 0.5, 3.0)
        np.testing.assert_array_equal(whole[2:5], part)


def test_the_start_is_a_stationary_point_of_nothing():
    """The warm start's gradients point towards the truth: the constant of each head rises, as it was planted."""
    table = decisions(truth(), np.full(200, 40), seed=6)
    for head in HEADS:
        assert heads.gradients(heads.PUSH_ROWS[head](table, Model.warm_start()))[:, 0].sum() > 0
