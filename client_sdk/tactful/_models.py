"""The models that a host has installed: signed artifacts, verified against the pinned server key whenever read."""

from tactful.errors import InvalidInput, ModelRefused
from tactful.model import Model
from tactful.vault_rounds import RoundStore
from tactful_privacy.mechanisms.sends import FLEET_PRICE
from tactful_privacy.wire import Artifact, WireError, open_signed

_KEPT_KEY = "server_key"


class ModelShelf:
    """Installed models of one host; the newest is in use."""

    def __init__(self, rounds: RoundStore) -> None:
        self._rounds = rounds
        self._model: Model | None = None
        self._price_minor = 0.0

    @property
    def model(self) -> Model:
        """The newest model, or the public prior; raises `ModelRefused` where the vault's copy was altered."""
        if self._model is None:
            rows = self._rounds.models()
            newest = self._opened(rows[-1][1]) if rows else None
            self._price_minor = 0.0 if newest is None else _price_minor(newest)
            self._model = Model.prior() if newest is None else Model.from_artifact(newest)
        return self._model

    @property
    def fleet_price_minor(self) -> float:
        """What the newest model's card asks for a push, in minor units; 0 where it asks nothing."""
        _ = self.model  # read from the vault if need be
        return self._price_minor

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
            ModelRefused: another key signed it, it was altered, is for other features, is older than the one in use, or
            would pay for pushes by a fleet price below 0.
        """
        artifact = _open(signed, server_key)
        try:
            model = Model.from_artifact(artifact)
        except InvalidInput as error:
            raise ModelRefused(str(error), field="artifact", remedy="fetch the model from its server again") from error
        self._refuse_older(artifact)
        price_minor = _price_minor(artifact)
        if self._rounds.host_secret(_KEPT_KEY, server_key) != server_key:
            message = "another server key was pinned at the first installation"
            raise ModelRefused(message, field="server_key", remedy="open a new vault for another federation")
        self._rounds.add_model(artifact.digest, signed)
        self._model, self._price_minor = model, price_minor
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


def _price_minor(artifact: Artifact) -> float:
    price = float(dict(artifact.card.evaluation).get(FLEET_PRICE, 0))
    if price < 0:
        remedy = "ask the server for a model whose price is 0 or above: a price may only ever hold pushes back"
        raise ModelRefused(f"is {price:g}", field=FLEET_PRICE, remedy=remedy)
    return price


def _open(signed: bytes, server_key: bytes) -> Artifact:
    try:
        return open_signed(signed, Artifact, server_key)
    except WireError as error:
        raise ModelRefused(str(error), field="artifact", remedy="fetch it again; pin the key of your server") from error
