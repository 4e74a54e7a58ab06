"""The model's layout, its round trip through a vector and an artifact, and what it refuses."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tactful.features import DIMENSION
from tactful.model import DOSAGE_HALF_LIVES_D, Model, dosage
from tactful_privacy import wire
from tactful_privacy.errors import InvalidInput

SIZE = sum(block.length for block in Model.layout())


def vector(seed=0):
    return np.abs(np.random.default_rng(seed).normal(0, 1, SIZE))


def artifact(parameters, **changes):
    values = {
        "name": "push",
        "version": 3,
        "federation": "shop",
        "round_number": 7,
        "layout": Model.layout(),
        "features": Model.feature_units(),
        "epsilon": Fraction(1),
        "delta": Fraction(1, 10**6),
        "rho": Fraction(1, 50),
        "ledger_head": bytes(32),
        "parent": bytes(32),
        "evaluation": (),
        "training": (),
    }
    return wire.Artifact(wire.ArtifactCard(**(values | changes)), wire.pack_f64(parameters.tolist()))


def test_parameters_read_back():
    """The vector holds every block in the layout's order and reads back to the last bit."""
    given = vector()
    model = Model.from_parameters(given, version="v", digest=bytes(32))
    np.testing.assert_array_equal(model.to_parameters(), given)
    start = 0
    for block in Model.layout():
        np.testing.assert_array_equal(getattr(model, block.name), given[start : start + block.length])
        start += block.length
    assert SIZE <= 512


def test_an_artifact_becomes_the_model_it_holds():
    """Parameters, version and digest come from the artifact."""
    released = artifact(vector(1))
    model = Model.from_artifact(released)
    np.testing.assert_array_equal(model.to_parameters(), vector(1))
    assert model.digest == released.digest
    assert model.version.startswith("push-3-")


@pytest.mark.parametrize("what", ["features", "order", "layout"])
def test_an_artifact_for_other_features_is_refused(what):
    """Renamed or reordered features and another layout are refused."""
    units, layout = Model.feature_units(), Model.layout()
    changes = {
        "features": {"features": (("other", "1"), *units[1:])},
        "order": {"features": (units[1], units[0], *units[2:])},
        "layout": {"layout": (layout[1], layout[0], *layout[2:])},
    }[what]
    with pytest.raises(InvalidInput, match="other features"):
        Model.from_artifact(artifact(vector(), **changes))


def test_the_fatigue_of_the_hazard_is_never_negative():
    """Negative γ_D is projected to zero when parameters are read, and refused when given directly."""
    model = Model.from_parameters(-vector())
    assert not model.hazard_dosage.any()
    with pytest.raises(InvalidInput, match="hazard_dosage"):
        replace(Model.prior(), hazard_dosage=np.array([0.1, -0.1, 0.1]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(bad):
    """One NaN or infinity anywhere, or a wrong length, makes no model."""
    for index in range(0, SIZE, 7):
        given = vector()
        given[index] = bad
        if bad == -np.inf and "hazard_dosage" in block_of(index):
            continue  # projected to zero with every other negative γ_D
        with pytest.raises(InvalidInput):
            Model.from_parameters(given)
    with pytest.raises(InvalidInput, match="vector"):
        Model.from_parameters(vector()[:-1])


def block_of(index):
    names = [block.name for block in Model.layout() for _ in range(block.length)]
    return names[index]


def test_the_activity_logit_is_the_dot_product():
    """α·φ for any leading shape, against a plain loop."""
    model = Model.from_parameters(vector(2))
    phi = np.random.default_rng(3).uniform(-1, 1, (2, 7, DIMENSION)).astype(np.float32)
    expected = [[sum(float(a) * float(x) for a, x in zip(model.alpha, row, strict=True)) for row in d] for d in phi]
    np.testing.assert_allclose(model.activity_logit(phi), expected, atol=1e-5)


@pytest.mark.parametrize("ages", [[], [0.0], [0.1, 2.5, 2.5, 29.0, 400.0]])
def test_dosage_is_a_decayed_count(ages):
    """Each push counts 2^(−age / half-life), against a plain loop; no push counts nothing."""
    expected = [sum(2 ** (-age / half_life) for age in ages) for half_life in DOSAGE_HALF_LIVES_D]
    np.testing.assert_allclose(dosage(np.array(ages)), expected, rtol=1e-12)
