"""Whole rounds in one process: real participant, secure aggregation, ledger, registry."""

import numpy as np
import pytest

from tactful_privacy.ledger import verify
from tactful_server.federation import Exchange, Fault

ROUNDING = 2.0**-15  # two grid steps of the coarsest grid that these terms give, see test below


def test_the_known_mean_arrives(make_world):
    """Without noise the model moves by exactly the mean update, to the grid's rounding."""
    world = make_world()
    (result,) = world.run()
    assert result.outcome == "released"
    assert result.survivors == tuple(world.hosts)
    np.testing.assert_allclose(world.parameters(), world.mean(world.hosts), atol=ROUNDING)


def test_noise_has_the_planned_size(make_world):
    """With noise, the error of the mean has the planned deviation sqrt(n)·σ_host/devices."""
    world = make_world(noise=True)
    errors = [world.parameters() for _ in world.federation.run(world.apps, rounds=5)]
    calibration = world.options["terms"].calibrate(world.federation.directory, 8)
    steps = np.diff(np.array([np.zeros(8), *errors]), axis=0) - world.mean(world.hosts)
    z = steps / (np.sqrt(5) * calibration.sigma_host / 50)
    # 40 draws: sum of squares is chi-square(40); bounds at 1e-7 each side.
    assert 8.0 < float((z**2).sum()) < 110.0


def test_a_dropped_host_leaves_the_mean_of_the_rest(make_world):
    """The divisor is the planned devices of the answering hosts, wherever the fifth one dropped."""
    for stage in ("keys", "shares", "contribution"):
        world = make_world()
        lost = ("host-2", stage)
        (result,) = world.run(faults=lambda e, lost=lost: Fault.LOSE_REQUEST if (e.host_id, e.stage) == lost else None)
        assert result.dropped["host-2"].stage == stage
        assert "host-2" not in result.survivors
        assert result.planned_devices == 40
        np.testing.assert_allclose(world.parameters(), world.mean(result.survivors), atol=ROUNDING)


@pytest.mark.parametrize("stage", ["sign", "unmask"])
def test_a_host_lost_after_its_contribution_is_in_the_sum(make_world, stage):
    """Who contributed counts, even if it never answers again."""
    world = make_world()
    (result,) = world.run(faults=lambda e: Fault.FAIL if (e.host_id, e.stage) == ("host-0", stage) else None)
    assert result.survivors == tuple(world.hosts)
    assert result.dropped["host-0"].stage == stage
    np.testing.assert_allclose(world.parameters(), world.mean(world.hosts), atol=ROUNDING)


@pytest.mark.parametrize("stage", ["keys", "shares", "contribution", "sign", "unmask"])
def test_a_void_round_changes_nothing(make_world, stage):
    """With n_min - 1 answers the round is void: no sum, same model, a ledger line says so."""
    world = make_world()
    before = world.federation.signed_model()
    gone = ("host-0", "host-1")
    (result,) = world.run(faults=lambda e: Fault.LOSE_REQUEST if e.host_id in gone and e.stage == stage else None)
    assert (result.outcome, result.total, result.survivors) == ("void", None, ())
    assert world.federation.signed_model() == before
    *_, last = world.federation.office.ledger.entries()
    assert last.kind == "void"
    sent = {"keys": 0, "shares": 0, "contribution": len(world.hosts) - 2}.get(stage, len(world.hosts))
    assert len(last.body["contributed"]) == sent
    (after,) = world.run()
    assert (after.outcome, after.round_number) == ("released", 2)


def test_a_lost_reply_is_asked_for_again(make_world):
    """A second try gets the identical answer: nobody is dropped and the sum is right."""
    world = make_world()
    seen = set()

    def lose_once(exchange):
        first = exchange not in seen
        seen.add(exchange)
        return Fault.LOSE_REPLY if first else None

    (result,) = world.run(faults=lose_once, tries=2)
    assert (result.outcome, dict(result.dropped)) == ("released", {})
    np.testing.assert_allclose(world.parameters(), world.mean(world.hosts), atol=ROUNDING)


def test_twice_delivered_requests_count_once(make_world):
    """Duplicates change nothing."""
    world = make_world()
    (result,) = world.run(faults=lambda _e: Fault.DELIVER_TWICE)
    np.testing.assert_allclose(world.parameters(), world.mean(world.hosts), atol=ROUNDING)
    assert all(len(host.spends) == 10 for host in world.hosts.values())
    assert result.outcome == "released"


def test_a_host_that_missed_the_release_gets_it_before_the_next_round(make_world):
    """A lost release does not lock a host out of later rounds."""
    world = make_world()

    def lose(exchange):
        lost = exchange == Exchange("host-1", 1, "released") and not missed
        missed.extend([exchange] if lost else [])
        return Fault.LOSE_REQUEST if lost else None

    missed = []
    results = world.run(2, faults=lose)
    assert missed
    assert [r.survivors for r in results] == [tuple(world.hosts)] * 2


def test_the_ledger_entry_precedes_the_release(make_world):
    """When the first host receives the model, ledger and registry hold it already."""
    world = make_world()
    ledger = world.federation.office.ledger
    seen = []
    for host in world.hosts.values():
        host.on_install = lambda _a: seen.append([entry.kind for entry in ledger.entries()][-1])
    world.run()
    assert seen == ["release"] * 5
    assert verify(ledger.path).releases == 1


def test_statistics_are_means_over_planned_devices(make_world):
    """A reported number is a coordinate of the same vector."""
    world = make_world(statistics=(("loss", 1.0),))
    (result,) = world.run()
    assert result.statistics["loss"] == pytest.approx(0.5, abs=ROUNDING)


def test_bytes_are_counted_per_host(make_world):
    """Up and down are the payload bytes of each host."""
    world = make_world()
    world.run()
    (result,) = world.run()
    assert set(result.bytes_up) == set(result.bytes_down) == set(world.hosts)
    assert min(result.bytes_up.values()) > 4 * 8


def test_the_card_tells_what_was_spent(make_world):
    """ρ adds up over rounds and ε stays within the promise."""
    world = make_world(noise=True)
    results = world.run(5)
    card = world.federation.model().card
    assert float(card.rho) == pytest.approx(sum(r.rho for r in results), rel=1e-6)
    assert 0 < float(card.epsilon) <= 8.0001
    assert len(world.federation.office.registry.lineage(world.federation.model().digest)) == 6
