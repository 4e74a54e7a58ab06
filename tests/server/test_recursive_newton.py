"""Recursive Newton steps: near the one-shot fit without noise, after a drifted truth, never negative."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from tests.device.head_world import decisions, logits, sigmoid, truth
from tests.device.trainer_world import plan

from tactful.model import Model
from tactful.training import heads
from tactful_privacy.errors import InvalidInput
from tactful_server.recursive import RecursiveNewton

DEVICES, ROWS = 400, 12
HAZARD_START = replace(
    Model.warm_start(), hazard=truth().hazard - np.eye(1, 31)[0], hazard_dosage=np.array([0.1, 0.1, 0.02])
)


def optimiser(head, start, *, devices=DEVICES, precision=4.0, **options):
    prior = np.concatenate([getattr(start, block) for block in heads.HEADS[head]])
    return RecursiveNewton(
        Model.layout(),
        head,
        heads.HEADS[head],
        devices,
        prior,
        np.full(heads.head_size(head), precision),
        heads.head_units(head),
        curvature_scale=0.5,
        rows_scale=3.0,
        non_negative=3 if head == "hazard" else 0,
        **options,
    )


def learn(server, tables, start, noise_std=0.0, seed=0):
    """Rounds over these tables; returns the models after each."""
    random, model, path = np.random.default_rng(seed), start, []
    for table in tables:
        rows = heads.PUSH_ROWS[server.head](table, model)
        mean = heads.contribution(rows, server.curvature_scale, server.rows_scale).mean(axis=0)
        mean = mean + noise_std * random.standard_normal(mean.size)
        moved = server.step(model.to_parameters(), mean, plan(server.head, statistics=()), noise_std)
        model = Model.from_parameters(moved)
        path.append(model)
    return path


def theta(model, head):
    return np.concatenate([getattr(model, block) for block in heads.HEADS[head]]) / heads.head_units(head)


def one_shot(head, tables, start, precision):
    """Slow oracle: the penalised maximum of all tables together, by a general optimiser, in the head's units."""
    parts = [heads.PUSH_ROWS[head](table, start) for table in tables]
    x = np.concatenate([part.design for part in parts]).astype(float)
    known = np.concatenate([part.weight for part in parts]) > 0
    prior = theta(start, head)
    if head == "value":
        y = np.concatenate([np.clip(t.value, 0, heads.MOST_VALUE) for t in tables])[known] - 1.0
        x = x[known]
        held = x.T @ x + precision * np.eye(len(prior))
        return np.linalg.solve(held, x.T @ y + precision * prior)
    eta, y, pi, a = (np.concatenate(column) for column in zip(*(columns(head, t) for t in tables), strict=True))

    def loss(at):
        logit = eta + x @ at
        p = sigmoid(logit)
        if head == "hazard":
            value, residual = np.where(a > 0, y * logit - np.logaddexp(0, logit), 0), np.where(a > 0, y - p, 0)
        else:
            value = np.where(a > 0, (1 - pi) * (y * logit - np.logaddexp(0, logit)), -pi * (y - sigmoid(eta)) * logit)
            residual = np.where(a > 0, (1 - pi) * (y - p), -pi * (y - sigmoid(eta)))
        pull = precision * (at - prior)
        return -value.sum() + 0.5 * (pull * (at - prior)).sum(), -(x.T @ residual) + pull

    return minimize(loss, prior, jac=True, method="L-BFGS-B", options={"maxiter": 5000, "ftol": 1e-14}).x


def columns(head, table):
    base = logits(Model.warm_start(), table)
    if head == "hazard":
        return np.full(len(table.sent), -6.906754778648554), table.opted_out, table.propensity, table.sent
    return base[0], table.engaged, table.propensity, table.sent


@pytest.mark.parametrize(("head", "tolerance"), [("value", 1e-3), ("effect", 0.1), ("hazard", 0.1)])
def test_without_noise_and_forgetting_it_is_the_one_shot_fit(head, tolerance):
    """Twelve rounds end within the tolerance of the penalised fit of all rows at once, in every parameter's own unit.

    The linear head exactly (float32 rows); the logistic ones up to where each round was linearised.
    """
    start = HAZARD_START if head == "hazard" else Model.warm_start()
    model = truth(alpha=Model.warm_start().alpha, kappa=Model.warm_start().kappa)
    tables = [decisions(model, np.full(DEVICES, ROWS), seed=seed) for seed in range(12)]
    final = learn(optimiser(head, start), tables, start)[-1]
    np.testing.assert_allclose(theta(final, head), one_shot(head, tables, start, 4.0), atol=tolerance)
    assert np.abs(theta(final, head) - theta(start, head)).max() > 3 * tolerance


