"""The host's side of Flower: a ClientApp that passes bytes to the round participant and back.

Nothing that the server sends is executed; a message is bytes for `RoundParticipant.handle`, whatever it claims to be.
"""

import os
from collections.abc import Callable
from typing import Protocol

from tactful_privacy.errors import InvalidInput
from tactful_privacy.wire import STAGES

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

RECORD = "tactful"
REQUEST = "request"
REPLY = "reply"


class Participant(Protocol):
    """What answers: `tactful.federation.participant.RoundParticipant`."""

    def handle(self, request: bytes) -> bytes:
        """Answer an encoded `RoundRequest` with an encoded `RoundReply`; never raises across the wire."""
        ...


ParticipantFor = Callable[[Context], Participant]


def client_app(participant_for: ParticipantFor) -> ClientApp:
    """Return a ClientApp whose every stage goes to the participant of the node's context.

    Args:
        participant_for: finds the participant, for instance by ``context.node_config``; called for each message.
    """
    app = ClientApp()

    def handle(message: Message, context: Context) -> Message:
        reply = participant_for(context).handle(_request(message))
        return Message(RecordDict({RECORD: ConfigRecord({REPLY: reply})}), reply_to=message)

    for stage in STAGES:
        app.train(stage)(handle)
    return app


def _request(message: Message) -> bytes:
    record = message.content.get(RECORD)
    request = record.get(REQUEST) if isinstance(record, ConfigRecord) else None
    if not isinstance(request, bytes):
        remedy = f"send bytes as {REQUEST!r} in a ConfigRecord {RECORD!r}"
        raise InvalidInput("holds no request", field="message", remedy=remedy)
    return request
