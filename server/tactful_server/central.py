"""The noise of mode ``central``: added by the server to the opened sum, before anything else sees it.

The server must be trusted with the sum, with drawing the noise, and with keeping it: whoever learns the noise of a
round can take it off again. What a run of correlated noise needs of its past is therefore written down sealed, in the
same record as the noised sum itself: a crash leaves both or neither, and a copy of the store without the server's
signing key does not tell the noise. The journal of a central round does hold the hosts' shares and masked vectors, from
which the exact sum can be opened again: the store of a central federation is as confidential as its devices' data.
"""

import os

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from tactful_privacy.errors import InvalidInput
from tactful_privacy.mechanisms.banded import RunNoise, Strategy, strategies
from tactful_privacy.mechanisms.discrete_gaussian import sample
from tactful_privacy.wire import CorrelatedRun, RoundPlan
from tactful_server.errors import JournalDamaged

_NONCE_BYTES = 12
_KEY_USE = b"tactful central noise 1"


class CentralNoise:
    """Adds noise and keeps a run's state.

    Args:
        signing_key: of the server; the sealing key is derived from it (HKDF-SHA256) and used for nothing else.
    """

    def __init__(self, signing_key: Ed25519PrivateKey) -> None:
        self._cipher = AESGCM(HKDF(SHA256(), 32, None, _KEY_USE).derive(signing_key.private_bytes_raw()))

    def add(self, plan: RoundPlan, total: NDArray[np.int64], sealed: bytes) -> tuple[NDArray[np.int64], bytes]:
        """Return the noised sum, and the sealed state for the next round of the run (empty without one).

        Args:
            plan: in mode ``central``.
            total: the exact sum, grid units, shape (plan.dimension,).
            sealed: what this returned for the last released round of the same run; empty before its first.

        Raises:
            InvalidInput: the plan names coefficients that are not known here, or does not fit its run.
            JournalDamaged: the state does not open.
        """
        if plan.run is None:
            return total + sample(plan.noise_variance_units, plan.dimension), b""
        state = RunNoise.from_bytes(self._open(plan, plan.run, sealed)) if sealed else RunNoise()
        index = plan.round_number - plan.run.first_round
        noise, state = state.advance(strategy_of(plan.run), index, plan.noise_variance_units, plan.dimension)
        nonce = os.urandom(_NONCE_BYTES)
        return total + noise, nonce + self._cipher.encrypt(nonce, state.to_bytes(), _about(plan, plan.run))

    def _open(self, plan: RoundPlan, run: CorrelatedRun, sealed: bytes) -> bytes:
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _about(plan, run))
        except InvalidTag as error:
            remedy = "restore store and signing key from one backup, or start another run"
            raise JournalDamaged("does not open", field=f"noise of run {run.run_id!r}", remedy=remedy) from error


def strategy_of(run: CorrelatedRun) -> Strategy:
    """Return the coefficients that a run names; raises `InvalidInput` where they do not ship with this package."""
    found = strategies().get(run.strategy)
    if found is None:
        raise InvalidInput("names unknown coefficients", field="run", remedy="plan with strategy_for(...).digest")
    return found


def _about(plan: RoundPlan, run: CorrelatedRun) -> bytes:
    return f"{plan.federation}\n{run.run_id}".encode()
