"""What the ledger says to a host: a signed head of its Merkle tree, and a release with the proof that it is in it."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from tactful_privacy.wire.codec import Blob, Many
from tactful_privacy.wire.fields import (
    MAX_PAYLOAD_BYTES,
    MAX_SIGNED_OFFER_BYTES,
    MIN_SIGNED_BYTES,
    U64,
    Digest,
    Name,
    Positive64,
    own,
)
from tactful_privacy.wire.kinds import Kind
from tactful_privacy.wire.message import Message, Nested, Record

MAX_ENTRY_BYTES: Final = 1 << 20
MAX_LINKS: Final = 1_024
MAX_PATH: Final = 65  # a tree of 2^64 leaves, and the one node more that a consistency path may have

MerklePath = Annotated[tuple[bytes, ...], Many(Digest.__metadata__[0], MAX_PATH, key=own, ordered=False)]


@dataclass(frozen=True, slots=True)
class LedgerHead(Message):
    """A state of a federation's ledger, to be signed by its server. It has no time: sizes only grow.

    Attributes:
        federation: whose ledger.
        size: number of entries.
        root: Merkle root over the hashes of all entries.
        chain_head: hash of the last entry.
    """

    KIND: ClassVar[Kind] = Kind.LEDGER_HEAD
    MAX_BYTES: ClassVar[int] = 1 << 10

    federation: Name
    size: Positive64
    root: Digest
    chain_head: Digest


@dataclass(frozen=True, slots=True)
class HeadLink(Record):
    """The consistency path from an earlier size of the tree to the head beside it."""

    size: Positive64
    path: MerklePath


@dataclass(frozen=True, slots=True)
class LedgerProof(Message):
    """That a release stands in the ledger, and what the head signed now has to do with those signed before.

    Attributes:
        signed_head: a `Signed` `LedgerHead`.
        index: of the release entry.
        entry: its line, without the line break.
        path: inclusion path of the entry's hash.
        plan_head_index: of the entry whose hash the round's plan names as ``previous_head``.
        plan_head_path: inclusion path of that hash.
        links: consistency paths from earlier heads, by size.
    """

    KIND: ClassVar[Kind] = Kind.LEDGER_PROOF
    MAX_BYTES: ClassVar[int] = 4 << 20

    signed_head: Annotated[bytes, Blob(MAX_SIGNED_OFFER_BYTES, MIN_SIGNED_BYTES)]
    index: U64
    entry: Annotated[bytes, Blob(MAX_ENTRY_BYTES, 2)]
    path: MerklePath
    plan_head_index: U64
    plan_head_path: MerklePath
    links: Annotated[tuple[HeadLink, ...], Many(Nested(HeadLink), MAX_LINKS, key=lambda link: link.size)]


@dataclass(frozen=True, slots=True)
class ModelRelease(Message):
    """The payload of the stage ``released``: the signed artifact, and the proof that the ledger has it.

    A host answers with the `Signed` `LedgerHead` that it holds now. One that is older than the proof's says: there was
    no link from mine, send one.
    """

    KIND: ClassVar[Kind] = Kind.MODEL_RELEASE
    MAX_BYTES: ClassVar[int] = MAX_PAYLOAD_BYTES

    artifact: Annotated[bytes, Blob(MAX_PAYLOAD_BYTES, MIN_SIGNED_BYTES)]
    proof: Annotated[LedgerProof, Nested(LedgerProof)]
