"""Killed at any instruction of its answer, a host pays for all that leaves, repeats what it stored, and pays once."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEMORY = Path("/dev/shm")  # a killed process loses nothing that it wrote; only a dead machine makes the disk matter


def killed(mode, argument=""):
    """Run `crash_world` and return what was found after each kill."""
    folder = tempfile.mkdtemp(dir=MEMORY if os.access(MEMORY, os.W_OK) else None)
    command = [sys.executable, "-m", "tests.device.crash_world", folder, mode, str(argument)]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check(kills):
    """After every kill: what is stored is paid for and is what leaves; three devices paid once; no second noise."""
    for kill in kills:
        assert not kill["stored"] or kill["spends"] == 3, kill
        assert kill["spends"] in (0, 3), kill
        assert kill["spends_after"] == 3, kill
        assert kill["draws"] == (0 if kill["stored"] else 1), kill
        assert all(kill[name] for name in ("kept", "identical", "paid_once", "current")), kill


def phases(kills):
    """How many kills fell before the spend, between spend and store, and after the store."""
    return Counter((kill["spends"] > 0) + kill["stored"] for kill in kills)


def test_killed_at_lines_of_every_module():
    """At 80 lines spread over participant, vault, ledger of spends, lease, counter and session."""
    kills = killed("lines", 80)
    check(kills)
    assert {kill["code"] for kill in kills} == {9}
    assert set(phases(kills)) == {0, 1, 2}
    assert len({kill["at"].partition(":")[0] for kill in kills}) >= 9


def test_killed_from_outside():
    """SIGKILL at 16 times between the start of the spend and the answer, whatever system call it hits."""
    kills = killed("signal", 16)
    check(kills)
    assert sum(kill["code"] == -9 for kill in kills) >= 3  # the others had answered when their time came


@pytest.mark.slow
def test_killed_at_every_line():
    """At the first arrival at each of some 470 lines."""
    kills = killed("lines")
    check(kills)
    assert len(kills) > 400
    assert set(phases(kills)) == {0, 1, 2}


@pytest.mark.slow
def test_killed_at_byte_code_instructions():
    """At 1,000 instructions, evenly spread over all that are run."""
    kills = killed("instructions", 1000)
    check(kills)
    assert len(kills) >= 1000
    assert phases(kills)[1] > 20
