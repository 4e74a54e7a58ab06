"""Every metric equals its slow oracle, ties included."""

import numpy as np
import pytest

from tactful_lab.slots import metrics
from tactful_privacy.errors import InvalidInput


@pytest.fixture(params=["distinct", "tied"])
def sample(request):
    random = np.random.default_rng(7)
    scores = random.uniform(0, 1, size=(60, 7))
    if request.param == "tied":
        scores = np.round(scores, 1)
    return (random.uniform(size=scores.shape) < scores).astype(np.uint8), scores


def test_auc_counts_every_pair(sample):
    """AUC is the share of (positive, negative) pairs in the right order, a tie counting half."""
    labels, scores = sample
    wins = [
        1.0 if p > n else 0.5 if p == n else 0.0
        for p in scores[labels == 1].tolist()
        for n in scores[labels == 0].tolist()
    ]
    assert metrics.auc(labels, scores) == pytest.approx(np.mean(wins), abs=1e-12)


def test_auc_of_a_constant_is_one_half_and_of_one_class_undefined():
    """No order, no skill; and without two classes there is nothing to order."""
    assert metrics.auc([0, 1, 0, 1], [0.3] * 4) == 0.5
    assert np.isnan(metrics.auc([0, 0], [0.1, 0.2]))


def test_log_loss_and_brier_equal_plain_loops(sample):
    """Both equal a loop over labels; a certain and wrong score stays finite."""
    labels, scores = sample
    pairs = list(zip(labels.ravel().tolist(), scores.ravel().tolist(), strict=True))
    inner = [(y, min(max(p, 1e-12), 1 - 1e-12)) for y, p in pairs]
    assert metrics.log_loss(labels, scores) == pytest.approx(
        sum(-np.log(p) if y else -np.log(1 - p) for y, p in inner) / len(inner)
    )
    assert metrics.brier(labels, scores) == pytest.approx(sum((p - y) ** 2 for y, p in pairs) / len(pairs))
    assert metrics.log_loss([1], [0.0]) == pytest.approx(-np.log(1e-12))


def test_precision_at_top_is_the_expectation_over_orders_of_ties(sample):
    """With ties it is the mean over random orders: tolerance 5 standard errors of 4,000 orders (false alarm < 1e-6)."""
    labels, scores = sample
    random = np.random.default_rng(11)
    y, p = labels.ravel(), scores.ravel()
    wanted = round(0.05 * p.size)
    found = []
    for _ in range(4_000):
        order = np.lexsort((random.uniform(size=p.size), -p))
        found.append(y[order[:wanted]].mean())
    tolerance = 5 * np.std(found) / np.sqrt(len(found)) + 1e-12
    assert metrics.precision_at_top(labels, scores) == pytest.approx(np.mean(found), abs=tolerance)


def test_calibration_bins_never_part_equal_scores(sample):
    """Bins are of equal mass up to ties; the error equals a loop over the bins found by sorting unique scores."""
    labels, scores = sample
    curve = metrics.calibration_curve(labels, scores, bins=10)
    assert curve.size.sum() == labels.size
    assert np.all(np.diff(curve.mean_score) > 0)
    p, y = scores.ravel(), labels.ravel()
    edges = np.sort(p)[np.ceil(np.arange(1, 10) / 10 * (p.size - 1)).astype(int)]
    total = 0.0
    for low, high in zip([-np.inf, *edges], [*edges, np.inf], strict=True):
        inside = (p >= low) & (p < high)
        if inside.any():
            total += inside.mean() * abs(p[inside].mean() - y[inside].mean())
    assert metrics.calibration_error(labels, scores, bins=10) == pytest.approx(total)


def test_a_calibrated_constant_has_no_calibration_error():
    """The base rate for everybody is calibrated, however useless."""
    labels = np.array([0, 1, 0, 0])
    assert metrics.calibration_error(labels, np.full(4, 0.25)) == pytest.approx(0)


def test_top_slot_hit_rate_equals_a_loop(sample):
    """Of the rows with a positive, the share whose best slot is positive; ties count by their share."""
    labels, scores = sample
    hits = []
    for y, p in zip(labels, scores, strict=True):
        if y.any():
            best = [s for s in range(7) if p[s] == max(p)]
            hits.append(sum(y[s] for s in best) / len(best))
    assert metrics.top_slot_hit_rate(labels, scores) == pytest.approx(np.mean(hits))


def test_scores_that_are_no_probabilities_are_refused():
    """NaN, a score above 1 and unequal shapes each name the field."""
    for labels, scores in (([0, 1], [0.5, np.nan]), ([0, 1], [0.5, 1.1]), ([0], [0.5, 0.5]), ([], [])):
        with pytest.raises(InvalidInput, match="scores"):
            metrics.log_loss(labels, scores)
