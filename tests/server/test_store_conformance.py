"""What every store must do. A new database joins by one line in `STORES`."""

import pytest

from tactful_privacy.errors import InvalidInput
from tactful_privacy.wire import HostEntry
from tactful_server.errors import StoreConflict
from tactful_server.journal import Phase, RoundId, Transition
from tactful_server.records import ArtifactRecord
from tactful_server.store import SqlStore

STORES = {"sqlite": lambda path: f"sqlite:///{path / 'store.db'}"}
ROUND = RoundId("shop", 1, 0)


@pytest.fixture(params=sorted(STORES))
def open_store(request, tmp_path):
    opened = []

    def build():
        opened.append(SqlStore.open(STORES[request.param](tmp_path)))
        return opened[-1]

    yield build
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store):
    store = open_store()
    store.add_federation("shop")
    return store


def record(version=1, digest=b"d" * 32, **more):
    fields = {"name": "m", "parent": bytes(32), "round_number": version, "file_name": "f", "file_sha256": b"h" * 32}
    fields |= more
    return ArtifactRecord(digest=digest, version=version, **fields)


def test_transitions_come_back_as_written_after_reopening(store, open_store):
    """Everything survives the process."""
    written = [Transition(ROUND, 0, Phase.ANNOUNCED, (), {"plan": b"\0\xff"})]
    written.append(Transition(ROUND, 1, Phase.KEYS, (("b", b"2"), ("a", b"1")), {}))
    for transition in written:
        store.append(transition)
    store.close()
    again = open_store()
    assert list(again.transitions(ROUND)) == written
    assert [(r.round_id, r.phase) for r in again.rounds()] == [(ROUND, "keys")]
    assert again.federations() == ("shop",)


def test_a_transition_is_never_rewritten_and_never_skips(store):
    """The same again is nothing; other content or a gap is a conflict."""
    first = Transition(ROUND, 0, Phase.ANNOUNCED)
    store.append(first)
    store.append(first)
    with pytest.raises(StoreConflict):
        store.append(Transition(ROUND, 0, Phase.VOID))
    with pytest.raises(StoreConflict, match="resume"):
        store.append(Transition(ROUND, 2, Phase.SHARES))
    assert store.transitions(ROUND) == (first,)


def test_hosts_are_sorted_and_keep_their_key(store):
    """Planned devices may change, a key may not, and a key belongs to one host."""
    for name, key in (("b", b"b" * 32), ("a", b"a" * 32)):
        store.put_host("shop", HostEntry(name, key, 1))
    store.put_host("shop", HostEntry("a", b"a" * 32, 7))
    assert [(h.host_id, h.planned_devices) for h in store.hosts("shop")] == [("a", 7), ("b", 1)]
    with pytest.raises(StoreConflict):
        store.put_host("shop", HostEntry("a", b"x" * 32, 7))
    with pytest.raises(StoreConflict):
        store.put_host("shop", HostEntry("c", b"a" * 32, 7))


def test_a_host_that_left_is_off_the_roster_and_its_key_stays_taken(store):
    """Leaving does not free the name for another key."""
    store.put_host("shop", HostEntry("a", b"a" * 32, 1))
    store.remove_host("shop", "a")
    store.remove_host("shop", "nobody")
    assert store.hosts("shop") == ()
    with pytest.raises(StoreConflict):
        store.put_host("shop", HostEntry("a", b"z" * 32, 1))


def test_artifacts_are_listed_by_version_and_never_rewritten(store):
    """One version, one file."""
    store.add_artifact(record(10, b"e" * 32))
    store.add_artifact(record(2))
    store.add_artifact(record(2))
    assert [r.version for r in store.artifacts("m")] == [2, 10]
    assert store.artifacts("other") == ()
    with pytest.raises(StoreConflict, match="next version"):
        store.add_artifact(record(2, b"x" * 32))
    with pytest.raises(StoreConflict):
        store.add_artifact(record(2, file_name="g"))


def test_a_wrong_url_is_one_line_with_a_remedy():
    """No database library's trace reaches the operator."""
    for url in ("nonsense", "nosuch://x", "sqlite:////no/such/folder/x.db"):
        with pytest.raises(InvalidInput, match="sqlite:///"):
            SqlStore.open(url)
