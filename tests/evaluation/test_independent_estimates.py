"""Other people's packages find the same off-policy values and excursion effects on the same numbers.

The figures in ``data/independent.json`` were written by ``scripts/independent_estimates.py`` with the packages named
there; where a package is installed its figures are computed anew.
"""

import importlib.util
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from tactful_lab.evaluation import estimators
from tactful_lab.evaluation.estimators import Modelled
from tactful_lab.evaluation.excursion import Trial, WclsOptions, average_effect, moderated_effect

HERE = Path(__file__).resolve().parent
FOUND = json.loads((HERE / "data" / "independent.json").read_text(encoding="utf-8"))
LOG = {name: np.array(values) for name, values in FOUND["log"].items()}
TOLERANCE = 1e-9


def ours():
    y, sent, target = LOG["outcome"], LOG["sent"] == 1, LOG["target"]
    w = estimators.weights(sent, LOG["send_propensity"], target)
    model = Modelled(LOG["stay"], LOG["send"])
    robust = {"sent": sent, "target": target}
    return {
        "ips": estimators.ips(y, w).value,
        "snips": estimators.snips(y, w).value,
        "dr": estimators.doubly_robust(y, w, model, **robust).value,
        "switch_dr": estimators.switch_doubly_robust(y, w, model, **robust, threshold=FOUND["switch_threshold"]).value,
    }


def effect(name, *, small_sample):
    z = LOG["control"]
    trial = Trial.of(
        user=LOG["user"],
        action=LOG["sent"],
        propensity=LOG["send_propensity"],
        outcome=LOG["outcome"],
        controls={"z": z},
        moderators={"z": z},
    )
    options = WclsOptions(small_sample=small_sample)
    return average_effect(trial, options) if name == "average" else moderated_effect(trial, ("z",), options)


def script():
    path = HERE.parents[1] / "scripts" / "independent_estimates.py"
    spec = importlib.util.spec_from_file_location("independent_estimates", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["ips", "snips", "dr", "switch_dr"])
def test_off_policy_values_are_those_of_obp(name):
    """IPS, SNIPS, DR and switch-DR of the Open Bandit Pipeline 0.4.1, to 1e-9; the threshold does switch some rows."""
    w = estimators.weights(LOG["sent"] == 1, LOG["send_propensity"], LOG["target"])
    assert 0.05 < (w > FOUND["switch_threshold"]).mean() < 0.95
    assert ours()[name] == pytest.approx(FOUND["off_policy"][name], abs=TOLERANCE)


@pytest.mark.parametrize("name", ["average", "moderated"])
@pytest.mark.parametrize("small_sample", [False, True])
def test_effects_are_those_of_statsmodels(name, small_sample):
    """Effects and covariances of statsmodels' clustered WLS, and of its bias-reduced GEE, to 1e-9."""
    fit, told = effect(name, small_sample=small_sample), FOUND["effects"][name]
    np.testing.assert_allclose([e.estimate for e in fit.effects], told["effects"], rtol=0, atol=TOLERANCE)
    covariance = told["corrected_covariance" if small_sample else "covariance"]
    np.testing.assert_allclose(fit.covariance, covariance, rtol=0, atol=TOLERANCE)


def test_the_relative_effect_written_out():
    """The log of the ratio of two weighted means and its clustered variance: statsmodels' Poisson GEE, to 1e-9."""
    action, p, y, user = LOG["sent"], LOG["send_propensity"], LOG["outcome"], LOG["user"]
    weight = np.where(action == 1, p.mean() / p, (1 - p.mean()) / (1 - p))
    influence, logs = np.zeros(60), []
    for arm, sign in ((action, 1), (1 - action, -1)):
        mean = (weight * arm * y).sum() / (weight * arm).sum()
        logs.append(sign * np.log(mean))
        each = sign * weight * arm * (y - mean) / (weight * arm * y).sum()
        influence += np.bincount(user, weights=each, minlength=60)
    assert sum(logs) == pytest.approx(FOUND["relative_effect"]["effect"], abs=TOLERANCE)
    assert influence @ influence == pytest.approx(FOUND["relative_effect"]["variance"], abs=TOLERANCE)


def test_obp_anew():
    """What is written down is what obp computes, where it is installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("obp.ope", exc_type=ImportError)
        found = script().off_policy(FOUND["log"])
    assert found == pytest.approx(ours(), abs=TOLERANCE)


def test_statsmodels_anew():
    """What is written down is what statsmodels computes, where it is installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("statsmodels.api", exc_type=ImportError)
        found, relative = script().effects(FOUND["log"]), script().relative_effect(FOUND["log"])
    assert relative == pytest.approx(FOUND["relative_effect"], abs=TOLERANCE)
    for name, told in found.items():
        for key, value in told.items():
            np.testing.assert_allclose(value, FOUND["effects"][name][key], rtol=0, atol=TOLERANCE)
