"""A model file is what was published, to the bit, or it is refused."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tactful_privacy.errors import InvalidInput
from tactful_privacy.wire import Artifact, WireError, pack_f64, sign
from tactful_server.errors import ArtifactTampered, StoreConflict, UnknownArtifact


@pytest.fixture
def world(make_world):
    world = make_world()
    world.run(2)
    return world


@pytest.fixture
def registry(world):
    return world.federation.office.registry


def test_every_flipped_bit_is_refused(registry):
    """Any single bit of the newest file (a sample of bytes, all eight bits of one) makes it tampered."""
    record = registry.latest("tiny")
    path = registry.root / record.file_name
    good = path.read_bytes()
    places = [(at, 0) for at in range(0, len(good), 7)] + [(len(good) // 2, bit) for bit in range(8)]
    for at, bit in places:
        bad = bytearray(good)
        bad[at] ^= 1 << bit
        path.write_bytes(bad)
        with pytest.raises(ArtifactTampered, match="restore the file"):
            registry.load(record.digest)
    path.write_bytes(good)
    assert registry.load(record.digest).digest == record.digest


@pytest.mark.parametrize("change", ["cut", "longer", "gone", "older"])
def test_a_cut_longer_absent_or_older_file_is_refused(registry, change):
    """Whatever else happens to a file is noticed too."""
    record, older = registry.latest("tiny"), registry.version("tiny", 1)
    path = registry.root / record.file_name
    data = path.read_bytes()
    if change == "gone":
        path.unlink()
    else:
        other = (registry.root / older.file_name).read_bytes()
        path.write_bytes({"cut": data[:-1], "longer": data + b"\0", "older": other}[change])
    with pytest.raises(ArtifactTampered):
        registry.signed(record.digest)


def test_a_tampered_model_stops_the_next_round_before_it_begins(world, registry):
    """The server does not train on from a file that it cannot vouch for; once restored, it goes on."""
    path = registry.root / registry.latest("tiny").file_name
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    with pytest.raises(ArtifactTampered, match="restore the file"):
        world.run()
    path.write_bytes(good)
    (result,) = world.run()
    assert (result.outcome, result.round_number) == ("released", 3)


def test_a_model_tampered_with_during_a_round_leaves_the_round_open(world, registry):
    """What the devices spent is not lost: the round ends once the file is restored."""
    path = registry.root / registry.latest("tiny").file_name
    good = path.read_bytes()

    def tamper(exchange):
        if exchange.stage == "unmask":
            path.write_bytes(good[:-1])

    with pytest.raises(ArtifactTampered):
        world.run(faults=tamper)
    path.write_bytes(good)
    (result,) = world.run()
    assert (result.outcome, result.round_number) == ("released", 3)


def test_lineage_goes_back_to_the_prior(registry):
    """Each model names its parent's digest."""
    chain = registry.lineage(registry.latest("tiny").digest)
    assert [record.version for record in chain] == [2, 1, 0]
    with pytest.raises(UnknownArtifact, match="server models"):
        registry.lineage(b"?" * 32)


def test_publishing_checks_signer_parent_version_and_name(world, registry):
    """Only the registry's key, known parents, new versions and harmless names."""
    key = world.federation.office.signing_key
    newest = registry.load(registry.latest("tiny").digest)
    with pytest.raises(WireError):
        registry.publish(sign(newest, Ed25519PrivateKey.generate()))
    orphan = replace(newest, card=replace(newest.card, version=9, parent=b"?" * 32))
    with pytest.raises(UnknownArtifact):
        registry.publish(sign(orphan, key))
    other = Artifact(newest.card, pack_f64([0.0] * 8))
    with pytest.raises(StoreConflict):
        registry.publish(sign(other, key))
    with pytest.raises(InvalidInput, match="file name"):
        registry.publish(sign(replace(newest, card=replace(newest.card, name="../x", version=9)), key))
