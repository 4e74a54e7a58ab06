"""A policy that learns under an ε is handed ε and price, is in frontier and curve, and is logged where it chose."""

import json
import math
import sys
import types
import warnings

import numpy as np
import pandas as pd
import pytest

from tactful_lab.worlds import BASELINES

with warnings.catch_warnings():
    # typer's own import of a name that click has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from typer.testing import CliRunner

    from tactful_lab.cli import app

runner = CliRunner()
TINY = ("--n", "80", "--weeks", "2", "--warmup-weeks", "1", "--seeds", "2")


class Toy:
    """Decides in the evening only, by a coin that turns with the price."""

    def __init__(self, world, epsilon, price):
        self.name, self.epsilon_spent = "toy", epsilon
        self.propensity = np.full(world.n, np.nan, np.float32)
        self._chance, self._random = 0.6 / (1 + price), np.random.default_rng(world.seed)

    def decide(self, view):
        due = view.slot == 5
        self.propensity = np.full(len(view.reachable), self._chance if due else np.nan, np.float32)
        return due & (self._random.random(len(view.reachable)) < self._chance)

    def learn(self, view, send, observed):
        pass


@pytest.fixture
def asked(monkeypatch):
    """A registry with two toy learners; returns what they were made with."""
    made = []

    def make(name, world, *, epsilon=4.0, fleet_price_minor=0.0):
        if name in ("tactful", "central"):
            made.append((name, epsilon, fleet_price_minor))
            return Toy(world, math.inf if name == "central" else epsilon, fleet_price_minor)
        return BASELINES[name](world)

    registry = types.ModuleType("tactful_lab.worlds.registry")
    registry.POLICIES, registry.make = (*BASELINES, "tactful", "central"), make
    monkeypatch.setitem(sys.modules, "tactful_lab.worlds.registry", registry)
    return made


def test_epsilon_and_price_reach_the_learner(asked):
    """And the difference is to the plain policy, whatever the order; no promise is null in JSON."""
    flags = ("--policy", "tactful", "--policy", "central", "--policy", "fixed_three", "--epsilon", "2", "--json")
    result = runner.invoke(app, ["rehearse", *TINY, *flags, "--fleet-price", "0.5"])
    assert result.exit_code == 0, result.output
    plain = json.loads(result.stdout)
    assert set(asked) == {("tactful", 2.0, 0.5), ("central", 2.0, 0.5)}
    assert plain["options"]["baseline"] == "fixed_three"
    spent = {row["policy"]: row["central_epsilon_spent"] for row in plain["policies"]}
    assert spent["tactful"] == 2.0
    assert spent["central"] is None
    assert {row["policy"]: row["loggable"] for row in plain["policies"]}["tactful"] is True


def test_frontier_and_curve_sweep_it(asked):
    """Prices on the frontier, ε and people on the curve; the time is said before."""
    sweep = ("--frontier", "--curve", "--curve-n", "40", "--curve-n", "80", "--curve-epsilon", "1")
    result = runner.invoke(app, ["rehearse", *TINY, "--policy", "tactful", *sweep, "--json"])
    assert result.exit_code == 0, result.output
    assert "curve will take about" in result.stderr
    plain = json.loads(result.stdout)
    assert [(cell["n"], cell["central_epsilon"]) for cell in plain["curve"]] == [(40, 1.0), (80, 1.0)]
    prices = [point["setting_value"] for point in plain["frontier"] if point["family"] == "tactful"]
    assert np.allclose(prices, [0, 0.2, 0.4, 0.8, 1.2, 1.6])
    assert {price for _, _, price in asked} >= set(prices)


def test_only_its_own_decisions_are_logged(asked, tmp_path):
    """One row a day and person: where it had nothing to decide there is no row."""
    log = tmp_path / "toy.csv"
    result = runner.invoke(app, ["rehearse", *TINY, "--policy", "tactful", "--log", str(log)])
    assert result.exit_code == 0, result.output
    rows = pd.read_csv(log)
    assert set(rows["slot"]) == {"18-20"}
    assert (rows.groupby("user").size() == 14).all()
    sends = rows[rows["action"] == "send"]
    assert np.allclose(sends["propensity"], 0.6, atol=1e-6)


def test_a_policy_whose_package_is_missing_is_refused_by_name(asked, monkeypatch):
    """One line that names the package, not a traceback."""

    def make(name, world, **_):
        if name == "central":
            raise ModuleNotFoundError("No module named 'elsewhere'", name="elsewhere")
        return BASELINES[name](world)

    monkeypatch.setattr(sys.modules["tactful_lab.worlds.registry"], "make", make)
    result = runner.invoke(app, ["rehearse", *TINY, "--policy", "central"])
    assert result.exit_code == 2
    assert "central needs elsewhere" in result.stderr
