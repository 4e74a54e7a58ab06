"""The models that a host has installed: signed artifacts, verified against the pinned server key whenever read."""

from tactful.errors import InvalidInput, ModelRefused
from tactful.model import Model
from tactful.vault_rounds import RoundStore
from tactful_privacy.wire import Artifact, WireError, open_signed

_KEPT_KEY = "server_key"


class ModelShelf:
    """Installed models of one host; the newest is in use."""

    def __init__(self, rounds: RoundStore) -> None:
        self._rounds = rounds
        self._model: Model | None = None

    @property
    def model(self) -> Model:
        """The newest model, or the public prior; raises `ModelRefused` where the vault's copy was altered."""
        if self._model is None:
            rows = self._rounds.models()
            self._model = Model.from_artifact(self._opened(rows[-1][1])) if rows else Model.prior()
        return self._model

    def refresh(self) -> None:
        """Read the newest model again, since another process may have installed one."""
        self._model = None

    def has(self, digest: bytes) -> bool:
        """Return whether the artifact of that digest is installed."""
        return self._rounds.has_model(digest)

    def get(self, digest: bytes) -> Model:
        """Return an installed model by digest; raises `ModelRefused`."""
        for known, signed in self._rounds.models():
            if known == digest:
                return Model.from_artifact(self._opened(signed))
        raise ModelRefused("is not installed", field="model_digest", remedy="fetch the artifact and install it first")

    def install(self, signed: bytes, server_key: bytes) -> Model:
        """Verify, keep and use a signed artifact; the same one again changes nothing.

        Raises:
            ModelRefused: another key signed it, it was altered, is for other features, or is older than the one in use.
        """
        artifact = _open(signed, server_key)
        try:
            model = Model.from_artifact(artifact)
        except InvalidInput as error:
            raise ModelRefused(str(error), field="artifact", remedy="fetch the model from its server again") from error
        self._refuse_older(artifact)
        if self._rounds.host_secret(_KEPT_KEY, server_key) != server_key:
            message = "another server key was pinned at the first installation"
            raise ModelRefused(message, field="server_key", remedy="open a new vault for another federation")
        self._rounds.add_model(artifact.digest, signed)
        self._model = model
        return model

    def _refuse_older(self, artifact: Artifact) -> None:
        rows = self._rounds.models()
        if not rows:
            return
        current = self._opened(rows[-1][1])
        new, old = artifact.card, current.card
        rises = (new.round_number, new.version) > (old.round_number, old.version)
        if artifact.digest != current.digest and not rises:
            said = f"round {new.round_number} version {new.version} is not after round {old.round_number}"
            raise ModelRefused(f"{said} version {old.version}", field="artifact", remedy="ask for the newest model")

    def _opened(self, signed: bytes) -> Artifact:
        return _open(signed, self._rounds.host_secret(_KEPT_KEY, bytes(32)))


def _open(signed: bytes, server_key: bytes) -> Artifact:
    try:
        return open_signed(signed, Artifact, server_key)
    except WireError as error:
        raise ModelRefused(str(error), field="artifact", remedy="fetch it again; pin the key of your server") from error
