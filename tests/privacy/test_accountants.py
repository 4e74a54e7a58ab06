"""One conformance suite over all accountants: monotone, zero, infinite, closed to the unknown, ordered, grounded."""

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tactful_privacy.accounting.accountants import ACCOUNTANTS, STAND_IN, accountant, report
from tactful_privacy.accounting.events import (
    ComposedEvent,
    CorrelatedRunEvent,
    DiscreteGaussianSumEvent,
    Event,
    GaussianEvent,
    NonPrivateEvent,
    PoissonSampledEvent,
    SequenceEvent,
    UnknownEvent,
)
from tactful_privacy.accounting.zcdp import epsilon as epsilon_of_rho
from tactful_privacy.accounting.zcdp import rho_of
from tactful_privacy.errors import InvalidInput

DELTA = 1e-6
ROUNDING = 1e-3  # of epsilon: the discretisation of pld, which rounds up
SAMPLING = ("rdp", "pld")  # accountants that credit it


@dataclass(frozen=True)
class StrangerEvent(Event):
    """An event from another house."""


def rounds(z, count):
    return ComposedEvent(GaussianEvent(z), count)


def sampled(z, rate, count):
    return ComposedEvent(PoissonSampledEvent(GaussianEvent(z), rate), count)


DISCRETE = DiscreteGaussianSumEvent(norm_bound_squared=400, noise_variance_units=10_000, honest_hosts=3, dimension=64)
every = pytest.mark.parametrize("name", ACCOUNTANTS)


@every
def test_more_noise_costs_less(name):
    """Epsilon falls strictly as z grows."""
    values = [accountant(name).epsilon(rounds(z, 50), DELTA) for z in (1, 2, 5, 13.888, 40, 200)]
    assert all(more > less for more, less in pairwise(values))


@every
def test_a_larger_delta_costs_less(name):
    """Epsilon falls as delta grows, down to 0 where delta alone is enough."""
    values = [accountant(name).epsilon(rounds(10, 5), delta) for delta in (1e-12, 1e-9, 1e-6, 1e-3, 0.1)]
    assert all(more > less for more, less in pairwise(values))
    assert accountant(name).epsilon(rounds(100, 1), 0.4) == pytest.approx(0, abs=1e-3)


@every
def test_more_steps_cost_more(name):
    """Epsilon grows strictly with the number of steps."""
    values = [accountant(name).epsilon(rounds(20, count), DELTA) for count in (1, 2, 10, 100, 1000)]
    assert all(less < more for less, more in pairwise(values))


@pytest.mark.parametrize("name", SAMPLING)
def test_sampled_steps_are_monotone_too(name):
    """In z, in steps, in the rate and in delta."""
    find = accountant(name).epsilon
    base = find(sampled(1, 0.01, 100), DELTA)
    assert find(sampled(1.1, 0.01, 100), DELTA) < base < find(sampled(1, 0.01, 120), DELTA)
    assert find(sampled(1, 0.009, 100), DELTA) < base < find(sampled(1, 0.01, 100), DELTA / 2)
    assert base < find(rounds(1, 100), DELTA)


@every
@pytest.mark.parametrize(
    "nothing",
    [
        ComposedEvent(GaussianEvent(1), 0),
        ComposedEvent(NonPrivateEvent(), 0),
        SequenceEvent(()),
        PoissonSampledEvent(GaussianEvent(1), 0),
        PoissonSampledEvent(NonPrivateEvent(), 0),
        GaussianEvent(math.inf),
        DiscreteGaussianSumEvent(0, 100, 1, 1),
    ],
    ids=repr,
)
def test_nothing_costs_nothing(name, nothing):
    """No events, a sample of nobody, no change or infinite noise: epsilon is 0."""
    assert accountant(name).epsilon(nothing, DELTA) == 0


@every
@pytest.mark.parametrize(
    "open_event",
    [
        NonPrivateEvent(),
        GaussianEvent(0),
        CorrelatedRunEvent(0),
        DiscreteGaussianSumEvent(1, 0, 3, 5),
        SequenceEvent((GaussianEvent(10), ComposedEvent(NonPrivateEvent(), 1))),
    ],
    ids=repr,
)
def test_no_noise_costs_everything(name, open_event):
    """One release without noise, anywhere in a history, makes epsilon infinite."""
    assert accountant(name).epsilon(open_event, DELTA) == math.inf


@pytest.mark.parametrize("name", ["zcdp", *SAMPLING])
def test_a_sample_without_noise_costs_everything(name):
    """At a rate below 1 too."""
    assert accountant(name).epsilon(PoissonSampledEvent(NonPrivateEvent(), 0.1), DELTA) == math.inf


