"""How the numpy trainer cuts a table: neither blocks nor a selection of devices show in the contributions."""

import numpy as np
import pytest

from tactful.training import TASKS, NumpyTrainer, blocks

from .trainer_world import SIZES, plan, world


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("rows", [1, 7, 41])
def test_the_borders_of_blocks_do_not_show(monkeypatch, task, rows):
    """Computed in blocks of a few rows or all at once, the contributions agree to float32 rounding (1e-6)."""
    table, model = world(6)
    whole = NumpyTrainer().contributions(plan(task), model, table)
    monkeypatch.setattr(blocks, "_CHUNK_ROWS", rows)
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
