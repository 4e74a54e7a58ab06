"""The attacks run on the product's own path: they work where protection is off, and the limits hold where it is on."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from tactful_lab.audit.membership import Membership, Scale, taken
from tactful_lab.audit.reconstruction import CONDITIONS, attack, observe
from tactful_lab.datasets import completejourney
from tactful_privacy.cli import app


@pytest.fixture(scope="module")
def baskets():
    return completejourney.load()[0]


def test_a_bare_contribution_tells_a_households_hours(baskets):
    """Without masks and noise profiles are rebuilt far above chance; what leaves is uniform modulo 2^32."""
    rng = np.random.default_rng(8)
    seen = observe(baskets, rng.permutation(len(baskets.household_ids))[:80])
    rows = {(row.condition, row.figure): row for row in attack(seen)}
    bare = rows[CONDITIONS[0], "correlation with the true slot profile"]
    # over 40 households guessing has deviation about 0.4/√40 = 0.06: 0.25 is 4 of them, and 0.5 is typical
    assert bare.value > 0.25
    for condition in CONDITIONS[1:]:
        # 4 deviations: false alarm about 1e-4 for each of the three
        assert abs(rows[condition, bare.figure].value) < 0.3, condition
    sent = seen.contributions["masks and noise"] / 2**32 + 0.5
    # mean of n uniforms: deviation 0.2887/√n, 5 of them
    assert abs(sent.mean() - 0.5) < 5 * 0.2887 / np.sqrt(sent.size)
    assert 0 <= sent.min() < 0.02
    assert 0.98 < sent.max() < 1


def test_shadows_do_the_arithmetic_of_the_real_federation(baskets):
    """Without noise a shadow and a real federation of the same households release the same head (float32 apart)."""
    scale = Scale(households=20, rounds=4, shadows=2, targets=1)
    pool = Membership.prepare(baskets, scale)
    members = np.ones(20, dtype=bool)
    shadow, real = pool._shadow(members, float("inf")), pool._target(members, float("inf"))
    np.testing.assert_allclose(shadow, real, atol=2e-3 * np.abs(real).max())


def test_a_part_of_the_baskets_keeps_its_order(baskets):
    """Taking some households renumbers them and changes nothing else."""
    part = taken(baskets, np.array([7, 3]))
    assert part.household_ids.tolist() == baskets.household_ids[[3, 7]].tolist()
    for index, household in enumerate((3, 7)):
        assert (part.at[part.household == index] == baskets.at[baskets.household == household]).all()


@pytest.mark.slow
def test_membership_without_noise_and_with_it(baskets):
    """Without noise who was in the training is told far above chance; at ε = 4 the attack stays within theory."""
    pool = Membership.prepare(baskets, Scale(households=120, rounds=8, shadows=48, targets=4))
    open_, protected = (pool.attack(epsilon, lambda _text: None)[0] for epsilon in (float("inf"), 4.0))
    assert open_.low > 0.55
    assert protected.within_theory


def test_the_command_prints_json(tmp_path):
    """`tactful audit attacks` writes one object with its rows, and refuses a run that is too small."""
    options = ["--phones", "20", "--epsilon", "4", "--households", "24", "--rounds", "2", "--shadows", "10"]
    run = CliRunner().invoke(app, ["attacks", *options, "--targets", "1", "--out", str(tmp_path / "a.json"), "--json"])
    assert run.exit_code in (0, 1), run.output  # so small a run may land anywhere
    plain = json.loads(run.stdout)
    assert json.loads((tmp_path / "a.json").read_text()) == plain
    assert {"attack", "condition", "figure", "value", "low", "high", "chance", "limit", "cases"} <= plain["rows"][
        0
    ].keys()
    assert CliRunner().invoke(app, ["attacks", "--phones", "3"]).exit_code == 2


@pytest.mark.parametrize(
    "options",
    [["--households", "99999"], ["--rounds", "1"], ["--targets", "0"], ["--epsilon", "nan"], ["--phones", "99999"]],
    ids=lambda options: options[0],
)
def test_a_run_that_cannot_be_is_refused_before_any_work(options):
    """A size or an ε out of range ends with exit code 2 and names the option."""
    run = CliRunner().invoke(app, ["attacks", "--phones", "20", *options])
    assert run.exit_code == 2, run.output
    assert options[0].removeprefix("--") in run.output
