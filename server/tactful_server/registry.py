"""The model registry: signed artifacts in files, indexed in the store, verified whenever they are loaded."""

import hashlib
import os
import re
from pathlib import Path

from tactful_privacy.errors import InvalidInput
from tactful_privacy.wire import Artifact, Signed, WireError, open_signed
from tactful_server.errors import ArtifactTampered, UnknownArtifact
from tactful_server.records import ArtifactRecord, Store

NO_PARENT = bytes(32)
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Registry:
    """Signed models below one directory.

    Args:
        root: directory of the files; made if absent.
        store: holds the index.
        public_key: raw Ed25519 key, 32 bytes, that must have signed every artifact.
    """

    def __init__(self, root: str | Path, store: Store, public_key: bytes) -> None:
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self._store = store
        self._public_key = public_key

    def publish(self, signed: Signed | bytes) -> ArtifactRecord:
        """Keep a signed artifact: file first, then index, both durable. Again with the same bytes changes nothing.

        Raises:
            ArtifactTampered: it was published before and its file has changed since.
            WireError: not an artifact, or not signed by the registry's key.
            UnknownArtifact: the parent is not here.
            StoreConflict: this version exists with other content.
        """
        data = signed if isinstance(signed, bytes) else signed.encode()
        artifact = open_signed(data, Artifact, self._public_key)
        card = artifact.card
        if card.parent != NO_PARENT:
            self.record(card.parent)
        name = f"{_safe(card.name)}-{card.version:08d}-{artifact.digest.hex()[:16]}.artifact"
        record = ArtifactRecord(
            digest=artifact.digest,
            name=card.name,
            version=card.version,
            parent=card.parent,
            round_number=card.round_number,
            file_name=name,
            file_sha256=hashlib.sha256(data).digest(),
        )
        if record in self._store.artifacts(card.name):
            self.signed(artifact.digest)
            return record
        _write_durably(self.root / name, data)
        self._store.add_artifact(record)
        return record

    def load(self, digest: bytes) -> Artifact:
        """Return the verified artifact of this digest; raises `UnknownArtifact` or `ArtifactTampered`."""
        return open_signed(self.signed(digest), Artifact, self._public_key)

    def signed(self, digest: bytes) -> bytes:
        """Return the verified bytes of the `Signed` artifact, as hosts install them.

        Raises:
            UnknownArtifact: not in the index.
            ArtifactTampered: the file is absent, or one bit of it differs from what was published.
        """
        record = self.record(digest)
        path = self.root / record.file_name
        try:
            data = path.read_bytes()
            if hashlib.sha256(data).digest() != record.file_sha256:
                raise _tampered(path, "the file differs from what was published")
            found = open_signed(data, Artifact, self._public_key)
        except (OSError, WireError) as error:
            raise _tampered(path, str(error)) from error
        if found.digest != digest:
            raise _tampered(path, "the index names another artifact")
        return data

    def record(self, digest: bytes) -> ArtifactRecord:
        """Return the index entry; raises `UnknownArtifact`."""
        found = next((record for record in self._store.artifacts() if record.digest == digest), None)
        if found is None:
            raise _unknown(digest.hex())
        return found

    def latest(self, name: str) -> ArtifactRecord:
        """Return the entry of the highest version; raises `UnknownArtifact` when there is none."""
        versions = self._store.artifacts(name)
        if not versions:
            raise _unknown(name)
        return versions[-1]

    def version(self, name: str, version: int) -> ArtifactRecord:
        """Return the entry of one version; raises `UnknownArtifact`."""
        found = next((record for record in self._store.artifacts(name) if record.version == version), None)
        if found is None:
            raise _unknown(f"{name} version {version}")
        return found

    def lineage(self, digest: bytes) -> tuple[ArtifactRecord, ...]:
        """Return the artifact and its ancestors, youngest first; raises `UnknownArtifact` at a gap."""
        chain = [self.record(digest)]
        while chain[-1].parent != NO_PARENT:
            chain.append(self.record(chain[-1].parent))
        return tuple(chain)


def _unknown(what: str) -> UnknownArtifact:
    return UnknownArtifact(f"{what} is not in the registry", field="artifact", remedy="list it with `server models`")


def _tampered(path: Path, reason: str) -> ArtifactTampered:
    remedy = "restore the file from a backup or roll back to its parent; do not release it"
    return ArtifactTampered(reason, field=path.name, remedy=remedy)


def _safe(name: str) -> str:
    """Names become file names, so they must not contain a path."""
    if not _SAFE_NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} cannot be a file name", field="name", remedy="use letters, digits, . _ -")
    return name


def _write_durably(path: Path, data: bytes) -> None:
    """Put the whole file in place at once, flushed together with its directory."""
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
