"""The recurrent model by plain loops: its size, what it reads, and that it never sees the day it speaks of."""

import math
from datetime import date
from fractions import Fraction

import numpy as np
import pytest

from tactful.training.gru import HIDDEN, INPUTS, GruModel, SequenceTable
from tactful.training.registry import GRU_MODEL
from tactful_privacy import wire
from tactful_privacy.errors import InvalidInput

MONDAY = date(2021, 8, 2).toordinal()


def table(n=3, days=20, seed=0, warm_up_d=5):
    rng = np.random.default_rng(seed)
    activity = (rng.random((n, days, 7)) < 0.3).astype(np.uint8)
    first = np.arange(n) * 2
    for device in range(n):
        activity[device, : first[device]] = 0
    return SequenceTable(activity, first.astype(np.int64), MONDAY, warm_up_d)


def model(seed=0):
    rng = np.random.default_rng(seed)
    return GruModel.from_parameters(rng.normal(0, 0.4, 490))


def sigmoid(u):
    return 1 / (1 + math.exp(-u))


def slow_logits(chosen, days, device, slot):
    """One slot of one device by loops over numbers, straight from the definition of the unit."""
    p, h, out = chosen.parts, [0.0] * HIDDEN, []
    for day in range(days.activity.shape[1]):
        today, tomorrow = (days.start_ordinal + day - 1) % 7, (days.start_ordinal + day) % 7
        out.append(sum(h[k] * p["output"][k] for k in range(HIDDEN)) + p["offsets"][slot][today])
        if day < days.first_day[device]:
            continue
        used = days.activity[device, day]
        angle = 2 * math.pi * today / 7
        x = [float(used[slot]), float(used.sum()) / 7, float(tomorrow >= 5), math.sin(angle), math.cos(angle)]
        new = []
        for k in range(HIDDEN):
            into = [
                sum(x[i] * p["input_weights"][i][g * HIDDEN + k] for i in range(5)) + p["input_bias"][g * HIDDEN + k]
                for g in range(3)
            ]
            across = [
                sum(h[i] * p["hidden_weights"][i][g * HIDDEN + k] for i in range(HIDDEN))
                + p["hidden_bias"][g * HIDDEN + k]
                for g in range(3)
            ]
            reset, update = sigmoid(into[0] + across[0]), sigmoid(into[1] + across[1])
            candidate = math.tanh(into[2] + reset * across[2])
            new.append((1 - update) * candidate + update * h[k])
        h = new
    return out


def test_it_has_few_parameters():
    """At most 512, and the vector is read back as it was."""
    assert sum(block.length for block in GruModel.layout()) == 490 <= 512
    vector = np.random.default_rng(0).normal(size=490)
    np.testing.assert_array_equal(GruModel.from_parameters(vector).to_parameters(), vector)
    assert GruModel.prior().to_parameters().shape == (490,)


def test_the_forward_pass_is_the_unit_written_out():
    """Every slot of devices that start on different days, within 1e-12 of loops."""
    days, chosen = table(), model()
    got = chosen.logits(days)
    for device in range(3):
        for slot in range(7):
            np.testing.assert_allclose(got[device, :, slot], slow_logits(chosen, days, device, slot), atol=1e-12)


def test_no_logit_sees_its_own_day_or_a_later_one():
    """Changing what happened on day 12 changes nothing up to day 12, and something after it."""
    days, chosen = table(), model()
    before = chosen.logits(days)
    days.activity[1, 12] = 1 - days.activity[1, 12]
    after = chosen.logits(days)
    np.testing.assert_array_equal(after[:, :13], before[:, :13])
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
    assert np.abs(after[1, 13:] - before[1, 13:]).max() > 1e-6


def test_labels_start_after_the_warm_up():
    """A device's first labelled day is its first active one plus the warm-up; of one that never was, none is."""
    days = SequenceTable(np.zeros((2, 20, 7), np.uint8), np.array([4, 20]), MONDAY, 5)
    assert np.flatnonzero(days.labelled()[0])[0] == 9
    assert not days.labelled()[1].any()


def artifact(features):
    chosen = model(3)
    card = wire.ArtifactCard(
        name=GRU_MODEL,
        version=2,
        federation="shop",
        round_number=2,
        layout=GruModel.layout(),
        features=features,
        epsilon=Fraction(1),
        delta=Fraction(1, 10**6),
        rho=Fraction(1, 10),
        ledger_head=bytes(32),
        parent=bytes(32),
        evaluation=(),
        training=(("origin", "rounds"),),
    )
    return wire.Artifact(card, wire.pack_f64(chosen.to_parameters())), chosen


def test_a_released_model_is_read_back():
    """Parameters as they were, and named after the artifact; a model of other inputs is refused."""
    released, chosen = artifact(INPUTS)
    read = GruModel.from_artifact(released)
    np.testing.assert_array_equal(read.to_parameters(), chosen.to_parameters())
    assert read.version.startswith("slots-gru-2-")
    assert read.digest == released.digest
    with pytest.raises(InvalidInput, match="artifact"):
        GruModel.from_artifact(artifact((("other", "1"),))[0])


@pytest.mark.parametrize("vector", [np.zeros(489), np.full(490, np.nan)])
def test_a_vector_that_does_not_fit_is_refused(vector):
    """Of another length, or not finite."""
    with pytest.raises(InvalidInput, match="vector"):
        GruModel.from_parameters(vector)


def test_a_table_of_another_shape_is_refused():
    """Six slots, or first days of fewer devices."""
    for activity, first in ((np.zeros((2, 5, 6), np.uint8), 2), (np.zeros((2, 5, 7), np.uint8), 1)):
        with pytest.raises(InvalidInput, match="activity"):
            SequenceTable(activity, np.zeros(first, np.int64), MONDAY)
