"""Contacts through real rounds: without noise the rehearsal's model, with noise its price."""

from dataclasses import replace

import numpy as np
import pytest
from tests.lab.test_contact_rehearsal import SETTINGS, made_up

from tactful_lab.contacts import federation, private

SMALL = replace(SETTINGS, newton=replace(SETTINGS.newton, rounds=4, curvature_rounds=1))


def test_without_noise_real_rounds_give_the_rehearsed_model():
    """Masks, grid and vaults change nothing: the parameters agree to the grid's rounding."""
    table = made_up()
    real = federation.run_newton(table, SMALL, epsilon=float("inf"))
    rehearsed = private.newton(table, SMALL.federation, SMALL.newton, epsilon=float("inf"), seed=0)
    np.testing.assert_allclose(real.theta, rehearsed.theta, atol=1e-4)


def test_with_noise_the_price_is_the_rehearsed_one():
    """A run at ε = 4 is charged what the rehearsal says, and its noise moves the model."""
    table = made_up()
    real = federation.run_newton(table, SMALL, epsilon=4.0)
    rehearsed = private.newton(table, SMALL.federation, SMALL.newton, epsilon=4.0, seed=0)
    assert real.charge.central_epsilon == pytest.approx(rehearsed.charge.central_epsilon, rel=1e-6)
    assert real.charge.central_epsilon <= 4.0 + 1e-6
    assert not np.allclose(real.theta, rehearsed.theta, atol=1e-3)


def test_selected_households_keep_their_contacts():
    """A part of the table holds exactly the rows of its households, numbered without gaps."""
    table = made_up()
    part = table.select(np.array([3, 8, 41]))
    assert part.n_households == 3
    np.testing.assert_array_equal(part.x[part.household == 1], table.x[table.household == 8])
