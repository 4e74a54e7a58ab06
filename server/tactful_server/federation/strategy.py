"""The Flower strategy: drives a round's state machine over a grid, in a bounded loop of its own."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.wire import KeyOffer, Refusal, RoundReply, WireError, open_signed
from tactful_server.federation._flwr import (
    ArrayRecord,
    ConfigRecord,
    Grid,
    Message,
    MetricRecord,
    RecordDict,
    Result,
    Strategy,
)
from tactful_server.journal import STAGE_OF, Phase
from tactful_server.rounds import Drop, Receipt, RoundMachine
from tactful_server.service import Office, survivors_of
from tactful_server.transparency import Held

RECORD = "tactful"
REQUEST = "request"
REPLY = "reply"
"""A payload travels as bytes in a ConfigRecord of this name: an ArrayRecord is five stored objects or more."""

_GATHER_POLL_S = 0.5

_BROADCAST = (Phase.KEYS, Phase.RELEASED)
"""Phases whose request is the same for every host, so that a node may be asked before it is known which host it is."""


@dataclass(frozen=True, slots=True)
class RoundResult:
    """What became of a round.

    Attributes:
        round_number: of the round.
        outcome: ``released`` or ``void``.
        reason: why it is void.
        survivors: hosts in the sum.
        dropped: hosts not in the sum or lost later, with stage and code.
        bytes_up: by host, payload bytes from host to server.
        bytes_down: by host, payload bytes from server to host.
        seconds: from announcement to release.
        statistics: mean of each reported number over the planned devices.
        planned_devices: the divisor, 0 for a void round.
        model_digest: the model after the round.
        model_version: of the same.
        rho: price of one participation, exact as a pair in the plan; here for display.
        plan_digest: names the round in the ledger.
        total: the opened sum in grid units, None for a void round.
    """

    round_number: int
    outcome: str
    reason: str
    survivors: tuple[str, ...]
    dropped: Mapping[str, Drop]
    bytes_up: Mapping[str, int]
    bytes_down: Mapping[str, int]
    seconds: float
    statistics: Mapping[str, float]
    planned_devices: int
    model_digest: bytes
    model_version: int
    rho: float
    plan_digest: bytes
    total: NDArray[np.int64] | None = field(default=None, compare=False)


class SecureRounds(Strategy):
    """Rounds of secure aggregation over any grid.

    Args:
        office: the federation's books.
        stage_timeout_s: how long one try of a stage waits for answers.
        tries: how often a silent host is asked in one stage; every message is idempotent.
        gather_timeout_s: how long a round waits for as many nodes as the roster has hosts before it starts.
    """

    def __init__(
        self, office: Office, *, stage_timeout_s: float = 60.0, tries: int = 1, gather_timeout_s: float = 0.0
    ) -> None:
        self.office = office
        self.stage_timeout_s = stage_timeout_s
        self.tries = tries
        self.gather_timeout_s = gather_timeout_s
        self._machine: RoundMachine | None = None
        self._unserved: RoundMachine | None = office.last_release()
        self._unlinked = False
        self._node_of: dict[str, int] = {}
        self._up: Counter[str] = Counter()
        self._down: Counter[int] = Counter()

    def rounds(self, grid: Grid, count: int) -> Iterator[RoundResult]:
        """Run ``count`` rounds, yielding each result as soon as its round is over; first ends a round left open."""
        for _ in range(count):
            yield self.run_round(grid)

    def run_round(self, grid: Grid) -> RoundResult:
        """Run one round, or the one that was open when the process died, to its release or void."""
        started = time.monotonic()
        self._up, self._down = Counter(), Counter()
        self._gather(grid)
        self._catch_up(grid)
        try:
            machine = self._next_machine()
            while not machine.over:
                self._exchange(grid, machine)
                machine.close()
            self._finish(machine)
        except BaseException:
            self._machine = None  # memory may be ahead of the journal: the next call resumes from what was written
            raise
        self._catch_up(grid)
        return self._result(machine, time.monotonic() - started)

    def _next_machine(self) -> RoundMachine:
        """The round under way, ready for its first or next exchange: ours, one left open by a process, or a new one."""
        if self._machine is None:
            self._machine = self.office.resume()
        if self._machine is None or self._machine.over:
            self._machine = self.office.begin()
        if self._machine.phase is Phase.ANNOUNCED:
            self._machine.close()
        return self._machine

    def _finish(self, machine: RoundMachine) -> None:
        """Ledger and registry first; only then is there anything to release."""
        self.office.finish(machine)
        if machine.phase is Phase.RELEASED:
            self._unserved = machine

    def _gather(self, grid: Grid) -> None:
        """Wait for the roster's nodes, within bounds: a plan's deadline runs, and whoever is late is dropped."""
        wanted = len(self.office.enrolment.directory().entries)
        give_up = time.monotonic() + self.gather_timeout_s
        while time.monotonic() < give_up and len(list(grid.get_node_ids())) < wanted:
            time.sleep(_GATHER_POLL_S)

    def _catch_up(self, grid: Grid) -> None:
        """Offer the newest model to hosts that have not confirmed it, or they could not train from it."""
        if self._unserved is None or not self._unserved.waiting_for:
            return
        self._unlinked = False
        self._exchange(grid, self._unserved)
        if self._unlinked:  # hosts which were away so long that no link sent began at their head
            self._exchange(grid, self._unserved)

    def _exchange(self, grid: Grid, machine: RoundMachine) -> None:
        self._introduce(grid, machine)
        for _ in range(self.tries):
            messages = list(self._messages(grid, machine))
            if not messages:
                return
            for reply in grid.send_and_receive(messages, timeout=self.stage_timeout_s):
                self._take(machine, reply)

    def _introduce(self, grid: Grid, machine: RoundMachine) -> None:
        """After a restart, learn which node is which host: asked again, each repeats its signed offer."""
        strangers = set(grid.get_node_ids()) - set(self._node_of.values())
        if machine.phase in _BROADCAST or not strangers or set(machine.waiting_for) <= set(self._node_of):
            return
        content = machine.announcement()
        asked = [self._message(node, content, machine, "keys") for node in sorted(strangers)]
        for reply in grid.send_and_receive(asked, timeout=self.stage_timeout_s):
            self._learn(machine, reply)

    def _learn(self, machine: RoundMachine, message: Message) -> None:
        """A node is a host if it shows an offer for this plan under the host's own signature."""
        try:
            reply = RoundReply.decode(_reply_of(message) or b"")
            entry = machine.directory.entry(reply.host_id)
            if entry is not None:
                offer = open_signed(reply.payload, KeyOffer, entry.identity_key)
                if (offer.plan_digest, offer.host_id) == (machine.plan_digest, entry.host_id):
                    self._node_of[entry.host_id] = message.metadata.src_node_id
        except WireError:
            return

    def _message(self, node: int, request: bytes, machine: RoundMachine, stage: str) -> Message:
        content = RecordDict({RECORD: ConfigRecord({REQUEST: request})})
        group = str(machine.plan.round_number)
        return Message(content, node, f"train.{stage}", ttl=max(self.stage_timeout_s, 1.0), group_id=group)

    def _messages(self, grid: Grid, machine: RoundMachine) -> Iterator[Message]:
        """One message per node to be asked; a node whose host is not known yet is asked in broadcast stages."""
        requests, stage = machine.requests(), STAGE_OF[machine.phase]
        host_of = {node: host for host, node in self._node_of.items()}
        for_all = next(iter(requests.values()), None) if machine.phase in _BROADCAST else None
        for node in grid.get_node_ids():
            request = requests.get(host_of[node]) if node in host_of else for_all
            if request is not None:
                self._down[node] += len(request)
                yield self._message(node, request, machine, stage)

    def _take(self, machine: RoundMachine, message: Message) -> None:
        """Hand a reply to the machine; a node is known as a host once the host's own signature says so."""
        data = _reply_of(message)
        if data is None:
            return
        receipt = machine.receive(data)
        if receipt is Receipt.ACCEPTED and machine.phase is Phase.KEYS:
            self._learn(machine, message)
        if machine.phase is Phase.RELEASED and receipt in (Receipt.ACCEPTED, Receipt.REFUSED):
            self._hear(machine, RoundReply.decode(data), receipt)
        if receipt is not Receipt.FOREIGN and (host := _sender_of(data)):
            self._up[host] += len(data)

    def _hear(self, machine: RoundMachine, reply: RoundReply, receipt: Receipt) -> None:
        """Note which head a host holds; whoever refused the release, or knows a later ledger than ours, is reported."""
        if receipt is Receipt.REFUSED:
            refusal = Refusal.decode(reply.payload)
            machine.drops.setdefault(reply.host_id, Drop(reply.stage, refusal.code, refusal.detail))
            return
        held = self.office.hear(machine, reply.host_id, reply.payload)
        self._unlinked |= held is Held.BEHIND
        if held is Held.AHEAD:
            detail = "the host holds a signed head that this ledger does not continue"
            machine.drops.setdefault(reply.host_id, Drop(reply.stage, "ledger_ahead", detail))

    def _result(self, machine: RoundMachine, seconds: float) -> RoundResult:
        released = machine.phase is Phase.RELEASED
        opened = self.office.opened(machine) if released else None
        current = self.office.current()
        return RoundResult(
            round_number=machine.plan.round_number,
            outcome=machine.phase.value,
            reason=machine.reason,
            survivors=survivors_of(machine),
            dropped=dict(machine.drops),
            bytes_up=dict(self._up),
            bytes_down={host: self._down[node] for host, node in sorted(self._node_of.items())},
            seconds=seconds,
            statistics=opened.statistics if opened else {},
            planned_devices=opened.planned_devices if opened else 0,
            model_digest=current.digest,
            model_version=current.version,
            rho=float(machine.plan.rho),
            plan_digest=machine.plan_digest,
            total=machine.total if released else None,
        )

    # Flower's own hooks, for a loop which is not ours: each does one exchange of the round that is open.

    def configure_train(
        self,
        server_round: int,  # noqa: ARG002 - our rounds are numbered by the journal
        arrays: ArrayRecord,  # noqa: ARG002 - models travel as signed artifacts
        config: ConfigRecord,  # noqa: ARG002 - everything that a host may believe stands in the signed plan
        grid: Grid,
    ) -> Iterable[Message]:
        """The messages of the open round's phase; a model that was just released goes out first."""
        self._catch_up(grid)
        return list(self._messages(grid, self._next_machine()))

    def aggregate_train(
        self,
        server_round: int,  # noqa: ARG002 - as above
        replies: Iterable[Message],
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Take the answers and close the phase; returns nothing, for nothing is open before the last phase."""
        machine = self._machine
        if machine is not None and not machine.over:
            for reply in replies:
                self._take(machine, reply)
            if machine.close() in (Phase.RELEASED, Phase.VOID):
                self._finish(machine)
        return None, None

    def configure_evaluate(
        self,
        server_round: int,  # noqa: ARG002 - as above
        arrays: ArrayRecord,  # noqa: ARG002 - as above
        config: ConfigRecord,  # noqa: ARG002 - as above
        grid: Grid,  # noqa: ARG002 - as above
    ) -> Iterable[Message]:
        """No messages: figures about devices travel as statistics inside the secure sum, or not at all."""
        return []

    def aggregate_evaluate(
        self,
        server_round: int,  # noqa: ARG002 - as above
        replies: Iterable[Message],  # noqa: ARG002 - there are none
    ) -> MetricRecord | None:
        """Nothing, see `configure_evaluate`."""
        return None

    def summary(self) -> None:
        """Nothing is logged: results are returned."""

    def start(self, grid: Grid, initial_arrays: ArrayRecord | None = None, num_rounds: int = 1, **_: object) -> Result:  # type: ignore[override]  # noqa: ARG002
        """Run ``num_rounds`` rounds with our own loop; the model after them is in the registry and in the result."""
        result = Result()
        for done in self.rounds(grid, num_rounds):
            result.train_metrics_clientapp[done.round_number] = MetricRecord(
                {"survivors": len(done.survivors), "seconds": done.seconds, **done.statistics}
            )
        parameters = np.array(self.office.registry.load(self.office.current().digest).values())
        result.arrays = ArrayRecord([parameters])
        return result


def _sender_of(data: bytes) -> str:
    """The host that a reply claims to come from; empty when it is none."""
    try:
        return RoundReply.decode(data).host_id
    except WireError:
        return ""


def _reply_of(message: Message) -> bytes | None:
    """The encoded `RoundReply` in a Flower message; None for an error reply or a foreign record."""
    if not message.has_content():
        return None
    record = message.content.get(RECORD)
    data = record.get(REPLY) if isinstance(record, ConfigRecord) else None
    return data if isinstance(data, bytes) else None
