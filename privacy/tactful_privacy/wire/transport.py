"""The idempotent envelope of a round's traffic: the same (plan, stage, attempt) always gets the same answer."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from tactful_privacy.wire.codec import Blob
from tactful_privacy.wire.fields import MAX_PAYLOAD_BYTES, U16, Digest, Name, Stage
from tactful_privacy.wire.kinds import Kind
from tactful_privacy.wire.message import Message

Payload = Annotated[bytes, Blob(MAX_PAYLOAD_BYTES)]


@dataclass(frozen=True, slots=True)
class RoundRequest(Message):
    """Server to host: the payload of one stage of one attempt."""

    KIND: ClassVar[Kind] = Kind.ROUND_REQUEST
    MAX_BYTES: ClassVar[int] = MAX_PAYLOAD_BYTES + (1 << 10)

    plan_digest: Digest
    stage: Stage
    attempt: U16
    payload: Payload


@dataclass(frozen=True, slots=True)
class RoundReply(Message):
    """Host to server: the answer to the request of the same plan, stage and attempt, or an encoded `Refusal`."""

    KIND: ClassVar[Kind] = Kind.ROUND_REPLY
    MAX_BYTES: ClassVar[int] = MAX_PAYLOAD_BYTES + (1 << 10)

    plan_digest: Digest
    stage: Stage
    attempt: U16
    host_id: Name
    payload: Payload
