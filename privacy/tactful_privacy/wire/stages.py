"""The messages of secure aggregation, in the order in which a round sends them.

All carry the digest of the plan, so none can be replayed into another round; from the second stage on they carry the
digest of the `KeyRing` too, so that two hosts who were shown different keys notice.
"""

from array import array
from dataclasses import dataclass
from typing import Annotated, ClassVar

from tactful_privacy.wire.codec import Blob, Many
from tactful_privacy.wire.errors import WrongShape
from tactful_privacy.wire.fields import (
    MAX_DIMENSION,
    MAX_HOSTS,
    MAX_PROOF_BYTES,
    MAX_SIGNED_OFFER_BYTES,
    MIN_SIGNED_BYTES,
    U32,
    Ciphertexts,
    Digest,
    Name,
    Names,
    Prose,
    PublicKey,
    Shares,
    Signature,
)
from tactful_privacy.wire.kinds import Kind
from tactful_privacy.wire.message import Message, Nested
from tactful_privacy.wire.vectors import Dtype, Vector, unpack_u32


def _itself(offer: bytes) -> bytes:
    return offer


def _host_of(signature: "SurvivorSignature | Endorsement") -> str:
    return signature.host_id


@dataclass(frozen=True, slots=True)
class KeyOffer(Message):
    """A host's fresh X25519 public keys for one round; travels signed by its identity key.

    ``mask_key`` makes the pairwise masks and is rebuilt when the host drops out; ``share_key`` encrypts the shares
    and is never shared.
    """

    KIND: ClassVar[Kind] = Kind.KEY_OFFER
    MAX_BYTES: ClassVar[int] = 1 << 10

    plan_digest: Digest
    host_id: Name
    mask_key: PublicKey
    share_key: PublicKey


@dataclass(frozen=True, slots=True)
class KeyRing(Message):
    """All signed offers of a round, in the order of the roster, from server to hosts; its digest is the keys digest."""

    KIND: ClassVar[Kind] = Kind.KEY_RING
    MAX_BYTES: ClassVar[int] = 5 << 20

    plan_digest: Digest
    offers: Annotated[
        tuple[bytes, ...],
        Many(Blob(MAX_SIGNED_OFFER_BYTES, MIN_SIGNED_BYTES), MAX_HOSTS, key=_itself, ordered=False),
    ]


@dataclass(frozen=True, slots=True)
class KeyView(Message):
    """A host's own part of the keys under a neighbour graph: its neighbours' offers and its own, and their proof.

    ``keys_digest`` is the root of a Merkle tree with one leaf for every place of the roster, so all hosts that see one
    root see one key of every host. ``proof`` holds the sibling digests, 32 bytes each, that the offers do not give.
    """

    KIND: ClassVar[Kind] = Kind.KEY_VIEW
    MAX_BYTES: ClassVar[int] = 5 << 20

    plan_digest: Digest
    keys_digest: Digest
    offers: Annotated[
        tuple[bytes, ...],
        Many(Blob(MAX_SIGNED_OFFER_BYTES, MIN_SIGNED_BYTES), MAX_HOSTS, key=_itself, ordered=False),
    ]
    proof: Annotated[bytes, Blob(MAX_PROOF_BYTES)]


@dataclass(frozen=True, slots=True)
class ShareBundle(Message):
    """One host's encrypted shares, one ciphertext per recipient; travels signed."""

    KIND: ClassVar[Kind] = Kind.SHARE_BUNDLE
    MAX_BYTES: ClassVar[int] = 5 << 20

    plan_digest: Digest
    keys_digest: Digest
    host_id: Name
    ciphertexts: Ciphertexts


@dataclass(frozen=True, slots=True)
class ShareDelivery(Message):
    """The shares meant for one host, by sender, and the names of all who sent theirs."""

    KIND: ClassVar[Kind] = Kind.SHARE_DELIVERY
    MAX_BYTES: ClassVar[int] = 6 << 20

    plan_digest: Digest
    keys_digest: Digest
    recipient: Name
    ciphertexts: Ciphertexts
    senders: Names


