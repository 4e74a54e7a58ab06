"""A federation's own office: what the server knows and writes between and around rounds. No network, no framework.

Order at a release: journal (the artifact, with the opened sum) → ledger entry → signed head → registry → only then the
hosts, with the proof that the ledger has it. Each step is idempotent, so a crash between any two of them is mended by
`finish` after `resume`.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from tactful_privacy.accounting.modes import CENTRAL
from tactful_privacy.accounting.signal import Outlook
from tactful_privacy.accounting.zcdp import epsilon as epsilon_of
from tactful_privacy.errors import InvalidInput
from tactful_privacy.ledger import Ledger, Release, Value
from tactful_privacy.wire import (
    Artifact,
    ArtifactCard,
    Block,
    HostEntry,
    KeyDirectory,
    RoundPlan,
    Signed,
    digest,
    pack_f64,
    sign,
)
from tactful_server.aggregation import Opened, ServerOptimiser, mean_of
from tactful_server.central import CentralNoise
from tactful_server.enrolment import Enrolment
from tactful_server.errors import OutOfPhase
from tactful_server.journal import Phase, RoundId
from tactful_server.plans import RoundStart, RoundTerms, build_plan
from tactful_server.progress import Progress, in_units_of
from tactful_server.records import ArtifactRecord, Store
from tactful_server.registry import NO_PARENT, Registry
from tactful_server.rounds import RoundMachine
from tactful_server.secure_sum import AggregatedSum, SecureSum, SecureSumFactory
from tactful_server.transparency import Held, Transparency

_FIXED_DENOMINATOR = 10**9
"""Figures on a card are rationals with at most this denominator: exact on the wire, precise enough for people."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The model that a federation trains.

    Attributes:
        name: of the model; becomes part of file names.
        layout: its parameter blocks.
        parameters: the prior, shape (sum of block lengths,).
        features: (name, unit) of each input.
    """

    name: str
    layout: tuple[Block, ...]
    parameters: NDArray[np.float64]
    features: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Office:
    """The server of one federation.

    Args:
        federation: its name.
        store: journal, roster, index.
        registry: signed models.
        ledger: chain of releases.
        signing_key: Ed25519; hosts pin its public half.
        terms: of every round.
        model: what is trained; its prior becomes version 0.
        optimiser: from the mean contribution to the next parameters.
        secure_sum: secure aggregation.
        now_unix_s: the clock, for deadlines alone.
    """

    federation: str
    store: Store
    registry: Registry
    ledger: Ledger
    signing_key: Ed25519PrivateKey
    terms: RoundTerms
    model: ModelSpec
    optimiser: ServerOptimiser
    secure_sum: SecureSumFactory = AggregatedSum
    now_unix_s: Callable[[], int] = field(default=lambda: int(time.time()))
    transparency: Transparency = field(init=False)
    progress: Progress = field(init=False)
    _central: CentralNoise = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.transparency = Transparency(self.federation, self.ledger, self.signing_key)
        self.progress = Progress(self.store, self.federation)
        self._central = CentralNoise(self.signing_key)
        self.store.add_federation(self.federation)
        if not any(True for _ in self.ledger.entries()):
            self.ledger.append("genesis", {"federation": self.federation, "server_key": self.server_key})
        if not self.store.artifacts(self.model.name):
            self.registry.publish(sign(self._prior(), self.signing_key))

    @property
    def server_key(self) -> bytes:
        """The public key which hosts pin, 32 bytes."""
        return self.signing_key.public_key().public_bytes_raw()

    @property
    def enrolment(self) -> Enrolment:
        """Who takes part."""
        return Enrolment(self.store, self.federation)

    def enrol(self, signed_entry: Signed | bytes) -> HostEntry:
        """Take a host in and chain it into the ledger; an unchanged host changes nothing.

        Raises:
            EnrolmentRefused: see `Enrolment.enrol`.
        """
        before = self.store.hosts(self.federation)
        entry = self.enrolment.enrol(signed_entry)
        if entry not in before:
            body: dict[str, Value] = {
                "host_id": entry.host_id,
                "identity_key": entry.identity_key,
                "devices": entry.planned_devices,
            }
            self.ledger.append("enrolment", body)
        return entry

    def current(self) -> ArtifactRecord:
        """The newest model."""
        return self.registry.latest(self.model.name)

    def outlook(self, directory: KeyDirectory) -> Outlook:
        """Whether the federation's terms let its model learn anything from this roster; see `RoundTerms.outlook`."""
        return self.terms.outlook(directory, sum(block.length for block in self.model.layout))

    def next_plan(self, directory: KeyDirectory) -> RoundPlan:
        """The plan of the next round: a number never used before, from the newest model and the ledger's head."""
        numbers = [record.round_id.round_number for record in self.store.rounds(self.federation)]
        number, terms = max(numbers, default=0) + 1, self.terms
        self.optimiser.load(self._optimiser_state())
        layout, task = self.optimiser.contribution_layout(self.model.layout), self.optimiser.task
        clip_norm, run = self.progress.clip_norm(terms, task), self.progress.run(terms, number)
        start = RoundStart(number, self.current().digest, self.ledger.head, self.now_unix_s(), clip_norm, run)
        return self.progress.checked(build_plan(terms, directory, task, layout, start), terms)

    def begin(self) -> RoundMachine:
        """Plan, sign and announce the next round.

        Raises:
            OutOfPhase: a round is still open; resume it.
            ArtifactTampered: the newest model is not what was published.
            InvalidInput, ModulusTooSmall: the terms do not suit the roster, or a run that is under way.
            ModeSwitched: the mode is not that of the round before, and the terms do not say that it replaces it.
        """
        if self._open_round() is not None:
            raise OutOfPhase("a round is open", field="round", remedy="resume it and finish it first")
        directory = self.enrolment.directory()
        self.registry.load(self.current().digest)
        plan = self.next_plan(directory)
        if (replaced := self.progress.check_mode(plan, self.terms)) is not None:
            self.ledger.append("mode", {"from": replaced, "to": plan.mode, "round_number": plan.round_number})
            plan = self.next_plan(directory)  # chained to the entry, so that the hosts can see it
        signed = sign(plan, self.signing_key)
        return RoundMachine.announce(signed, directory, self.secure_sum, self.store.append, self.settle)

    def resume(self) -> RoundMachine | None:
        """The round which was open when the process died, as its journal left it; None when there is none.

        A round that was over but not entered into ledger and registry is finished on the way.
        """
        records = self.store.rounds(self.federation)
        if not records:
            return None
        machine = self._replayed(records[-1].round_id)
        if machine.over:
            self.finish(machine)
            return None
        return machine

    def last_release(self) -> RoundMachine | None:
        """The newest released round, whose model some hosts may not have; None before the first."""
        released = [r for r in self.store.rounds(self.federation) if r.phase == Phase.RELEASED]
        if not released:
            return None
        machine = self._replayed(released[-1].round_id)
        if self._entered("release", machine.plan_digest):
            machine.serve(self._proven(machine))
        else:  # killed between journal and ledger: nothing reaches a host before the ledger has it
            self.finish(machine)
        return machine

    def hear(self, machine: RoundMachine, host_id: str, payload: bytes) -> Held:
        """Take a host's answer to a release: one whose head is too old for the links sent is served once more."""
        held = self.transparency.hear(payload)
        if held is Held.BEHIND:
            machine.serve(self._proven(machine), again=host_id)
        return held

    def finish(self, machine: RoundMachine) -> None:
        """Enter a round that is over into ledger and registry, each once however often this is called.

        Raises:
            OutOfPhase: the round is still running.
            LedgerBroken: the ledger no longer has what was signed or planned on; nothing is appended.
        """
        if not machine.over:
            raise OutOfPhase(f"the round is {machine.phase}", field="finish", remedy="close its phases first")
        self.transparency.check(machine.plan)
        kind = "release" if machine.phase is Phase.RELEASED else "void"
        if kind == "release" and machine.plan.canaries and not self._entered("audit", machine.plan_digest):
            self.ledger.append("audit", _audit_entry(machine))
        if not self._entered(kind, machine.plan_digest):
            self.ledger.append(kind, self._entry(machine))
        self.transparency.sign()
        if machine.phase is Phase.RELEASED:
            self.registry.publish(machine.facts["artifact"])
            machine.serve(self._proven(machine))

    def _proven(self, machine: RoundMachine) -> bytes:
        return self.transparency.release(machine.plan, machine.facts["artifact"])

    def settle(self, plan: RoundPlan, total: NDArray[np.int64], summed: SecureSum) -> Mapping[str, bytes]:
        """The facts of a release, from the opened sum; writes nothing, so it may be repeated.

        In mode ``central`` the noise comes first, drawn afresh if repeated: the exact sum goes no further than here.
        """
        central: dict[str, bytes] = {}
        if plan.mode == CENTRAL:
            total, noise = self._central.add(plan, total, self.progress.noise_state(plan))
            central = {"total": total.astype("<i8").tobytes(), "noise": noise}
        parent = self.registry.load(plan.model_digest)
        opened = self._mean(plan, total, self._directory_of(plan), summed.survivors)
        self.optimiser.load(self._optimiser_state())
        parameters = self.optimiser.step(np.array(parent.values()), opened.update, plan, opened.noise_std)
        artifact = Artifact(self._card(plan, parent, opened), pack_f64(parameters))
        return {
            "artifact": sign(artifact, self.signing_key).encode(),
            "model_digest": artifact.digest,
            "optimiser": self.optimiser.dump(),
            "survivors": "\n".join(summed.survivors).encode(),
            "keys_digest": summed.keys_digest,
            **central,
            **self.progress.after(plan, self.terms, opened),
        }

    def opened(self, machine: RoundMachine) -> Opened:
        """What a released round's sum says."""
        return self._mean(machine.plan, machine.total, machine.directory, survivors_of(machine))

    def _mean(
        self, plan: RoundPlan, total: NDArray[np.int64], directory: KeyDirectory, survivors: tuple[str, ...]
    ) -> Opened:
        opened = mean_of(total, plan, directory, survivors, self.terms.audit_hosts)
        return in_units_of(self.terms, plan, opened)

    def _open_round(self) -> RoundId | None:
        records = self.store.rounds(self.federation)
        is_open = records and records[-1].phase not in (Phase.RELEASED, Phase.VOID)
        return records[-1].round_id if is_open else None

    def _replayed(self, round_id: RoundId) -> RoundMachine:
        return RoundMachine.resume(self.store.transitions(round_id), self.secure_sum, self.store.append, self.settle)

    def _directory_of(self, plan: RoundPlan) -> KeyDirectory:
        """The roster as the plan fixed it, also if a host enrolled since."""
        first = self.store.transitions(RoundId(plan.federation, plan.round_number, plan.attempt))[0]
        return KeyDirectory.decode(first.facts["directory"])

    def _optimiser_state(self) -> bytes:
        released = [r for r in self.store.rounds(self.federation) if r.phase == Phase.RELEASED]
        return self.store.transitions(released[-1].round_id)[-1].facts["optimiser"] if released else b""

    def _entered(self, kind: str, plan_digest: bytes) -> bool:
        return self.ledger.find(kind, plan_digest) is not None

    def _entry(self, machine: RoundMachine) -> Mapping[str, Value]:
        plan = machine.plan
        if machine.phase is Phase.VOID:
            return {
                "plan_digest": machine.plan_digest,
                "round_number": plan.round_number,
                "reason": machine.reason,
                "contributed": self._contributed(machine.round_id),  # they have paid, though nothing was opened
                "rho": self.progress.charged(plan),
            }
        return Release(
            plan_digest=machine.plan_digest,
            round_number=plan.round_number,
            roster=tuple((entry.host_id, entry.planned_devices) for entry in machine.directory.entries),
            survivors=survivors_of(machine),
            rho=self.progress.charged(plan),
            model_digest=machine.facts["model_digest"],
            keys_digest=machine.facts["keys_digest"],
        ).to_body()

    def _contributed(self, round_id: RoundId) -> Sequence[str]:
        """The hosts whose contributions arrived, sorted."""
        for before, after in pairwise(self.store.transitions(round_id)):
            if before.phase is Phase.CONTRIBUTIONS:
                return sorted(host for host, _ in after.replies)
        return ()

    def _prior(self) -> Artifact:
        card = ArtifactCard(
            name=self.model.name,
            version=0,
            federation=self.federation,
            round_number=0,
            layout=self.model.layout,
            features=self.model.features,
            epsilon=Fraction(0),
            delta=_rational(self.terms.delta),
            rho=Fraction(0),
            ledger_head=self.ledger.head,
            parent=NO_PARENT,
            evaluation=(),
            training=(("origin", "public prior"),),
        )
        return Artifact(card, pack_f64(self.model.parameters))

    def _card(self, plan: RoundPlan, parent: Artifact, opened: Opened) -> ArtifactCard:
        before = None if plan.rho == 0 else parent.card.rho
        spent = None if before is None else before + self.progress.charged(plan)
        told = None if spent is None else _rational(epsilon_of(float(spent), self.terms.delta))
        figures = self.progress.figures(plan, self.terms, opened)
        return ArtifactCard(
            name=self.model.name,
            version=parent.card.version + 1,
            federation=self.federation,
            round_number=plan.round_number,
            layout=self.model.layout,
            features=self.model.features,
            epsilon=told,
            delta=_rational(self.terms.delta),
            rho=None if spent is None else _above(spent),
            ledger_head=plan.previous_head,
            parent=digest(parent),
            evaluation=tuple(sorted((name, _rational(value)) for name, value in figures.items())),
            training=(("mode", plan.mode), ("planned_devices", str(opened.planned_devices)), ("task", plan.task)),
        )


