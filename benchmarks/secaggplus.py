"""Flower's SecAgg+ in one process: its own client mod and its own server workflow, with function calls for a network.

Nothing is imitated: `secaggplus_mod` answers and `SecAggPlusWorkflow` asks and opens; `_Calls` stands in for Flower's
grid, keeps the time of the hosts apart from that of the server, and weighs every record as the bytes of its protobuf.
"""

import logging
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Context, Error, Message, RecordDict
from flwr.client.mod import secaggplus_mod
from flwr.common import Code, FitIns, FitRes, Status, ndarrays_to_parameters
from flwr.common.secure_aggregation.crypto.shamir import combine_shares, create_shares
from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS, Key, Stage
from flwr.common.serde import config_record_to_proto
from flwr.compat.common import recorddict_compat as compat
from flwr.server.compat.legacy_context import LegacyContext
from flwr.server.strategy import FedAvg
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD
from flwr.server.workflow.constant import Key as WorkflowKey
from flwr.supercore.primitives.asymmetric import generate_key_pairs, private_key_to_bytes
from flwr.supercore.task_identity import TaskIdentity

from benchmarks.secagg_case import Case, Measured, Stages

STAGES = {
    Stage.SETUP: "keys",
    Stage.SHARE_KEYS: "shares",
    Stage.COLLECT_MASKED_VECTORS: "contribution",
    Stage.UNMASK: "unmask",
}
"""Flower's stages under our names; it has no stage in which hosts agree on who survived."""


class _Proxy:
    """What the workflow needs of a client's proxy."""

    def __init__(self, node_id: int) -> None:
        self.node_id = node_id


class _Strategy(FedAvg):
    """Selects every host; leaves the opened average where the benchmark finds it."""

    def __init__(self, nodes: Iterable[int]) -> None:
        super().__init__()
        self.nodes = list(nodes)
        self.opened: Any = None

    def configure_fit(self, server_round: int, parameters: Any, client_manager: Any) -> Any:  # noqa: ARG002
        return [(_Proxy(node), FitIns(parameters, {})) for node in self.nodes]

    def aggregate_fit(self, server_round: int, results: Any, failures: Any) -> Any:  # noqa: ARG002
        self.opened = results[0][1].parameters
        return self.opened, {}


class _Calls:
    """Hands each message to the host's mod and back; gone hosts answer the third stage with an error."""

    def __init__(self, case: Case, gone: set[int]) -> None:
        self.case, self.gone, self.stages = case, gone, Stages(case)
        self.contexts: dict[int, Context] = {}
        self.hosts_s = self.weighing_s = 0.0

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:  # noqa: ARG002
        return [self._answered(message) for message in messages]

    def _answered(self, message: Message) -> Message:
        node = message.metadata.dst_node_id
        configs = message.content.config_records[RECORD_KEY_CONFIGS]
        stage = STAGES[str(configs[Key.STAGE])]
        if stage == "contribution" and node in self.gone:
            return Message(Error(code=1, reason="silent"), reply_to=message)
        received = self._weight(configs)
        # A host gets a copy: the mod takes the stage out of the record, which the server shares among all hosts.
        records = {**message.content, RECORD_KEY_CONFIGS: ConfigRecord(dict(configs))}
        message.content = RecordDict(records)
        context = self.contexts.setdefault(node, Context(1, node, {}, RecordDict(), {}))
        start = time.process_time()
        reply = secaggplus_mod(message, context, self._trained)
        took_s = time.process_time() - start
        self.hosts_s += took_s
        self.stages.add(stage, took_s, self._weight(reply.content.config_records[RECORD_KEY_CONFIGS]), received)
        return reply

    def _trained(self, message: Message, _: Context) -> Message:
        ones = ndarrays_to_parameters([np.ones(self.case.dimension)])
        result = FitRes(Status(Code.OK, ""), ones, 1, {})
        return Message(compat.fitres_to_recorddict(result, keep_input=True), reply_to=message)

    def _weight(self, record: ConfigRecord) -> int:
        start = time.process_time()
        size = config_record_to_proto(record).ByteSize()
        self.weighing_s += time.process_time() - start
        return int(size)


def measure(case: Case) -> Measured:
    """Run one round and return its figures; the average must come out, or a `RuntimeError` tells."""
    logging.getLogger("flwr").setLevel(logging.CRITICAL)
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, 0  # a message cannot be made without
    nodes = range(1, case.hosts + 1)
    calls, strategy = _Calls(case, {nodes[at] for at in case.gone}), _Strategy(nodes)
    state = RecordDict()
    state.config_records[MAIN_CONFIGS_RECORD] = ConfigRecord({WorkflowKey.CURRENT_ROUND: 1})
    model = ndarrays_to_parameters([np.zeros(case.dimension)])
    state.array_records[MAIN_PARAMS_RECORD] = compat.parameters_to_arrayrecord(model, keep_input=True)
    context = LegacyContext(Context(1, 0, {}, state, {}), strategy=strategy)
    # max_weight 1 and weight 1: every host counts the same, as with us.
    workflow = SecAggPlusWorkflow(case.shares, case.threshold, max_weight=1.0)
    start = time.process_time()
    workflow(calls, context)  # type: ignore[arg-type]
    server_s = time.process_time() - start - calls.hosts_s - calls.weighing_s
    if strategy.opened is None:
        raise RuntimeError(f"SecAgg+ halted: {case.name}")
    return Measured(calls.stages, server_s)


def sharing_of_one_host_s(shares: int, threshold: int) -> float:
    """CPU seconds to share one host's two secrets out and to rebuild one of them, with Flower's own functions."""
    private, _ = generate_key_pairs()
    start = time.process_time()
    create_shares(bytes(32), threshold, shares)
    parts = create_shares(private_key_to_bytes(private), threshold, shares)
    if combine_shares(parts[:threshold]) != private_key_to_bytes(private):
        raise RuntimeError("shares do not combine")
    return time.process_time() - start