@every
@pytest.mark.parametrize(
    "wrapped",
    [
        lambda event: event,
        lambda event: ComposedEvent(event, 3),
        lambda event: SequenceEvent((GaussianEvent(1), event)),
        lambda event: SequenceEvent((NonPrivateEvent(), event)),
        lambda event: PoissonSampledEvent(event, 0.5),
        lambda event: PoissonSampledEvent(event, 1),
    ],
)
@pytest.mark.parametrize("stranger", [StrangerEvent(), Event()], ids=repr)
def test_an_unknown_event_fails_closed(name, wrapped, stranger):
    """However deep it hides, and beside whatever, an event that the accountant does not know raises."""
    with pytest.raises(UnknownEvent):
        accountant(name).epsilon(wrapped(stranger), DELTA)
    with pytest.raises(UnknownEvent):
        report(name, wrapped(stranger), DELTA)


def test_what_an_accountant_cannot_price_is_unknown_to_it():
    """Exact GDP knows no sampling; nobody but zCDP, which does not credit it, prices a sampled correlated run."""
    with pytest.raises(UnknownEvent, match="pld"):
        accountant("gdp").epsilon(PoissonSampledEvent(GaussianEvent(1), 0.5), DELTA)
    for name in SAMPLING:
        with pytest.raises(UnknownEvent, match="CorrelatedRunEvent"):
            accountant(name).epsilon(PoissonSampledEvent(CorrelatedRunEvent(1), 0.5), DELTA)
        with pytest.raises(UnknownEvent, match="sample of a sample"):
            accountant(name).epsilon(PoissonSampledEvent(PoissonSampledEvent(GaussianEvent(1), 0.5), 0.5), DELTA)


@settings(deadline=None, max_examples=60)
@given(st.floats(0.3, 50), st.integers(1, 2000), st.floats(1e-10, 1e-2))
def test_the_order_of_the_accountants(z, count, delta):
    """Without sampling GDP is exact, PLD at most a thousandth above it (RDP's from 500), RDP above both, and zCDP's."""
    gdp, pld, rdp, zcdp = (accountant(n).epsilon(rounds(z, count), delta) for n in ("gdp", "pld", "rdp", "zcdp"))
    assert gdp * (1 - 1e-9) <= pld <= (gdp if pld < 500 else rdp) * (1 + ROUNDING) + 1e-6
    assert pld <= rdp * (1 + ROUNDING) + 1e-6
    assert rdp == pytest.approx(zcdp, rel=1e-9, abs=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.floats(0.5, 20), st.floats(1e-3, 0.999), st.integers(1, 2000), st.floats(1e-8, 1e-3))
def test_the_order_with_sampling(z, rate, count, delta):
    """PLD is at most RDP, RDP at most zCDP, which does not credit the sampling."""
    pld, rdp, zcdp = (accountant(n).epsilon(sampled(z, rate, count), delta) for n in ("pld", "rdp", "zcdp"))
    assert pld <= rdp * (1 + ROUNDING) + 1e-6
    assert rdp <= zcdp * (1 + 1e-9)
    assert zcdp == accountant("zcdp").epsilon(rounds(z, count), delta)


@every
def test_a_composition_may_be_written_in_any_way(name):
    """The same steps, nested, listed or in another order, cost the same."""
    find = accountant(name).epsilon
    one, two = GaussianEvent(5), GaussianEvent(7)
    listed = SequenceEvent((one, two, one, two))
    nested = ComposedEvent(SequenceEvent((two, one)), 2)
    assert find(listed, DELTA) == find(nested, DELTA)
    # (2/25 + 2/49)^-1/2: one Gaussian with the sum of the squares of mu.
    assert find(listed, DELTA) == pytest.approx(find(GaussianEvent((2 / 25 + 2 / 49) ** -0.5), DELTA), rel=1e-9)


@every
def test_a_correlated_run_is_one_release(name):
    """It costs what one Gaussian of its noise multiplier costs, whatever the number of its rounds."""
    assert accountant(name).epsilon(CorrelatedRunEvent(3), DELTA) == accountant(name).epsilon(GaussianEvent(3), DELTA)


def test_a_run_with_discrete_noise_is_no_gaussian():
    """As our runs draw it, PLD and GDP stand in; zCDP and RDP are formal, and all are for continuous noise."""
    for name in ACCOUNTANTS:
        assert report(name, CorrelatedRunEvent(3), DELTA).formal == (name in ("zcdp", "rdp"))
        assert report(name, CorrelatedRunEvent(3, discrete=False), DELTA).formal


