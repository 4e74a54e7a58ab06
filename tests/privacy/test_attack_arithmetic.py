"""The arithmetic of the attacks: ROC figures against plain loops, limits against simulation, and a likelihood ratio."""

import math

import numpy as np
import pytest

from tactful_privacy.audit.attacks import (
    AttackRow,
    auc,
    auc_limit,
    fit_linear,
    interval_of_mean,
    likelihood_ratio,
    mean_correlation,
    predict_linear,
    true_positive_limit,
    true_positive_rate,
)
from tactful_privacy.errors import InvalidInput


def test_auc_is_the_share_of_pairs_in_order():
    """The area equals a plain count over all pairs, ties counting half."""
    rng = np.random.default_rng(1)
    scores, member = rng.integers(0, 6, 60).astype(float), rng.random(60) < 0.4
    pairs = [(a, b) for a in scores[member] for b in scores[~member]]
    wanted = sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)
    assert auc(scores, member) == pytest.approx(wanted, abs=1e-12)


def test_limits_are_reached_by_the_best_test_of_a_gaussian():
    """A simulated N(0,1) against N(μ,1) gives the AUC and the true positive rate that the formulas name."""
    rng, n = np.random.default_rng(2), 200_000
    for mu in (0.5, 1.5):
        scores = np.concatenate([rng.standard_normal(n) + mu, rng.standard_normal(n)])
        member = np.arange(2 * n) < n
        # 5 standard errors of each figure: false alarm below 1e-6 for each of the four
        assert auc(scores, member) == pytest.approx(auc_limit(mu), abs=5 * 0.3 / math.sqrt(n) * 1.5)
        wanted = true_positive_limit(mu, 0.01)
        slack = 5 * math.sqrt(wanted / n) + 5 * math.sqrt(0.01 / n) * 6
        assert true_positive_rate(scores, member, 0.01) == pytest.approx(wanted, abs=slack)
    assert auc_limit(0) == 0.5
    assert auc_limit(math.inf) == true_positive_limit(math.inf, 0.1) == 1.0


def test_the_likelihood_ratio_is_that_of_two_normals():
    """Scores equal the difference of two normal log-densities fitted by hand, person by person."""
    inside = np.array([[1.0, 5.0], [2.0, np.nan], [3.0, 6.0], [np.nan, 7.0]])
    outside = np.array([[np.nan, 1.0], [0.0, 2.0], [1.0, np.nan], [2.0, 3.0]])
    seen = np.array([[1.5, 4.0], [2.5, 2.0]])
    found = likelihood_ratio(seen, inside, outside)
    for person, (a, b) in enumerate([((1, 2, 3), (0, 1, 2)), ((5, 6, 7), (1, 2, 3))]):
        for run in range(2):
            x = seen[run, person]
            wanted = sum(
                sign * (-0.5 * ((x - np.mean(side)) / np.std(side, ddof=1)) ** 2 - math.log(np.std(side, ddof=1)))
                for sign, side in ((1, a), (-1, b))
            )
            assert found[run, person] == pytest.approx(wanted, rel=1e-12)
    with pytest.raises(InvalidInput, match="more shadows"):
        likelihood_ratio(seen, inside[:2], outside)


def test_the_linear_map_is_found_and_constants_count_for_nothing():
    """A ridge near zero recovers a linear map with intercept; a constant column does no harm."""
    rng = np.random.default_rng(3)
    x = np.column_stack([rng.standard_normal((200, 3)), np.ones(200)])
    y = x[:, :3] @ rng.standard_normal((3, 2)) + 4.0
    np.testing.assert_allclose(predict_linear(fit_linear(x, y, 1e-9), x), y, atol=1e-5)


def test_correlation_gains_nothing_from_the_average_person():
    """Who says the average profile of everybody correlates with nobody; the true profile correlates fully."""
    rng = np.random.default_rng(4)
    true = rng.dirichlet(np.ones(7), 50)
    same = np.tile(np.arange(7.0), (50, 1))
    assert (mean_correlation(same, true) == 0).all()
    assert mean_correlation(true, true) == pytest.approx(np.ones(50))


def test_verdicts_of_a_row():
    """An attack succeeds above guessing and contradicts the theory above its limit, by the whole interval."""
    row = AttackRow("a", "c", "f", 0.7, 0.65, 0.75, 0.5, 0.6, 10)
    assert row.succeeds
    assert not row.within_theory
    assert row.to_dict()["within_theory"] is False
    assert AttackRow("a", "c", "f", 0.5, 0.45, 0.55, 0.5, None, 10).within_theory
    low, high = interval_of_mean(np.array([0.0, 1.0, 2.0]))
    assert (low + high) / 2 == pytest.approx(1.0)
