"""From terms, roster, model and ledger head to a `RoundPlan` with its exact price."""

import math
from dataclasses import dataclass
from fractions import Fraction

from tactful_privacy.accounting.calibration import Calibration
from tactful_privacy.accounting.modes import CENTRAL, DISTRIBUTED, MODES, REHEARSAL, calibrate_in_mode
from tactful_privacy.accounting.signal import Outlook, outlook_of
from tactful_privacy.errors import InvalidInput
from tactful_privacy.mechanisms.adaptive_clip import CLIP_BIT, AdaptiveClip
from tactful_privacy.mechanisms.banded import strategy_for
from tactful_privacy.mechanisms.sends import SENDS, SENDS_CAP
from tactful_privacy.secagg.thresholds import recommended
from tactful_privacy.validate import at_least, positive
from tactful_privacy.wire import Block, CorrelatedRun, KeyDirectory, RoundPlan, Statistic, digest
from tactful_server.fleet_price import FleetPrice

REHEARSAL_MODE = REHEARSAL
MODULUS_BITS = 32


@dataclass(frozen=True, slots=True)
class RunTerms:
    """Correlated noise over runs of rounds (`tactful_privacy.mechanisms.banded`); a device pays for a run at once.

    Attributes:
        rounds: length of a run.
        min_separation: fewest rounds from one participation of a device to its next; hosts enforce it.
        participations: most rounds of a run that one device joins.

    Raises:
        InvalidInput: no shipped coefficients serve such a run.
    """

    rounds: int
    min_separation: int
    participations: int

    def __post_init__(self) -> None:
        at_least(1, rounds=self.rounds, min_separation=self.min_separation, participations=self.participations)
        strategy_for(self.rounds, self.min_separation)

    def starting_at(self, first_round: int) -> CorrelatedRun:
        """The run that starts with this round."""
        strategy = strategy_for(self.rounds, self.min_separation).digest
        name = f"run-{first_round}"
        return CorrelatedRun(name, first_round, self.rounds, self.min_separation, self.participations, strategy)


@dataclass(frozen=True, slots=True)
class RoundTerms:
    """What stays the same over the rounds of a federation.

    The guarantee: zero-out adjacency per enrolment, (``epsilon``, ``delta``) over ``participations`` rounds, as long
    as at most ``colluders`` hosts of the roster side with the server. In mode ``local``: replacement adjacency, whoever
    sides with the server. In mode ``central``: zero-out adjacency, and the server is trusted.

    Attributes:
        epsilon: ε over all participations; infinite only in a rehearsal.
        delta: the δ beside it.
        participations: rounds that one device may join.
        clip_norm: C, in model units.
        n_min: fewest survivors with which a sum is opened.
        colluders: t.
        settings: exact parameters of the local task, by name.
        statistics: (name, half-range in model units) of each reported number.
        window_s: seconds from the plan to its deadline.
        canaries: audit coordinates of every round; they cost nothing, since only an auditor's enrolments are not zero
            there. Rounds which all carry them leave nobody a round in which to behave for the audit.
        audit_hosts: hosts of auditors, whose enrolments contribute zero to the model and so are not divided by.
        mode: who adds the noise, one of `accounting.modes.MODES`.
        replaces_mode: the mode of the rounds before, where ``mode`` is meant to differ from it; never by accident.
        run: correlated noise, in mode ``central`` alone.
        adaptive_clip: lets the clip norm follow a quantile of the devices; ``clip_norm`` is where it starts, and the
            half-ranges of the statistics move with it.
        fleet_price: asks devices for their pushes of a week, and prices a push; see `fleet_price`.
    """

    epsilon: float
    delta: float
    participations: int
    clip_norm: float
    n_min: int
    colluders: int = 1
    settings: tuple[tuple[str, Fraction], ...] = ()
    statistics: tuple[tuple[str, float], ...] = ()
    window_s: int = 3_600
    canaries: int = 0
    audit_hosts: tuple[str, ...] = ()
    mode: str = DISTRIBUTED
    replaces_mode: str = ""
    run: RunTerms | None = None
    adaptive_clip: AdaptiveClip | None = None
    fleet_price: FleetPrice | None = None

    def __post_init__(self) -> None:
        _check_mode(self)
        at_least(1, participations=self.participations, window_s=self.window_s)
        at_least(0, canaries=self.canaries)
        positive(clip_norm=self.clip_norm)

    def half_ranges(self, clip_norm: float) -> tuple[tuple[str, float], ...]:
        """(name, half-range) of every statistic at this clip norm: the fleet's sends, then adaptive clipping's last."""
        moved = clip_norm / self.clip_norm if self.adaptive_clip else 1.0
        ranges = [(name, half * moved) for name, half in self.statistics]
        if self.fleet_price is not None:
            ranges.append((SENDS, clip_norm * self.fleet_price.half_range_share))
        if self.adaptive_clip is not None:
            ranges.append((CLIP_BIT, clip_norm * self.adaptive_clip.half_range_share))
        return tuple(ranges)

    def all_settings(self) -> tuple[tuple[str, Fraction], ...]:
        """Every parameter of the local task, sorted by name."""
        capped = () if self.fleet_price is None else ((SENDS_CAP, Fraction(self.fleet_price.cap)),)
        return tuple(sorted((*self.settings, *capped)))

    def calibrate(self, directory: KeyDirectory, dimension: int, clip_norm: float | None = None) -> Calibration:
        """Noise, grid and price for this roster and ``dimension`` coordinates (without statistics and canaries).

        Args:
            directory: the roster.
            dimension: coordinates of the model's part.
            clip_norm: C of the round, where adaptive clipping moved it.

        Raises:
            InvalidInput: the roster cannot carry the threshold.
            ModulusTooSmall: no grid has room for the sum.
        """
        _check_threshold(self, len(directory.entries))
        clip_norm = self.clip_norm if clip_norm is None else clip_norm
        return calibrate_in_mode(
            self.mode,
            epsilon=self.epsilon,
            delta=self.delta,
            participations=self.participations,
            n_min=self.n_min,
            colluders=self.colluders,
            clip_norm=clip_norm,
            half_ranges=tuple(half for _, half in self.half_ranges(clip_norm)),
            total_devices=sum(entry.planned_devices for entry in directory.entries),
            dimension=dimension + self.canaries,
            n_hosts=len(directory.entries),
            modulus_bits=MODULUS_BITS,
        )

    def outlook(self, directory: KeyDirectory, dimension: int) -> Outlook:
        """Whether ``participations`` rounds with every planned device and host can teach ``dimension`` coordinates.

        What a correlated run gains besides, and adaptive clipping, are left out of account.

        Raises:
            InvalidInput: the roster cannot carry the threshold.
            ModulusTooSmall: no grid has room for the sum.
        """
        people = [entry for entry in directory.entries if entry.host_id not in self.audit_hosts]
        return outlook_of(
            self.calibrate(directory, dimension),
            devices=max(1, sum(entry.planned_devices for entry in people)),
            survivors=len(directory.entries),
            dimension=dimension,
            clip_norm=self.clip_norm,
            mode=self.mode,
        )


