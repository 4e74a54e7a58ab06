"""Several processes over one vault: one noise for one contribution, one answer, and no ceiling exceeded."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from tactful._lease import Lease
from tactful.errors import HostForked, VaultBusy
from tactful.federation import participant
from tactful.vault import Vault
from tactful_privacy.accounting.zcdp import rho_budget
from tactful_privacy.wire import Refusal, RoundReply

from .crash_world import World, fresh, on_disk
from .spend_world import plan, side_of
from .vault_world import open_host, person

ROOT = Path(__file__).resolve().parents[2]
SPENDER = """
import sys, time
from fractions import Fraction
from pathlib import Path
from tactful_privacy.accounting.zcdp import rho_budget
from tests.device.spend_world import plan, side_of
from tests.device.vault_world import open_host
folder, number, start = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
price = Fraction(rho_budget(4.0, 1e-6)) / 10
with open_host(folder) as host:
    side = side_of(host)
    time.sleep(max(0.0, start - time.time()))
    print([n for n in range(number, 400, 3) if side.spend(plan(n, price), ["1"])])
"""
HOLDER = """
import sys, time
from pathlib import Path
from tactful._lease import Lease
with Lease(Path(sys.argv[1])).held(5):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def world(tmp_path):
    (tmp_path / "home").mkdir()
    return World(tmp_path / "home")


def start(program, *arguments):
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def answers(world, folder, processes):
    """Let so many forked processes, each with a host of its own, answer at once; (replies, draws)."""
    ready, gate = os.pipe(), os.pipe()
    children = []
    for number in range(processes):
        pid = os.fork()
        if pid == 0:
            try:
                _answer_in_child(world, folder, folder.with_name(f"answer-{number}"), ready[1], gate[0])
            finally:
                os._exit(0)
        children.append(pid)
    for _ in children:
        os.read(ready[0], 1)
    os.write(gate[1], b"!" * processes)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * processes
    said = [json.loads(folder.with_name(f"answer-{number}").read_text()) for number in range(processes)]
    return [reply for reply, _ in said], sum(draws for _, draws in said)


def _answer_in_child(world, folder, target, ready, gate):
    draws, real = [], participant.sample
    participant.sample = lambda *arguments, **options: draws.append(1) or real(*arguments, **options)
    with open_host(folder) as host:
        answering = world.participant(host)
        os.write(ready, b"!")
        os.read(gate, 1)
        reply = answering.handle(world.request)
    target.write_text(json.dumps([reply.hex(), len(draws)]))


@pytest.mark.parametrize("attempt", range(3))
def test_one_contribution_gets_one_noise(world, attempt):
    """Three participants in three processes, asked at once: identical bytes, one draw, everybody paid once."""
    folder = fresh(world)
    replies, draws = answers(world, folder, 3)
    assert len(set(replies)) == 1
    assert draws == 1
    stored, spends = on_disk(world, folder)
    assert stored == RoundReply.decode(bytes.fromhex(replies[0])).payload
    assert spends == 3


def test_two_participants_in_one_process_take_turns(world):
    """Two hosts on one vault in two threads are kept apart as processes are."""
    folder, replies = fresh(world), []
    with open_host(folder) as one, open_host(folder) as two:
        gate = threading.Barrier(2)

        def ask(answering):
            gate.wait()
            replies.append(answering.handle(world.request))

        threads = [threading.Thread(target=ask, args=(world.participant(host),)) for host in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(set(replies)) == 1


def test_who_cannot_wait_is_refused(world, monkeypatch):
    """While another one holds the vault a request is refused by name, and answered afterwards."""
    monkeypatch.setattr("tactful.federation.vault_round.LEASE_TIMEOUT_S", 0.05)
    folder = fresh(world)
    with open_host(folder) as host:
        with Vault(folder / "vaults.db", host.vault.provider).alone(1):
            refused = Refusal.decode(RoundReply.decode(world.participant(host).handle(world.request)).payload)
        assert refused.code == "vault_busy"
        assert on_disk(world, folder) == (None, 0)
        assert world.answer(folder)


def test_a_ceiling_holds_over_processes(tmp_path):
    """Three processes spend one device's budget as fast as they can: ten prices fit, ten are paid, no round twice."""
    with open_host(tmp_path) as host:
        person(host)
    begin = time.time() + 2.5
    running = [start(SPENDER, tmp_path, number, begin) for number in range(1, 4)]
    paid = [json.loads(process.communicate(timeout=120)[0]) for process in running]
    rounds = [number for one in paid for number in one]
    assert len(rounds) == len(set(rounds)) == 10
    with open_host(tmp_path) as host:
        found = host.find("ada").privacy_budget()
        assert found.rho_spent == Fraction(rho_budget(4.0, 1e-6))
        assert (found.epsilon_spent <= 4.0, found.rounds_joined) == (True, 10)
        assert not host.status()["rolled_back"]
        assert Counter(spend.round_number for spend in host.rounds.spends(1)) == Counter(rounds)


def test_a_lease_dies_with_its_holder(tmp_path):
    """Held by another process: busy. The holder killed with SIGKILL: to be had at once."""
    holder = start(HOLDER, tmp_path / "lease")
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(VaultBusy, match="another process"), Lease(tmp_path / "lease").held(0.05):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    with Lease(tmp_path / "lease").held(1):
        assert (tmp_path / "lease").stat().st_mode & 0o777 == 0o600


def test_a_forked_child_does_not_keep_its_parents_lease(tmp_path):
    """Forked while the lease is held: the child's copy is closed, and the parent's end frees it for others."""
    hear, say = os.pipe()
    with Lease(tmp_path / "lease").held(1):
        child = os.fork()
        if child == 0:
            os.close(say)
            os.read(hear, 1)  # until the parent is done
            os._exit(0)
    with Lease(tmp_path / "lease").held(0.5):
        os.close(say)
    assert os.waitpid(child, 0)[1] == 0
    os.close(hear)


def test_a_fork_while_another_thread_writes(tmp_path):
    """The child hears that the host is its parent's, also when the fork fell into a write of another thread."""
    with open_host(tmp_path) as host:
        device, inside, done = person(host), threading.Event(), threading.Event()

        def write():
            with host.vault.transaction():
                inside.set()
                done.wait(30)

        writer = threading.Thread(target=write)
        writer.start()
        inside.wait(30)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                device.track("browse")
            except HostForked:
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        done.set()
        writer.join()


def test_a_host_does_not_survive_a_fork(tmp_path):
    """Used in a child of the process that opened it, a host says so and touches nothing; the parent goes on."""
    with open_host(tmp_path) as host:
        device = person(host)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                device.track("browse")
            except HostForked:
                try:
                    side_of(host).spend(plan(1), ["1"])
                except HostForked:
                    code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert device.track("browse")
        assert side_of(host).spend(plan(1), ["1"]) == ["1"]
        host.check()
