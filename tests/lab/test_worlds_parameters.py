"""The worlds' numbers are frozen by version, checked when read, and the fitted ones are what the real data give."""

from dataclasses import asdict
from importlib import resources

import numpy as np
import pytest

from tactful_lab.datasets import completejourney
from tactful_lab.errors import SettingsInvalid
from tactful_lab.worlds import load, reporting_seeds, tuning_seeds
from tactful_lab.worlds.fit import dirichlet_of_counts, fit, gamma_of_counts
from tactful_privacy.errors import InvalidInput

TEXT = (resources.files("tactful_lab.worlds") / "parameters.toml").read_text(encoding="utf-8")
FROZEN = {
    1: "90e8e19d0c5c3f856ac06b259fa0417ce3e3ccbac26c463b788c889fe9ece091",
    2: "adbc3eaaae63fcfbbc0f6293fbc85e90037f35503dd4800cf803ea00300cd8a7",
}


def test_the_numbers_of_a_version_never_change():
    """Each version's file has the digest it was released with: a change of any character needs a new version."""
    parameters = load()
    assert parameters.fingerprint == FROZEN[parameters.version]


def test_no_reported_seed_is_one_the_numbers_were_calibrated_on():
    """Seed 1,000,000, on which the open rate was brought to its anchor, is in neither range."""
    most = load().seeds.range_length
    assert 1_000_000 not in reporting_seeds(most)
    assert 1_000_000 not in tuning_seeds(most)


def test_every_number_carries_a_comment_or_stands_under_one():
    """No section is without an anchor: each number's line, or the comment over its section, says where it is from."""
    for section in TEXT.split("\n[")[1:]:
        lines = section.splitlines()[1:]
        numbers = [line for line in lines if "=" in line and not line.lstrip().startswith("#")]
        assert lines[0].startswith("#") or all("#" in line for line in numbers), section


def test_the_fitted_habits_are_those_of_the_households():
    """The stored rates, shares and factors equal a fresh fit of the installed data to 0.1 %."""
    stored = load().habits
    for name, value in asdict(fit(completejourney.load()[0])).items():
        np.testing.assert_allclose(getattr(stored, name), value, rtol=1e-3, err_msg=name)


def test_the_fit_finds_the_laws_that_made_the_counts():
    """On 4,000 simulated households shape, mean and α come back within 4 standard errors (about 5 %; fixed seed)."""
    random = np.random.default_rng(5)
    rate = random.gamma(1.4, 0.17 / 1.4, size=4000)
    mean, shape = gamma_of_counts(random.poisson(rate * 365), 365)
    assert mean == pytest.approx(0.17, rel=0.055)  # standard error 1/sqrt(1.4 × 4000) = 1.3 %
    assert shape == pytest.approx(1.4, rel=0.09)  # about 2.2 %
    alpha = np.array([1.0, 2.0, 3.0, 4.0])
    shares = random.dirichlet(alpha, size=4000)
    found = dirichlet_of_counts(random.multinomial(60, shares))
    np.testing.assert_allclose(found, alpha, rtol=0.08)  # about 2 %


def test_counts_without_a_spread_are_refused():
    """Equal counts have no gamma law behind them; the error says so instead of returning an arbitrary shape."""
    with pytest.raises(InvalidInput, match="do not vary"):
        gamma_of_counts(np.full(10, 7), 365)


def test_tuning_and_reporting_seeds_do_not_meet():
    """The whole ranges are disjoint, and asking for more than a range holds is refused."""
    most = load().seeds.range_length
    assert not set(tuning_seeds(most)) & set(reporting_seeds(most))
    with pytest.raises(SettingsInvalid, match="count"):
        reporting_seeds(most + 1)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("opt_in = 0.60", "opt_in = -0.60", "reach.opt_in"),
        ("opt_in = 0.60", "opt_in = nan", "reach.opt_in"),
        ("opt_in = 0.60", "opt_in = true", "reach.opt_in"),
        ("opt_in = 0.60", "opt_im = 0.60", "reach.opt_im"),
        ("opt_in = 0.60", "", "reach.opt_in"),
        ("ttl_slots = 7", "ttl_slots = 7.5", "reach.ttl_slots"),
        ("reporting_first = 2_000_000", "reporting_first = 1_001", "seeds"),
        ("slot_share = [0.0539,", "slot_share = [", "habits.slot_share"),
        ("version = 2", 'version = "2"', "version"),
        ("version = 2", "version =", "not TOML"),
    ],
)
def test_a_spoiled_file_is_refused_with_the_name_of_the_number(old, new, field, tmp_path):
    """Missing, unknown, negative, non-finite or mistyped numbers, meeting seed ranges and broken TOML are errors."""
    path = tmp_path / "worlds.toml"
    assert old in TEXT
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SettingsInvalid, match=field):
        load(path)
