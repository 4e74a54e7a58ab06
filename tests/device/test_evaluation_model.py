"""What the public model says of logged decisions: features as in training, formulas written out, prices monotone."""

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from tactful import Candidate, PolicySettings
from tactful.evaluation import EvaluationSpec, Target
from tactful.evaluation_log import decisions
from tactful.evaluation_model import with_predictions
from tactful.evaluation_sums import DecisionTable, device_sums
from tactful.features import DIMENSION, NAMES
from tactful.model import HAZARD_BASE_LOGIT, OPEN_RATE_PRIOR, Model
from tactful.testing import FrozenClock
from tactful.training import build_table

from .vault_world import NOON, open_host, person

RANDOMISED = PolicySettings(never_push_fraction=0, micro_randomised_fraction=1.0)
SPEC = EvaluationSpec((Target("price", 1.0),), model_predicts=1, value_minor=500.0, opt_out_cost_minor=80.0)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def learned(seed=0):
    random = np.random.default_rng(seed)
    parts = (random.normal(0, 0.4, DIMENSION) for _ in range(3))
    alpha, beta, hazard = parts
    return Model(alpha, beta, random.uniform(0, 0.3, 3), hazard)


def test_features_are_those_of_training(tmp_path):
    """φ of a decision is the training row of its day and slot; doses count the promotional pushes before it."""
    clock = FrozenClock(NOON - timedelta(days=60))
    with open_host(tmp_path, clock=clock, settings=RANDOMISED) as host:
        people = [person(host, "ada"), person(host, "ben")]
        active = np.zeros((2, 60, 7), np.uint8)
        log = {0: [], 1: []}
        for day in range(60):
            for number, device in enumerate(people):
                if (day + number) % (2 + number) == 0:
                    device.track("browse", category="k1")
                    active[number, day, 2] = 1
                if day >= 40:
                    offer = Candidate(id=f"c{day}", category=f"k{day % 5}", value_minor=2_000)
                    log[number].append(device.decide([offer], seed=bytes([day, number]) * 8))
            clock.advance(days=1)
        last, model = clock().date() - timedelta(days=1), learned()
        table = decisions(host, [device.id for device in people], last, SPEC, model)
    assert table.n_devices == 2
    first = (NOON - timedelta(days=60)).date().toordinal()
    trained = build_table(active, first, first + 59, 0)
    wanted = []
    for number in range(2):
        rows = trained.x[trained.bounds[number] : trained.bounds[number + 1]].reshape(-1, 7, DIMENSION)
        sent = [decision.created_at for decision in log[number] if decision.action == "send"]
        for decision in log[number]:
            if decision.evaluable and decision.created_at.date() < last:
                phi = rows[(decision.created_at.date().toordinal() - first) - (60 - len(rows)), 2]
                ages = [(decision.created_at - at) / timedelta(days=1) for at in sent if at < decision.created_at]
                doses = [sum(2 ** (-age / life) for age in ages) for life in (0.5, 3.0, 14.0)]
                wanted.append(written_out(model, phi, doses))
    assert len(wanted) == len(table.sent) > 20
    np.testing.assert_allclose(np.column_stack([table.predicted, table.score]), wanted, rtol=1e-6, atol=1e-9)


def written_out(model, phi, doses):
    eta = float(np.dot(model.alpha, phi))
    effect = float(np.dot(model.beta, phi)) - sum(k * d for k, d in zip(model.kappa, doses, strict=True))
    if not model.beta.any():
        effect = OPEN_RATE_PRIOR
    tired = sum(g * (d + 1) for g, d in zip(model.hazard_dosage, doses, strict=True))
    hazard = sigmoid(HAZARD_BASE_LOGIT + float(np.dot(model.hazard, phi)) + tired)
    stay, send = sigmoid(eta), sigmoid(eta + effect)
    return stay, send, 500.0 * (send - stay) - 80.0 * hazard


def rows(n=200):
    random = np.random.default_rng(1)
    p = random.uniform(0.1, 0.8, n)
    sent, zeros = (random.random(n) < p).astype(float), np.zeros(n)
    table = DecisionTable(sent, p, zeros, zeros, np.arange(n), np.array([0, n]))
    return table, random.normal(0, 1, (n, DIMENSION)).astype(np.float32), random.exponential(1.0, (n, 3))


@pytest.mark.parametrize("model", [Model.prior(), learned(2)], ids=["prior", "learned"])
def test_predictions_written_out(model):
    """Predictions and scores are the formulas of the page, in plain numbers, before and after β was learned."""
    table, phi, doses = rows()
    found = with_predictions(SPEC, table, model, phi, doses)
    wanted = [written_out(model, x, d) for x, d in zip(phi, doses, strict=True)]
    np.testing.assert_allclose(np.column_stack([found.predicted, found.score]), wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("beta", [0.0, 0.3], ids=["activity alone", "all"])
def test_predictions_know_the_message_and_the_activity_slope(beta):
    """Messages and the slope with activity are in the evaluated score as they are in a decision's."""
    table, phi, doses = rows()
    phi[:, NAMES.index("always")] = 1.0
    message = np.random.default_rng(5).integers(0, 2, (len(doses), 2)).astype(float)
    model = replace(
        learned(4),
        beta=np.full(DIMENSION, beta),
        activity_effect=np.array([-0.2]),
        message_effect=np.array([0.9, 0.2]),
        message_hazard=np.array([-0.5, 0.3]),
    )
    found = with_predictions(SPEC, table, model, phi, doses, message)
    for i, (x, d, m) in enumerate(zip(phi.astype(float), doses, message, strict=True)):
        eta = x @ model.alpha
        effect = x @ model.beta - 0.2 * (eta + 3.0) + m @ model.message_effect - d @ model.kappa
        hazard = HAZARD_BASE_LOGIT + x @ model.hazard + m @ model.message_hazard + (d + 1) @ model.hazard_dosage
        gain = sigmoid(eta + effect) - sigmoid(eta)
        assert found.predicted[i, 1] == pytest.approx(sigmoid(eta + effect), rel=1e-9)
        assert found.score[i] == pytest.approx(500.0 * gain - 80.0 * sigmoid(hazard), rel=1e-9, abs=1e-9)


def test_a_dearer_push_is_sent_less():
    """The expected number of sends falls as the fleet's price rises, between the floor and the ceiling."""
    table, phi, doses = rows()
    found = with_predictions(SPEC, table, learned(3), phi, doses)
    sends = []
    for price in (-1e6, 0.0, 5.0, 20.0, 1e6):
        target = Target("price", price)
        q = target.probability(found.propensity, found.score, SPEC)
        assert (q >= SPEC.floor).all()
        assert (q <= SPEC.ceiling).all()
        sends.append(q.sum())
        device_sums(replace(SPEC, targets=(target,)), found)
    assert sends == sorted(sends, reverse=True)
    assert sends[0] == pytest.approx(200 * SPEC.ceiling)
    assert sends[-1] == pytest.approx(200 * SPEC.floor)
