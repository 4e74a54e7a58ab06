"""A host's own terms, and the check of a plan against them.

Everything that protects a device is computed here from the host's policy: the number t of colluding hosts it reckons
with, the price ρ of a participation and its ceiling. What a plan says about them is compared, never believed.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from tactful.federation import refusals
from tactful.training import HEAD_TASKS, TASKS
from tactful_privacy.accounting.modes import (
    CENTRAL,
    REHEARSAL,
    headroom_in_mode,
    price_in_mode,
    promised_price,
)
from tactful_privacy.accounting.zcdp import rho_budget
from tactful_privacy.errors import ModulusTooSmall
from tactful_privacy.mechanisms.banded import strategies
from tactful_privacy.secagg.thresholds import graph_fault
from tactful_privacy.validate import at_least, fraction, positive
from tactful_privacy.wire import KeyDirectory, RoundPlan, Signed, WireError, digest, open_signed

REHEARSAL_MODE = REHEARSAL
MODULUS_BITS = 32
MIN_NOISE_VARIANCE_UNITS = 16
"""σ_host/γ ≥ 4: below it the sum of discrete Gaussians is not close enough to one (arXiv:2102.06387, τ term)."""
PRICE_SLACK = Fraction(1, 10**9)
"""Relative tolerance of the ceiling, for the floating point in which both sides convert (ε, δ) to ρ."""


@dataclass(frozen=True, slots=True)
class ParticipationPolicy:
    """Under which terms a host takes part in rounds.

    The guarantee meant is zero-out adjacency per enrolment over ``participations`` rounds: (``epsilon``, ``delta``).

    Args:
        n_min: fewest hosts in an opened sum that this host accepts.
        colluders: t, how many hosts of a roster it assumes to be the server's own.
        epsilon: the device's total ε over its horizon. Infinite only with ``rehearsal``.
        delta: the δ beside it.
        participations: rounds over which the total is meant to last.
        max_rho_per_round: ceiling of one participation's ρ; None divides the total of (ε, δ) by ``participations``.
        modes: modes of privacy agreed to. ``local`` reads (``epsilon``, ``delta``) as a promise under replacement;
            ``central`` means to trust the server with the sum and with the noise.
        tasks: training tasks that this host knows.
        max_dimension: most coordinates of a contribution, statistics included and an audit's canaries not.
        max_canaries: most audit coordinates; a device's own are all zero, so they cost it bytes and nothing else.
        federation: name of the one federation it serves; None accepts the one of the roster.
        rehearsal: whether plans without any noise are accepted. Never on real people's devices.
        require_ledger: install a released model only with the proof that the ledger has its round.

    Raises:
        InvalidInput: a field is out of range.
    """

    n_min: int = 4
    colluders: int = 1
    epsilon: float = 4.0
    delta: float = 1e-6
    participations: int = 120
    max_rho_per_round: Fraction | None = None
    modes: tuple[str, ...] = ("distributed",)
    tasks: tuple[str, ...] = (*TASKS, *HEAD_TASKS)
    max_dimension: int = 1024
    max_canaries: int = 1024
    federation: str | None = None
    rehearsal: bool = False
    require_ledger: bool = True

    def __post_init__(self) -> None:
        at_least(2, n_min=self.n_min)
        at_least(0, colluders=self.colluders, max_canaries=self.max_canaries)
        at_least(1, participations=self.participations, max_dimension=self.max_dimension)
        fraction(delta=self.delta)
        if not (self.rehearsal and math.isinf(self.epsilon)):
            positive(epsilon=self.epsilon)
        if self.max_rho_per_round is not None:
            positive(max_rho_per_round=float(self.max_rho_per_round))

    @property
    def rho_ceiling(self) -> Fraction | None:
        """The most that one participation may cost, exact; None in a rehearsal with infinite ε."""
        if self.max_rho_per_round is not None:
            return self.max_rho_per_round
        if math.isinf(self.epsilon):
            return None
        return Fraction(rho_budget(self.epsilon, self.delta)) / self.participations


def open_plan(signed: bytes | Signed, server_key: bytes) -> RoundPlan:
    """Return the plan if the pinned key signed it.

    Raises:
        PlanUnsigned: the bytes are no plan, or the signature is another's.
    """
    try:
        return open_signed(signed, RoundPlan, server_key)
    except WireError as error:
        raise refusals.PlanUnsigned(str(error), field="plan", remedy="pin the key of the server you mean") from error


def check_plan(
    plan: RoundPlan,
    directory: KeyDirectory,
    policy: ParticipationPolicy,
    now_unix_s: int,
    last_position: tuple[int, int] | None,
) -> None:
    """Return if a host with this policy may answer the plan.

    Args:
        plan: as signed by the server.
        directory: the roster at hand.
        policy: the host's own terms.
        now_unix_s: for the deadline.
        last_position: the highest (round, attempt) answered, or None.

    Raises:
        PlanRefused: one of its subclasses, see `tactful.federation.refusals`.
    """
    _check_time(plan, now_unix_s, last_position)
    _check_scope(plan, policy)
    _check_roster(plan, directory)
    _check_threshold(plan, policy)
    _check_bound(plan)
    if plan.mode == REHEARSAL_MODE:
        _check_rehearsal(plan)
    else:
        _check_noise(plan, policy)
    _check_modulus(plan, directory)


def _check_time(plan: RoundPlan, now_unix_s: int, last_position: tuple[int, int] | None) -> None:
    if now_unix_s > plan.deadline_unix_s:
        late_s = now_unix_s - plan.deadline_unix_s
        raise refusals.PlanExpired(
            f"passed {late_s} s ago", field="deadline_unix_s", remedy="ask for the current plan; check the host's clock"
        )
    if last_position is not None and (plan.round_number, plan.attempt) <= last_position:
        raise refusals.PlanReplayed(
            f"round {plan.round_number} attempt {plan.attempt} is not after {last_position}",
            field="round_number",
            remedy="publish a plan with a higher round or attempt",
        )


def _check_scope(plan: RoundPlan, policy: ParticipationPolicy) -> None:
    if policy.federation is not None and plan.federation != policy.federation:
        raise refusals.WrongFederation(
            f"{plan.federation!r}, not {policy.federation!r}", field="federation", remedy="enrol the host there first"
        )
    if plan.mode == REHEARSAL_MODE and not policy.rehearsal:
        raise refusals.NotARehearsal(
            "the plan adds no noise", field="mode", remedy="set rehearsal=True only where no real person is enrolled"
        )
    if plan.mode != REHEARSAL_MODE and plan.mode not in policy.modes:
        raise refusals.UnknownMode(f"{plan.mode!r}", field="mode", remedy=f"agreed to are {list(policy.modes)}")
    if plan.task not in policy.tasks:
        raise refusals.UnknownTask(f"{plan.task!r}", field="task", remedy=f"known are {list(policy.tasks)}")
    if plan.dimension - plan.canaries > policy.max_dimension:
        size = plan.dimension - plan.canaries
        raise refusals.TooLarge(f"{size} coordinates", field="layout", remedy=f"plan at most {policy.max_dimension}")
    if plan.canaries > policy.max_canaries:
        remedy = f"plan at most {policy.max_canaries} audit coordinates"
        raise refusals.TooLarge(f"is {plan.canaries}", field="canaries", remedy=remedy)
    _check_run(plan)


def _check_run(plan: RoundPlan) -> None:
    """What can be seen from the plan alone; the vault holds each device to separation and participations."""
    if plan.run is None:
        return
    run, known = plan.run, strategies().get(plan.run.strategy)
    wrong = None
    if plan.mode != CENTRAL:
        wrong = f"stands in a plan of mode {plan.mode!r}: only in {CENTRAL!r} can noise be correlated over a run"
    elif known is None:
        wrong = "names coefficients which did not ship with this SDK"
    elif run.rounds > known.rounds or run.min_separation < known.bands:
        wrong = f"does not suit its coefficients of {known.rounds} rounds and {known.bands} bands"
    elif not run.first_round <= plan.round_number < run.first_round + run.rounds:
        wrong = f"round {plan.round_number} is not within it"
    if wrong:
        raise refusals.WrongRun(wrong, field="run", remedy="plan the run as tactful_server.plans.RunTerms does")


def _check_roster(plan: RoundPlan, directory: KeyDirectory) -> None:
    wrong = None
    if digest(directory) != plan.roster_digest:
        wrong = "the plan names another key directory"
    elif directory.federation != plan.federation:
        wrong = f"the directory is of federation {directory.federation!r}"
    elif len(directory.entries) != plan.n_hosts:
        wrong = f"{len(directory.entries)} hosts in the directory, {plan.n_hosts} in the plan"
    elif len({entry.identity_key for entry in directory.entries}) != plan.n_hosts:
        wrong = "two hosts share one identity key"
    if wrong:
        raise refusals.WrongRoster(wrong, field="roster_digest", remedy="fetch the directory which the plan names")


def _check_threshold(plan: RoundPlan, policy: ParticipationPolicy) -> None:
    if plan.colluders < policy.colluders:
        raise refusals.CollusionUnderstated(
            f"t = {plan.colluders}, this host reckons with {policy.colluders}",
            field="colluders",
            remedy="plan for as many colluding hosts as the most careful host",
        )
    wrong = None
    if plan.n_min <= plan.colluders:
        wrong = f"{plan.n_min} hosts of which {plan.colluders} may collude: no honest one is left"
    elif plan.n_min < policy.n_min:
        wrong = f"{plan.n_min} hosts, this host wants {policy.n_min}"
    elif plan.n_min > plan.n_hosts:
        wrong = f"{plan.n_min} of {plan.n_hosts} hosts"
    elif 2 * plan.n_min <= plan.n_hosts + plan.colluders:
        wrong = f"2·{plan.n_min} ≤ {plan.n_hosts} + {plan.colluders}: two survivor lists could both be signed"
    elif plan.neighbours == 0 and plan.share_threshold != plan.n_min:
        wrong = f"share threshold {plan.share_threshold} is not n_min {plan.n_min}"
    if wrong:
        raise refusals.ThresholdTooLow(
            wrong, field="n_min", remedy="raise n_min above (n + t)/2 and every host's floor"
        )
    if fault := graph_fault(plan, max(plan.colluders, policy.colluders)):
        remedy = "plan what tactful_privacy.secagg.thresholds.recommended gives for this roster"
        raise refusals.GraphUnsafe(fault, field="neighbours", remedy=remedy)


def _check_bound(plan: RoundPlan) -> None:
    parts = plan.clip_units**2 + sum(statistic.half_range_units**2 for statistic in plan.statistics)
    if plan.norm_bound_squared < parts:
        raise refusals.WrongBound(
            f"{plan.norm_bound_squared} is below C² + Σ half-range² = {parts}",
            field="norm_bound_squared",
            remedy="calibrate the plan anew",
        )
    if plan.clip_units**2 <= plan.dimension:
        raise refusals.WrongBound(
            f"{plan.clip_units} grid steps for {plan.dimension} coordinates: rounding alone could exceed the clip norm",
            field="clip_units",
            remedy="choose a finer grid",
        )


def _check_rehearsal(plan: RoundPlan) -> None:
    if plan.noise_variance_units or plan.rho:
        raise refusals.WrongPrice(
            "a rehearsal without noise has variance 0 and price 0", field="rho", remedy="plan it as 'distributed'"
        )


def _check_noise(plan: RoundPlan, policy: ParticipationPolicy) -> None:
    remedy = "calibrate for a smaller ε, more rounds or more hosts"
    if plan.noise_variance_units < MIN_NOISE_VARIANCE_UNITS:
        message = f"σ² = {plan.noise_variance_units} grid units² is below {MIN_NOISE_VARIANCE_UNITS}"
        raise refusals.TooLittleNoise(message, field="noise_variance_units", remedy="choose a finer grid")
    times = plan.run.participations if plan.run else 1
    honest = plan.n_min - plan.colluders
    due = price_in_mode(plan.mode, plan.norm_bound_squared, plan.noise_variance_units, honest, times)
    if plan.rho != due:
        remedy_price = "state the price that the noise gives"
        raise refusals.WrongPrice(f"{plan.rho}, but bound and noise give {due}", field="rho", remedy=remedy_price)
    ceiling = policy.rho_ceiling
    each = promised_price(plan.mode, plan.rho) / times
    if ceiling is not None and each > ceiling * (1 + PRICE_SLACK):
        message = f"ρ = {float(each):.6g} a round, this host's ceiling is {float(ceiling):.6g}"
        raise refusals.TooLittleNoise(message, field="noise_variance_units", remedy=remedy)


def _check_modulus(plan: RoundPlan, directory: KeyDirectory) -> None:
    if plan.modulus_bits != MODULUS_BITS:
        raise refusals.WrongModulus(f"2^{plan.modulus_bits}", field="modulus_bits", remedy=f"plan {MODULUS_BITS} bits")
    try:
        headroom_in_mode(
            plan.mode,
            total_devices=sum(entry.planned_devices for entry in directory.entries),
            norm_bound=math.isqrt(plan.norm_bound_squared) + 1,
            noise_variance_units=plan.noise_variance_units,
            n_hosts=plan.n_hosts,
            dimension=plan.dimension,
            bits=plan.modulus_bits,
        )
    except ModulusTooSmall as error:
        raise refusals.WrongModulus(str(error), field="grid_exponent", remedy="choose a coarser grid") from error
