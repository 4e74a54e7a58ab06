"""The design holds the past alone, and both regressions find their optimum."""

import numpy as np
import pytest
from scipy.special import expit

from tactful_lab.slots import logistic, settings
from tactful_lab.slots.design import Design, replay, to_dense
from tactful_lab.slots.task import SlotTask

START = SlotTask.__dataclass_fields__["start_ordinal"].default


class TwoFeatures:
    """A constant and whether the slot was active on the last closed day."""

    def __init__(self, n: int) -> None:
        self.last = np.zeros((n, 7), np.float32)

    def close_day(self, day_ordinal: int, activity) -> None:
        self.last = activity.astype(np.float32)

    def design(self, day_ordinal: int):
        return np.stack([np.ones_like(self.last), self.last], axis=-1)


@pytest.fixture(scope="module")
def task():
    random = np.random.default_rng(5)
    activity = (random.uniform(size=(12, 365, 7)) < 0.1).astype(np.uint8)
    return SlotTask(activity, np.arange(12, dtype=np.int32) * 20, np.arange(12))


@pytest.fixture(scope="module")
def designs(task):
    return replay(task, make=TwoFeatures)


@pytest.mark.parametrize("split", ["train", "tune", "test"])
def test_a_row_holds_the_day_before_it(task, designs, split):
    """Row by row, the design is yesterday's activity, and labels and households lie in the same order."""
    design, start = designs[split], task.days(split).start
    for row, (household, column) in enumerate(np.argwhere(task.rows(split))):
        assert design.household[row] == household
        assert np.array_equal(design.y[row], task.activity[household, start + column])
        assert np.array_equal(design.x[row, :, 1], task.activity[household, start + column - 1])


def test_dense_scores_lie_where_their_rows_are(task, designs):
    """`to_dense` puts each row's scores on its household and day, and zeros elsewhere."""
    scores = np.random.default_rng(1).uniform(size=designs["train"].y.shape)
    dense = to_dense(task, "train", scores)
    assert np.allclose(dense[task.rows("train")], scores)
    assert not dense[~task.rows("train")].any()


def _random_design(n: int, seed: int) -> Design:
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 7, 3)).astype(np.float32)
    x[..., 0] = 1
    y = (random.uniform(size=(n, 7)) < expit(x @ np.array([-2.0, 1.0, -0.5]))).astype(np.uint8)
    return Design(x, y, np.sort(random.integers(0, 3, size=n)).astype(np.int32))


def test_the_gradient_is_the_slope_of_the_loss(monkeypatch):
    """Analytic and central-difference gradients agree, chunked or not."""
    x, y = _random_design(40, 2).flat()
    theta = np.array([0.3, -0.2, 0.1])
    wide = x.astype(np.float64), y.astype(np.float64)
    loss, gradient = logistic.loss_and_gradient(theta, *wide, 3.0)
    for axis in range(3):
        step = np.zeros(3)
        step[axis] = 1e-2
        up, down = (logistic.loss_and_gradient(theta + s, *wide, 3.0)[0] for s in (step, -step))
        assert gradient[axis] == pytest.approx((up - down) / 2e-2, rel=1e-3, abs=1e-5)
    monkeypatch.setattr(logistic, "_CHUNK_ROWS", 17)
    chunked = logistic.loss_and_gradient(theta, *wide, 3.0)
    assert chunked[0] == pytest.approx(loss)
    assert chunked[1] == pytest.approx(gradient)


def test_the_centralised_fit_is_at_its_optimum():
    """The gradient at the fitted parameters vanishes and the truth is near."""
    train, tune = _random_design(3_000, 3), _random_design(300, 4)
    fit = logistic.fit_central(train, tune, settings.load())
    _, gradient = logistic.loss_and_gradient(fit.theta, *train.flat(), fit.penalty)
    assert np.abs(gradient).max() < 1e-4
    # n = 21,000 labels: a coefficient's standard error is about 0.03; five of them.
    assert fit.theta == pytest.approx([-2.0, 1.0, -0.5], abs=0.15)


def test_each_local_fit_equals_the_pooled_fit_of_one_household():
    """A household's local parameters solve its own penalised problem; one without rows keeps its offset alone."""
    train, tune = _random_design(600, 6), _random_design(100, 7)
    fit = logistic.fit_local(train, tune, n_households=4, penalties=[10.0])
    for household in range(3):
        own = train.household == household
        x, y = train.x[own].reshape(-1, 3), train.y[own].ravel()
        p = expit(x @ fit.theta[household] + fit.offset[household])
        assert np.abs(x.T @ (p - y) + 10.0 * fit.theta[household]).max() < 1e-3
    assert not fit.theta[3].any()