@dataclass(frozen=True, slots=True)
class Contribution(Message):
    """One masked, noised integer vector modulo 2^32: all that leaves a host. Travels signed.

    ``vector`` is packed little-endian u32 (`pack_u32`, or numpy's ``astype("<u4").tobytes()``); ``length`` says how
    many elements its sender meant.
    """

    KIND: ClassVar[Kind] = Kind.CONTRIBUTION
    MAX_BYTES: ClassVar[int] = 4 * MAX_DIMENSION + (1 << 10)

    plan_digest: Digest
    keys_digest: Digest
    host_id: Name
    vector: Annotated[bytes, Vector(Dtype.U32, MAX_DIMENSION)]
    length: U32

    def _check_together(self) -> None:
        self._require_length(self.length)

    def _require_length(self, wanted: int) -> None:
        count = len(self.vector) // Dtype.U32.item_bytes
        if count != wanted:
            raise WrongShape(
                f"{count} elements, {wanted} expected", field="Contribution.vector", remedy="encode the plan's layout"
            )

    def values(self, dimension: int | None = None) -> "array[int]":
        """The elements, each in [0, 2^32); raises `WrongShape` when ``dimension`` is given and is not their number."""
        if dimension is not None:
            self._require_length(dimension)
        return unpack_u32(self.vector)


@dataclass(frozen=True, slots=True)
class SurvivorList(Message):
    """The hosts whose contributions are in the sum, sorted; a host signs one such list per round."""

    KIND: ClassVar[Kind] = Kind.SURVIVOR_LIST

    plan_digest: Digest
    keys_digest: Digest
    previous_head: Digest
    survivors: Names


@dataclass(frozen=True, slots=True)
class SurvivorSignature(Message):
    """A host's signature under one survivor list, made by `sign_survivors`."""

    KIND: ClassVar[Kind] = Kind.SURVIVOR_SIGNATURE
    MAX_BYTES: ClassVar[int] = 1 << 10

    list_digest: Digest
    host_id: Name
    signature: Signature


@dataclass(frozen=True, slots=True)
class SurvivorCertificate(Message):
    """A survivor list with the signatures of the hosts that accepted it, sorted by host."""

    KIND: ClassVar[Kind] = Kind.SURVIVOR_CERTIFICATE
    MAX_BYTES: ClassVar[int] = 2 << 20

    survivor_list: Annotated[SurvivorList, Nested(SurvivorList)]
    signatures: Annotated[tuple[SurvivorSignature, ...], Many(Nested(SurvivorSignature), MAX_HOSTS, key=_host_of)]


@dataclass(frozen=True, slots=True)
class Endorsement(Message):
    """A committee member's word that it verified the whole certificate of a survivor list; made by `endorse`."""

    KIND: ClassVar[Kind] = Kind.ENDORSEMENT
    MAX_BYTES: ClassVar[int] = 1 << 10

    list_digest: Digest
    host_id: Name
    signature: Signature


@dataclass(frozen=True, slots=True)
class EndorsedList(Message):
    """A survivor list with the committee's endorsements, sorted by host: what a host unmasks under a graph."""

    KIND: ClassVar[Kind] = Kind.ENDORSED_LIST
    MAX_BYTES: ClassVar[int] = 2 << 20

    survivor_list: Annotated[SurvivorList, Nested(SurvivorList)]
    endorsements: Annotated[tuple[Endorsement, ...], Many(Nested(Endorsement), MAX_HOSTS, key=_host_of)]


@dataclass(frozen=True, slots=True)
class UnmaskShares(Message):
    """What opens the sum: of each survivor the self-mask share, of each dropped host the mask-key share; signed.

    Both kinds for one host would open that host's contribution alone, so no message can hold both.
    """

    KIND: ClassVar[Kind] = Kind.UNMASK_SHARES
    MAX_BYTES: ClassVar[int] = 2 << 20

    plan_digest: Digest
    list_digest: Digest
    host_id: Name
    self_seed_shares: Shares
    mask_key_shares: Shares

    def _check_together(self) -> None:
        both = {name for name, _ in self.self_seed_shares} & {name for name, _ in self.mask_key_shares}
        if both:
            raise WrongShape(
                f"holds both kinds of share for {min(both)!r}",
                field="UnmaskShares.mask_key_shares",
                remedy="give one kind of share per host",
            )


@dataclass(frozen=True, slots=True)
class Refusal(Message):
    """A host's typed no: the stage it refused, a stable code, and a sentence for a person."""

    KIND: ClassVar[Kind] = Kind.REFUSAL
    MAX_BYTES: ClassVar[int] = 2 << 10

    plan_digest: Digest
    host_id: Name
    stage: Name
    code: Name
    detail: Prose
