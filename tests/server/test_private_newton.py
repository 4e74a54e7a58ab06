"""Newton steps from noisy curvature and gradients, against written-out linear algebra."""

from dataclasses import replace

import numpy as np
import pytest

from tactful_privacy.errors import InvalidInput
from tactful_privacy.secagg.testing import make_plan, make_roster
from tactful_privacy.wire import Block
from tactful_server.newton import PrivateNewton, unpacked

DIRECTORY, _ = make_roster(4, planned_devices=25)
CURVATURE = replace(make_plan(DIRECTORY, n_min=3, dimension=3), task="curvature")
GRADIENT = replace(CURVATURE, task="gradient")
MODEL = (Block("other", 2), Block("alpha", 4), Block("tail", 1))


def packed(matrix: np.ndarray) -> np.ndarray:
    """Plain loop: upper triangle row by row, off-diagonal entries times √2."""
    size = len(matrix)
    return np.array([matrix[i, j] * (1 if i == j else 2**0.5) for i in range(size) for j in range(i, size)])


def quadratic(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(4, 4))
    return root @ root.T + np.eye(4), rng.normal(size=4)


def test_packing_keeps_the_frobenius_norm_and_unpacks_to_the_same_matrix():
    """The norm that is clipped is the matrix's own."""
    hessian, _ = quadratic(1)
    assert np.linalg.norm(packed(hessian)) == pytest.approx(np.linalg.norm(hessian))
    np.testing.assert_allclose(unpacked(packed(hessian), 4), hessian)


def test_the_first_gradient_round_solves_a_quadratic_and_moves_only_its_block():
    """With exact statistics the minimum is one step away, up to the ridge; other blocks stay."""
    hessian, target = quadratic(2)
    optimiser, theta = PrivateNewton(MODEL, curvature_rounds=2, curvature_scale=0.1, ridge_floor=1e-12), np.arange(7.0)
    for _ in range(2):
        assert optimiser.contribution_layout(MODEL) == (Block("curvature", 10),)
        np.testing.assert_array_equal(optimiser.step(theta, 0.1 * packed(hessian), CURVATURE), theta)
    assert optimiser.contribution_layout(MODEL) == (Block("gradient", 4),)
    moved = optimiser.step(theta, hessian @ (target - theta[2:6]), GRADIENT)
    np.testing.assert_allclose(moved, [0, 1, *target, 6], atol=1e-9)


def test_steps_shrink_and_a_restart_between_any_two_changes_nothing():
    """k^-decay, against the recurrence written out, with dump and load between all steps."""
    hessian, target = quadratic(3)
    theta, slow = np.zeros(7), np.zeros(4)

    def fresh() -> PrivateNewton:
        return PrivateNewton(MODEL, curvature_rounds=1, decay=0.7, ridge_floor=1e-3)

    optimiser = fresh()
    optimiser.step(theta, packed(hessian), CURVATURE)
    for k in range(1, 6):
        state, optimiser = optimiser.dump(), fresh()
        optimiser.load(state)
        theta = optimiser.step(theta, hessian @ (target - theta[2:6]), GRADIENT)
        slow = slow + k**-0.7 * np.linalg.solve(hessian + 1e-3 * np.eye(4), hessian @ (target - slow))
        np.testing.assert_allclose(theta[2:6], slow, rtol=1e-9)


def test_the_ridge_is_the_stated_share_of_the_noise_matrix_norm():
    """2σ√d is the spectral norm of a large symmetric noise matrix, within 15 % at d = 200 (one draw, seeded)."""
    size, noise = 200, 0.3
    rng = np.random.default_rng(4)
    optimiser = PrivateNewton((Block("alpha", size),), curvature_rounds=2, curvature_scale=0.5, ridge_factor=1.0)
    total = np.zeros(size * (size + 1) // 2)
    for _ in range(2):
        draw = rng.normal(0, noise, total.size)
        optimiser.step(np.zeros(size), draw, CURVATURE, noise)
        total += draw / 0.5 / 2
    norm = np.abs(np.linalg.eigvalsh(unpacked(total, size))).max()
    assert optimiser.ridge() == pytest.approx(norm, rel=0.15)


def test_noise_that_makes_curvature_negative_cannot_turn_the_step_round():
    """A negative eigenvalue counts as zero plus the ridge: the step still goes uphill along the gradient."""
    optimiser = PrivateNewton((Block("alpha", 1),), curvature_rounds=1, ridge_floor=0.1)
    optimiser.step(np.zeros(1), np.array([-3.0]), CURVATURE)
    np.testing.assert_allclose(optimiser.step(np.zeros(1), np.array([1.0]), GRADIENT), [10.0])


def test_wrong_settings_rounds_and_shapes_name_their_field():
    """Each has its remedy, and leaves the state alone."""
    for bad in ({"curvature_rounds": 0}, {"decay": 2.0}, {"block": "none"}, {"ridge_factor": 0.0}):
        with pytest.raises(InvalidInput):
            PrivateNewton(MODEL, **bad)
    optimiser = PrivateNewton(MODEL)
    with pytest.raises(InvalidInput, match="mean_update"):
        optimiser.step(np.zeros(7), np.zeros(4), CURVATURE)
    with pytest.raises(InvalidInput, match="task"):
        optimiser.step(np.zeros(7), np.zeros(10), GRADIENT)
    with pytest.raises(InvalidInput, match="model"):
        optimiser.contribution_layout((Block("alpha", 4),))
    assert optimiser.seen == 0
    with pytest.raises(InvalidInput, match="dump"):
        optimiser.load(b"junk")
