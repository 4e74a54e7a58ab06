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
HAZARD_NEAR = replace(HAZARD_START, hazard=truth().hazard)
"""The start of the hazard is one off in the constant, or right there."""


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
    """Slow oracle: the penalised maximum of all tables together, γ_D ≥ 0, by a general optimiser, in the head's units.

    Returns the maximum and the information there, prior included.
    """
    x = np.concatenate([heads.PUSH_ROWS[head](table, start).design for table in tables]).astype(float)
    prior, held = theta(start, head), precision * np.eye(heads.head_size(head))
    if head == "value":
        values = np.concatenate([table.value for table in tables])
        known = np.isfinite(values)
        x, held = x[known], held + x[known].T @ x[known]
        y = np.clip(values[known], 0, heads.MOST_VALUE) - 1.0
        return np.linalg.solve(held, x.T @ y + precision * prior), held
    eta, y, pi, a = (np.concatenate(column) for column in zip(*(columns(head, t) for t in tables), strict=True))
    if head == "hazard":
        share, alone = a, np.zeros_like(a)
    else:
        share, alone = a * (1 - pi), (1 - a) * pi * (y - sigmoid(eta))

    def loss(at):
        logit, pull = eta + x @ at, precision * (at - prior)
        value = share * (y * logit - np.logaddexp(0, logit)) - alone * logit
        residual = share * (y - sigmoid(logit)) - alone
        return -value.sum() + 0.5 * (pull * (at - prior)).sum(), -(x.T @ residual) + pull

    bounds = [(None, None)] * (prior.size - 3) + [(0.0 if head == "hazard" else None, None)] * 3
    options = {"maxiter": 20_000, "maxfun": 200_000, "ftol": 1e-15, "gtol": 1e-9}
    best = minimize(loss, prior, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    p = sigmoid(eta + x @ best)
    return best, held + (x.T * (share * p * (1 - p))) @ x


def apart(head, start, seed, pieces=1):
    """How far twelve batches, each in so many rounds, end from the one-shot fit, and how far the start was.

    Root mean squares in posterior deviations.
    """
    model = truth(alpha=Model.warm_start().alpha, kappa=Model.warm_start().kappa)
    tables = [decisions(model, np.full(DEVICES, ROWS), seed=seed + batch) for batch in range(12)]
    size = DEVICES // pieces
    rounds = [table.devices(first, first + size) for table in tables for first in range(0, DEVICES, size)]
    final = learn(optimiser(head, start, devices=size), rounds, start)[-1]
    best, information = one_shot(head, tables, start, 4.0)
    away = [theta(model, head) - best for model in (final, start)]
    return tuple(float(np.sqrt(d @ information @ d / d.size)) for d in away)


def columns(head, table):
    base = logits(Model.warm_start(), table)
    if head == "hazard":
        return np.full(len(table.sent), -6.906754778648554), table.opted_out, table.propensity, table.sent
    return base[0], table.engaged, table.propensity, table.sent


@pytest.mark.parametrize("seed", [0, 100, 200])
@pytest.mark.parametrize(
    ("head", "start", "tolerance"),
    [
        ("value", Model.warm_start(), 0.02),
        ("effect", Model.warm_start(), 0.3),
        ("hazard", HAZARD_NEAR, 0.6),
        ("hazard", HAZARD_START, 2.0),
    ],
    ids=["value", "effect", "hazard-near", "hazard-far"],
)
def test_without_noise_and_forgetting_it_is_near_the_one_shot_fit(head, start, tolerance, seed):
    """Twelve rounds end within the tolerance of the penalised fit of all rows at once, in posterior deviations.

    The linear head up to float32; the logistic ones up to where each round was linearised, which costs most where the
    start is far off: by one on the logit scale for the far hazard. The seeds are fixed. Over the seeds 0, 12, …, 228
    the largest distances are below 0.001, 0.19, 0.33 and 1.52 (0.42 for the near hazard with seed 200).
    """
    end, begin = apart(head, start, seed)
    assert end < tolerance
    assert head == "hazard" or begin > 10 * tolerance


@pytest.mark.parametrize("seed", [0, 100, 200])
def test_smaller_rounds_come_nearer_to_the_one_shot_fit(seed):
    """What a far start costs is where the first rounds were linearised: a quarter of the people a round costs less than
    three quarters of it. The seeds are fixed; over 0, 12, …, 228 it is 0.32 of it in the mean and 0.60 at most, and
    0.63 with seed 200."""
    assert apart("hazard", HAZARD_START, seed, pieces=4)[0] < apart("hazard", HAZARD_START, seed)[0] * 3 / 4


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
