"""What a rehearsal is asked for, checked before the first step."""

from dataclasses import dataclass, replace

from tactful_lab.rehearsal.policies import NEVER, ORACLE, known
from tactful_lab.worlds import KINDS, Parameters, load, tuning_seeds
from tactful_lab.worlds.registry import LEARNERS
from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least, fraction, positive

MOST_PERSON_SLOTS = 4_000_000_000


def require_known(name: str, flag: str) -> None:
    """Raise `InvalidInput` with the known names where there is no such policy."""
    if name not in known():
        remedy = f"one of {', '.join(known())}"
        raise InvalidInput(f"is not a known policy: {name!r}", field=flag, remedy=remedy)


@dataclass(frozen=True, slots=True)
class Options:
    """A rehearsal; money in minor units.

    Attributes:
        world: Kind of world.
        policies: Names, in the order of the table.
        epsilon: Central ε of the policies that learn across people, for the whole rehearsal.
        n: Persons in each world.
        weeks: Weeks that count.
        warmup_weeks: Weeks without a push before them: the history that a shop has.
        seeds: Number of worlds, the same for all policies.
        first_seed: First of them; by default the first of the tuning range.
        hazard: Opt-out hazard per push, by default the parameters' own.
        fleet_price_minor: ν, what policies with a price ask of a push.
        opt_out_cost_minor: C_out, by default the parameters' own.
        baseline: Differences are to this policy; by default the first that is neither a learner nor a bound.
        numbers: The worlds' numbers, by default the committed ones.
    """

    world: str = "main"
    policies: tuple[str, ...] = ("histogram_three",)
    epsilon: float = 4.0
    n: int = 2_000
    weeks: int = 8
    warmup_weeks: int = 4
    seeds: int = 5
    first_seed: int | None = None
    hazard: float | None = None
    fleet_price_minor: float = 0.0
    opt_out_cost_minor: float | None = None
    baseline: str | None = None
    numbers: Parameters | None = None

    def __post_init__(self) -> None:
        self._check_names()
        positive(epsilon=self.epsilon)
        at_least(1, n=self.n, weeks=self.weeks)
        at_least(0, warmup_weeks=self.warmup_weeks, fleet_price_minor=self.fleet_price_minor)
        if self.seeds < 2:
            remedy = "give 2 or more: an interval needs pairs"
            raise InvalidInput(f"cannot be {self.seeds}", field="--seeds", remedy=remedy)
        if self.first_seed is not None:
            at_least(0, first_seed=self.first_seed)
        if self.hazard is not None:
            fraction(hazard=self.hazard)
        if self.opt_out_cost_minor is not None:
            positive(opt_out_cost_minor=self.opt_out_cost_minor)
        if self.person_slots > MOST_PERSON_SLOTS:
            remedy = "give fewer people, weeks, seeds or policies"
            raise InvalidInput(f"would simulate {self.person_slots:,} person-slots", field="--n", remedy=remedy)

    def _check_names(self) -> None:
        if self.world not in KINDS:
            remedy = f"one of {', '.join(KINDS)}"
            raise InvalidInput(f"is not a known world: {self.world!r}", field="--world", remedy=remedy)
        for name in self.policies:
            require_known(name, "--policy")
        if self.baseline is not None:
            require_known(self.baseline, "--baseline")
        if len(set(self.policies)) < len(self.policies) or not self.policies:
            raise InvalidInput("must be one or more, each once", field="--policy", remedy="name each policy once")

    @property
    def against(self) -> str:
        """The policy to which differences are."""
        if self.baseline is not None:
            return self.baseline
        plain = [name for name in self.policies if name not in (*LEARNERS, NEVER, ORACLE)]
        return plain[0] if plain else NEVER

    @property
    def to_run(self) -> tuple[str, ...]:
        """What is run: `never` and the oracle too, for the gain and the regret are to them."""
        return tuple(dict.fromkeys((NEVER, *self.policies, self.against, ORACLE)))

    @property
    def steps(self) -> int:
        """Slots of one run, the warm-up included."""
        return 49 * (self.weeks + self.warmup_weeks)

    @property
    def person_slots(self) -> int:
        """Person-slots of the whole rehearsal."""
        return len(self.to_run) * self.seeds * self.n * self.steps

    @property
    def seed_range(self) -> range:
        """The worlds' seeds."""
        first = tuning_seeds(self.seeds).start if self.first_seed is None else self.first_seed
        return range(first, first + self.seeds)

    @property
    def seed_kind(self) -> str:
        """``tuning``, ``reporting`` (the project's own figures come from them) or ``own``."""
        seeds = load().seeds
        for kind, first in (("tuning", seeds.tuning_first), ("reporting", seeds.reporting_first)):
            if first <= self.seed_range[0] and self.seed_range[-1] < first + seeds.range_length:
                return kind
        return "own"

    def parameters(self) -> Parameters:
        """The worlds' numbers, with this C_out where one was given."""
        numbers = self.numbers or load()
        if self.opt_out_cost_minor is None:
            return numbers
        pushes = self.opt_out_cost_minor / (numbers.opt_out.push_open_rate * numbers.session_minor)
        return replace(numbers, opt_out=replace(numbers.opt_out, cost_pushes=pushes))