@pytest.mark.parametrize("name", SAMPLING)
def test_several_releases_from_one_sample(name):
    """Four releases at z from the same sample are one at z/2 from it, which is not four samples."""
    find = accountant(name).epsilon
    same = PoissonSampledEvent(ComposedEvent(GaussianEvent(4), 4), 0.1)
    assert find(same, DELTA) == find(PoissonSampledEvent(GaussianEvent(2), 0.1), DELTA)
    assert find(same, DELTA) != find(sampled(4, 0.1, 4), DELTA)


@pytest.mark.parametrize("name", SAMPLING)
def test_plain_and_sampled_steps_compose(name):
    """A history of both costs more than either and at most the sum."""
    find = accountant(name).epsilon
    plain, some = rounds(5, 10), sampled(1, 0.01, 100)
    both = find(SequenceEvent((plain, some)), DELTA)
    assert max(find(plain, DELTA), find(some, DELTA)) < both < find(plain, DELTA / 2) + find(some, DELTA / 2)


@every
def test_a_report_names_its_accountant_and_its_grounds(name):
    """Name, figure, delta and a sentence with sources; plain Gaussians are a formal claim to all of them."""
    found = report(name, rounds(10, 3), DELTA)
    assert (found.accountant, found.delta, found.formal) == (name, DELTA, True)
    assert found.epsilon == accountant(name).epsilon(rounds(10, 3), DELTA)
    assert "arXiv:" in found.why_valid


def test_the_claim_for_the_discrete_sum_is_zcdp():
    """zCDP, and RDP through it, are formal for it; the tighter figures of PLD and GDP are labelled stand-ins."""
    event = ComposedEvent(DISCRETE, 30)
    found = {name: report(name, event, DELTA) for name in ACCOUNTANTS}
    assert {name for name in found if found[name].formal} == {"zcdp", "rdp"}
    assert found["zcdp"].epsilon == epsilon_of_rho(30 * Fraction(400, 2 * 3 * 10_000), DELTA)
    for name in ("pld", "gdp"):
        assert STAND_IN in found[name].why_valid
        assert found[name].epsilon < found["zcdp"].epsilon
    assert report("rdp", PoissonSampledEvent(DISCRETE, 0.5), DELTA).formal is False


def test_the_excess_of_a_sum_is_in_every_figure():
    """Where a sum of few-step Gaussians is far from one, its tau term raises every accountant's figure."""
    coarse = DiscreteGaussianSumEvent(norm_bound_squared=4, noise_variance_units=1, honest_hosts=100, dimension=64)
    z = math.sqrt(100 / 4)
    assert rho_of(coarse) > rho_of(GaussianEvent(z))
    for name in ACCOUNTANTS:
        assert accountant(name).epsilon(coarse, DELTA) > accountant(name).epsilon(GaussianEvent(z), DELTA)


def test_a_report_says_whether_sampling_counts():
    """zCDP says that it does not credit sampling; the others say what it must be."""
    event = sampled(1, 0.01, 10)
    assert "not credited" in report("zcdp", event, DELTA).why_valid
    assert rho_of(event) == rho_of(rounds(1, 10))
    for name in SAMPLING:
        assert "Poisson, fair and secret" in report(name, event, DELTA).why_valid


@every
def test_delta_out_of_range_is_refused(name):
    """0, 1, a negative one and NaN are no delta."""
    for delta in (0, 1, -1e-6, math.nan):
        with pytest.raises(InvalidInput, match="delta"):
            accountant(name).epsilon(GaussianEvent(1), delta)


def test_a_delta_too_small_for_a_convolution_is_refused():
    """PLD does not read delta off the rounding error of many steps; its error names who can answer."""
    for event, delta in ((GaussianEvent(1), 1e-13), (sampled(10, 0.01, 10**5), 5e-11)):
        with pytest.raises(InvalidInput, match="ask rdp or gdp"):
            accountant("pld").epsilon(event, delta)


def test_an_accountant_that_is_not_there_is_refused():
    """The error names those that are."""
    with pytest.raises(InvalidInput, match="zcdp, rdp, pld, gdp"):
        accountant("moments")


def test_an_event_out_of_range_is_refused():
    """Negative noise, a rate outside [0, 1] and NaN cannot be stated."""
    for make in (
        lambda: GaussianEvent(-1),
        lambda: CorrelatedRunEvent(math.nan),
        lambda: PoissonSampledEvent(GaussianEvent(1), 1.5),
        lambda: PoissonSampledEvent(GaussianEvent(1), math.nan),
        lambda: ComposedEvent(GaussianEvent(1), -1),
    ):
        with pytest.raises(InvalidInput):
            make()
