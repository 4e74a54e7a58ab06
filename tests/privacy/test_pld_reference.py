"""PLD is within 0.25 % of values computed without it, at twenty settings, and each query takes at most 300 ms."""

import json
import math
import time
from dataclasses import replace

import mpmath
import pytest

from tactful_privacy.accounting.accountants import accountant
from tactful_privacy.accounting.events import ComposedEvent, GaussianEvent, PoissonSampledEvent

from .pld_oracle import SETTINGS, TABLE, Setting, Steps, delta_of, epsilon_of

BAR = 0.0025
ROWS = json.loads(TABLE.read_text(encoding="utf-8"))
REFERENCE = [(Setting(**{key: row[key] for key in row if key != "epsilon"}), row["epsilon"]) for row in ROWS]
every = pytest.mark.parametrize(("setting", "epsilon"), REFERENCE, ids=lambda value: str(value)[:60])


def event_of(setting):
    return ComposedEvent(
        PoissonSampledEvent(GaussianEvent(setting.noise_multiplier), setting.sampling_rate), setting.rounds
    )


def exact_gaussian_delta(setting, epsilon):
    """arXiv:1805.06530, Theorem 8, for sqrt(T)/z, in 60 digits."""
    with mpmath.workdps(60):
        mu = mpmath.sqrt(setting.rounds) / mpmath.mpf(setting.noise_multiplier)
        second = mpmath.exp(epsilon) * mpmath.ncdf(-mu / 2 - epsilon / mu)
        return mpmath.ncdf(mu / 2 - epsilon / mu) - second


def test_the_table_is_that_of_the_settings():
    """Twenty settings, in the oracle's order."""
    assert tuple(setting for setting, _ in REFERENCE) == SETTINGS
    assert len(SETTINGS) == 20


@every
def test_pld_is_within_the_bar(setting, epsilon):
    """Within 0.25 %, and never below the reference by more than its own digits."""
    found = accountant("pld").epsilon(event_of(setting), setting.delta)
    assert abs(found / epsilon - 1) <= BAR
    assert found >= epsilon * (1 - 1e-6)


def test_every_query_is_quick():
    """At most 300 ms of processor time at every setting, the quickest of three tries."""
    accountant("pld").epsilon(GaussianEvent(1), 1e-6)  # imports the library
    for setting, _ in REFERENCE:
        times = []
        for _ in range(3):
            start = time.process_time()
            accountant("pld").epsilon(event_of(setting), setting.delta)
            times.append(time.process_time() - start)
        assert min(times) <= 0.3, setting


@pytest.mark.parametrize(("setting", "epsilon"), [row for row in REFERENCE if row[0].sampling_rate == 1])
def test_the_table_holds_the_exact_gaussian(setting, epsilon):
    """Where nothing is sampled, the table's epsilon gives delta by the exact formula in 60 digits."""
    assert float(exact_gaussian_delta(setting, epsilon) / setting.delta) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 3.0])
def test_the_oracle_gives_the_exact_gaussian(epsilon):
    """At sampling rate 1 the inversion integral is the exact formula, to eight digits, in both directions."""
    setting = Setting(5, 1, 20, 1e-6)
    exact = float(exact_gaussian_delta(setting, epsilon))
    for remove in (True, False):
        assert Steps(setting, remove=remove).delta(epsilon) == pytest.approx(exact, rel=1e-8)


@pytest.mark.slow
def test_the_oracle_gives_one_sampled_step():
    """One step has a closed form: the mixture of the sampled and the unsampled part above the threshold."""
    setting, epsilon = Setting(0.6, 0.2, 1, 1e-6), 0.8
    mu, rate = 1 / setting.noise_multiplier, setting.sampling_rate
    with mpmath.workdps(40):
        # The likelihood ratio 1 - q + q exp(mu x - mu^2/2) exceeds exp(epsilon) beyond this point.
        edge = (mpmath.log((mpmath.exp(epsilon) - 1 + rate) / rate) + mu * mu / 2) / mu
        above_p = (1 - rate) * mpmath.ncdf(-edge) + rate * mpmath.ncdf(mu - edge)
        exact = float(above_p - mpmath.exp(epsilon) * mpmath.ncdf(-edge))
    # One step's characteristic function falls slowly, so the line is long and cut off: five digits.
    assert Steps(setting, remove=True).delta(epsilon) == pytest.approx(exact, rel=1e-5)


@pytest.mark.slow
def test_the_oracle_agrees_with_nested_quadrature():
    """The same two integrals by Gauss-Legendre quadrature in 15 digits, at one setting: another rule and library."""
    setting, epsilon, c = Setting(1, 0.05, 200, 1e-6), 3.0, mpmath.mpf(2)
    with mpmath.workdps(15):

        def moment(u):
            def integrand(x):
                ratio = 1 - mpmath.mpf(0.05) + mpmath.mpf(0.05) * mpmath.exp(x - mpmath.mpf(1) / 2)
                return mpmath.npdf(x) * ratio ** (u + 1)

            return mpmath.quad(integrand, mpmath.linspace(-9, 18, 4), method="gauss-legendre", maxdegree=4)

        def integrand(tau):
            u = mpmath.mpc(c, tau)
            return (moment(u) ** setting.rounds * mpmath.exp(-u * epsilon) / (u * (u + 1))).real

        delta = mpmath.quad(integrand, [0, 3, 12], method="gauss-legendre", maxdegree=4) / mpmath.pi
    assert Steps(setting, remove=True).delta(epsilon) == pytest.approx(float(delta), rel=1e-6)


@pytest.mark.slow
@every
def test_the_table_is_recomputed(setting, epsilon):
    """The oracle gives delta at every epsilon of the table."""
    assert delta_of(setting, epsilon) == pytest.approx(setting.delta, rel=1e-5)


@pytest.mark.slow
def test_settings_outside_the_table_hold_too():
    """Twelve settings drawn at random (seeded), to show that the grid was not fitted to the twenty."""
    import numpy as np

    rng = np.random.default_rng(2026)
    for _ in range(12):
        setting = Setting(
            noise_multiplier=float(math.exp(rng.uniform(math.log(0.5), math.log(8)))),
            sampling_rate=float(math.exp(rng.uniform(math.log(2e-3), math.log(0.8)))),
            rounds=int(math.exp(rng.uniform(math.log(50), math.log(20_000)))),
            delta=float(10 ** rng.uniform(-9, -4)),
        )
        found = accountant("pld").epsilon(event_of(setting), setting.delta)
        if 0.02 < found < 100:
            assert found == pytest.approx(epsilon_of(replace(setting)), rel=BAR), setting
