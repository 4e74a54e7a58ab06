"""From unknown bytes to a message: the table of all types."""

from typing import Final

from tactful_privacy.wire.artifact import Artifact, ArtifactCard
from tactful_privacy.wire.codec import Reader, require_type
from tactful_privacy.wire.kinds import Kind
from tactful_privacy.wire.ledger import LedgerHead, LedgerProof, ModelRelease
from tactful_privacy.wire.message import Message, read_header
from tactful_privacy.wire.plan import HostEntry, KeyDirectory, RoundAnnouncement, RoundPlan
from tactful_privacy.wire.signing import Signed
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

MESSAGE_TYPES: Final[tuple[type[Message], ...]] = (
    Signed,
    HostEntry,
    KeyDirectory,
    RoundPlan,
    RoundAnnouncement,
    KeyOffer,
    KeyRing,
    ShareBundle,
    ShareDelivery,
    Contribution,
    SurvivorList,
    SurvivorSignature,
    SurvivorCertificate,
    UnmaskShares,
    Refusal,
    KeyView,
    Endorsement,
    EndorsedList,
    RoundRequest,
    RoundReply,
    ArtifactCard,
    Artifact,
    LedgerHead,
    LedgerProof,
    ModelRelease,
)

_BY_KIND: Final[dict[Kind, type[Message]]] = {message.KIND: message for message in MESSAGE_TYPES}


def decode_any(data: bytes) -> Message:
    """Return the message of whatever type the header names; as strict as that type's own ``decode``."""
    require_type(data, bytes, "message")
    return _BY_KIND[read_header(Reader(data), "message")].decode(data)
