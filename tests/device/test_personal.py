"""The personal layer: it learns what is planted, forgets, stays near the exact posterior mode, and is kept exactly."""

import numpy as np
import pytest
from scipy.optimize import minimize

from tactful.features import SLOTS
from tactful.personal import PersonalBlock, PersonalLayer, PersonalPrior
from tactful_privacy.errors import InvalidInput

WIDE = PersonalPrior(intercept_variance=1.0, slot_variance=1.0, half_life_d=1e7)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def simulate(truth, n, days, prior, seed=0, base=-1.0):
    rng, block = np.random.default_rng(seed), PersonalBlock(n, prior)
    history = (rng.random((days, n, SLOTS)) < sigmoid(base + truth)).astype(np.uint8)
    for used in history:
        block.update_activity(np.full((n, SLOTS), base), used)
    return block, history


def test_a_planted_person_is_recovered():
    """The mean offset of 300 people after 500 days is the planted one within 4 standard errors and 0.02 of shrinkage.

    Seven comparisons at 4 SE: false alarms below 5e-4.
    """
    truth = 0.4 + np.array([0.8, 0.0, 0.0, -0.5, 0.0, 0.0, 0.0])
    found = simulate(truth, 300, 500, WIDE)[0].offsets()
    error = found.std(axis=0, ddof=1) / np.sqrt(300)
    assert (np.abs(found.mean(axis=0) - truth) <= 4 * error + 0.02).all()


def map_offsets(used, base, prior):
    """Slow oracle: the joint posterior mode of all eight terms by a general optimiser."""
    precision = np.array([1 / prior.intercept_variance] + [1 / prior.slot_variance] * SLOTS)

    def loss(terms):
        logits = base + terms[0] + terms[1:]
        return (np.logaddexp(0, logits) - used * logits).sum() + 0.5 * (precision * terms**2).sum()

    found = minimize(loss, np.zeros(1 + SLOTS), method="BFGS").x
    return found[0] + found[1:]


@pytest.mark.parametrize("days", [1, 7, 30])
def test_short_histories_stay_near_the_posterior_mode(days):
    """Under the shipped prior the daily diagonal step is within 0.05 of the exact mode of all days (logit scale)."""
    prior = PersonalPrior(half_life_d=1e7)
    block, history = simulate(np.full(SLOTS, 0.3), 10, days, prior, seed=days)
    for device in range(10):
        exact = map_offsets(history[:, device].astype(float), -1.0, prior)
        np.testing.assert_allclose(block.offsets()[device], exact, atol=0.05)


def test_forgetting_returns_to_the_prior():
    """With nothing more to learn from (p ≈ 0, unused), means and precisions fall back to the prior's."""
    block, _ = simulate(np.full(SLOTS, 1.0), 3, 60, PersonalPrior())
    assert np.abs(block.mean).max() > 0.05
    for _ in range(3000):
        block.update_activity(np.full((3, SLOTS), -40.0), np.zeros((3, SLOTS), dtype=np.uint8))
    np.testing.assert_allclose(block.mean, 0.0, atol=1e-5)
    np.testing.assert_allclose(block.precision, PersonalBlock(3).precision, rtol=1e-4)


def test_a_device_that_was_not_enrolled_is_left_alone():
    """known=False changes nothing for that device, and the others learn as if it were not there."""
    block, _ = simulate(np.zeros(SLOTS), 3, 20, None)
    before, used = (block.mean.copy(), block.precision.copy()), np.ones((3, SLOTS), dtype=np.uint8)
    block.update_activity(np.full((3, SLOTS), -2.0), used, np.array([True, False, True]))
    np.testing.assert_array_equal(block.mean[1], before[0][1])
    np.testing.assert_array_equal(block.precision[1], before[1][1])
    assert (block.mean[[0, 2]] > before[0][[0, 2]]).all()


def test_answers_to_pushes_move_the_response():
    """An opened push raises intercept and its slot, a dismissed one lowers them; nothing else moves."""
    for engaged, sign in ((True, 1.0), (False, -1.0)):
        block = PersonalBlock(2)
        block.update_push(1, 4, 0.2, engaged)
        layer = block.layer(1)
        assert sign * layer.push_intercept > 0
        assert sign * layer.push_slots[4] > 0
        assert np.count_nonzero(block.push_mean) == 2
        assert (layer.push_variance <= 0.04).all()
        assert not block.mean.any()
    for expected in (0.0, 1.0, np.nan):
        with pytest.raises(InvalidInput, match="expected"):
            PersonalBlock(1).update_push(0, 0, expected, True)


def test_a_layer_of_a_new_block_is_the_prior():
    """Nobody's layer equals `PersonalLayer.prior`."""
    new, prior = PersonalBlock(1).layer(0), PersonalLayer.prior()
    assert new.activity_intercept == prior.activity_intercept == 0.0
    np.testing.assert_allclose(new.activity_variance, prior.activity_variance)
    np.testing.assert_allclose(new.push_variance, prior.push_variance)


def test_a_snapshot_of_the_layer_reads_back_exactly():
    """Bytes round trip; another version or length is refused."""
    block, _ = simulate(np.zeros(SLOTS), 2, 9, None)
    block.update_push(0, 2, 0.3, True)
    data = block.to_bytes()
    assert PersonalBlock.from_bytes(data).to_bytes() == data
    for bent in (b"", data[:-8], data + bytes(8), data + b"x", bytes(8) + data[8:]):
        with pytest.raises(InvalidInput, match="rebuild"):
            PersonalBlock.from_bytes(bent)


