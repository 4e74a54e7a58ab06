"""The global logistic: what it logs is what happened, what it fits is what was planted, and it keeps its promises."""

import numpy as np
import pytest

from tactful_lab.worlds import HistogramTime, Never, World, compare, rehearse, tuning_seeds
from tactful_lab.worlds.logistic import DAILY, PACED, THREE, WEEK_STEPS, GlobalLogistic
from tactful_lab.worlds.push_log import COLUMNS, SETTLED_STEPS, Habits, PushLog
from tactful_lab.worlds.seen import Observed
from tactful_privacy.errors import InvalidInput


class Watched:
    """A policy, and every step it took."""

    def __init__(self, policy):
        self.policy, self.name, self.steps = policy, policy.name, []

    def decide(self, view):
        return self.policy.decide(view)

    def learn(self, view, send, observed):
        self.policy.learn(view, send, observed)
        self.steps.append((view, send & view.reachable, observed))


def test_the_log_holds_each_push_that_arrived_and_whether_it_was_opened():
    """Labels and rows equal a slow recount by (person, step) from the steps themselves; dropped pushes are no rows."""
    world = World("main", 600, seed=tuning_seeds(1)[0])
    watched = Watched(GlobalLogistic(600, 7, seed=1))
    rehearse(world, watched, 3, warmup_weeks=1)
    last = watched.steps[-1][0].step
    waiting, outcome = {}, {}
    for view, send, seen in watched.steps:
        for i in np.flatnonzero(seen.expired):
            outcome[waiting[i]] = None
        for i in np.flatnonzero(send):
            waiting[i] = (int(view.step), int(i))
            outcome[waiting[i]] = False
        for i in np.flatnonzero(seen.opens):
            outcome[int(seen.opened_step[i]), int(i)] = True
    settled = {key: opened for key, opened in outcome.items() if key[0] <= last - SETTLED_STEPS and opened is not None}
    assert any(opened is None for opened in outcome.values())
    x, opened = watched.policy._log.rows(last)
    assert x.shape == (len(settled), COLUMNS)
    assert opened.sum() == sum(settled.values()) > 0
    reasons = sum(bool(watched.steps[step][0].contextual[i]) for step, i in settled)
    assert x[:, -2].sum() == reasons > 0


def test_rows_are_the_latest_and_only_those_whose_outcome_is_known():
    """``keep`` cuts the oldest steps; a push of less than two days ago is not handed out."""
    log = PushLog(keep=3)
    for step in (0, 1, 2, 40):
        log.add(step, np.array([4, 9]), np.full((2, COLUMNS), step, np.float32))
    x, opened = log.rows(41)
    assert sorted(set(x[:, 0])) == [1, 2]
    assert not opened.any()
    assert log.rows(5)[0].shape == (0, COLUMNS)


def _observed(n, step, opened_step):
    quiet = {"sessions": np.uint8, "conversions": bool, "sent": bool, "delivered": bool, "opt_outs": bool}
    arrays = {name: np.zeros(n, kind) for name, kind in quiet.items()}
    money = {name: np.zeros(n, np.float32) for name in ("delay_h", "value_minor", "expected_minor")}
    opens = opened_step >= 0
    return Observed(step=step, opens=opens, opened_step=opened_step, expired=np.zeros(n, bool), **arrays, **money)


def test_two_pushes_of_one_person_are_told_apart_by_their_step():
    """An open of the earlier push marks the earlier row, though a later one has been sent."""
    log = PushLog(keep=100)
    log.add(3, np.array([2, 5]), np.zeros((2, COLUMNS), np.float32))
    log.add(5, np.array([5]), np.ones((1, COLUMNS), np.float32))
    opened_step = np.full(8, -1, np.int32)
    opened_step[5] = 3
    log.observe(_observed(8, 6, opened_step))
    x, opened = log.rows(50)
    assert opened[x[:, 0] == 1].tolist() == [0]
    assert opened[x[:, 0] == 0].tolist() == [0, 1]


def test_habits_are_those_of_the_device_sdk():
    """φ of today equals a block fed by hand with the sessions that no push opened; opted-out persons are left out."""
    from tactful.features import FeatureBlock

    world = World("main", 80, seed=3)
    habits, by_hand = Habits(world.reachable), FeatureBlock.empty(80)
    for day in range(5):
        used = np.zeros((80, 7), np.uint8)
        for slot in range(7):
            view = world.view()
            seen = world.step(view.reachable & (slot == 5))
            habits.learn(view, seen)
            used[:, slot] = seen.sessions > seen.opens
        by_hand.close_day(day + 1, used)
    np.testing.assert_array_equal(habits.phi(world.view()), by_hand.design(6)[world.people.opted_in])


def test_no_person_gets_more_than_k_pushes_in_seven_days():
    """Over any 49 consecutive steps, with both settings; and never two pushes in one slot's gap."""
    for k, settings in ((3, THREE), (7, DAILY), (7, PACED)):
        world = World("main", 1500, seed=tuning_seeds(1)[0])
        watched = Watched(GlobalLogistic(1500, k, 2, settings))
        rehearse(world, watched, 4, warmup_weeks=1)
        sent = np.stack([send for _, send, _ in watched.steps]).astype(np.int32)
        total = np.cumsum(np.vstack([np.zeros(1500, np.int32), sent]), axis=0)
        assert (total[WEEK_STEPS:] - total[:-WEEK_STEPS]).max() <= k
        assert watched.policy.fitted


def test_the_fit_finds_that_reasons_and_usual_slots_are_opened_more():
    """After four weeks of 4,000 persons own_reason's coefficient exceeds 0.5, and such a push is likelier to be opened.

    The planted log ratio is log 3.2 = 1.16; 800 such opens against 1,000 others give it a standard error of 0.05.
    """
    world = World("main", 4000, seed=tuning_seeds(1)[0])
    policy = GlobalLogistic(4000, 3, 1)
    rehearse(world, policy, 4, warmup_weeks=2)
    assert policy.theta[-2] > 0.5
    phi = np.zeros((2, COLUMNS - 2), np.float32)
    chances = policy.open_probability(phi, np.array([False, True]), promotion=False)
    assert chances[1] > chances[0]


@pytest.mark.slow
def test_it_is_a_strong_peer_in_the_main_world():
    """On tuning seeds it beats histogram send times of the same cap, whole paired interval above 0 (three seeds)."""
    for k, settings, weekdays in ((3, THREE, (0, 2, 4)), (7, PACED, tuple(range(7)))):
        outcomes = {}
        for name in ("never", "histogram", "logistic"):
            outcomes[name] = []
            for seed in tuning_seeds(3):
                world = World("main", 10_000, seed)
                made = {"never": Never, "histogram": lambda w=weekdays: HistogramTime(10_000, w)}
                made["logistic"] = lambda k=k, s=settings, seed=seed: GlobalLogistic(10_000, k, seed, s)
                outcomes[name].append(rehearse(world, made[name](), 8, warmup_weeks=4))
        assert compare(outcomes["logistic"], outcomes["histogram"]).above_zero


def test_sizes_that_cannot_be_are_refused():
    """No persons or no pushes a week are errors."""
    for n, k in ((0, 3), (5, 0)):
        with pytest.raises(InvalidInput):
            GlobalLogistic(n, k, 1)
