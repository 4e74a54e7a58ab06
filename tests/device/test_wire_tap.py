"""`tactful audit wire` shows every byte that leaves a device in a round, and says of each what it could reveal."""

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tactful._audit_wire import tapped
from tactful.federation.wiretap import Tap, invent_a_device
from tactful.testing import memory_host
from tactful_privacy import wire
from tactful_privacy.audit.dissect import dissect
from tactful_privacy.audit.reveals import REVEALS, Undescribed, reveals
from tactful_privacy.cli import app
from tactful_privacy.errors import TactfulError

from .vault_world import NOON, PURPOSES, open_host

VECTORS = sorted((Path(__file__).resolve().parents[1] / "vectors" / "v1").glob("*.json"))


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_the_pieces_of_a_message_are_all_its_bytes(path):
    """For every message type of the wire, the pieces laid side by side are the message; offsets agree."""
    for case in json.loads(path.read_text())["cases"]:
        if not case["name"].startswith("good"):
            continue
        data = bytes.fromhex(case["hex"])
        try:
            pieces = dissect(data)
        except wire.WireError:  # an envelope whose payload only looks like a message, as the vectors have some
            continue
        assert b"".join(piece.data for piece in pieces) == data
        place = 0
        for piece in pieces:
            assert piece.offset == place
            place += piece.size


def test_every_field_that_a_host_sends_is_described():
    """Whatever leaves a host in a round has a sentence on what it could reveal, and nothing else has one."""
    with memory_host() as host:
        invent_a_device(host, "ada", events=3)
        said = Tap(host, "ada").run()
    seen = {piece.field for message in said for piece in dissect(message.data)}
    for field in seen:
        assert reveals(field)
    spoken = (wire.HostEntry, wire.KeyOffer, wire.ShareBundle, wire.Contribution, wire.SurvivorSignature)
    for message in (*spoken, wire.Endorsement, wire.UnmaskShares, wire.Refusal, wire.Signed, wire.RoundReply):
        for name, codec in message._FIELDS:
            nested = name == "payload" and message is wire.Signed  # always another message, told field by field
            assert nested or reveals(f"{message.__name__}.{name}"), codec
    types = {message.__name__: {name for name, _ in message._FIELDS} for message in wire.MESSAGE_TYPES}
    for name in REVEALS:
        kind, field = name.split(".")
        assert field in types[kind], name


def test_a_field_without_a_description_is_an_error():
    """The list fails closed: an unknown field is named, not shown without a word."""
    with pytest.raises(Undescribed, match=r"Contribution\.location"):
        reveals("Contribution.location")


def test_sizes_do_not_depend_on_what_a_device_holds():
    """A device with sixty events and one without any send messages of the same sizes; the vector differs."""
    found = tapped(None, "", "file:host.key")
    assert found["took_part"]
    assert found["sizes_independent_of_data"]
    assert found["bytes_total"] == sum(message["size_bytes"] for message in found["messages"])
    for message in found["messages"]:
        assert sum(field["size_bytes"] for field in message["fields"]) == message["size_bytes"]
    stages = {"enrolment", "keys", "shares", "contribution", "sign", "unmask", "released"}
    assert stages <= {message["stage"] for message in found["messages"]}


def file_digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_looking_costs_a_person_nothing(tmp_path):
    """The round of a real vault runs on a copy: no spend, no round and no model is in the vault afterwards."""
    with open_host(tmp_path) as host:
        host.enrol_many(["ada", "ben"], consents=PURPOSES, policy_version="1")
        host.track_many([("ada", "purchase", NOON, {})])
        vault = Path(host.vault.path)
    found = tapped(vault, "ada", "file:host.key")
    assert found["took_part"]
    with sqlite3.connect(vault) as after:
        for table in ("spends", "rounds", "models", "mask_keys"):
            assert after.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


def test_somebody_who_did_not_consent_is_not_in_the_sum(tmp_path):
    """Without consent the device takes no part, and what leaves has the same sizes."""
    with open_host(tmp_path) as host:
        host.enrol_many(["ada"], consents=(), policy_version="1")
        vault = Path(host.vault.path)
    found = tapped(vault, "ada", "file:host.key")
    assert not found["took_part"]
    assert found["sizes_independent_of_data"]


def test_wrong_use_is_said_in_one_line(tmp_path):
    """A vault that is not there and an unknown person end with exit code 2 and a remedy."""
    with pytest.raises(TactfulError, match="no vault"):
        tapped(tmp_path / "none.db", "ada", "file:host.key")
    result = CliRunner().invoke(app, ["wire", "--vault", str(tmp_path / "none.db"), "--user", "ada"])
    assert result.exit_code == 2
    assert "existing vault" in result.output


def test_the_command_prints_text_and_json():
    """Every stage is shown in words, and `--json` gives one object with sizes in bytes and times in ms."""
    shown = CliRunner().invoke(app, ["wire"])
    assert shown.exit_code == 0, shown.output
    for words in ("enrolment", "contribution", "Nothing else leaves", "does not depend"):
        assert words in shown.output
    plain = json.loads(CliRunner().invoke(app, ["wire", "--json"]).stdout)
    assert plain["messages"][0]["fields"][0]["hex"].startswith("544657")


def test_a_round_opens_no_socket(monkeypatch):
    """The bytes shown are all: neither the vault, nor the training, nor the participant talks to a network."""

    def refuse(*_args, **_options):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.socket.sendto", refuse)
    assert tapped(None, "", "file:host.key")["took_part"]


def test_what_is_no_vault_exits_2(tmp_path):
    """Another program's database, and a name without a vault, are wrong use, told in one line."""
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as made:
        made.execute("CREATE TABLE things (name TEXT)")
        made.commit()
    key = tmp_path / "host.key"
    key.write_text("11" * 32)
    key.chmod(0o600)
    for arguments, named in ((("--vault", str(other), "--user", "ada"), "is no vault"), (("--user", "ada"), "--user")):
        result = CliRunner().invoke(app, ["wire", *arguments, "--json"])
        assert (result.exit_code, result.stdout) == (2, "")
        assert named in result.stderr
