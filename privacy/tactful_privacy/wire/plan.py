"""What is agreed before a round: who takes part (`KeyDirectory`) and what is computed (`RoundPlan`)."""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

from tactful_privacy.wire.codec import Blob, Many, Maybe
from tactful_privacy.wire.errors import TooLarge
from tactful_privacy.wire.fields import (
    MAX_BLOCKS,
    MAX_DIMENSION,
    MAX_HOSTS,
    MIN_SIGNED_BYTES,
    U8,
    U16,
    U32,
    U64,
    U128,
    Digest,
    Name,
    Positive32,
    Positive64,
    Price,
    PublicKey,
    Settings,
)
from tactful_privacy.wire.kinds import Kind
from tactful_privacy.wire.message import Message, Nested, Record


def _host_of(entry: "HostEntry") -> str:
    return entry.host_id


def _name_of(part: "Block | Statistic") -> str:
    return part.name


@dataclass(frozen=True, slots=True)
class HostEntry(Message):
    """One host of a federation: its name, long-term Ed25519 public key and cap of devices. Travels signed alone."""

    KIND: ClassVar[Kind] = Kind.HOST_ENTRY
    MAX_BYTES: ClassVar[int] = 1 << 10

    host_id: Name
    identity_key: PublicKey
    planned_devices: U32


@dataclass(frozen=True, slots=True)
class KeyDirectory(Message):
    """The roster: every host of the federation, sorted by name, each once. Its digest is the roster hash."""

    KIND: ClassVar[Kind] = Kind.KEY_DIRECTORY

    federation: Name
    entries: Annotated[tuple[HostEntry, ...], Many(Nested(HostEntry), MAX_HOSTS, key=_host_of)]

    @property
    def host_ids(self) -> tuple[str, ...]:
        """The names of all hosts, sorted."""
        return tuple(entry.host_id for entry in self.entries)

    def entry(self, host_id: str) -> HostEntry | None:
        """The host of this name, or None when the roster has no such host."""
        return next((entry for entry in self.entries if entry.host_id == host_id), None)


@dataclass(frozen=True, slots=True)
class Block(Record):
    """A named run of ``length`` consecutive model parameters."""

    name: Name
    length: Positive32


@dataclass(frozen=True, slots=True)
class Statistic(Record):
    """A reported number, one coordinate behind the parameters; its half-range counts in grid units."""

    name: Name
    half_range_units: Positive64


@dataclass(frozen=True, slots=True)
class CorrelatedRun(Record):
    """A run of rounds whose noise is correlated: one event for its whole length, spent before its first contribution.

    Attributes:
        run_id: names the run within its federation.
        first_round: number of its first round.
        rounds: how many rounds it has.
        min_separation: fewest rounds from one participation of a device to its next; the device enforces it.
        participations: most rounds that one device joins.
        strategy: digest of the matrix factorisation's coefficients.
    """

    run_id: Name
    first_round: U32
    rounds: Positive32
    min_separation: Positive32
    participations: Positive32
    strategy: Digest


Layout = Annotated[tuple[Block, ...], Many(Nested(Block), MAX_BLOCKS, key=_name_of, ordered=False, at_least=1)]
MaybeRun = Annotated[CorrelatedRun | None, Maybe(Nested(CorrelatedRun))]
Statistics = Annotated[tuple[Statistic, ...], Many(Nested(Statistic), MAX_BLOCKS, key=_name_of, ordered=False)]


def layout_length(layout: tuple[Block, ...]) -> int:
    """Number of parameters that a layout spans."""
    return sum(block.length for block in layout)


@dataclass(frozen=True, slots=True)
class RoundPlan(Message):
    """Everything a host must know to agree to a round. Signed by the server; checked against the host's own policy.

    Attributes:
        federation: name of the federation.
        round_number: counts up; a host refuses a number it has already answered.
        attempt: repetition of the same round after it became void.
        mode: who adds the noise: ``distributed``, ``local`` or ``central``.
        task: what each device computes, one of the names that the host itself implements.
        settings: exact parameters of the task, sorted by name.
        model_digest: digest of the model artifact that training starts from.
        layout: the parameters in order.
        statistics: the reported numbers behind them, in order.
        clip_units: clip norm C in grid units, rounded down.
        grid_exponent: j; one grid unit is γ = 2^-j.
        norm_bound_squared: B², bound of the squared norm of one device's whole integer vector, statistics included.
        noise_variance_units: variance σ²/γ² of whoever adds noise (a host, a device or the server), rounded up.
        modulus_bits: sums are modulo 2 to this power.
        roster_digest: digest of the `KeyDirectory`.
        n_hosts: hosts on the roster.
        n_min: fewest survivors with which anything is opened.
        colluders: t, how many hosts may collude with the server.
        share_threshold: shares needed to rebuild a secret.
        deadline_unix_s: seconds since 1970 after which the plan is not answered.
        rho: price of one participation in zCDP, zero-out; exactly B²/(2·(n_min - t)·σ²) where the mode is
            ``distributed``.
        previous_head: ledger head that this round continues.
        neighbours: hosts with which each host shares masks and secrets; 0 pairs every host with every other.
        committee: hosts which verify the whole survivor certificate for the others; 0 lets every host verify it.
        committee_threshold: endorsements of the committee that a host asks for.
        canaries: coordinates behind the statistics which only an audit uses; 0 in every other round.
        run: of the round, where its noise is correlated with that of other rounds.
    """

    KIND: ClassVar[Kind] = Kind.ROUND_PLAN

    federation: Name
    round_number: U32
    attempt: U16
    mode: Name
    task: Name
    settings: Settings
    model_digest: Digest
    layout: Layout
    statistics: Statistics
    clip_units: U64
    grid_exponent: U8
    norm_bound_squared: U128
    noise_variance_units: U128
    modulus_bits: U8
    roster_digest: Digest
    n_hosts: U16
    n_min: U16
    colluders: U16
    share_threshold: U16
    deadline_unix_s: U64
    rho: Price
    previous_head: Digest
    neighbours: U16 = 0
    committee: U16 = 0
    committee_threshold: U16 = 0
    canaries: U16 = 0
    run: MaybeRun = None

    def _check_together(self) -> None:
        if self.dimension > MAX_DIMENSION:
            raise TooLarge(
                f"{self.dimension} coordinates, above {MAX_DIMENSION}",
                field="RoundPlan.layout",
                remedy="plan a smaller model",
            )

    @property
    def dimension(self) -> int:
        """Coordinates of a contribution: parameters, then statistics, then an audit's canaries."""
        return layout_length(self.layout) + len(self.statistics) + self.canaries

    @property
    def grid(self) -> float:
        """One grid unit γ = 2^-j in units of the model's parameters."""
        return math.ldexp(1.0, -self.grid_exponent)

    @property
    def clip_norm(self) -> float:
        """Clip norm C in units of the model's parameters."""
        return self.clip_units * self.grid


@dataclass(frozen=True, slots=True)
class RoundAnnouncement(Message):
    """The first payload of a round: the plan as the server signed it, and the roster that it names."""

    KIND: ClassVar[Kind] = Kind.ROUND_ANNOUNCEMENT
    MAX_BYTES: ClassVar[int] = 2 << 20

    signed_plan: Annotated[bytes, Blob(1 << 20, MIN_SIGNED_BYTES)]
    directory: Annotated[KeyDirectory, Nested(KeyDirectory)]
