"""A process that answers for its contribution, is killed at a given instruction, and is started again over its disk.

Run as ``python -m tests.device.crash_world FOLDER MODE [ARGUMENT]``; prints one JSON object. What it kills are forked
children of its own: `os._exit` in a trace function is, for the disk, what SIGKILL is at that instruction.
"""

import json
import os
import select
import shutil
import signal
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tactful.federation import ParticipationPolicy, RoundParticipant, participant
from tactful.federation.vault_round import VaultRound
from tactful.training import task_layout
from tactful_privacy.secagg.state import SessionState
from tactful_privacy.selftest import inspect
from tactful_privacy.wire import Refusal, RoundReply, RoundRequest, WireError, digest

from .round_world import CEILING, NOW_UNIX_S, Federation
from .test_host_models import PUBLIC, artifact, signed
from .vault_world import PURPOSES, open_host

PEOPLE = ("ada", "ben", "cleo")
WATCHED = (
    "tactful/federation/participant.py",
    "tactful/federation/vault_round.py",
    "tactful/vault_rounds.py",
    "tactful/vault.py",
    "tactful/budget.py",
    "tactful/_account.py",
    "tactful/_rollback.py",
    "tactful/_kept_number.py",
    "tactful/_lease.py",
    "tactful_privacy/secagg/client.py",
)
CLIP_UNITS, VARIANCE = 400_000, 10**13
RHO = Fraction(CLIP_UNITS**2, 6 * VARIANCE)
SOUND = inspect(participant.host_path())


class World:
    """A federation with one real vault in it, brought to the request for its contribution."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.federation = Federation()
        self.name = next(iter(self.federation.hosts))
        self.identity = self.federation.identities[self.name]
        self.public = self.federation.server.public_key().public_bytes_raw()
        self.federation.plan = self.federation.make_plan(
            task="gradient",
            layout=task_layout("gradient"),
            statistics=(),
            model_digest=artifact(0).digest,
            norm_bound_squared=CLIP_UNITS**2,
            rho=RHO,
        )
        for other in self.federation.hosts.values():
            other.models.add(artifact(0).digest)
            other.updates = lambda plan, devices: np.zeros((len(devices), plan.dimension))
        self.plan_digest = digest(self.federation.plan)
        with open_host(home) as host:
            host.enrol_many(PEOPLE, consents=PURPOSES, policy_version="1")
            host.install_model(signed(0), PUBLIC)
            self.federation.participants[self.name] = self.participant(host)
            _, requests = self.federation.until("contribution")
            self.request = RoundRequest(self.plan_digest, "contribution", 0, requests[self.name]).encode()
            host.vault.checkpoint()

    def participant(self, host) -> RoundParticipant:
        side = VaultRound(
            host,
            host_id=self.name,
            server_key=self.public,
            policy=ParticipationPolicy(max_rho_per_round=CEILING),
            now_unix_s=lambda: NOW_UNIX_S,
        )
        side.identity_key = Ed25519PrivateKey.from_private_bytes(self.identity.private_bytes_raw())
        made = RoundParticipant(side)
        made._tried = SOUND
        return made

    def answer(self, folder: Path) -> bytes:
        """Open the vault, answer, close; return the contribution's bytes."""
        with open_host(folder) as host:
            return contribution_in(self.participant(host).handle(self.request))


def contribution_in(reply: bytes) -> bytes:
    payload = RoundReply.decode(reply).payload
    try:
        raise SystemExit(f"refused: {Refusal.decode(payload).code}")
    except WireError:
        return payload


def traced(stop, *, opcodes):
    """A trace function that calls ``stop(file, line)`` at each watched line (or instruction)."""

    def local(frame, event, _):
        if event == ("opcode" if opcodes else "line"):
            stop(frame.f_code.co_filename, frame.f_lineno)
        return local

    def outer(frame, event, _):
        if event != "call" or not frame.f_code.co_filename.endswith(WATCHED):
            return None
        frame.f_trace_opcodes = opcodes
        return local

    return outer


def child(act) -> int:
    """Run something in a forked child, which never returns; the wait status."""
    pid = os.fork()
    if pid == 0:
        try:
            act()
        finally:
            os._exit(0)
    return os.waitpid(pid, 0)[1]


def places(world: World, folder: Path, *, opcodes: bool) -> list[str]:
    """Every traced event of one undisturbed answer, in order."""
    target = folder.with_name("places.json")

    def act():
        seen = []
        sys.settrace(traced(lambda file, line: seen.append(f"{file.rpartition('/')[2]}:{line}"), opcodes=opcodes))
        world.answer(folder)
        sys.settrace(None)
        target.write_text(json.dumps(seen))

    assert child(act) == 0
    return json.loads(target.read_text())


