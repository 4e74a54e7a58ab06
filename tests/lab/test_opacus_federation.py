"""Real rounds over real households with the trainer of per-sample gradients: vaults, participants, masks and noise."""

import math
from importlib.util import find_spec

import numpy as np
import pytest

from tactful_lab.datasets import completejourney
from tactful_lab.slots import learning
from tactful_lab.slots.federation import Setting, ShopFederation
from tactful_privacy.errors import InvalidInput

HOUSEHOLDS = 36
needs_torch = pytest.mark.skipif(
    find_spec("torch") is None or find_spec("opacus") is None,
    reason="torch and Opacus are not installed: pip install 'tactful[train]'",
)


@pytest.fixture(scope="module")
def baskets():
    full, _ = completejourney.load()
    return full.take(np.arange(HOUSEHOLDS))


def federate(folder, baskets, **changes):
    """The released model, the outcomes, and the views of what each host was about to send."""
    views = []
    setting = Setting(**({"epsilon": 50.0, "rounds": 2, "hosts": 3, "seed": 1} | changes))
    with ShopFederation.build(
        folder, baskets, setting, learning.load(), observe=lambda host, view: views.append((host, view))
    ) as federation:
        outcomes = [result.outcome for result in federation.run({})]
        spent = [device.privacy_budget() for device in federation.hosts["host-1"].host.devices()]
        return federation.model(), outcomes, views, spent


@pytest.fixture(scope="module")
def by_opacus(baskets, tmp_path_factory):
    return federate(tmp_path_factory.mktemp("opacus"), baskets, trainer="opacus")


@needs_torch
def test_rounds_with_opacus_are_opened_and_charged(by_opacus):
    """A curvature and a gradient round at ε = 50: both released, every device paid for two rounds."""
    model, outcomes, views, spent = by_opacus
    assert outcomes == ["released", "released"]
    assert [view.plan.task for _, view in views] == ["curvature"] * 3 + ["gradient"] * 3
    assert all(view.total.any() for _, view in views)
    assert model.version.startswith("slots-2-")
    assert all(budget.rounds_joined == 2 and 0 < budget.epsilon_spent <= 50.0 for budget in spent)


@needs_torch
def test_opacus_and_numpy_teach_the_same_model(tmp_path, baskets):
    """Without noise, the parameters of both trainers agree within what stochastic rounding leaves: 1e-3."""
    alphas = []
    for trainer in ("numpy", "opacus"):
        (tmp_path / trainer).mkdir()
        model, outcomes, _, _ = federate(tmp_path / trainer, baskets, trainer=trainer, epsilon=math.inf)
        assert set(outcomes) == {"released"}
        alphas.append(model.alpha)
    np.testing.assert_allclose(alphas[0], alphas[1], atol=1e-3, rtol=0)
    assert np.abs(alphas[0]).max() > 0.1


@needs_torch
def test_event_level_noise_is_under_the_rounds_noise_and_costs_the_account_nothing(tmp_path, baskets, by_opacus):
    """Plans ask for no statistic, rounds open, and the devices' accounts say what they say without it."""
    _, outcomes, views, spent = federate(tmp_path, baskets, trainer="opacus", event_noise=2.0)
    plain = by_opacus[3]
    assert outcomes == ["released", "released"]
    assert not any(view.plan.statistics for _, view in views)
    assert [budget.rounds_joined for budget in spent] == [budget.rounds_joined for budget in plain]
    assert max(budget.epsilon_spent for budget in spent) == pytest.approx(
        max(budget.epsilon_spent for budget in plain), rel=0.01
    )


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        ({"trainer": "jax"}, "numpy, torch, opacus"),
        ({"trainer": "gru"}, "numpy, torch, opacus"),
        ({"event_noise": 1.0}, "--trainer opacus"),
        ({"trainer": "opacus", "event_noise": -1.0}, "above 0"),
        ({"trainer": "opacus", "event_noise": math.nan}, "above 0"),
    ],
)
def test_a_trainer_that_cannot_be_is_refused(wrong, remedy):
    """Before anything is built, with what may be used instead."""
    with pytest.raises(InvalidInput) as caught:
        Setting(epsilon=4.0, rounds=2, **wrong)
    assert remedy in str(caught.value)
