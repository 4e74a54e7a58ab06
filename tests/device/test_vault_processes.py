"""Killed processes lose nothing that was acknowledged; two processes on one vault see each other's writes."""

import os
import signal
import subprocess
import sys

import pytest

from tactful import UnknownDevice
from tactful.errors import HostClosed, VaultBusy

from .vault_world import open_host, person

WRITER = """
import sys
from tactful import Host
host = Host.open(sys.argv[1] + "/vaults.db", strict=True)
device = host.device("ada")
device.set_consent("on_device_personalisation", granted=True, policy_version="1")
index = 0
while True:
    device.track("browse", category="c%d" % index)
    print(index, flush=True)
    index += 1
"""


def test_killed_after_an_acknowledged_track(tmp_path):
    """Every event that `track` acknowledged before SIGKILL is there afterwards, and the vault verifies."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as writer:
        acknowledged = [int(writer.stdout.readline()) for _ in range(50)]
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout.read().split("\n")[:-1]]
    with open_host(tmp_path) as host:
        kept = {event["properties"]["category"] for event in host.find("ada").export()["events"]}
        assert {f"c{index}" for index in acknowledged} <= kept
        assert len(kept) <= len(acknowledged) + 1  # one may have been written and not yet acknowledged
        host.check()


def test_killed_while_a_vault_is_made(tmp_path):
    """A file that was created and never filled is taken for no vault yet, with the key that is there."""
    open_host(tmp_path).close()
    (tmp_path / "vaults.db").write_bytes(b"")
    with open_host(tmp_path) as host:
        assert host.devices() == []


def test_two_hosts_on_one_vault(tmp_path):
    """What one writes the other sees at its next call: events, consents, erasures."""
    with open_host(tmp_path) as one, open_host(tmp_path) as two:
        here = person(one)
        there = two.find("ada")
        assert here.track("browse")
        assert there.status()["events"] == 1
        assert there.track("browse")
        assert here.status()["events"] == 2
        here.set_consent("on_device_personalisation", granted=False, policy_version="2")
        assert not there.track("browse")
        here.erase()
        with pytest.raises(UnknownDevice):
            there.status()
        assert one.check() == two.check() == 0


def test_a_held_lock_is_named(tmp_path, monkeypatch):
    """When another process does not let go of the vault, the error says so and nothing is half written."""
    monkeypatch.setattr("tactful._schema.BUSY_TIMEOUT_S", 0.05)
    with open_host(tmp_path) as one, open_host(tmp_path) as two:
        device, other = person(one), two.find("ada")
        with one.vault.transaction(), pytest.raises(VaultBusy, match="another process"):
            other.track("browse")
        assert other.track("browse")
        assert device.status()["events"] == 1


def test_a_closed_host_says_so(tmp_path):
    """Use after close is a typed error; closing twice is not."""
    host = open_host(tmp_path)
    device = person(host)
    host.close()
    host.close()
    with pytest.raises(HostClosed, match="open it again"):
        device.track("browse")
