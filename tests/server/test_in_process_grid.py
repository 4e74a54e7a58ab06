"""`InProcessGrid` keeps Flower's Grid contract."""

import pytest

from tactful_privacy.errors import InvalidInput
from tactful_server.federation import Exchange, Fault, InProcessGrid
from tactful_server.federation._flwr import ClientApp, ConfigRecord, Grid, Message, RecordDict, Run


def echo_app(calls):
    app = ClientApp()

    @app.train("keys")
    def keys(message, context):
        calls.append((context.node_config["host-id"], message.metadata.group_id))
        if message.content["c"]["x"] == b"boom":
            raise ValueError("boom")
        return Message(message.content, reply_to=message)

    return app


@pytest.fixture
def calls():
    return []


def grid_of(calls, faults=lambda _e: None):
    return InProcessGrid({"b": echo_app(calls), "a": echo_app(calls)}, faults)


def message(node, payload=b"hello", stage="train.keys"):
    return Message(RecordDict({"c": ConfigRecord({"x": payload})}), node, stage, group_id="3")


def test_it_is_a_grid_with_a_node_per_host(calls):
    """Node ids follow the host names; the run can be set."""
    grid = grid_of(calls)
    assert isinstance(grid, Grid)
    assert list(grid.get_node_ids()) == [1, 2] == [node.node_id for node in grid.get_nodes()]
    run = Run.create_empty(9)
    grid.set_run(run)
    assert grid.run is run


def test_push_then_pull_gives_each_reply_once(calls):
    """Replies wait for their pull, carry the request's id and come once; unknown ids give nothing."""
    grid = grid_of(calls)
    first, second = grid.push_messages([message(1), message(2)])
    assert first != second
    (reply,) = grid.pull_messages([first])
    assert reply.metadata.reply_to_message_id == first
    assert (reply.metadata.src_node_id, reply.metadata.dst_node_id) == (1, 0)
    assert reply.content["c"]["x"] == b"hello"
    assert list(grid.pull_messages([first, "unknown"])) == []
    assert len(list(grid.pull_messages([first, second]))) == 1
    assert calls == [("a", "3"), ("b", "3")]


def test_what_an_app_raises_becomes_an_error_reply(calls):
    """So does a stage which the app does not know; the other node is not harmed."""
    grid = grid_of(calls)
    bad, good, unknown = grid.send_and_receive([message(1, b"boom"), message(2), message(1, stage="train.other")])
    assert bad.has_error()
    assert unknown.has_error()
    assert good.has_content()


@pytest.mark.parametrize(
    ("fault", "n_replies", "n_calls"),
    [(Fault.LOSE_REQUEST, 0, 0), (Fault.LOSE_REPLY, 0, 1), (Fault.DELIVER_TWICE, 1, 2), (Fault.FAIL, 1, 0)],
)
def test_faults_do_what_they_say(calls, fault, n_replies, n_calls):
    """Lost on the way out or back, delivered twice, or answered with Flower's node-unavailable error."""
    seen = []
    grid = grid_of(calls, lambda exchange: seen.append(exchange) or fault)
    replies = list(grid.send_and_receive([message(2)], timeout=1.0))
    assert (len(replies), len(calls)) == (n_replies, n_calls)
    assert seen == [Exchange("b", 3, "keys")]
    assert all(reply.has_error() for reply in replies) == (fault is Fault.FAIL or not replies)


def test_a_message_to_nobody_is_wrong_use(calls):
    """An address outside the grid is named."""
    with pytest.raises(InvalidInput, match="dst_node_id"):
        grid_of(calls).push_messages([message(7)])


def test_create_message_addresses_a_node(calls):
    """Flower's older way of making a message still works."""
    made = grid_of(calls).create_message(RecordDict(), "train.keys", 2, "5")
    assert (made.metadata.dst_node_id, made.metadata.group_id) == (2, "5")
