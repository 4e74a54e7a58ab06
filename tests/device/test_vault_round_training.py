"""What a host contributes to a round is what the trainer computes from the vault's own events."""

from datetime import timedelta

import numpy as np
import pytest

from tactful import ModelRefused
from tactful.federation import ParticipationPolicy
from tactful.federation.vault_round import VaultRound
from tactful.model import Model
from tactful.testing import FrozenClock
from tactful.training import NumpyTrainer, build_table

from .spend_world import plan
from .test_host_models import PUBLIC, artifact, signed
from .vault_world import NOON, PURPOSES, open_host


def test_contributions_come_from_the_vaults_events(tmp_path):
    """Rows equal those of a table built by hand up to yesterday; a device without events contributes zeros."""
    clock = FrozenClock(NOON)
    with open_host(tmp_path, clock=clock) as host:
        host.enrol_many(["ada", "ben", "new"], consents=PURPOSES, policy_version="1")
        events = [("ada", 3, 90), ("ben", 2, 80)]
        host.track_many(
            (name, "purchase", NOON - timedelta(days=back), {})
            for name, step, days in events
            for back in range(days, -1, -step)
        )
        side = VaultRound(host, host_id="north", server_key=PUBLIC, policy=ParticipationPolicy())
        side.install(signed(0))
        offer = plan(1, model_digest=artifact(0).digest)
        devices = side.eligible_devices(offer)
        found = side.local_updates(offer, devices)
        today = NOON.date().toordinal()
        activity = np.zeros((3, 91, 7), np.uint8)
        for row, (_, step, days) in enumerate(events):
            activity[row, [90 - back for back in range(days, -1, -step)], 2] = 1
        table = build_table(activity[:, :90], today - 90, today - 1)
        np.testing.assert_array_equal(found, NumpyTrainer().contributions(offer, Model.prior(), table))
        assert found[0].any()
        assert not found[2].any()
        np.testing.assert_array_equal(side.local_updates(offer, devices[1:]), found[1:])
        host.find("ben").erase()
        np.testing.assert_array_equal(side.local_updates(offer, devices[:1]), found[:1])
        clock.advance(days=1)
        assert (side.local_updates(offer, devices[:1]) != found[:1]).any()


def test_one_old_date_costs_nobody_the_round(tmp_path):
    """An event of the year 1 changes no contribution, its device's included, and the days gone through stay few."""
    with open_host(tmp_path) as host:
        host.enrol_many(["ada", "ben"], consents=PURPOSES, policy_version="1")
        host.track_many(
            (name, "purchase", NOON - timedelta(days=back), {}) for name in ("ada", "ben") for back in range(1, 60, 2)
        )
        side = VaultRound(host, host_id="north", server_key=PUBLIC, policy=ParticipationPolicy())
        side.install(signed(0))
        offer = plan(1, model_digest=artifact(0).digest)
        found = side.local_updates(offer, ["1", "2"])
        assert found.any(axis=1).all()
        host.find("ben").track("purchase", at=NOON.replace(year=1))
        np.testing.assert_array_equal(side.local_updates(offer, ["1", "2"]), found)


def test_a_model_that_is_not_here(tmp_path):
    """Training never starts from a model that was not installed."""
    with open_host(tmp_path) as host:
        host.enrol_many(["ada"], consents=PURPOSES, policy_version="1")
        side = VaultRound(host, host_id="north", server_key=PUBLIC, policy=ParticipationPolicy())
        offer = plan(1, model_digest=b"x" * 32)
        assert not side.has_model(offer.model_digest)
        with pytest.raises(ModelRefused, match="install"):
            side.local_updates(offer, side.eligible_devices(offer))
        assert side.local_updates(offer, []).shape == (0, offer.dimension)