def killed_at(world: World, folder: Path, number: int, *, opcodes: bool) -> int:
    count = 0

    def stop(_file, _line):
        nonlocal count
        count += 1
        if count > number:
            os._exit(9)

    def act():
        sys.settrace(traced(stop, opcodes=opcodes))
        world.answer(folder)

    return os.waitstatus_to_exitcode(child(act))


def afterwards(world: World, folder: Path) -> dict[str, object]:
    """What the disk holds after the kill, and what the host answers when it is started again, twice."""
    stored, spends = on_disk(world, folder)
    draws = []
    real = participant.sample
    participant.sample = lambda *arguments, **options: draws.append(1) or real(*arguments, **options)
    try:
        first = world.answer(folder)
        second = world.answer(folder)
    finally:
        participant.sample = real
    paid = on_disk(world, folder)[1]
    with open_host(folder) as host:
        gap, spent = host.guard.gap(), [str(device.privacy_budget().rho_total) for device in host.devices()]
    return {
        "stored": stored is not None,
        "spends": spends,
        "spends_after": paid,
        "kept": stored in (None, first),
        "identical": first == second,
        "draws": len(draws),
        "current": gap.vault == gap.kept,
        "paid_once": spent == [str(RHO)] * len(PEOPLE),
    }


def on_disk(world: World, folder: Path) -> tuple[bytes | None, int]:
    """The contribution that is stored, and how many spends are, both read as the next process will."""
    with open_host(folder) as host:
        blob = host.rounds.load_round(world.plan_digest)
        [(count,)] = host.vault.connection.execute("SELECT count(*) FROM spends").fetchall()
    return SessionState.from_bytes(blob).replies.get("contribution"), count


def fresh(world: World) -> Path:
    folder = world.home.with_name("crashed")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(world.home, folder)
    return folder


def at_places(world: World, numbers, seen, *, opcodes: bool) -> list[dict[str, object]]:
    found = []
    for number in numbers:
        folder = fresh(world)
        code = killed_at(world, folder, number, opcodes=opcodes)
        found.append({"at": seen[number], "code": code, **afterwards(world, folder)})
    return found


def at_lines(world: World, count: str) -> list[dict[str, object]]:
    """Kill at the first arrival at each line, or at so many of them, evenly spread."""
    seen = places(world, fresh(world), opcodes=False)
    first = sorted({place: number for number, place in reversed(list(enumerate(seen)))}.values())
    return at_places(world, first[:: max(1, len(first) // int(count or len(first)))], seen, opcodes=False)


def at_instructions(world: World, count: str) -> list[dict[str, object]]:
    """Kill at so many byte-code instructions, evenly spread over the path."""
    seen = places(world, fresh(world), opcodes=True)
    step = max(1, len(seen) // int(count))
    return at_places(world, range(0, len(seen), step), seen, opcodes=True)


def by_signal(world: World, count: str) -> list[dict[str, object]]:
    """Send SIGKILL from outside, at times spread over spend and store, into whatever C code or system call it is in."""
    whole, found = min(since_the_spend(world, fresh(world), 60.0)[0] for _ in range(4)), []
    for number in range(int(count)):
        folder = fresh(world)
        code = since_the_spend(world, folder, whole * number / int(count))[1]
        found.append({"at": f"{number}", "code": code, **afterwards(world, folder)})
    return found


def since_the_spend(world: World, folder: Path, kill_after_s: float) -> tuple[float, int]:
    """Kill a child so long after it began to spend; the seconds that it lived on, and its exit code."""
    hear, say = os.pipe()
    pid = os.fork()
    if pid == 0:
        real = VaultRound.spend
        VaultRound.spend = lambda *arguments: os.write(say, b"!") and real(*arguments)
        try:
            world.answer(folder)
        finally:
            os._exit(0)
    os.close(say)
    os.read(hear, 1)
    started = time.perf_counter()
    if not select.select([hear], [], [], kill_after_s)[0]:  # readable again when the child is gone
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(hear)
    return time.perf_counter() - started, code


def main(folder: str, mode: str, argument: str = "") -> None:
    home = Path(folder) / "home"
    home.mkdir()
    act = {"lines": at_lines, "instructions": at_instructions, "signal": by_signal}[mode]
    print(json.dumps(act(World(home), argument)))


if __name__ == "__main__":
    main(*sys.argv[1:])
