"""Ed25519 signatures over messages, and over survivor lists."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tactful_privacy.wire.codec import Blob
from tactful_privacy.wire.digests import digest
from tactful_privacy.wire.errors import BadSignature, WrongSigner
from tactful_privacy.wire.fields import MAX_PAYLOAD_BYTES, PublicKey, Signature
from tactful_privacy.wire.kinds import HEADER_BYTES, Kind
from tactful_privacy.wire.message import Message
from tactful_privacy.wire.stages import Endorsement, SurvivorList, SurvivorSignature

M = TypeVar("M", bound=Message)

MESSAGE_DOMAIN: Final = b"tactful/v1/signature"
SURVIVORS_DOMAIN: Final = b"tactful/v1/survivors"
ENDORSEMENT_DOMAIN: Final = b"tactful/v1/endorsement"


@dataclass(frozen=True, slots=True)
class Signed(Message):
    """An encoded message, who signed it, and the signature over ``tactful/v1/signature`` · payload.

    Being one says nothing: only `open_signed` tells whether the signature holds.
    """

    KIND: ClassVar[Kind] = Kind.SIGNED
    MAX_BYTES: ClassVar[int] = MAX_PAYLOAD_BYTES

    payload: Annotated[bytes, Blob(MAX_PAYLOAD_BYTES, HEADER_BYTES)]
    signer: PublicKey
    signature: Signature


def sign(message: Message, private_key: Ed25519PrivateKey) -> Signed:
    """Sign a message with an Ed25519 private key."""
    payload = message.encode()
    signer = private_key.public_key().public_bytes_raw()
    return Signed(payload=payload, signer=signer, signature=private_key.sign(MESSAGE_DOMAIN + payload))


def open_signed(data: Signed | bytes, kind: type[M], trusted: bytes) -> M:
    """Return the message inside, once ``trusted`` is known to have signed exactly these bytes.

    Args:
        data: a `Signed` or its encoding.
        kind: the message type that must be inside.
        trusted: the raw 32-byte Ed25519 public key that must have signed.

    Raises:
        WrongSigner: another key signed.
        BadSignature: the signature does not verify.
        WireError: the envelope or the payload does not decode.
    """
    signed = Signed.decode(data) if isinstance(data, bytes) else data
    if signed.signer != trusted:
        raise WrongSigner("signed by another key", field=kind.__name__, remedy="check which key you pinned")
    _verify(trusted, signed.signature, MESSAGE_DOMAIN + signed.payload, kind.__name__)
    return kind.decode(signed.payload)


def sign_survivors(survivors: SurvivorList, host_id: str, private_key: Ed25519PrivateKey) -> SurvivorSignature:
    """Accept a survivor list in the name of ``host_id``.

    The list's digest covers plan, keys and previous head, so the signature holds for this round alone.
    """
    list_digest = digest(survivors)
    signature = private_key.sign(SURVIVORS_DOMAIN + list_digest + host_id.encode())
    return SurvivorSignature(list_digest=list_digest, host_id=host_id, signature=signature)


def check_survivor_signature(signature: SurvivorSignature, survivors: SurvivorList, trusted: bytes) -> None:
    """Raise `BadSignature` unless ``trusted`` (raw public key of ``signature.host_id``) signed exactly this list."""
    check_list_signature(signature, digest(survivors), trusted)


def endorse(list_digest: bytes, host_id: str, private_key: Ed25519PrivateKey) -> Endorsement:
    """Endorse the survivor list of this digest in the name of the committee member ``host_id``."""
    signature = private_key.sign(ENDORSEMENT_DOMAIN + list_digest + host_id.encode())
    return Endorsement(list_digest=list_digest, host_id=host_id, signature=signature)


def check_list_signature(signed: SurvivorSignature | Endorsement, list_digest: bytes, trusted: bytes) -> None:
    """Raise `BadSignature` unless ``trusted`` (raw public key of ``signed.host_id``) signed the list of this digest.

    For a reader of many signatures under one list, who digests it once.
    """
    name = type(signed).__name__
    if signed.list_digest != list_digest:
        raise BadSignature("signs another list", field=f"{name}.list_digest", remedy="do not answer")
    domain = ENDORSEMENT_DOMAIN if isinstance(signed, Endorsement) else SURVIVORS_DOMAIN
    _verify(trusted, signed.signature, domain + list_digest + signed.host_id.encode(), f"{name}.signature")


def _verify(trusted: bytes, signature: bytes, data: bytes, name: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(trusted).verify(signature, data)
    except (InvalidSignature, ValueError):
        raise BadSignature("does not verify", field=name, remedy="fetch it again from its author") from None
