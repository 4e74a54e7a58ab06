"""The rehearsed federation: its sums against plain loops, its noise and its price against the calibration."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tactful_lab.contacts import features, private
from tactful_lab.contacts.settings import load
from tactful_lab.errors import SettingsInvalid
from tactful_privacy.accounting.zcdp import rho_budget
from tactful_privacy.errors import InvalidInput
from tactful_server.newton import unpacked

SETTINGS = load()
WHO = SETTINGS.federation


def made_up(n_households: int = 60, seed: int = 5) -> private.HouseholdTable:
    rng = np.random.default_rng(seed)
    household = np.concatenate([rng.permutation(n_households), rng.integers(0, n_households, 2 * n_households)])
    x = rng.uniform(-1, 1, (len(household), len(features.NAMES)))
    y = rng.random(len(household)) < 1 / (1 + np.exp(1 - 2 * x[:, 4]))
    return private.HouseholdTable.of(x, y.astype(np.float64), 10 * household)


def test_households_sums_equal_plain_loops():
    """Gradient, packed curvature and local steps of each household equal loops over its own contacts."""
    table, theta = made_up(), np.linspace(-0.5, 0.5, len(features.NAMES))
    gradients, curvatures = private.gradients(table, theta), private.curvatures(table, theta)
    local = private.local_updates(table, theta, replace(SETTINGS.fedavg, local_steps=3))
    assert table.n_households == 60
    for household in range(0, 60, 7):
        x, y = table.x[table.household == household], table.y[table.household == household]
        p = 1 / (1 + np.exp(-x @ theta))
        np.testing.assert_allclose(gradients[household], sum((b - q) * a for a, b, q in zip(x, y, p, strict=True)))
        hessian = sum(q * (1 - q) * np.outer(a, a) for a, q in zip(x, p, strict=True))
        np.testing.assert_allclose(unpacked(curvatures[household], len(theta)), hessian, atol=1e-12)
        assert np.linalg.norm(curvatures[household]) == pytest.approx(np.linalg.norm(hessian))
        own = theta.copy()
        for _ in range(3):
            own += SETTINGS.fedavg.local_rate * x.T @ (y - 1 / (1 + np.exp(-x @ own))) / len(y)
        np.testing.assert_allclose(local[household], own - theta, atol=1e-12)


class Recorder:
    """An optimiser that keeps what it is given."""

    task = "gradient"

    def __init__(self):
        self.seen = []

    def step(self, parameters, mean_update, plan, noise_std=0.0):
        self.seen.append((mean_update, plan, noise_std))
        return parameters


def rehearsal(epsilon: float, *, rounds: int = 10, clip_norm: float = 1.0) -> private.Rehearsal:
    return private.Rehearsal(WHO, epsilon, rounds, clip_norm, made_up(), np.random.default_rng(11))


def test_a_round_without_noise_is_the_mean_of_the_clipped_contributions():
    """At ε = ∞ the server gets exactly Σ clip(u)/N, and a household with a NaN counts as zero."""
    optimiser, contributions = Recorder(), np.random.default_rng(2).normal(size=(60, 5))
    contributions[3, 1] = np.nan
    rehearsal(math.inf).round(optimiser, np.zeros(5), contributions)
    (mean, _, noise_std), *_ = optimiser.seen
    kept = [u * min(1, 1 / np.linalg.norm(u)) for u in np.delete(contributions, 3, axis=0)]
    np.testing.assert_allclose(mean, sum(kept) / 60, atol=1e-6)  # the clip norm is whole grid units
    assert noise_std == 0


def test_the_noise_of_a_round_is_the_calibrated_one_of_all_hosts():
    """Deviation √5·σ_host/N, at least what three honest hosts must add for ε, and drawn so.

    20,000 coordinates: the deviation's relative standard error is 0.5 %; 4 of them, false alarm 6e-5.
    """
    run, optimiser = rehearsal(4.0), Recorder()
    run.round(optimiser, np.zeros(20_000), np.zeros((60, 20_000)))
    ((mean, plan, noise_std),) = optimiser.seen
    assert mean.std() == pytest.approx(noise_std, rel=0.02)
    needed = math.sqrt(run.rounds / (2 * rho_budget(4.0, WHO.delta))) * run.clip_norm
    honest = noise_std * 60 * math.sqrt((WHO.n_min - WHO.colluders) / WHO.hosts)
    assert honest == pytest.approx(needed, rel=1e-3)
    assert (plan.n_hosts, plan.n_min, plan.colluders) == (WHO.hosts, WHO.n_min, WHO.colluders)
    assert plan.norm_bound_squared == plan.clip_units**2


@pytest.mark.parametrize("epsilon", [1.0, 2.0, 4.0, 8.0])
def test_all_rounds_together_cost_the_epsilon_asked_for_and_no_more(epsilon):
    """Curvature and gradient rounds are charged alike: ε of the whole run is at most, and nearly, what was asked."""
    table = made_up()
    runs = [private.newton(table, WHO, SETTINGS.newton, epsilon=epsilon, seed=1)]
    runs += [private.fedavg(table, WHO, chosen, epsilon=epsilon, seed=1) for chosen in (SETTINGS.fedavg,)]
    for run, rounds in zip(runs, (SETTINGS.newton.rounds, SETTINGS.fedavg.rounds), strict=True):
        assert run.charge.rounds == rounds
        assert 0.999 * epsilon < run.charge.central_epsilon <= epsilon


def test_without_noise_the_charge_is_infinite():
    """A rehearsal without noise promises nothing."""
    assert private.newton(made_up(), WHO, SETTINGS.newton, epsilon=math.inf, seed=1).charge.central_epsilon == math.inf


def test_noiseless_newton_arrives_at_the_pooled_maximum():
    """With a generous clip, many steps and the start's curvature above all others, it is the pooled logistic's."""
    table = made_up(400)
    setting = replace(SETTINGS.newton, rounds=200, clip_norm=100.0, decay=0.0, ridge_floor=1e-9)
    theta = private.newton(table, replace(WHO, prior_rate=0.5), setting, epsilon=math.inf, seed=0).theta
    # the largest component of the mean gradient, which is 0 at the maximum
    assert np.abs(private.gradients(table, theta).mean(axis=0)).max() < 1e-5


def test_one_seed_one_result_and_another_seed_another():
    """The noise comes from the seed alone."""
    table = made_up()
    first, again, other = (private.newton(table, WHO, SETTINGS.newton, epsilon=2.0, seed=s).theta for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_a_settings_file_names_its_faults(tmp_path):
    """A missing section, text that is not TOML, and a value out of range are refused, each with its place."""
    path = tmp_path / "settings.toml"
    path.write_text("[rates]\nhousehold_strength = 1.0\n", encoding="utf-8")
    with pytest.raises(SettingsInvalid, match="campaign_type_strength"):
        load(path)
    path.write_text("rates", encoding="utf-8")
    with pytest.raises(SettingsInvalid, match="TOML"):
        load(path)
    with pytest.raises(InvalidInput, match="rounds"):
        replace(SETTINGS.newton, rounds=2, curvature_rounds=2)