def test_a_snapshot_of_the_first_format_is_still_read():
    """Format 1, written before fatigue was personal, reads with the prior's fatigue and everything else as it was."""
    block, _ = simulate(np.zeros(SLOTS), 2, 9, None)
    block.update_push(1, 3, 0.3, False, strain=0.7)
    old = np.array([1.0, 2.0]).tobytes()
    old += b"".join(a.tobytes() for a in (block.mean, block.precision, block.push_mean, block.push_precision))
    found = PersonalBlock.from_bytes(old)
    np.testing.assert_array_equal(found.push_mean, block.push_mean)
    np.testing.assert_array_equal(found.fatigue_mean, 1.0)
    assert PersonalBlock.from_bytes(block.to_bytes()).fatigue_mean[1] == block.fatigue_mean[1] > 1.0


def test_pushes_of_many_devices_are_those_of_each():
    """`update_pushes` does exactly what `update_push` does one by one."""
    rng, n = np.random.default_rng(5), 40
    together, alone = PersonalBlock(n), PersonalBlock(n)
    for _ in range(5):
        index = rng.permutation(n)[:25]
        slot, expected, strain = rng.integers(0, SLOTS, 25), rng.uniform(0.02, 0.6, 25), rng.uniform(0, 2, 25)
        engaged = (rng.random(25) < expected).astype(float)
        together.update_pushes(index, slot, expected, engaged, strain)
        for row in zip(index, slot, expected, engaged > 0, strain, strict=True):
            alone.update_push(*row)
    assert together.to_bytes() == alone.to_bytes()


def answers(multiplier, pushes, prior, people=300, seed=6):
    """People who tire ``multiplier`` times as fast as the shared model says, pushed under changing dosages."""
    rng, block, everybody = np.random.default_rng(seed), PersonalBlock(people, prior), np.arange(people)
    strains, outcomes = [], []
    for _ in range(pushes):
        strain = rng.uniform(0.0, 2.0, people)
        stated = sigmoid(-0.5 - np.clip(block.fatigue_mean, 0.0, 4.0) * strain)
        engaged = (rng.random(people) < sigmoid(-0.5 - multiplier * strain)).astype(float)
        block.update_pushes(everybody, np.zeros(people, np.intp), stated, engaged, strain)
        strains.append(strain)
        outcomes.append(engaged)
    return block, np.array(strains), np.array(outcomes)


@pytest.mark.parametrize("multiplier", [0.3, 1.0, 2.0])
def test_how_fast_somebody_tires_is_learned(multiplier):
    """The mean multiplier of 300 people moves from 1 to the truth and ends within 0.25 of it after 400 pushes.

    The standard error of the mean is below 0.02 (false alarms below 1e-6); the rest is what is left of the prior, which
    early answers leave too strong: they count at the information of where the mean was then.
    """
    prior = PersonalPrior(push_variance=1e-6, half_life_d=1e7)
    few, many = answers(multiplier, 20, prior)[0], answers(multiplier, 400, prior)[0]
    assert abs(many.fatigue_mean.mean() - multiplier) < 0.25
    assert abs(many.fatigue_mean.mean() - multiplier) <= abs(few.fatigue_mean.mean() - multiplier) + 0.03


def test_a_few_answers_stay_near_the_posterior_mode_of_fatigue():
    """Ten answers: the sequential mean is within 0.12 of the exact posterior mode of f under N(1, s²)."""
    prior = PersonalPrior(push_variance=1e-6, half_life_d=1e7)
    block, strains, outcomes = answers(1.5, 10, prior, people=40)
    for person in range(40):

        def loss(f, x=strains[:, person], y=outcomes[:, person]):
            logits = -0.5 - f[0] * x
            return (np.logaddexp(0, logits) - y * logits).sum() + 0.5 * (f[0] - 1) ** 2 / prior.fatigue_variance

        exact = minimize(loss, np.ones(1), method="BFGS").x[0]
        assert block.fatigue_mean[person] == pytest.approx(exact, abs=0.12)


def test_answers_to_pushes_are_forgotten_too():
    """After a half-life the information from answers counts half; after many, response and fatigue are the prior's."""
    block, prior = PersonalBlock(2), PersonalPrior()
    for _ in range(20):
        block.update_push(0, 2, 0.3, True, strain=1.0)
    before, fatigue = block.push_precision[0, 0] - 25.0, block.fatigue_precision[0] - 4.0
    for _ in range(int(prior.half_life_d)):
        block.update_activity(np.full((2, SLOTS), -40.0), np.zeros((2, SLOTS), np.uint8))
    assert block.push_precision[0, 0] - 25.0 == pytest.approx(before / 2, rel=1e-9)
    assert block.fatigue_precision[0] - 4.0 == pytest.approx(fatigue / 2, rel=1e-9)
    for _ in range(4000):
        block.update_activity(np.full((2, SLOTS), -40.0), np.zeros((2, SLOTS), np.uint8))
    np.testing.assert_allclose(block.push_mean, 0.0, atol=1e-5)
    np.testing.assert_allclose(block.fatigue_mean, 1.0, atol=1e-5)
