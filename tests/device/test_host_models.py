"""A model is installed only if the pinned key signed it and it is newer; an altered copy in the vault is refused."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tactful import ModelRefused
from tactful.model import Model
from tactful_privacy.wire import Artifact, ArtifactCard, pack_f64, sign

from .vault_world import alter, look, open_host, person

SERVER = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
PUBLIC = SERVER.public_key().public_bytes_raw()


def artifact(round_number=0, version=1, shift=0.0, **changes):
    card = ArtifactCard(
        name="slots",
        version=version,
        federation="shop",
        round_number=round_number,
        layout=Model.layout(),
        features=Model.feature_units(),
        epsilon=None,
        delta=Fraction(1, 10**6),
        rho=None,
        ledger_head=bytes(32),
        parent=bytes(32),
        evaluation=(),
        training=(),
    )
    values = Model.prior().to_parameters() + shift
    return Artifact(replace(card, **changes), pack_f64(values.tolist()))


def signed(*arguments, key=SERVER, **changes):
    return sign(artifact(*arguments, **changes), key).encode()


def test_the_newest_model_is_used_and_kept(tmp_path):
    """A newer model replaces the former one at once and after reopening; old ones stay to be trained from."""
    with open_host(tmp_path) as host:
        assert host.model.version == "prior"
        host.install_model(signed(0), PUBLIC)
        host.install_model(signed(1, shift=0.25), PUBLIC)
        assert host.models.has(artifact(0).digest)
    with open_host(tmp_path) as host:
        wanted = Model.prior().to_parameters() + 0.25
        np.testing.assert_array_equal(host.model.to_parameters(), wanted)
        assert person(host).status()["model_version"] == host.model.version


@pytest.mark.parametrize(
    "bytes_of",
    [
        lambda: signed(0, shift=0.5),
        lambda: signed(0, version=0),
        lambda: signed(2, key=Ed25519PrivateKey.generate()),
        lambda: signed(2)[:-1] + bytes([signed(2)[-1] ^ 1]),
        lambda: b"nonsense",
        lambda: signed(2, features=Model.feature_units()[::-1]),
    ],
    ids=["same round", "older", "other key", "one bit", "no artifact", "other features"],
)
def test_refused(tmp_path, bytes_of):
    """Older, altered, foreign or unfit models are refused, and the one in use stays."""
    with open_host(tmp_path) as host:
        host.install_model(signed(0), PUBLIC)
        host.install_model(signed(1), PUBLIC)
        before = host.model.version
        with pytest.raises(ModelRefused):
            host.install_model(bytes_of(), PUBLIC)
        assert host.model.version == before
        host.install_model(signed(1), PUBLIC)
        assert host.model.version == before


def test_another_server_key_is_refused(tmp_path):
    """The key pinned at the first installation holds, even for a well-signed newer model."""
    other = Ed25519PrivateKey.generate()
    with open_host(tmp_path) as host:
        host.install_model(signed(0), PUBLIC)
        with pytest.raises(ModelRefused):
            host.install_model(signed(1, key=other), other.public_key().public_bytes_raw())


def test_an_altered_copy_in_the_vault(tmp_path):
    """A stored model with one bit flipped is not used."""
    with open_host(tmp_path) as host:
        host.install_model(signed(0), PUBLIC)
    [(data,)] = look(tmp_path, "SELECT artifact FROM models")
    alter(tmp_path, "UPDATE models SET artifact=?", data[:200] + bytes([data[200] ^ 1]) + data[201:])
    with open_host(tmp_path) as host, pytest.raises(ModelRefused):
        _ = host.model
