"""The failure probabilities of graph, thresholds and committee are what direct counting gives, and meet 2^-40."""

import itertools
import math
from fractions import Fraction

import pytest

from tactful_privacy.errors import InvalidInput
from tactful_privacy.secagg import thresholds
from tactful_privacy.secagg.thresholds import (
    TARGET_LOG2,
    correctness_log2,
    recommended,
    security_log2,
    tail_log2,
    window_floor,
)


def by_listing(population, marked, drawn, at_least):
    """P[X ≥ at_least] by listing every draw."""
    draws = list(itertools.combinations(range(population), drawn))
    return Fraction(sum(sum(one < marked for one in draw) >= at_least for draw in draws), len(draws))


@pytest.mark.parametrize("population", [4, 7, 10])
def test_tails_agree_with_listing_every_draw(population):
    """Every hypergeometric tail of a small population is exact to rounding, also 0 and 1."""
    for marked, drawn in itertools.product(range(population + 1), range(1, population)):
        for at_least in range(drawn + 2):
            exact = by_listing(population, marked, drawn, at_least)
            log2 = tail_log2(population, marked, drawn, at_least)
            assert 2.0**log2 == pytest.approx(float(exact), rel=1e-12, abs=0)


def test_far_tails_agree_with_exact_fractions():
    """A tail of 2^-100 and less keeps its precision: no float enters before the logarithm."""
    total = sum(Fraction(math.comb(50, j) * math.comb(949, 100 - j), math.comb(999, 100)) for j in range(40, 51))
    exact = math.log2(total.numerator) - math.log2(total.denominator)
    assert tail_log2(999, 50, 100, 40) == pytest.approx(exact, rel=1e-12)
    assert exact < -100


@pytest.fixture
def lenient(monkeypatch):
    """One try and a target above 1, so that a small roster has a floor of 2 and every event counts."""
    monkeypatch.setattr(thresholds, "GRINDING_LOG2", 0)
    monkeypatch.setattr(thresholds, "TARGET_LOG2", 2.0)
    window_floor.cache_clear()
    yield
    window_floor.cache_clear()


@pytest.mark.usefixtures("lenient")
def test_security_counts_the_three_events():
    """The bound is the union of both shares, falling apart and a lying committee, by listing every draw."""
    n, t, k, threshold, members, wanted = 20, 4, 4, 4, 5, 4
    assert window_floor(n, t, k) == 2
    both = (n - t) * by_listing(n - 1, t, k, 3)
    apart = n * by_listing(n, t, k // 2, 2)
    lie = by_listing(n, t, members, wanted)
    assert min(both, apart, lie) > 0
    assert both + apart + lie < 1
    counted = math.log2(both + apart + lie)
    assert security_log2(n, t, k, threshold, members, wanted) == pytest.approx(counted, rel=1e-12)


def test_every_try_of_the_server_counts():
    """2^40 tries raise log2 of the bound by 40: here of the committee, as few colluders rule the rest out."""
    one_draw = tail_log2(1000, 10, 20, 8)
    assert security_log2(1000, 10, 78, 45, 20, 8) == pytest.approx(min(one_draw + 40, 0.0))
    assert one_draw < -40


def test_correctness_counts_the_three_events():
    """The chance of a void round is the union over shares, stretches and the committee, by direct counting."""
    n, n_min, t, k, threshold, members, wanted = 9, 8, 1, 6, 5, 4, 3
    shares = n * by_listing(n - 1, 1, k, k - threshold + 1)
    apart = n * by_listing(n, 1, 3, 3 - window_floor(n, t, k) + 1)
    silent = by_listing(n, 1, members, members - wanted + 1)
    assert shares + apart + silent == 0
    assert correctness_log2(n, n_min, t, k, threshold, members, wanted) == -math.inf
    n, n_min, k, threshold, members = 16, 14, 8, 8, 3
    shares = n * by_listing(n - 1, 2, k, 1)
    assert shares > 1
    assert correctness_log2(n, n_min, t, k, threshold, members, 2) == 0.0
    apart, silent = n * by_listing(n, 2, 4, 4), by_listing(n, 2, members, 2)
    shares = n * by_listing(n - 1, 2, k, k - 6 + 1)
    counted = shares + apart + silent
    assert 0 < counted < 1
    assert correctness_log2(n, n_min, t, k, 6, members, 2) == pytest.approx(math.log2(counted), rel=1e-12)


@pytest.mark.parametrize(
    ("n_hosts", "n_min", "colluders"),
    [(101, 90, 1), (120, 100, 3), (300, 270, 30), (1000, 900, 10), (1000, 900, 50), (4000, 3600, 100)],
)
def test_recommended_parameters_meet_the_target_and_cannot_shrink(n_hosts, n_min, colluders):
    """Both failure probabilities are ≤ 2^-40, both shares need a majority, and two neighbours fewer would not do."""
    found = recommended(n_hosts, n_min, colluders)
    assert found.neighbours % 2 == 0
    assert 0 < found.neighbours < n_hosts - 1
    assert found.failure_log2 <= TARGET_LOG2
    assert found.security_log2 == security_log2(
        n_hosts, colluders, found.neighbours, found.share_threshold, found.committee, found.committee_threshold
    )
    assert 2 * found.share_threshold > found.neighbours + 1
    less = found.neighbours - 2
    threshold = thresholds._share_threshold(n_hosts, colluders, less)
    members = (found.committee, found.committee_threshold)
    luck = correctness_log2(n_hosts, n_min, colluders, less, threshold, *members)
    assert max(luck, security_log2(n_hosts, colluders, less, threshold, *members)) > TARGET_LOG2


@pytest.mark.parametrize(("n_hosts", "n_min", "colluders"), [(5, 4, 1), (100, 80, 5), (102, 53, 1)])
def test_small_rosters_and_those_that_lose_half_keep_the_complete_graph(n_hosts, n_min, colluders):
    """Up to a hundred hosts, or where no smaller graph is good enough, everybody pairs with everybody."""
    found = recommended(n_hosts, n_min, colluders)
    assert (found.neighbours, found.committee, found.share_threshold) == (0, 0, n_min)
    assert found.security_log2 == -math.inf


def test_degree_grows_slowly_with_the_roster():
    """Ten times the hosts ask for less than twice the neighbours, at the same shares of silent and colluding hosts."""
    small, large = recommended(400, 360, 4), recommended(4000, 3600, 40)
    assert small.neighbours < large.neighbours < 2 * small.neighbours


def test_more_colluders_than_a_draw_can_hold_make_it_unsafe():
    """A plan made for t = 10 fails the target for a host that reckons with t = 100."""
    found = recommended(1000, 900, 10)
    shape = (found.neighbours, found.share_threshold, found.committee, found.committee_threshold)
    assert security_log2(1000, 10, *shape) <= TARGET_LOG2 < security_log2(1000, 100, *shape)


def test_nonsense_is_refused():
    """t < n_min ≤ n is required."""
    for wrong in ((10, 11, 1), (200, 150, 150), (200, 150, -1)):
        with pytest.raises(InvalidInput):
            recommended(*wrong)
