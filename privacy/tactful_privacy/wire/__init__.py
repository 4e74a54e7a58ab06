"""What crosses between host and server, as bytes: strict, canonical, versioned.

Every message has exactly one encoding: ``decode(encode(x)) == x`` and ``encode(decode(b)) == b``, and any other bytes
raise a `WireError` that names the field. This package needs the standard library and ``cryptography`` alone, so that
a reader can audit what leaves a device without reading anything else.

    >>> from tactful_privacy.wire import HostEntry, KeyDirectory, digest
    >>> roster = KeyDirectory("shop", (HostEntry("north", bytes(32), 200), HostEntry("south", bytes(32), 300)))
    >>> KeyDirectory.decode(roster.encode()) == roster
    True
    >>> digest(roster).hex()[:8]
    '58da6891'
"""

from tactful_privacy.wire.artifact import Artifact, ArtifactCard
from tactful_privacy.wire.digests import digest
from tactful_privacy.wire.dispatch import MESSAGE_TYPES, decode_any
from tactful_privacy.wire.errors import (
    BadSignature,
    LeftOverBytes,
    NotCanonical,
    OutOfRange,
    TooLarge,
    Truncated,
    UnknownKind,
    UnknownVersion,
    WireError,
    WrongKind,
    WrongLength,
    WrongMagic,
    WrongShape,
    WrongSigner,
    WrongType,
)
from tactful_privacy.wire.fields import MAX_DIMENSION, MAX_HOSTS, STAGES
from tactful_privacy.wire.kinds import MAGIC, VERSION, Kind
from tactful_privacy.wire.ledger import HeadLink, LedgerHead, LedgerProof, ModelRelease
from tactful_privacy.wire.message import Message
from tactful_privacy.wire.plan import (
    Block,
    CorrelatedRun,
    HostEntry,
    KeyDirectory,
    RoundAnnouncement,
    RoundPlan,
    Statistic,
)
from tactful_privacy.wire.signing import (
    Signed,
    check_list_signature,
    check_survivor_signature,
    endorse,
    open_signed,
    sign,
    sign_survivors,
)
from tactful_privacy.wire.stages import (
    Contribution,
    EndorsedList,
    Endorsement,
    KeyOffer,
    KeyRing,
    KeyView,
    Refusal,
    ShareBundle,
    ShareDelivery,
    SurvivorCertificate,
    SurvivorList,
    SurvivorSignature,
    UnmaskShares,
)
from tactful_privacy.wire.transport import RoundReply, RoundRequest
from tactful_privacy.wire.vectors import pack_f64, pack_u32, unpack_f64, unpack_u32

__all__ = [
    "MAGIC",
    "MAX_DIMENSION",
    "MAX_HOSTS",
    "MESSAGE_TYPES",
    "STAGES",
    "VERSION",
    "Artifact",
    "ArtifactCard",
    "BadSignature",
    "Block",
    "Contribution",
    "CorrelatedRun",
    "EndorsedList",
    "Endorsement",
    "HeadLink",
    "HostEntry",
    "KeyDirectory",
    "KeyOffer",
    "KeyRing",
    "KeyView",
    "Kind",
    "LedgerHead",
    "LedgerProof",
    "LeftOverBytes",
    "Message",
    "ModelRelease",
    "NotCanonical",
    "OutOfRange",
    "Refusal",
    "RoundAnnouncement",
    "RoundPlan",
    "RoundReply",
    "RoundRequest",
    "ShareBundle",
    "ShareDelivery",
    "Signed",
    "Statistic",
    "SurvivorCertificate",
    "SurvivorList",
    "SurvivorSignature",
    "TooLarge",
    "Truncated",
    "UnknownKind",
    "UnknownVersion",
    "UnmaskShares",
    "WireError",
    "WrongKind",
    "WrongLength",
    "WrongMagic",
    "WrongShape",
    "WrongSigner",
    "WrongType",
    "check_list_signature",
    "check_survivor_signature",
    "decode_any",
    "digest",
    "endorse",
    "open_signed",
    "pack_f64",
    "pack_u32",
    "sign",
    "sign_survivors",
    "unpack_f64",
    "unpack_u32",
]
