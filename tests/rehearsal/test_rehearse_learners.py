"""A policy that learns under an ε is handed ε and price, is in frontier and curve, and is logged where it chose."""

import json
import math
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

from tactful_lab.rehearsal import cli, policies
from tactful_lab.rehearsal.options import Options
from tactful_lab.rehearsal.run import made, new_world
from tactful_lab.worlds import registry, rehearse
from tactful_lab.worlds.registry import LEARNERS, POLICIES

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
    """A toy in the place of the learner; returns what it was made with."""
    made = []

    def make(world, *, variant, epsilon, delta, fleet_price_minor, warmup_weeks):
        assert delta == policies.DELTA
        made.append((variant, epsilon, fleet_price_minor, warmup_weeks))
        return Toy(world, math.inf if variant == "central" else epsilon, fleet_price_minor)

    monkeypatch.setattr(policies, "make_learner", make)
    return made


def test_epsilon_and_price_reach_the_learner(asked):
    """With the weeks before the first push. The difference is to the plain policy; no promise is null in JSON."""
    flags = ("--policy", "tactful", "--policy", "central", "--policy", "fixed_three", "--epsilon", "2", "--json")
    result = runner.invoke(app, ["rehearse", *TINY, *flags, "--fleet-price", "0.5"])
    assert result.exit_code == 0, result.output
    plain = json.loads(result.stdout)
    assert set(asked) == {("federated", 2.0, 0.5, 1), ("central", 2.0, 0.5, 1)}
    assert plain["options"]["delta"] == policies.DELTA
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
    assert {price for _, _, price, _ in asked} >= set(prices)


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


def test_a_policy_whose_package_is_missing_is_refused_before_the_work(monkeypatch):
    """One line that names the package and how to get it, not a traceback after minutes."""
    monkeypatch.setitem(sys.modules, "vowpalwabbit", None)
    monkeypatch.setattr(cli, "run", lambda *_: pytest.fail("ran all the same"))
    result = runner.invoke(app, ["rehearse", *TINY, "--policy", "vowpal_wabbit"])
    assert result.exit_code == 2, result.output
    assert "vowpalwabbit: is not installed; pip install" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_every_private_learner_can_be_swept_and_none_without_an_epsilon():
    """The names come from the registry: a variant that is added there is known here."""
    assert set(policies.PRIVATE) | {"central", "local_only"} == set(LEARNERS)
    assert set(policies.known()) == set(POLICIES)


@pytest.mark.parametrize("warmup_weeks", [1, 6])
def test_the_learner_learns_from_pushes_in_their_first_week_whatever_the_warm_up(warmup_weeks):
    """Its rounds count from the first push: the effect is learned after one week of pushes."""
    options = Options(policies=("tactful",), n=60, weeks=1, warmup_weeks=warmup_weeks, seeds=2)
    world = new_world(options, 1_000)
    learner = made(options, "tactful", world)
    start = learner.model.beta.copy()
    rehearse(world, learner, 1, warmup_weeks=warmup_weeks)
    assert not np.array_equal(learner.model.beta, start)


def test_the_oracle_of_a_rehearsal_is_the_one_of_the_registry():
    """With its tuned price, to which the fleet's is added."""
    world = new_world(Options(n=10, seeds=2), 1_000)
    assert policies.make("greedy_oracle", world).name == registry.make("greedy_oracle", world).name
    dearer = policies.make("greedy_oracle", world, fleet_price_minor=0.4)
    assert dearer.name == f"greedy oracle, price {registry.ORACLE_PRICE_MINOR + 0.4:g}"
