"""Banded matrix factorisation: exact integers, the claimed sensitivity, less error at the same price, secret state."""

import itertools
import math
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tactful_privacy.errors import InvalidInput
from tactful_privacy.mechanisms.banded import SCALE, RunNoise, Strategy, strategies, strategy_for

SMALL = Strategy(8, 3, tuple((52_000, 30_000, 25_000)[: 8 - s] for s in range(8)))


def matrix(strategy):
    n = strategy.rounds
    return np.array([[strategy.entry(row, column) for column in range(n)] for row in range(n)], dtype=np.int64)


def patterns(n, separation, most):
    """All sets of at most `most` rounds out of n, each at least `separation` after the one before."""
    for k in range(1, most + 1):
        for rounds in itertools.combinations(range(n), k):
            if all(b - a >= separation for a, b in itertools.pairwise(rounds)):
                yield rounds


def worst(strategy, separation, most):
    """The largest |sum_i ± C[:, i]|² over all patterns and signs, in units of SCALE², exactly."""
    c = matrix(strategy)
    longest = 0
    for rounds in patterns(strategy.rounds, separation, most):
        for signs in itertools.product((-1, 1), repeat=len(rounds)):
            moved = sum(s * c[:, r] for s, r in zip(signs, rounds, strict=True))
            longest = max(longest, int((moved**2).sum()))
    return Fraction(longest, SCALE**2)


@pytest.mark.parametrize("most", [1, 2, 3])
@pytest.mark.parametrize("separation", [3, 4])
def test_the_sensitivity_by_brute_force(separation, most):
    """With at least b rounds between a device's own, k of them change the release by at most √k, and nearly do."""
    bound = min(most, math.ceil(8 / separation))
    squared = worst(SMALL, separation, most)
    assert squared <= bound
    assert squared > 0.9 * (bound - 1)
    assert worst(strategy_for(16, 4), 4, most) <= most


def test_participations_closer_than_the_bands_would_break_it():
    """Two rounds apart in three bands, the columns overlap and the change is more than √k: hence the device's check."""
    assert worst(SMALL, 1, 2) > 2
    assert worst(SMALL, 2, 2) > 2


def test_vectors_of_any_direction_add_up_no_worse():
    """With disjoint columns the squares add: |Σ C[:, i] ⊗ u_i|² is Σ |C[:, i]|² |u_i|², whatever the vectors."""
    rng = np.random.default_rng(5)
    c = matrix(SMALL) / SCALE
    for rounds in patterns(8, 3, 3):
        vectors = rng.normal(size=(len(rounds), 4))
        moved = sum(np.outer(c[:, r], u) for r, u in zip(rounds, vectors, strict=True))
        wanted = sum((c[:, r] ** 2).sum() * (u @ u) for r, u in zip(rounds, vectors, strict=True))
        assert (moved**2).sum() == pytest.approx(wanted, rel=1e-12)


def test_what_is_released_follows_from_the_mechanism_alone():
    """x_t + e_t, computed with the secret noise, is a function of o = C x + z: recomputed from o without x or z."""
    rng = np.random.default_rng(6)
    strategy, dimension = strategy_for(16, 4), 5
    x = rng.integers(-(10**6), 10**6, size=(16, dimension))
    z = rng.integers(-(10**9), 10**9, size=(16, dimension)) * 40_000
    o = matrix(strategy).astype(object) @ x.astype(object) + z.astype(object)
    errors, seen = (), ()
    for t in range(16):
        error = strategy.solve(t, z[t], errors)
        rest = o[t] - sum(strategy.entry(t, t - j) * earlier for j, earlier in enumerate(seen, start=1))
        own = strategy.entry(t, t)
        from_o_alone = (2 * rest + own) // (2 * own)
        assert (from_o_alone == x[t] + error).all()
        errors, seen = (error, *errors)[:3], (from_o_alone, *seen)[:3]


def test_the_errors_are_those_of_the_inverse():
    """Up to rounding, e is C⁻¹ z: solved densely in floating point."""
    rng = np.random.default_rng(7)
    strategy = strategy_for(32, 8)
    z = rng.normal(0, 1e5 * SCALE, size=(32, 3)).astype(np.int64)
    errors, past = [], ()
    for t in range(32):
        past = (strategy.solve(t, z[t], past), *past)[:7]
        errors.append(past[0])
    dense = np.linalg.solve(matrix(strategy).astype(float), z.astype(float))
    assert np.abs(np.array(errors) - dense).max() < 10


@pytest.mark.parametrize(("rounds", "separation", "gain"), [(16, 4, 0.66), (32, 8, 0.53), (128, 16, 0.36)])
def test_less_error_than_independent_noise_at_the_same_price(rounds, separation, gain):
    """RMSE of prefix sums, exactly from the matrices: k participations cost √k in both, so σ is the same."""
    strategy = strategy_for(rounds, separation)
    sums = np.cumsum(np.linalg.inv(matrix(strategy) / SCALE), axis=0)
    independent = math.sqrt(rounds * (rounds + 1) / 2)
    assert np.linalg.norm(sums) / independent < gain


