"""A Flower grid inside one process: real messages, real ClientApps, no sockets. The default for small federations."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from tactful_privacy.errors import InvalidInput
from tactful_server.federation._flwr import (
    ClientApp,
    Context,
    Error,
    ErrorCode,
    Grid,
    Message,
    RecordDict,
    Run,
    TaskIdentity,
)

RUN_ID = 1
SERVER_NODE_ID = 0


class Fault(StrEnum):
    """What can happen to one exchange."""

    LOSE_REQUEST = "lose_request"
    LOSE_REPLY = "lose_reply"
    DELIVER_TWICE = "deliver_twice"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request on its way: to which host, in which round (Flower's group id), at which stage."""

    host_id: str
    round_number: int
    stage: str


Faults = Callable[[Exchange], Fault | None]
"""Decides what happens to an exchange; None is fair weather."""


def no_faults(_exchange: Exchange) -> Fault | None:
    """Nothing ever goes wrong."""
    return None


class InProcessGrid(Grid):
    """Delivers each message to its node's ClientApp at once and keeps the reply until it is pulled.

    Args:
        apps: one ClientApp per host; node ids count from 1 in the order of the host names.
        faults: what goes wrong, if anything.
    """

    def __init__(self, apps: Mapping[str, ClientApp], faults: Faults = no_faults) -> None:
        self._hosts = dict(enumerate(sorted(apps), start=SERVER_NODE_ID + 1))
        self._apps = dict(apps)
        self._contexts = {node: self._context(node) for node in self._hosts}
        self._faults = faults
        self._replies: dict[str, Message] = {}
        self._ids = itertools.count(1)
        self._run = Run.create_empty(RUN_ID)
        # Flower's messages read who sends them from here; a SuperLink sets it, so does this grid.
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = RUN_ID, SERVER_NODE_ID, RUN_ID

    def _context(self, node_id: int) -> Context:
        return Context(RUN_ID, node_id, {"host-id": self._hosts[node_id]}, RecordDict(), {})

    def set_run(self, run: Run) -> None:
        """Set the run that messages belong to."""
        self._run = run

    @property
    def run(self) -> Run:
        """The run that messages belong to."""
        return self._run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """Return a message of this run to a node."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """All nodes; in one process they are always there, though they may not answer."""
        return tuple(self._hosts)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Deliver the messages; return their ids in order.

        Raises:
            InvalidInput: a message is addressed to a node which is not here.
        """
        return [self._push(message) for message in messages]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies that have come, each once."""
        return [self._replies.pop(name) for name in tuple(message_ids) if name in self._replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:  # noqa: ARG002
        """Deliver the messages and return the replies; a lost one is known to be lost at once, so nothing waits."""
        return self.pull_messages(self.push_messages(messages))

    def _push(self, message: Message) -> str:
        node = message.metadata.dst_node_id
        if node not in self._hosts:
            known = f"nodes are 1 to {len(self._hosts)}"
            raise InvalidInput(f"{node} is not a node of this grid", field="dst_node_id", remedy=known)
        name = f"message-{next(self._ids)}"
        message.metadata.__dict__["_message_id"] = name  # where Flower's own grids put it
        fault = self._faults(self._exchange(message))
        if fault is Fault.LOSE_REQUEST:
            return name
        reply = self._handle(message, fail=fault is Fault.FAIL)
        if fault is Fault.DELIVER_TWICE:
            reply = self._handle(message)
        if fault is not Fault.LOSE_REPLY:
            self._replies[name] = reply
        return name

    def _exchange(self, message: Message) -> Exchange:
        _, _, stage = message.metadata.message_type.partition(".")
        group = message.metadata.group_id
        return Exchange(self._hosts[message.metadata.dst_node_id], int(group) if group.isdecimal() else 0, stage)

    def _handle(self, message: Message, *, fail: bool = False) -> Message:
        node = message.metadata.dst_node_id
        if fail:
            return Message(Error(ErrorCode.NODE_UNAVAILABLE, "planned fault"), reply_to=message)
        try:
            return self._apps[self._hosts[node]](message, self._contexts[node])
        except Exception as error:  # noqa: BLE001 - as a SuperNode does: whatever an app raises becomes an error reply
            return Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, repr(error)), reply_to=message)
