"""Fair coins, guesses that see scores alone, a fixed number of them, and why each canary has its own coordinate."""

import json
import math

import numpy as np
import pytest

from tactful_privacy.audit import canaries
from tactful_privacy.audit.verdict import evaluate
from tactful_privacy.errors import InvalidInput

THEORY_MU = 0.788752


def test_coins_are_fair():
    """Of 100,000 coins half are heads, within 5 deviations (false alarm 6e-7); neighbours are as often equal as not."""
    coins = canaries.choose(100_001)
    assert coins.shape == (100_001,)
    assert coins.dtype == np.bool_
    assert abs(coins.mean() - 0.5) < 5 * 0.5 / math.sqrt(100_001)
    assert abs((coins[1:] == coins[:-1]).mean() - 0.5) < 5 * 0.5 / math.sqrt(100_000)
    assert not np.array_equal(coins, canaries.choose(100_001))


def test_guesses_are_the_highest_and_the_lowest_scores():
    """r/2 at each end; the odd one goes to the top; everything else abstains."""
    scores = np.array([3.0, -1.0, 0.5, 9.0, 0.1])
    assert canaries.guess(scores, 4).tolist() == [1, -1, 0, 1, -1]
    assert canaries.guess(scores, 3).tolist() == [1, -1, 0, 1, 0]
    assert canaries.guess(scores, 0).tolist() == [0] * 5
    assert canaries.score(canaries.guess(scores, 4), np.array([True, False, True, False, True])) == (2, 4)


def test_the_number_of_guesses_is_fixed_by_the_plan():
    """Ties do not change it, and the default depends on m and μ alone, even and within its bounds."""
    assert np.count_nonzero(canaries.guess(np.zeros(100), 30)) == 30
    assert canaries.default_guesses(1000, THEORY_MU) == 266
    for mu in (0.01, 0.5, 1.0, 2.0, 50.0):
        r = canaries.default_guesses(1000, mu)
        assert r % 2 == 0
        assert 200 <= r <= 600
    assert canaries.default_guesses(2, 1.0) == 2


def test_random_unit_canaries_drown_each_other():
    """In 53 dimensions a thousand random unit vectors betray no fault even without noise; Dirac canaries do at half.

    The sum of about 500 others, projected on one canary, has variance 500/53 ≈ 9.4 in squared clip norms, so two cases
    a clip norm apart are separated by μ ≈ 0.33 at most: below the 0.79 that the claim allows.
    """
    rng = np.random.default_rng(1)
    m, d = 1000, 53
    vectors = rng.normal(size=(m, d))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    inserted = canaries.choose(m)
    crowded = evaluate(vectors @ (inserted @ vectors), inserted, theory_mu=THEORY_MU)
    assert crowded.gaussian_mu_estimate == pytest.approx(1 / math.sqrt(500 / 53), abs=0.25)  # 3.9 deviations of 0.064
    assert crowded.holds
    assert crowded.estimate_holds
    halved = rng.normal(size=m) / (2 * THEORY_MU)
    assert not evaluate(inserted + halved, inserted, theory_mu=THEORY_MU).holds


def test_no_noise_at_all_is_refuted_and_its_infinite_figures_are_null():
    """Scores that are the coins: every guess right, an infinite estimate, JSON without infinities."""
    inserted = canaries.choose(1000)
    result = evaluate(inserted.astype(float), inserted, theory_mu=THEORY_MU)
    assert result.correct == result.guesses
    assert not result.holds
    assert not result.estimate_holds
    told = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert told["gaussian_mu_estimate"] is told["gaussian_epsilon_estimate"] is None
    assert told["f_dp_mu"] == result.f_dp_mu > THEORY_MU


def test_a_claim_without_noise_cannot_be_refuted():
    """An infinite μ allows everything; the result says so without an error."""
    inserted = canaries.choose(100)
    result = evaluate(inserted.astype(float), inserted, theory_mu=math.inf)
    assert result.holds
    assert result.to_dict()["theory_epsilon"] is None


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: canaries.choose(0), "canaries"),
        (lambda: canaries.default_guesses(1000, 0.0), "theory_mu"),
        (lambda: canaries.default_guesses(1000, math.nan), "theory_mu"),
        (lambda: canaries.default_guesses(1, 1.0), "canaries"),
        (lambda: canaries.guess(np.zeros(3), 4), "guesses"),
        (lambda: canaries.guess(np.array([0.0, math.nan]), 1), "scores"),
        (lambda: canaries.score(np.zeros(3, dtype=np.int8), np.zeros(4, dtype=bool)), "inserted"),
    ],
)
def test_bad_arguments_name_their_field(call, field):
    """Each is refused by name."""
    with pytest.raises(InvalidInput) as caught:
        call()
    assert caught.value.field == field
