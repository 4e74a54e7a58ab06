"""The ledger of a federation that exists for one tapped round, and its release."""

from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tactful_privacy.ledger import HeadBook, Ledger, Release
from tactful_privacy.secagg import Aggregator
from tactful_privacy.wire import Artifact, KeyDirectory, LedgerProof, ModelRelease, RoundPlan, digest, sign


class TappedLedger:
    """Two entries in a folder: the beginning, which the plan is chained to, and the release.

    Args:
        folder: of the ledger's files.
        federation: its name.
        key: of the server that the round pretends to have.
    """

    def __init__(self, folder: Path, federation: str, key: Ed25519PrivateKey) -> None:
        self._ledger = Ledger(folder / "ledger.jsonl")
        self._ledger.append("genesis", {"federation": federation})
        self._federation, self._key = federation, key

    @property
    def head(self) -> bytes:
        """Hash of the last entry, 32 bytes."""
        return self._ledger.head

    def release(self, plan: RoundPlan, directory: KeyDirectory, aggregator: Aggregator, model: Artifact) -> bytes:
        """Enter the round and return the payload of its last stage: the model one version on, with the proof."""
        card = replace(model.card, version=1, round_number=plan.round_number, parent=model.digest)
        artifact = replace(model, card=card)
        entry = self._ledger.append(
            "release",
            Release(
                plan_digest=digest(plan),
                round_number=plan.round_number,
                roster=tuple((host.host_id, host.planned_devices) for host in directory.entries),
                survivors=aggregator.survivors,
                rho=plan.rho,
                model_digest=artifact.digest,
                keys_digest=aggregator.keys_digest,
            ).to_body(),
        )
        proof = LedgerProof(
            signed_head=HeadBook(self._ledger).sign(self._federation, self._key).encode(),
            index=entry.index,
            entry=self._ledger.line(entry.index),
            path=self._ledger.inclusion(entry.index),
            plan_head_index=0,
            plan_head_path=self._ledger.inclusion(0),
            links=(),
        )
        return ModelRelease(sign(artifact, self._key).encode(), proof).encode()