def _check_mode(terms: RoundTerms) -> None:
    if terms.mode not in MODES:
        raise InvalidInput(f"is {terms.mode!r}", field="mode", remedy=f"give one of {', '.join(MODES)}")
    if terms.run is None:
        return
    wrong = None
    if terms.mode != CENTRAL or math.isinf(terms.epsilon):
        wrong = "correlated noise is added by a trusted server: plan mode='central' with a finite epsilon"
    elif terms.adaptive_clip is not None:
        wrong = "a run keeps its clip norm: leave adaptive_clip out"
    elif terms.run.participations > terms.participations:
        wrong = "a device may not join more rounds of a run than it may join at all"
    if wrong:
        raise InvalidInput("does not fit the other terms", field="run", remedy=wrong)


def _check_threshold(terms: RoundTerms, n_hosts: int) -> None:
    """Two survivor lists could both be signed unless 2·n_min > n + t."""
    if not terms.n_min <= n_hosts:
        raise InvalidInput(f"is {terms.n_min} of {n_hosts} hosts", field="n_min", remedy="enrol more hosts")
    if 2 * terms.n_min <= n_hosts + terms.colluders:
        remedy = f"raise n_min above {(n_hosts + terms.colluders) / 2:g}"
        raise InvalidInput(f"2·{terms.n_min} ≤ {n_hosts} + {terms.colluders}", field="n_min", remedy=remedy)


@dataclass(frozen=True, slots=True)
class RoundStart:
    """What changes from round to round.

    Attributes:
        round_number: of the new round.
        model_digest: artifact that training starts from.
        previous_head: ledger head that the round continues.
        now_unix_s: the plan's deadline is ``window_s`` later.
        clip_norm: C, where adaptive clipping moved it; None takes the terms'.
        run: that the round belongs to.
    """

    round_number: int
    model_digest: bytes
    previous_head: bytes
    now_unix_s: int
    clip_norm: float | None = None
    run: CorrelatedRun | None = None


def build_plan(
    terms: RoundTerms, directory: KeyDirectory, task: str, layout: tuple[Block, ...], start: RoundStart
) -> RoundPlan:
    """Return the plan of one round, ready to be signed.

    The price is exact, see `accounting.modes.price_in_mode`; that of a run is for all its participations. Beyond a
    hundred hosts the plan has a neighbour graph and a committee, see `secagg.thresholds.recommended`.

    Args:
        terms: of the federation.
        directory: the roster.
        task: the local task.
        layout: blocks of a contribution.
        start: of this round.

    Raises:
        InvalidInput: the roster cannot carry the threshold.
        ModulusTooSmall: no grid has room for the sum.
    """
    clip_norm = terms.clip_norm if start.clip_norm is None else start.clip_norm
    calibration = terms.calibrate(directory, sum(block.length for block in layout), clip_norm)
    graph = recommended(len(directory.entries), terms.n_min, terms.colluders)
    names = [name for name, _ in terms.half_ranges(clip_norm)]
    times = start.run.participations if start.run else 1
    noisy = calibration.noise_variance_units > 0
    return RoundPlan(
        federation=directory.federation,
        round_number=start.round_number,
        attempt=0,
        mode=terms.mode if noisy else REHEARSAL_MODE,
        task=task,
        settings=terms.all_settings(),
        model_digest=start.model_digest,
        layout=layout,
        statistics=tuple(map(Statistic, names, calibration.half_range_units)),
        clip_units=calibration.clip_units,
        grid_exponent=calibration.grid_exponent,
        norm_bound_squared=calibration.norm_bound_squared,
        noise_variance_units=calibration.noise_variance_units,
        modulus_bits=MODULUS_BITS,
        roster_digest=digest(directory),
        n_hosts=len(directory.entries),
        n_min=terms.n_min,
        colluders=terms.colluders,
        share_threshold=graph.share_threshold,
        deadline_unix_s=start.now_unix_s + terms.window_s,
        rho=calibration.rho_per_round * times if noisy else Fraction(0),
        previous_head=start.previous_head,
        neighbours=graph.neighbours,
        committee=graph.committee,
        committee_threshold=graph.committee_threshold,
        canaries=terms.canaries,
        run=start.run,
    )