def test_less_error_as_sampled():
    """The same from the sampler itself: 16 rounds, 4 bands, 3,000 coordinates, σ = 1,000.

    The expected mean square is (0.653)² × 8.5 σ². One coordinate's mean square over 16 strongly dependent prefixes has
    relative deviation at most √2, over 3,000 coordinates 0.026: 5 of them, a false alarm below 1e-6.
    """
    strategy, variance = strategy_for(16, 4), 10**6
    state, sums, squares = RunNoise(), np.zeros(3_000), 0.0
    for t in range(16):
        error, state = state.advance(strategy, t, variance, 3_000)
        sums += error
        squares += float((sums**2).mean()) / 16
    dense = np.cumsum(np.linalg.inv(matrix(strategy) / SCALE), axis=0)
    expected = float((dense**2).sum()) / 16 * variance
    assert abs(squares / expected - 1) < 5 * 0.026
    assert squares < 0.55 * 8.5 * variance


def test_a_run_goes_on_from_its_bytes():
    """The state survives as bytes; what comes next depends on it as if nothing had happened."""
    strategy = strategy_for(16, 4)

    def entropy():
        stream = np.random.default_rng(8)
        return lambda count: stream.bytes(count)

    def run(stored):
        source, state, errors = entropy(), RunNoise(), []
        for t in (0, 1, 4, 5):
            error, state = state.advance(strategy, t, 10**6, 4, source)
            state = RunNoise.from_bytes(state.to_bytes()) if stored else state
            errors.append(error)
        return np.array(errors), state

    (kept, state), (restored, again) = run(False), run(True)
    assert (kept == restored).all()
    assert state.to_bytes() == again.to_bytes()
    assert len(state.past) == 3
    assert RunNoise.from_bytes(RunNoise().to_bytes()).past == ()


def test_a_run_cannot_go_back_or_change_shape():
    """The noise of a round is drawn once: again, beyond the run, or with another dimension is refused."""
    strategy = strategy_for(16, 4)
    _, state = RunNoise().advance(strategy, 3, 10**6, 4)
    for index, dimension in ((3, 4), (0, 4), (16, 4), (4, 5)):
        with pytest.raises(InvalidInput):
            state.advance(strategy, index, 10**6, dimension)


def test_the_shipped_strategies_hold():
    """Each is named by its digest; no column is longer than 1, in integers; and the best fit is chosen."""
    for digest, strategy in strategies().items():
        assert strategy.digest == digest
        longest = max(sum(entry**2 for entry in column) for column in strategy.columns)
        assert 0.999 * SCALE**2 < longest <= SCALE**2
    assert (strategy_for(20, 9).rounds, strategy_for(20, 9).bands) == (32, 8)
    assert (strategy_for(100, 40).rounds, strategy_for(100, 40).bands) == (128, 32)
    for rounds, separation in ((129, 32), (16, 3)):
        with pytest.raises(InvalidInput):
            strategy_for(rounds, separation)


def test_a_damaged_strategy_is_refused():
    """A column that is too long, missing an entry or starting with nothing would break the price or the division."""
    good = SMALL.columns
    for first in ((65_000, 30_000, 1), (52_000, 30_000), (0, 30_000, 25_000)):
        with pytest.raises(InvalidInput):
            Strategy(8, 3, (first, *good[1:]))


def test_the_documents_table_is_the_matrices():
    """Each row of docs/modes.md gives the error of a shipped strategy, to two digits, and none is missing."""
    text = (Path(__file__).parents[2] / "docs" / "modes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (\d+) \| (0\.\d\d) \|$", text, re.MULTILINE)
    found = {}
    for strategy in strategies().values():
        sums = np.cumsum(np.linalg.inv(matrix(strategy) / SCALE), axis=0)
        independent = math.sqrt(strategy.rounds * (strategy.rounds + 1) / 2)
        found[str(strategy.rounds), str(strategy.bands)] = f"{np.linalg.norm(sums) / independent:.2f}"
    assert {(rounds, bands): error for rounds, bands, error in rows} == found


def test_the_spread_of_a_single_round():
    """The variance of e_t over σ² is the squared norm of a row of the inverse."""
    strategy = strategy_for(16, 4)
    inverse = np.linalg.inv(matrix(strategy) / SCALE)
    for index in (0, 7, 15):
        assert strategy.spread(index) == pytest.approx((inverse[index] ** 2).sum(), rel=1e-9)


@pytest.mark.slow
def test_the_shipped_coefficients_are_those_of_the_script():
    """The committed script finds the same errors again, to 0.1 %."""
    script = Path(__file__).parents[2] / "scripts" / "banded_coefficients.py"
    found = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert len(found.stdout.splitlines()) == len(strategies())
