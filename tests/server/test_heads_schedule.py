"""Several heads take turns by a public cycle; the turn and every head's state survive being put away."""

from fractions import Fraction

import numpy as np
import pytest
from tests.device.head_world import decisions, truth
from tests.device.trainer_world import plan
from tests.server.test_recursive_newton import optimiser

from tactful.model import Model
from tactful.training import UnknownTask, heads
from tactful.training.numpy_trainer import NumpyTrainer
from tactful_privacy.errors import InvalidInput
from tactful_server.heads_schedule import HeadsSchedule

CYCLE = ("effect", "hazard", "effect")


def schedule():
    both = (optimiser("effect", Model.warm_start(), devices=20), optimiser("hazard", Model.warm_start(), devices=20))
    return HeadsSchedule(both, CYCLE)


def advance(server, model, rounds):
    tasks = []
    for number in range(rounds):
        table, task = decisions(truth(), np.full(20, 10), seed=number), server.task
        asked = plan(task, statistics=())
        assert server.contribution_layout(Model.layout()) == asked.layout
        mean = NumpyTrainer().contributions(asked, model, table).mean(axis=0)
        model = Model.from_parameters(server.step(model.to_parameters(), mean, asked, 1e-4))
        tasks.append(task)
    return model, tasks


def test_the_cycle_goes_round():
    """Seven rounds follow the cycle, and their number for each head is known before."""
    server = schedule()
    assert advance(server, Model.warm_start(), 7)[1] == [*CYCLE, *CYCLE, "effect"]
    assert [server.rounds_of(head, 7) for head in ("effect", "hazard")] == [5, 2]


def test_the_state_survives():
    """What load takes over goes on as the one that was never put away, to the last bit; empty is the beginning."""
    one, other = schedule(), schedule()
    model = advance(one, Model.warm_start(), 2)[0]
    other.load(one.dump())
    assert other.dump() == one.dump()
    assert other.task == one.task == "effect"
    first, second = (advance(server, model, 4)[0].to_parameters() for server in (one, other))
    np.testing.assert_array_equal(first, second)
    other.load(b"")
    assert other.dump() == schedule().dump()


@pytest.mark.parametrize("cycle", [(), ("effect",), ("effect", "hazard", "value")])
def test_a_cycle_of_other_heads_is_refused(cycle):
    """Every head has a turn and every turn a head."""
    with pytest.raises(InvalidInput, match="cycle"):
        HeadsSchedule(schedule().heads, cycle)


@pytest.mark.parametrize("state", [b"{", b"[]", b'{"rounds": 1, "heads": {"effect": ""}}'])
def test_an_unreadable_state_is_refused(state):
    """A state of another optimiser, or none at all, is not half taken over."""
    server = schedule()
    with pytest.raises(InvalidInput, match="state"):
        server.load(state)
    assert server.dump() == schedule().dump()


def test_a_trainer_refuses_the_table_of_another_head():
    """Decisions for activity, use of the app for effect, statistics beside a head, a window of ages: refused."""
    table, model = decisions(truth(), np.full(2, 4)), Model.warm_start()
    with pytest.raises(UnknownTask, match="table"):
        NumpyTrainer().contributions(plan("activity", statistics=()), model, table)
    with pytest.raises(UnknownTask, match="shape"):
        NumpyTrainer().contributions(plan("effect"), model, table)
    with pytest.raises(UnknownTask, match="window_d"):
        NumpyTrainer().contributions(plan("effect", (("window_d", Fraction(10_000)),), ()), model, table)


def test_other_trainers_name_the_one_that_can():
    """torch does the older tasks; for a head it refuses and says which trainer does it."""
    pytest.importorskip("torch")
    from tactful.training.torch_trainer import TorchTrainer

    table = decisions(truth(), np.full(2, 4))
    for head in heads.HEADS:
        with pytest.raises(UnknownTask, match="numpy"):
            TorchTrainer().contributions(plan(head, statistics=()), Model.warm_start(), table)
