"""From terms, roster, model and ledger head to a `RoundPlan` with its exact price."""

from dataclasses import dataclass
from fractions import Fraction

from tactful_privacy.accounting.calibration import Calibration, calibrate
from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least, positive
from tactful_privacy.wire import Block, KeyDirectory, RoundPlan, Statistic, digest

REHEARSAL_MODE = "rehearsal-no-noise"
MODULUS_BITS = 32


@dataclass(frozen=True, slots=True)
class RoundTerms:
    """What stays the same over the rounds of a federation.

    The guarantee: zero-out adjacency per enrolment, (``epsilon``, ``delta``) over ``participations`` rounds, as long
    as at most ``colluders`` hosts of the roster side with the server.

    Attributes:
        epsilon: central ε over all participations; infinite only in a rehearsal.
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

    def __post_init__(self) -> None:
        at_least(1, participations=self.participations, window_s=self.window_s)
        at_least(0, canaries=self.canaries)
        positive(clip_norm=self.clip_norm)

    def calibrate(self, directory: KeyDirectory, dimension: int) -> Calibration:
        """Noise, grid and price for this roster and ``dimension`` coordinates (without statistics and canaries).

        Raises:
            InvalidInput: the roster cannot carry the threshold.
            ModulusTooSmall: no grid has room for the sum.
        """
        _check_threshold(self, len(directory.entries))
        return calibrate(
            epsilon=self.epsilon,
            delta=self.delta,
            participations=self.participations,
            n_min=self.n_min,
            colluders=self.colluders,
            clip_norm=self.clip_norm,
            half_ranges=tuple(half for _, half in self.statistics),
            total_devices=sum(entry.planned_devices for entry in directory.entries),
            dimension=dimension + self.canaries,
            n_hosts=len(directory.entries),
            modulus_bits=MODULUS_BITS,
        )


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
    """

    round_number: int
    model_digest: bytes
    previous_head: bytes
    now_unix_s: int


def build_plan(
    terms: RoundTerms, directory: KeyDirectory, task: str, layout: tuple[Block, ...], start: RoundStart
) -> RoundPlan:
    """Return the plan of one round, ready to be signed.

    Price: ρ = B²/(2(n_min − t)σ²), exact (arXiv:2004.00010, Theorem 14, summed over the honest hosts).

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
    calibration = terms.calibrate(directory, sum(block.length for block in layout))
    names = [name for name, _ in terms.statistics]
    noisy = calibration.noise_variance_units > 0
    return RoundPlan(
        federation=directory.federation,
        round_number=start.round_number,
        attempt=0,
        mode="distributed" if noisy else REHEARSAL_MODE,
        task=task,
        settings=tuple(sorted(terms.settings)),
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
        share_threshold=terms.n_min,
        deadline_unix_s=start.now_unix_s + terms.window_s,
        rho=calibration.rho_per_round if noisy else Fraction(0),
        previous_head=start.previous_head,
        canaries=terms.canaries,
    )
