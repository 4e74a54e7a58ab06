"""How a fault is tried: in hosts, in a plan, in what devices send, or in what a server asks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tactful.federation import HostRound, RoundParticipant
from tactful.federation.participant import host_path
from tactful_lab.audit.faults.hosts import ANSWERED, AskedTwice, FaultyParticipant, Observe, Plant, ZeroSeen
from tactful_lab.audit.faults.patches import patched
from tactful_lab.audit.target import LightHost, MakeParticipant, Rehearsal, RehearsedTarget
from tactful_privacy.audit.faults import Check, Trial, audit_one
from tactful_privacy.audit.target import AuditRoundVoid, RoundTarget
from tactful_privacy.audit.verdict import AuditResult
from tactful_privacy.selftest import inspect
from tactful_privacy.wire import RoundPlan
from tactful_server import service
from tactful_server.plans import build_plan

Vectors = NDArray[np.float64]
Audit = Callable[[RoundTarget], AuditResult]
Hosts = Callable[[Rehearsal], Sequence[str]]
"""Which hosts of a rehearsed federation have a fault."""


def everyone(setting: Rehearsal) -> Sequence[str]:
    """All hosts."""
    return setting.names


def one(setting: Rehearsal) -> Sequence[str]:
    """One honest host whose noise counts."""
    return (setting.names[setting.colluders],)


def last(setting: Rehearsal) -> Sequence[str]:
    """The host which drops out unless everybody stays."""
    return (setting.names[-1],)


@dataclass(frozen=True, kw_only=True)
class Described:
    """What every fault says about itself; see `PlantedFault`."""

    target: RehearsedTarget
    name: str
    title: str
    where: str
    expected: tuple[Check, ...] = ()
    signs: tuple[str, ...] = ()
    tolerated: tuple[Check, ...] = ()
    remark: str = ""


@contextmanager
def replaced(target: RehearsedTarget, hosts: Sequence[str], make: MakeParticipant) -> Iterator[list[RoundParticipant]]:
    """Replace the participants of some hosts; yields the new ones."""
    before = dict(target.participants)
    target.participants.update({name: target.participant(name, make) for name in hosts})
    try:
        yield [target.participants[name] for name in hosts]
    finally:
        target.participants.clear()
        target.participants.update(before)


def audited(target: RehearsedTarget, audit: Audit) -> tuple[bool | None, bool | None, tuple[str, ...]]:
    """Audit; return whether bound and estimate contradict the theory, and the codes of what stopped the round."""
    try:
        result = audit(target)
    except AuditRoundVoid:
        return None, None, codes(target)
    return not result.holds, not result.estimate_holds, ()


def codes(target: RehearsedTarget) -> tuple[str, ...]:
    """Codes of what was refused in the last round, but for hosts that fell silent by arrangement."""
    dropped = target.last.dropped.values() if target.last is not None else ()
    return tuple(sorted({drop.code for drop in dropped} - {"silent"}))


@dataclass(frozen=True, kw_only=True)
class HostFault(Described):
    """A wrong function in hosts. The self-test is tried on it, then hosts without a self-test run audit rounds with it.

    Attributes:
        plant: puts it in place.
        hosts: which have it.
        audit: one round or the difference of two; None where no figure of the audit could be touched.
        everybody_stays: whether all hosts of the roster are in the sum.
        rounds: where there is no audit, how many rounds to run until others refuse.
        stops: whether to run a round more, in which the hosts test themselves as the product does.
    """

    plant: Plant
    hosts: Hosts = everyone
    audit: Audit | None = audit_one
    everybody_stays: bool = False
    rounds: int = 0
    stops: bool = False

    def trial(self) -> Trial:
        """Try the self-test, then the rounds."""
        with self.plant():
            failed = inspect(host_path()).failed
        bound = estimate = None
        refused: set[str] = set()
        with patched(self.target, "everybody_stays", self.everybody_stays):
            if self.audit is not None:
                bound, estimate, stopped = self._run(self.audit, tried=False)
                refused.update(stopped)
            if self.rounds:
                refused.update(self._refusals())
            if self.stops:
                refused.update(self._run(audit_one, tried=True)[2])
        looked = bool(refused) or self.rounds > 0 or self.stops
        return Trial(failed, tuple(sorted(refused)) if looked else None, bound, estimate)

    def _make(self, *, tried: bool) -> MakeParticipant:
        return lambda host, observe: FaultyParticipant(host, observe, plant=self.plant, tried=tried)

    def _run(self, audit: Audit, *, tried: bool) -> tuple[bool | None, bool | None, tuple[str, ...]]:
        with replaced(self.target, self.hosts(self.target.setting), self._make(tried=tried)):
            return audited(self.target, audit)

    def _refusals(self) -> Iterator[str]:
        with replaced(self.target, self.hosts(self.target.setting), self._make(tried=False)):
            for _ in range(self.rounds):
                yield from audited(self.target, audit_one)[2] or codes(self.target)


@dataclass(frozen=True, kw_only=True)
class PlanFault(Described):
    """A plan that the server's own code makes wrong and signs. Hosts look at it as at every plan."""

    bend: Callable[[RoundPlan], RoundPlan]

    def trial(self) -> Trial:
        """Run a round under the bent plan."""

        def wrong(*arguments: Any, **options: Any) -> RoundPlan:
            return self.bend(build_plan(*arguments, **options))

        with patched(service, "build_plan", wrong):
            bound, estimate, stopped = audited(self.target, audit_one)
        return Trial(None, stopped, bound, estimate)


@dataclass(frozen=True, kw_only=True)
class UpdateFault(Described):
    """What the training of one host returns is no number; its contribution is looked at before noise is added."""

    updates: Callable[[Vectors], Vectors]

    def trial(self) -> Trial:
        """Run a round; a row that counts as zero is a refusal, named ``row_zeroed``."""
        right, seen = LightHost.local_updates, ZeroSeen()
        (host,) = one(self.target.setting)

        def wrong(self: LightHost, plan: RoundPlan, devices: Sequence[str]) -> Vectors:
            updates = right(self, plan, devices)
            return wrong_updates(updates) if self.host_id == host else updates

        wrong_updates = self.updates
        with (
            patched(LightHost, "local_updates", wrong),
            replaced(self.target, (host,), lambda inner, _observe: RoundParticipant(inner, seen)),
        ):
            bound, estimate, stopped = audited(self.target, audit_one)
        zeroed = ("row_zeroed",) if seen.zero and all(seen.zero) else ()
        return Trial(None, (*stopped, *zeroed), bound, estimate)


@dataclass(frozen=True, kw_only=True)
class ServerFault(Described):
    """A server that asks a host twice, of which the second is answered or refused."""

    stage: str

    def trial(self) -> Trial:
        """Run a round."""
        asked: list[AskedTwice] = []
        setting = self.target.setting

        def make(host: HostRound, observe: Observe | None) -> RoundParticipant:
            asked.append(AskedTwice(host, observe, stage=self.stage, absent=last(setting)[0]))
            return asked[-1]

        with replaced(self.target, one(setting), make):
            bound, estimate, stopped = audited(self.target, audit_one)
        refused = tuple(code for code in asked[0].codes if code != ANSWERED)
        return Trial(None, (*refused, *stopped), bound, estimate)
