"""Local steps of stacked devices are those of a loop over devices in double precision, however the rows are cut."""

from itertools import pairwise

import numpy as np
import pytest

from tactful.training import local_steps as room
from tactful.training.local_steps import local_steps


def rows(sizes, d=40, seed=0):
    rng, total = np.random.default_rng(seed), int(np.sum(sizes))
    x = rng.uniform(-1, 1, (total, d)).astype(np.float32)
    y = (rng.random(total) < 0.3).astype(np.float32)
    return x, y, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), rng.normal(0, 0.5, d)


def one_by_one(x, y, bounds, alpha, rate, epochs):
    change = []
    for start, stop in pairwise(bounds):
        part, label, local = x[start:stop].astype(float), y[start:stop].astype(float), alpha.copy()
        for _ in range(epochs if stop > start else 0):
            local += rate * (label - 1 / (1 + np.exp(-(part @ local)))) @ part / len(label)
        change.append(local - alpha)
    return np.array(change)


MIXED = (3, 0, 100, 1, 97, 0, 2_000, 100, 99, 1_100, 5, 120)


@pytest.mark.parametrize("sizes", [(100,) * 30, MIXED, (0, 0), (1,), (7, 7, 0, 7)])
@pytest.mark.parametrize("epochs", [0, 1, 5])
def test_the_changes_are_those_of_a_loop_over_devices(sizes, epochs):
    """Equal, mixed, empty and single devices, within 1e-6."""
    asked = rows(sizes)
    np.testing.assert_allclose(local_steps(*asked, 0.5, epochs), one_by_one(*asked, 0.5, epochs), atol=1e-6, rtol=0)


@pytest.mark.parametrize("block_bytes", [1, 20_000, 1 << 26])
def test_the_borders_of_blocks_do_not_show(block_bytes, monkeypatch):
    """Blocks of one device, of a few or of all give the same within 1e-6."""
    asked = rows(MIXED, seed=1)
    monkeypatch.setattr(room, "_BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(room, "_MOST_FILLING", 1_000.0)
    np.testing.assert_allclose(local_steps(*asked, 0.5, 3), one_by_one(*asked, 0.5, 3), atol=1e-6, rtol=0)


def test_a_large_start_costs_no_accuracy():
    """With weights of a thousand, the change is as exact as its logits are: within 1e-6 where these are small."""
    x, y, bounds, _ = rows((100, 90), d=6)
    x[:, 0] = 0.0
    start = np.array([1_000.0, 0.1, -0.2, 0.3, 0.0, 0.1])
    got = local_steps(x, y, bounds, start, 0.5, 5)
    np.testing.assert_allclose(got, one_by_one(x, y, bounds, start, 0.5, 5), atol=1e-6, rtol=0)


def test_a_device_that_is_not_finite_spoils_no_other():
    """NaN stays in its own row, also inside a stacked block."""
    x, y, bounds, start = rows((50, 50, 49, 51), seed=2)
    clean = local_steps(x, y, bounds, start, 0.5, 2)
    x[60, 3] = np.nan
    got = local_steps(x, y, bounds, start, 0.5, 2)
    np.testing.assert_array_equal(got[[0, 2, 3]], clean[[0, 2, 3]])
    assert np.isnan(got[1]).any()


def test_every_device_is_in_one_block_and_blocks_stay_small():
    """Blocks cover the devices that have rows once each, within the bytes or a device alone, of like sizes."""
    sizes = np.random.default_rng(3).integers(0, 1_500, 300)
    blocks = list(room._blocks(sizes, 40))
    assert sorted(np.concatenate(blocks)) == list(np.flatnonzero(sizes))
    for block in blocks:
        longest = sizes[block].max()
        assert len(block) == 1 or longest * len(block) * 160 <= room._BLOCK_BYTES
        assert longest <= 1.25 * sizes[block].min()