def test_with_forgetting_it_follows_a_drifted_truth():
    """After the effect of a push falls by 1.2, the constant with λ = 0.8 is within 0.3 of the new truth; with λ = 1 it
    is at least twice as far off."""
    before = truth(alpha=Model.warm_start().alpha)
    after = replace(before, beta=before.beta - 1.2 * np.eye(1, 31)[0])
    worlds = [before] * 20 + [after] * 20
    tables = [decisions(model, np.full(DEVICES, ROWS), seed=100 + i) for i, model in enumerate(worlds)]
    off = {}
    probe = decisions(after, np.full(DEVICES, ROWS), seed=99)
    wanted = logits(after, probe)[1].mean()
    for forgetting in (0.8, 1.0):
        final = learn(optimiser("effect", Model.warm_start(), forgetting=forgetting), tables, Model.warm_start())[-1]
        off[forgetting] = abs(logits(final, probe)[1].mean() - wanted)
    assert off[0.8] < 0.3
    assert off[1.0] > 2 * off[0.8]


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.3])
def test_the_hazard_of_dosage_is_never_negative(noise):
    """However large the noise, γ_D stays at 0 or above after every round, and everything stays finite."""
    model = truth(hazard_dosage=np.zeros(3))
    tables = [decisions(model, np.full(DEVICES, ROWS), seed=seed) for seed in range(8)]
    for found in learn(optimiser("hazard", HAZARD_START), tables, HAZARD_START, noise_std=noise, seed=1):
        assert (found.hazard_dosage >= 0).all()
        assert np.isfinite(found.to_parameters()).all()


def test_where_noise_drowns_everything_the_prior_holds():
    """With noise a thousand times the data's, ten rounds move no parameter of the effect by more than 3 units."""
    tables = [decisions(truth(), np.full(DEVICES, ROWS), seed=seed) for seed in range(10)]
    start = Model.warm_start()
    final = learn(optimiser("effect", start, precision=30.0), tables, start, noise_std=1.0, seed=2)[-1]
    assert np.abs(theta(final, "effect") - theta(start, "effect")).max() < 3.0


def test_only_the_heads_own_blocks_move():
    """A step of one head leaves every parameter of the others exactly as it was."""
    tables = [decisions(truth(), np.full(DEVICES, ROWS), seed=7)]
    for head in heads.PUSH_ROWS:
        final = learn(optimiser(head, Model.warm_start()), tables, Model.warm_start())[-1]
        for name, _ in ((block.name, block.length) for block in Model.layout()):
            same = np.array_equal(getattr(final, name), getattr(Model.warm_start(), name))
            assert same == (name not in heads.HEADS[head])


def test_a_state_put_away_goes_on_exactly():
    """dump and load between rounds change nothing, to the last bit."""
    tables = [decisions(truth(), np.full(DEVICES, ROWS), seed=seed) for seed in range(4)]
    start, whole, first, second = Model.warm_start(), *(optimiser("effect", Model.warm_start()) for _ in range(3))
    straight = learn(whole, tables, start, noise_std=1e-3)[-1]
    half = learn(first, tables[:2], start, noise_std=1e-3)
    second.load(first.dump())
    random = np.random.default_rng(0)
    model = half[-1]
    random.standard_normal((2, first.contribution_layout(Model.layout())[0].length))
    for table in tables[2:]:
        mean = heads.contribution(heads.effect_rows(table, model), 0.5, 3.0).mean(axis=0)
        mean = mean + 1e-3 * random.standard_normal(mean.size)
        model = Model.from_parameters(second.step(model.to_parameters(), mean, plan("effect", statistics=()), 1e-3))
    np.testing.assert_array_equal(model.to_parameters(), straight.to_parameters())


def test_what_does_not_fit_is_refused():
    """Another task, another model, a wrong shape, a forgetting factor or a prior out of range."""
    server = optimiser("effect", Model.warm_start())
    good = np.zeros(server.contribution_layout(Model.layout())[0].length)
    with pytest.raises(InvalidInput, match="task"):
        server.step(Model.warm_start().to_parameters(), good, plan("hazard", statistics=()))
    with pytest.raises(InvalidInput):
        server.step(Model.warm_start().to_parameters(), good[1:], plan("effect", statistics=()))
    with pytest.raises(InvalidInput, match="model"):
        server.contribution_layout(Model.layout()[1:])
    with pytest.raises(InvalidInput, match="forgetting"):
        optimiser("effect", Model.warm_start(), forgetting=0.0)
    with pytest.raises(InvalidInput, match="prior_precision"):
        optimiser("effect", Model.warm_start(), precision=0.0)
