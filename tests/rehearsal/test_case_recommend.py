"""What the case studies offer and measure agrees with slow, obviously right computations on small tables."""

import math

import numpy as np
import pytest

from tactful_lab.cases import embeddings, recommend
from tactful_lab.cases.recommend import Factorisation
from tactful_privacy.accounting.zcdp import epsilon, rho_budget

RANDOM = np.random.default_rng(5)
COUNTS = RANDOM.poisson(0.7, (30, 12)).astype(float)


def test_recall_and_auc_are_what_loops_find():
    """Item by item; a household that bought nothing has no figure."""
    scores, wanted = RANDOM.random((30, 12)), RANDOM.random((30, 12)) < 0.2
    wanted[0] = False
    seen = COUNTS > 1
    wanted &= ~seen
    recall = recommend.recall_at(scores, wanted, 3, leave_out=seen)
    area = recommend.auc(scores, wanted, leave_out=seen)
    for row in range(30):
        offered = [i for i in range(12) if not seen[row, i]]
        best = sorted(offered, key=lambda i: -scores[row, i])[:3]
        bought = [i for i in offered if wanted[row, i]]
        other = [i for i in offered if not wanted[row, i]]
        if not bought:
            assert np.isnan(recall[row])
            assert np.isnan(area[row])
            continue
        assert np.isclose(recall[row], len(set(best) & set(bought)) / min(3, len(bought)))
        wins = [
            (scores[row, i] > scores[row, j]) + 0.5 * (scores[row, i] == scores[row, j]) for i in bought for j in other
        ]
        assert np.isclose(area[row], np.mean(wins)) if other else np.isnan(area[row])


def test_fold_in_solves_the_weighted_least_squares():
    """Oracle: the dense normal equations of one row with all its weights, bought or not."""
    settings = Factorisation(factors=4, ridge=2.0, weight=3.0)
    items, strength = RANDOM.normal(size=(12, 4)), np.log1p(COUNTS)
    found = recommend.fold_in(strength, items, settings)
    for row in range(len(COUNTS)):
        weights = np.diag(1 + settings.weight * strength[row])
        left = items.T @ weights @ items + settings.ridge * np.eye(4)
        exact = np.linalg.solve(left, items.T @ weights @ (strength[row] > 0))
        assert np.allclose(found[row], exact, atol=1e-10)


def test_als_lowers_its_loss_and_ends_where_neither_side_moves():
    """More sweeps, less loss; after many, a further half-step changes nothing (a stationary point)."""

    def loss(settings):
        users, items = recommend.als(COUNTS, settings)
        weights = 1 + settings.weight * np.log1p(COUNTS)
        error = (weights * ((COUNTS > 0) - users @ items.T) ** 2).sum()
        return error + settings.ridge * ((users**2).sum() + (items**2).sum())

    losses = [loss(Factorisation(3, 1.0, 1.0, sweeps)) for sweeps in (1, 3, 10, 200)]
    assert losses == sorted(losses, reverse=True)
    settings = Factorisation(3, 1.0, 1.0, 400)
    users, items = recommend.als(COUNTS, settings)
    assert np.allclose(recommend.fold_in(np.log1p(COUNTS).T, users, settings), items, atol=1e-3)


def test_similarity_is_the_cosine_of_columns():
    """Oracle: the cosine of two columns of the profiles, written out."""
    similar, profiles = recommend.item_similarity(COUNTS), recommend.profiles(COUNTS)
    a, b = profiles[:, 2], profiles[:, 7]
    assert np.isclose(similar[2, 7], a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
    assert np.all(np.diag(similar) == 0)


def test_own_history_ranks_by_count_then_popularity():
    """A count stands over popularity, whatever its size."""
    scores = recommend.own_history(COUNTS)
    for row, counted in zip(scores, COUNTS, strict=True):
        order = np.argsort(-row)
        assert list(counted[order]) == sorted(counted, reverse=True)


def test_vectors_without_noise_are_the_eigenvectors_of_the_gram_matrix():
    """Up to the grid of 1/4096 a household."""
    unit = (COUNTS > 0) / np.linalg.norm(COUNTS > 0, axis=1, keepdims=True).clip(1e-9)
    found = embeddings.embed(COUNTS, 12).vectors
    assert np.allclose(found @ found.T, unit.T @ unit, atol=2 * len(COUNTS) / embeddings.GRID)


def test_a_household_moves_the_released_sum_by_at_most_one_unit_of_length():
    """The sensitivity on which the price rests, over households of every size (exact integers)."""
    for size in range(1, 13):
        row = np.zeros((1, 12))
        row[0, :size] = 3
        assert (embeddings.outer_sum(row) ** 2).sum() <= embeddings.GRID**2
    assert np.array_equal(embeddings.outer_sum(COUNTS), sum(embeddings.outer_sum(row[None]) for row in COUNTS))


def test_the_noise_pays_for_the_stated_epsilon():
    """ρ = GRID² / (2 σ²) is within the budget of ε = 4 at δ = 1e-6, and not by much."""
    rho = embeddings.GRID**2 / (2 * embeddings.variance_units(4.0, 1e-6))
    assert rho <= rho_budget(4.0, 1e-6)
    assert 3.99 < epsilon(rho, 1e-6) <= 4.0


def test_the_noise_is_there():
    """78 coordinates of variance σ²: the mean square is within 6 standard errors, √(2/78) (false alarm below 1e-8)."""
    quiet, loud = (embeddings.embed(COUNTS, 12, epsilon=e).vectors for e in (math.inf, 0.05))
    assert not np.allclose(quiet @ quiet.T, loud @ loud.T)
    variance = embeddings.variance_units(4.0, 1e-6)
    drawn = embeddings._noise(variance, 78).astype(float)
    assert abs((drawn**2).mean() / variance - 1) < 6 * math.sqrt(2 / 78)


@pytest.mark.parametrize("bad", [{"factors": 0}, {"ridge": 0.0}, {"weight": -1.0}])
def test_settings_out_of_range_are_refused(bad):
    """Before any work."""
    with pytest.raises(ValueError, match=next(iter(bad))):
        Factorisation(**bad)