def _audit_entry(machine: RoundMachine) -> Mapping[str, Value]:
    """The opened audit coordinates in grid units: whoever knows his canaries' coins can judge the round from them."""
    opened = machine.total[machine.plan.dimension - machine.plan.canaries :]
    return {
        "plan_digest": machine.plan_digest,
        "round_number": machine.plan.round_number,
        "canaries": [int(value) for value in opened],
    }


def survivors_of(machine: RoundMachine) -> tuple[str, ...]:
    """The hosts in a released round's sum, sorted; none for any other round."""
    return tuple(machine.facts.get("survivors", b"").decode().split("\n")) if "survivors" in machine.facts else ()


def signing_key(path: Path, *, make: bool) -> Ed25519PrivateKey:
    """Read the server's signing key, 32 raw bytes.

    Args:
        path: of the file.
        make: write a new key, readable by its owner alone, if the file is absent.

    Raises:
        InvalidInput: the file is absent and may not be made, or holds something else.
    """
    remedy = "restore it from a backup: hosts pin this key, and another one could not speak to them"
    if not path.exists():
        if not make:
            raise InvalidInput("is gone, but the federation exists", field=str(path), remedy=remedy)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(Ed25519PrivateKey.generate().private_bytes_raw())
            file.flush()
            os.fsync(file.fileno())
    try:
        return Ed25519PrivateKey.from_private_bytes(path.read_bytes())
    except ValueError as error:
        raise InvalidInput("is not a key of 32 bytes", field=str(path), remedy=remedy) from error


def _rational(value: float) -> Fraction:
    return Fraction(value).limit_denominator(_FIXED_DENOMINATOR)


def _above(value: Fraction) -> Fraction:
    """The next rational on the card's grid that is not below: sums of exact prices outgrow the wire's 64 bits."""
    return Fraction(-(-value.numerator * _FIXED_DENOMINATOR // value.denominator), _FIXED_DENOMINATOR)
