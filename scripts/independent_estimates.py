"""Compute off-policy values and excursion effects by other people's packages, and write them down for the tests.

    pip install --no-deps obp==0.4.1 && pip install scikit-learn seaborn tqdm torch statsmodels
    python scripts/independent_estimates.py

Off-policy: the Open Bandit Pipeline (`obp`). Excursion effects: `statsmodels`, weighted least squares with covariance
clustered by person, and GEE with the correction of Mancl and DeRouen. Nothing of this repository computes a figure
here. Writes ``tests/evaluation/data/independent.json``, inputs included; a few seconds.
"""

import json
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

OUT = Path(__file__).resolve().parent.parent / "tests" / "evaluation" / "data" / "independent.json"
SWITCH = 1.5
Columns = dict[str, list[float]]


def log() -> Columns:
    """300 decisions of 60 people, with a target policy and a rough outcome model; four decimals, exact in JSON."""
    random, n = np.random.default_rng(20_261), 300
    trait = np.repeat(random.normal(size=60), 5)
    logged = np.clip(0.4 + 0.15 * trait, 0.1, 0.85).round(4)
    sent = random.random(n) < logged
    outcome = (random.random(n) < 1 / (1 + np.exp(1 - 0.6 * sent - 0.4 * trait))).astype(float)
    return {
        "user": np.repeat(np.arange(60), 5).tolist(),
        "sent": sent.astype(int).tolist(),
        "send_propensity": logged.tolist(),
        "target": np.clip(0.55 - 0.2 * trait, 0.0, 1.0).round(4).tolist(),
        "outcome": outcome.tolist(),
        "stay": (0.27 + 0.05 * trait).round(4).tolist(),
        "send": (0.41 + 0.08 * trait).round(4).tolist(),
        "control": trait.round(4).tolist(),
    }


def off_policy(columns: Columns) -> dict[str, float]:
    """The four values by obp."""
    from obp.ope import (
        DoublyRobust,
        InverseProbabilityWeighting,
        SelfNormalizedInverseProbabilityWeighting,
        SwitchDoublyRobust,
    )

    sent, p, target = (np.array(columns[name]) for name in ("sent", "send_propensity", "target"))
    common: dict[str, Any] = {
        "reward": np.array(columns["outcome"]),
        "action": sent,
        "pscore": np.where(sent == 1, p, 1 - p),
        "action_dist": np.stack([1 - target, target], axis=1)[:, :, None],
        "position": np.zeros(len(sent), dtype=int),
    }
    model = np.stack([columns["stay"], columns["send"]], axis=1)[:, :, None]
    modelled = {**common, "estimated_rewards_by_reg_model": model}
    return {
        "ips": float(InverseProbabilityWeighting().estimate_policy_value(**common)),
        "snips": float(SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**common)),
        "dr": float(DoublyRobust().estimate_policy_value(**modelled)),
        "switch_dr": float(SwitchDoublyRobust(tau=SWITCH).estimate_policy_value(**modelled)),
    }


def effects(columns: Columns) -> dict[str, Any]:
    """The average effect and one with a moderator, each with its covariances, by statsmodels."""
    import statsmodels.api as sm

    user, action, p, y, z = (
        np.array(columns[name]) for name in ("user", "sent", "send_propensity", "outcome", "control")
    )
    centre = p.mean()
    weight = np.where(action == 1, centre / p, (1 - centre) / (1 - p))
    one, told = np.ones_like(z), {}
    for name, f in (("average", one[:, None]), ("moderated", np.column_stack([one, z]))):
        x = np.column_stack([one, z, (action - centre)[:, None] * f])
        plain = sm.WLS(y, x, weights=weight).fit(
            cov_type="cluster", cov_kwds={"groups": user, "use_correction": False, "df_correction": False}
        )
        root = np.sqrt(weight)[:, None]  # a weighted fit is an unweighted one of rows times the root of their weight
        family, working = sm.families.Gaussian(), sm.cov_struct.Independence()
        gee = sm.GEE(y * root[:, 0], x * root, groups=user, family=family, cov_struct=working)
        corrected = gee.fit(cov_type="bias_reduced")
        told[name] = {
            "effects": plain.params[2:].tolist(),
            "covariance": plain.cov_params()[2:, 2:].tolist(),
            "corrected_covariance": np.asarray(corrected.cov_params())[2:, 2:].tolist(),
        }
    return told


def relative_effect(columns: Columns) -> dict[str, float]:
    """Log of the ratio of mean outcomes with and without a push, by statsmodels' weighted Poisson GEE of two means.

    Without controls and with one effect the estimator of marginal excursion effects (EMEE; Qian, Yoo, Klasnja, Almirall
    and Murphy, Biometrika 2021) solves the same two equations, so that estimate and sandwich are the same.
    """
    import statsmodels.api as sm

    user, action, p, y = (np.array(columns[name]) for name in ("user", "sent", "send_propensity", "outcome"))
    centre = p.mean()
    weight = np.where(action == 1, centre / p, (1 - centre) / (1 - p))
    x = np.column_stack([np.ones(len(y)), action])
    working = sm.cov_struct.Independence()
    gee = sm.GEE(y, x, groups=user, family=sm.families.Poisson(), cov_struct=working, weights=weight)
    found = gee.fit(cov_type="robust", maxiter=500, ctol=1e-13)
    return {"effect": float(found.params[1]), "variance": float(np.asarray(found.cov_params())[1, 1])}


def main() -> None:
    """Compute and write."""
    columns = log()
    packages = {name: version(name) for name in ("obp", "statsmodels", "numpy", "scikit-learn", "torch")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: dict[str, Any] = {"off_policy": off_policy(columns), "effects": effects(columns)}
        found["relative_effect"] = relative_effect(columns)
    told = {"packages": packages, "switch_threshold": SWITCH, "log": columns, **found}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(told) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
