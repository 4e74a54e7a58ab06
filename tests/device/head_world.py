"""Decisions at random with outcomes drawn from a known model, for the tests of the heads."""

from dataclasses import replace

import numpy as np

from tactful.features import DIMENSION, NAMES
from tactful.model import ACTIVITY_CENTRE, HAZARD_BASE_LOGIT, Model
from tactful.training.heads import PushTable


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def truth(**changes):
    """A model that differs from the warm start in every head, within what some thousand decisions can show."""
    start = Model.warm_start()
    beta, hazard, value, alpha = start.beta.copy(), start.hazard.copy(), start.value.copy(), start.alpha.copy()
    beta[0] += 0.8
    hazard[0] += 3.0
    value[0] += 0.6
    alpha[0] += 0.7
    fields = {
        "alpha": alpha,
        "beta": beta,
        "kappa": np.array([0.5, 0.1, 0.01]),
        "hazard": hazard,
        "hazard_dosage": np.array([0.3, 0.1, 0.02]),
        "value": value,
        "message_effect": np.array([1.3, 0.2]),
        "message_hazard": np.array([-0.6, 0.3]),
    }
    return replace(start, version="truth", **(fields | changes))


def logits(model, table):
    """Activity, effect and hazard of each row, from the model's definition, float64."""
    phi, doses, message = (getattr(table, name).astype(float) for name in ("phi", "doses", "message"))
    shared = phi @ model.alpha
    effect = phi @ model.beta + model.activity_effect[0] * (shared + ACTIVITY_CENTRE)
    effect += message @ model.message_effect - doses @ model.kappa
    hazard = HAZARD_BASE_LOGIT + phi @ model.hazard + message @ model.message_hazard
    return shared + table.offset, effect, hazard + (doses + 1.0) @ model.hazard_dosage


def features(rng, rows):
    phi = np.zeros((rows, DIMENSION), np.float32)
    phi[:, NAMES.index("always")] = 1.0
    phi[np.arange(rows), 1 + rng.integers(0, 7, rows)] = 1.0
    phi[:, 10:] = rng.uniform(0, 0.6, (rows, DIMENSION - 10))
    return phi


def decisions(model, sizes, seed=0, unknown=0.0):
    """Decisions of devices with these numbers of rows; a share of the outcomes is not known."""
    rng, rows = np.random.default_rng(seed), int(np.sum(sizes))
    propensity = rng.choice([0.2, 0.5, 0.8], rows)
    sent = (rng.random(rows) < propensity).astype(float)
    bare = PushTable(
        phi=features(rng, rows),
        message=rng.integers(0, 2, (rows, 2)).astype(np.float32),
        doses=(rng.uniform(0, 1, (rows, 3)) * [1.5, 3.0, 10.0]).astype(np.float32),
        offset=rng.normal(0, 0.2, rows).astype(np.float32),
        sent=sent.astype(np.float32),
        propensity=propensity.astype(np.float32),
        engaged=np.zeros(rows, np.float32),
        opted_out=np.zeros(rows, np.float32),
        value=np.zeros(rows, np.float32),
        bounds=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
    )
    eta, effect, hazard = logits(model, bare)
    engaged = (rng.random(rows) < sigmoid(eta + sent * effect)).astype(np.float32)
    left = (rng.random(rows) < sigmoid(hazard)).astype(np.float32)
    value = 1.0 + bare.phi @ model.value + rng.normal(0, 0.3, rows)
    hidden = rng.random((3, rows)) < unknown
    return replace(
        bare,
        engaged=np.where(hidden[0], np.nan, engaged).astype(np.float32),
        opted_out=np.where(hidden[1], np.nan, left).astype(np.float32),
        value=np.where(hidden[2] | (engaged == 0), np.nan, value).astype(np.float32),
    )
