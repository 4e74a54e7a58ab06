"""A host whose noise, encoder or masks are wrong takes no part in a round, and nothing of it leaves."""

import numpy as np
import pytest

from tactful.federation import participant
from tactful_privacy.secagg import Aggregator

from .round_world import Federation, refused

A = "host-00"


@pytest.fixture
def federation():
    return Federation()


def without_noise(variance, size, **options):
    return np.zeros(size, dtype=np.int64)


def test_a_host_without_noise_refuses_before_anything_leaves(federation, monkeypatch, caplog):
    """It refuses the very first stage with its own code, saves and spends nothing, and its log names the checks."""
    monkeypatch.setattr(participant, "sample", without_noise)
    federation.hosts[A].calls.clear()
    assert refused(federation.announce(A)) == "self_test_failed"
    assert federation.hosts[A].calls == []
    assert "noise_scale" in caplog.text


def test_the_refusal_says_nothing_but_its_code(federation, monkeypatch):
    """What leaves is the code and the hint to look at the host's own log."""
    monkeypatch.setattr(participant, "sample", without_noise)
    payload = federation.announce(A)
    assert b"noise" not in payload
    assert b"see the log of the host" in payload


def test_a_failure_lasts_until_the_process_starts_again(federation, monkeypatch):
    """A check that fails by chance or for a moment is not tried until it passes."""
    with monkeypatch.context() as broken:
        broken.setattr(participant, "sample", without_noise)
        assert refused(federation.announce(A)) == "self_test_failed"
    assert refused(federation.announce(A)) == "self_test_failed"
    federation.restart(A)
    assert federation.announce(A)


def test_a_host_tries_itself_once(federation, monkeypatch):
    """The first stage costs a self-test; no later one does."""
    tried, real = [], participant.inspect
    monkeypatch.setattr(participant, "inspect", lambda path: tried.append(path) or real(path))
    federation.until("opened")
    assert len(tried) == len(federation.hosts)


def test_one_broken_host_does_not_stop_the_others(federation, monkeypatch):
    """Hosts are processes of their own: where one refuses, the others answer."""
    with monkeypatch.context() as broken:
        broken.setattr(participant, "sample", without_noise)
        assert refused(federation.announce(A)) == "self_test_failed"
    aggregator = Aggregator(federation.plan, federation.roster)
    for host_id in federation.hosts:
        if host_id != A:
            aggregator.accept(federation.announce(host_id))
    assert aggregator.answered("keys") == tuple(host_id for host_id in federation.hosts if host_id != A)


def test_a_model_is_installed_all_the_same(federation, monkeypatch):
    """A release is not refused for the self-test: a host with a fault still gets models."""
    monkeypatch.setattr(participant, "sample", without_noise)
    payload = federation.ask(A, "released", b"not an artifact")
    assert refused(payload) != "self_test_failed"
