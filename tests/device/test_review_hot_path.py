"""The hot path keeps quiet whatever an app hands it, and what a device exports is plain JSON."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tactful import Candidate

from .vault_world import NOON, open_host, person

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=9),
    st.binary(max_size=9),
    st.just([]),
    st.just({}),
    st.builds(object),
    st.sampled_from(["browse", "search", "push_sent", "opt_out", "opened", "\ud800", NOON, NOON.replace(tzinfo=None)]),
)
CALM = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
NAMES = ("category", "query", "value_minor", "decision_id", "kind", "nonsense")


def test_nothing_an_app_passes_raises(tmp_path):
    """Wrong types, lone surrogates, huge numbers: an answer each time, and the vault stays whole and exportable."""
    with open_host(tmp_path, strict=False) as host:
        device = person(host)

        @CALM
        @given(ODD, ODD, ODD, st.dictionaries(st.sampled_from(NAMES), ODD, max_size=3))
        def attack(first, second, third, properties):
            properties.pop("kind", None)
            assert device.track(first, at=second, key=third, **properties) in (True, False)
            assert device.decide(first, now=second, seed=third).action in ("send", "wait", "quiet")
            assert device.decide([first], now=second).action in ("send", "wait", "quiet")
            assert device.record_outcome(first, second, at=third) in (True, False)

        attack()
        assert host.check() > 0
        json.dumps(device.export(), allow_nan=False)


def test_a_closed_host_answers_quietly(tmp_path):
    """After close() the hot path says no instead of raising."""
    host = open_host(tmp_path, strict=False)
    device = person(host)
    host.close()
    assert device.track("browse") is False
    assert device.decide([Candidate(id="c", category="shoes")]).action == "quiet"
    assert device.record_outcome("d-1", "opened") is False


def test_a_decision_is_a_function_of_vault_time_and_seed(tmp_path):
    """Two copies of one vault decide alike for the same moment and seed; a device without events decides too."""
    found = []
    with open_host(tmp_path) as host:
        person(host, "名前-\u202e🦊")
    for copy in ("a", "b"):
        folder = tmp_path / copy
        folder.mkdir()
        for name in ("vaults.db", "host.key"):
            (folder / name).write_bytes((tmp_path / name).read_bytes())
            (folder / name).chmod(0o600)
        with open_host(folder) as host:
            device = host.find("名前-\u202e🦊")
            found.append(device.decide([Candidate(id="c", category="shoes")], now=NOON, seed=b"s").to_json())
    assert found[0] == found[1]
