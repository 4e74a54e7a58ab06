"""What a store keeps, apart from how; and the protocol that every store implements."""

from dataclasses import dataclass
from typing import Protocol

from tactful_privacy.wire import HostEntry
from tactful_server.journal import RoundId, Transition


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """One attempt of a round as listed: its phase, and when that last changed."""

    round_id: RoundId
    phase: str
    changed_unix_s: int


@dataclass(frozen=True, slots=True)
class ArtifactRecord:
    """The index entry of a model file.

    Attributes:
        digest: of the `Artifact`, 32 bytes.
        name: of the model.
        version: within the name.
        parent: digest of the artifact it was trained from; zeros for none.
        round_number: the round that released it, 0 for a prior.
        file_name: below the registry's directory.
        file_sha256: of the file's bytes, 32 bytes.
    """

    digest: bytes
    name: str
    version: int
    parent: bytes
    round_number: int
    file_name: str
    file_sha256: bytes


class Store(Protocol):
    """Durable records of a server. A write is on disk when the call returns.

    Writing a record that exists with the same content changes nothing; with other content it raises `StoreConflict`.
    """

    def add_federation(self, name: str) -> None:
        """Record a federation."""
        ...

    def federations(self) -> tuple[str, ...]:
        """Names, sorted."""
        ...

    def put_host(self, federation: str, entry: HostEntry) -> None:
        """Record an active host; its planned devices may change, its key may not."""
        ...

    def remove_host(self, federation: str, host_id: str) -> None:
        """Mark a host as gone; its name and key stay taken."""
        ...

    def hosts(self, federation: str) -> tuple[HostEntry, ...]:
        """Active hosts, sorted by name."""
        ...

    def append(self, transition: Transition) -> None:
        """Journal a transition; its sequence must be the next of its round."""
        ...

    def transitions(self, round_id: RoundId) -> tuple[Transition, ...]:
        """All transitions of a round in order; empty for an unknown round."""
        ...

    def rounds(self, federation: str | None = None) -> tuple[RoundRecord, ...]:
        """All rounds, of one federation or of all, in order."""
        ...

    def add_artifact(self, record: ArtifactRecord) -> None:
        """Index a model file."""
        ...

    def artifacts(self, name: str | None = None) -> tuple[ArtifactRecord, ...]:
        """The index, of one name or of all, by name and version."""
        ...

    def close(self) -> None:
        """Release connections; the store is not used afterwards."""
        ...
